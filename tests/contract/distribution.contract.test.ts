/**
 * Whether the schema could be distributed over several nodes by tenant, as `deploy/citus/distribute.sql` would: held against the rules
 * that Citus documents for keys and foreign keys. A static test; no cluster is run.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { admin } from '../support/database';

type Kind = 'distributed' | 'reference' | 'local';

const CALL = /^SELECT (create_distributed_table|create_reference_table|citus_add_local_table_to_metadata)\('(\w+)'(?:, '(\w+)')?(.*)\);$/gm;
const KINDS: Record<string, Kind> = {
  create_distributed_table: 'distributed',
  create_reference_table: 'reference',
  citus_add_local_table_to_metadata: 'local',
};

const script = readFileSync(join(PROJECT_ROOT, 'deploy/citus/distribute.sql'), 'utf8');
const calls = [...script.matchAll(CALL)].map(([, call = '', table = '', column, rest = '']) => ({
  table,
  kind: KINDS[call] as Kind,
  column,
  rest,
}));
const placeOf = new Map(calls.map(({ table, kind }, order) => [table, { kind, order }]));

interface Key {
  table: string;
  name: string;
  columns: string[];
  /** For an exclusion constraint: whether the tenant is compared by equality. */
  equal: boolean;
}
interface ForeignKey {
  name: string;
  from: string;
  to: string;
  columns: string[];
  targets: string[];
  cascades: boolean;
}

const columnNames = (relation: string, numbers: string): string =>
  `ARRAY(SELECT a.attname::text FROM unnest(${numbers}) WITH ORDINALITY k(n, o) LEFT JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = k.n ORDER BY k.o)`;

const foreignKeys = (): Promise<ForeignKey[]> =>
  admin<ForeignKey>(
    `SELECT conname AS name, conrelid::regclass::text AS from, confrelid::regclass::text AS to, confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd') AS cascades,
        ${columnNames('conrelid', 'conkey')} AS columns, ${columnNames('confrelid', 'confkey')} AS targets
      FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace ORDER BY conname`,
  );

test('every table is named exactly once, and tables of tenants are distributed by tenant_id on the same nodes', async () => {
  const tables = await admin<{ name: string; tenant: boolean; secured: boolean }>(
    `SELECT relname AS name, relrowsecurity AS secured,
        EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id' AND attnotnull) AS tenant
      FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname`,
  );
  expect(calls.map(({ table }) => table).sort()).toEqual(tables.map(({ name }) => name));
  // What is under row-level security belongs to one shop, and only that.
  expect(tables.filter(({ name, secured }) => secured !== (placeOf.get(name)?.kind === 'distributed'))).toEqual([]);
  const [first, ...others] = calls.filter(({ kind }) => kind === 'distributed');
  expect([first, ...others].filter((call) => call?.column !== 'tenant_id')).toEqual([]);
  expect(others.filter(({ rest }) => rest !== `, colocate_with => '${first?.table}'`)).toEqual([]);
});

test('every unique key and exclusion of a distributed table contains the tenant, compared by equality', async () => {
  const keys = await admin<Key>(
    `SELECT i.indrelid::regclass::text AS table, i.indexrelid::regclass::text AS name, ${columnNames('i.indrelid', 'i.indkey::int2[]')} AS columns,
        x.conexclop IS NULL OR EXISTS (
          SELECT FROM unnest(i.indkey::int2[], x.conexclop) AS k(n, op) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n
            JOIN pg_operator o ON o.oid = k.op WHERE a.attname = 'tenant_id' AND o.oprname = '=') AS equal
      FROM pg_index i LEFT JOIN pg_constraint x ON x.conindid = i.indexrelid AND x.contype = 'x'
      WHERE (i.indisunique OR x.oid IS NOT NULL) AND i.indrelid::regclass::text = ANY ($1)`,
    [calls.filter(({ kind }) => kind === 'distributed').map(({ table }) => table)],
  );
  expect(keys.length).toBeGreaterThan(30);
  expect(keys.filter(({ columns, equal }) => !columns.includes('tenant_id') || !equal)).toEqual([]);
});

test('every foreign key is one that can exist between such tables, and its target is placed before it', async () => {
  const wrong: string[] = [];
  for (const { name, from, to, columns, targets, cascades } of await foreignKeys()) {
    const [source, target] = [placeOf.get(from), placeOf.get(to)];
    const byTenant = columns.indexOf('tenant_id') >= 0 && columns.indexOf('tenant_id') === targets.indexOf('tenant_id');
    const pair = `${source?.kind} -> ${target?.kind}`;
    const allowed =
      (pair === 'distributed -> distributed' && byTenant) ||
      ['distributed -> reference', 'reference -> reference', 'local -> local', 'local -> reference'].includes(pair) ||
      (pair === 'reference -> local' && !cascades);
    if (!allowed) wrong.push(`${name}: ${pair}`);
    if (from !== to && (source?.order ?? 0) < (target?.order ?? 0)) wrong.push(`${name}: ${to} comes after ${from}`);
  }
  expect(wrong).toEqual([]);
});

test('generated ids of distributed tables are bigint, and no trigger runs on any table', async () => {
  const ids = await admin(
    `SELECT attrelid::regclass::text, attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      WHERE c.relnamespace = 'public'::regnamespace AND attidentity <> '' AND atttypid <> 'bigint'::regtype`,
  );
  expect(ids).toEqual([]);
  const triggers = await admin(
    "SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT tgisinternal AND c.relnamespace = 'public'::regnamespace",
  );
  expect(triggers).toEqual([]);
});
