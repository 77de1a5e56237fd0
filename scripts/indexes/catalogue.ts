/** Indexes and foreign keys of the schema `public`, from PostgreSQL's catalogue. */
import type { Queryable } from '../../lib/migrations';
import type { ForeignKeyFacts, IndexFacts } from './rules';

const INDEXES = `
  SELECT i.indrelid::regclass::text AS table, c.relname AS name, am.amname AS method,
    ARRAY(SELECT concat_ws(' ', pg_get_indexdef(i.indexrelid, k, true), opc.opcname, nullif(i.indcollation[k - 1], 0)::text,
        CASE WHEN i.indoption[k - 1] <> 0 THEN 'option ' || i.indoption[k - 1] END)
      FROM generate_series(1, i.indnkeyatts) k JOIN pg_opclass opc ON opc.oid = i.indclass[k - 1] ORDER BY k) AS keys,
    ARRAY(SELECT a.attname::text FROM generate_series(1, i.indnkeyatts) k
      LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1] AND a.attnum > 0 ORDER BY k) AS columns,
    ARRAY(SELECT a.attname::text FROM generate_series(i.indnkeyatts + 1, i.indnatts) k
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1] ORDER BY k) AS included,
    pg_get_expr(i.indpred, i.indrelid) AS predicate, i.indisunique AS "isUnique",
    EXISTS (SELECT FROM pg_constraint x WHERE x.conindid = i.indexrelid AND x.contype IN ('p', 'u', 'x')) AS "isConstraint",
    coalesce(s.idx_scan, 0)::float8 AS scans, pg_relation_size(i.indexrelid)::float8 AS bytes
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
    LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid
  WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid ORDER BY 1, 2`;

/** Without generated columns: in a key they hold one value, which narrows nothing. */
const FOREIGN_KEYS = `
  SELECT conrelid::regclass::text AS table, conname AS name,
    ARRAY(SELECT a.attname::text FROM unnest(conkey) WITH ORDINALITY k (n, o) JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.n AND a.attgenerated = '' ORDER BY k.o) AS columns
  FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND conparentid = 0 ORDER BY 1, 2`;

/** Scans are counted since the last reset, or since the last crash of the server. */
const COUNTED_SINCE = `SELECT stats_reset::text AS since FROM pg_stat_database WHERE datname = current_database()`;

export interface Catalogue {
  indexes: IndexFacts[];
  foreignKeys: ForeignKeyFacts[];
  /** Null: since the statistics were begun. */
  countedSince: string | null;
}

export async function readCatalogue(database: Queryable): Promise<Catalogue> {
  const rows = async <Row>(text: string): Promise<Row[]> => (await database.query(text)).rows as Row[];
  const [since] = await rows<{ since: string | null }>(COUNTED_SINCE);
  return {
    indexes: await rows<IndexFacts>(INDEXES),
    foreignKeys: await rows<ForeignKeyFacts>(FOREIGN_KEYS),
    countedSince: since?.since ?? null,
  };
}
