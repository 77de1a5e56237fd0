/** Everything that defines the shape of a database, as sorted lines, so that two can be compared and a difference read. */
import { withClient } from './test-cluster';

/** Job tables belong to their library, objects of extensions to the extension. */
const OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'graphile_worker') AND n.nspname NOT LIKE 'pg\\_%'";
const notOfExtension = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '${catalog}'::regclass AND d.objid = ${oid} AND d.deptype = 'e')`;

const PARTS: Record<string, string> = {
  extension: "SELECT extname AS line FROM pg_extension WHERE extname <> 'plpgsql'",
  relation: `SELECT format('%s.%s %s owner=%s rls=%s force=%s acl=%s options=%s', n.nspname, c.relname, c.relkind, pg_get_userbyid(c.relowner),
      c.relrowsecurity, c.relforcerowsecurity, (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(c.relacl) a), c.reloptions) AS line
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${OURS} AND ${notOfExtension('pg_class', 'c.oid')}`,
  column: `SELECT format('%s.%s #%s %s %s notnull=%s identity=%s generated=%s default=%s acl=%s', c.relname, a.attname,
      row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attcollation, a.attnotnull, a.attidentity,
      a.attgenerated, pg_get_expr(d.adbin, d.adrelid), (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(a.attacl) x)) AS line
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE ${OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND ${notOfExtension('pg_class', 'c.oid')}`,
  constraint: `SELECT format('%s %s %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) AS line
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE ${OURS}`,
  index: `SELECT pg_get_indexdef(i.indexrelid) || ' valid=' || i.indisvalid AS line
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ${OURS}`,
  policy: `SELECT format('%s %s %s permissive=%s roles=%s using=%s check=%s', p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive,
      (SELECT string_agg(r.oid::regrole::text, ',' ORDER BY r.rolname) FROM pg_roles r WHERE r.oid = ANY (p.polroles)),
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS line FROM pg_policy p`,
  function: `SELECT pg_get_functiondef(p.oid) || ' acl=' || coalesce((SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(p.proacl) a), '') AS line
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE ${OURS} AND p.prokind IN ('f', 'p') AND ${notOfExtension('pg_proc', 'p.oid')}`,
  trigger: `SELECT pg_get_triggerdef(t.oid) AS line FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE ${OURS} AND NOT t.tgisinternal`,
  type: `SELECT format('%s %s', t.typname, t.typtype) AS line FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE ${OURS} AND t.typtype IN ('e', 'd', 'r') AND ${notOfExtension('pg_type', 't.oid')}`,
  sequence: `SELECT format('%s.%s %s start=%s increment=%s', schemaname, sequencename, data_type, start_value, increment_by) AS line
    FROM pg_sequences WHERE schemaname NOT IN ('graphile_worker')`,
  schema: `SELECT format('%s acl=%s', n.nspname, n.nspacl) AS line FROM pg_namespace n WHERE ${OURS}`,
  default_acl: 'SELECT defaclacl::text AS line FROM pg_default_acl',
};

/** One line for each object, `<kind>: <definition>`. Takes a superuser's URL. */
export function schemaSnapshot(url: string): Promise<string[]> {
  return withClient(url, async (client) => {
    const lines: string[] = [];
    for (const [part, text] of Object.entries(PARTS)) {
      const { rows } = await client.query<{ line: string }>(text);
      lines.push(...rows.map(({ line }) => `${part}: ${line}`));
    }
    return lines.sort();
  });
}
