/** Every table of the database, asked and written by the service role without any filter of the application: the net under it must hold alone. */
import pg from 'pg';
import { admin } from '../support/database';
import { createFullShop, type FullShop, fingerprint } from '../support/full-shop';

/** Read before a tenant is known, or not the tenants' at all. Whoever adds to this list says why beside it. */
const EXEMPT = [
  'password_resets', // looked up by the hash of a mailed token
  'refresh_tokens', // by the hash of a cookie
  'schema_migrations', // the runner's own
  'sessions', // by the id in a token
  'staff_tenant_memberships', // which tenants a person may enter
  'staff_users', // one account for several tenants
  'statement_counters', // about the service, not about a shop: no row of anybody
  'statement_profiles', // the same
  'tenants', // the list of tenants itself
];

interface Column {
  name: string;
  insertable: boolean;
}

let client: pg.Client;
let ours: FullShop;
let theirs: FullShop;
let tables: string[];

beforeAll(async () => {
  ours = await createFullShop();
  theirs = await createFullShop();
  client = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
  await client.connect();
  const rows = await admin<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') ORDER BY 1`,
  );
  tables = rows.map(({ name }) => name).filter((name) => !EXEMPT.includes(name));
  expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(EXEMPT));
});
afterAll(() => client.end());

/** Runs one statement as the service does, for a tenant or none, and undoes it. */
async function attempt(
  scope: string | null,
  text: string,
  values: unknown[] = [],
): Promise<{ rows: pg.QueryResultRow[]; count: number; refused: string | null }> {
  await client.query('BEGIN');
  try {
    if (scope !== null) await client.query(`SELECT set_config('app.tenant_id', $1, true)`, [scope]);
    const { rows, rowCount } = await client.query(text, values);
    return { rows, count: rowCount ?? 0, refused: null };
  } catch (error) {
    return { rows: [], count: 0, refused: (error as { code?: string }).code ?? String(error) };
  } finally {
    await client.query('ROLLBACK');
  }
}

const columnsOf = (table: string): Promise<Column[]> =>
  admin<Column>(
    `SELECT attname AS name, attgenerated = '' AND attidentity <> 'a' AS insertable FROM pg_attribute
      WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  );

/** No setting at all; the empty one that a finished transaction leaves on its connection; the neighbour's. */
const scopes = (): [string, string | null][] => [
  ['no tenant', null],
  ['the empty tenant', ''],
  ['another tenant', ours.tenant.id],
];

const INSUFFICIENT_PRIVILEGE = '42501';
const UNIQUE_VIOLATION = '23505';

test('the service role can get round nothing: no superuser, no BYPASSRLS, owner of no table, member of no other role', async () => {
  const [role] = (
    await client.query(`SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,
        (SELECT count(*)::int FROM pg_class c WHERE c.relowner = r.oid) AS owned,
        (SELECT count(*)::int FROM pg_auth_members m WHERE m.member = r.oid) AS memberships
      FROM pg_roles r WHERE rolname = current_user`)
  ).rows;
  expect(role).toEqual({ rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcreatedb: false, owned: 0, memberships: 0 });
});

test('every table but the exempt ones is under forced row-level security, with its key and foreign keys starting with the tenant', async () => {
  const open = await admin<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relname = ANY ($1) AND relnamespace = 'public'::regnamespace AND NOT (relrowsecurity AND relforcerowsecurity)`,
    [tables],
  );
  expect(open).toEqual([]);
  const keys = await admin<{ name: string }>(
    `SELECT conrelid::regclass || '.' || conname AS name FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text = ANY ($1) AND contype IN ('p', 'u', 'f')
        AND (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]) <> 'tenant_id'`,
    [tables],
  );
  expect(keys).toEqual([]);
});

test('both shops have rows in every table, and the right tenant sees its own', async () => {
  for (const table of tables) {
    const { rows } = await attempt(
      theirs.tenant.id,
      `SELECT count(*)::int AS n, count(*) FILTER (WHERE tenant_id <> '${theirs.tenant.id}')::int AS foreign FROM ${table}`,
    );
    expect([table, rows[0]?.['n'] > 0, rows[0]?.['foreign']]).toEqual([table, true, 0]);
  }
});

test('SELECT without a filter › nothing of the other shop, and nothing at all without a tenant', async () => {
  for (const table of tables) {
    for (const [name, scope] of scopes()) {
      const { rows, refused } = await attempt(
        scope,
        `SELECT count(*) FILTER (WHERE tenant_id = '${theirs.tenant.id}')::int AS theirs, count(*)::int AS n FROM ${table}`,
      );
      expect([table, name, refused, rows[0]?.['theirs'], scope ? 0 : rows[0]?.['n']]).toEqual([table, name, null, 0, 0]);
    }
  }
});

test('UPDATE and DELETE without a filter › reach no row of the other shop, or are not granted', async () => {
  const before = await fingerprint(theirs.tenant.id, tables);
  for (const table of tables) {
    const columns = await columnsOf(table);
    const [granted] = await admin<{ name: string }>(
      `SELECT name FROM unnest($2::text[]) WITH ORDINALITY AS c (name, place) WHERE has_column_privilege('autoshop_app', $1, name, 'UPDATE') ORDER BY place LIMIT 1`,
      [table, columns.filter(({ insertable }) => insertable).map(({ name }) => name)],
    );
    const column = granted?.name ?? 'tenant_id';
    for (const [name, scope] of scopes()) {
      const update = await attempt(scope, `UPDATE ${table} SET ${column} = ${column} WHERE tenant_id = '${theirs.tenant.id}'`);
      expect([table, name, 'update', update.count, update.refused]).toEqual([
        table,
        name,
        'update',
        0,
        granted ? null : INSUFFICIENT_PRIVILEGE,
      ]);
      const remove = await attempt(scope, `DELETE FROM ${table} WHERE tenant_id = '${theirs.tenant.id}'`);
      expect([table, name, 'delete', remove.count]).toEqual([table, name, 'delete', 0]);
      expect([null, INSUFFICIENT_PRIVILEGE]).toContain(remove.refused);
    }
    // The same statement in the right tenant does reach its rows: the zeros above are the policies' work.
    if (granted) expect((await attempt(theirs.tenant.id, `UPDATE ${table} SET ${column} = ${column}`)).count).toBeGreaterThan(0);
  }
  expect(await fingerprint(theirs.tenant.id, tables)).toEqual(before);
});

test('INSERT of a row of the other shop › refused by the policy', async () => {
  for (const table of tables) {
    const names = (await columnsOf(table)).filter(({ insertable }) => insertable).map(({ name }) => name);
    const [copy] = await admin<{ row: unknown }>(`SELECT row_to_json(t) AS row FROM ${table} t WHERE tenant_id = $1 LIMIT 1`, [
      theirs.tenant.id,
    ]);
    const text = `INSERT INTO ${table} (${names.join(', ')}) SELECT ${names.join(', ')} FROM json_populate_record(NULL::${table}, $1)`;
    const values = [JSON.stringify(copy?.row)];
    for (const [name, scope] of scopes())
      expect([table, name, (await attempt(scope, text, values)).refused]).toEqual([table, name, INSUFFICIENT_PRIVILEGE]);
    // In the right tenant it gets as far as the key that exists already.
    expect([table, (await attempt(theirs.tenant.id, text, values)).refused]).toEqual([table, UNIQUE_VIOLATION]);
  }
});

test('a row moved into the other shop › refused', async () => {
  for (const table of tables) {
    const moved = await attempt(ours.tenant.id, `UPDATE ${table} SET tenant_id = '${theirs.tenant.id}'`);
    expect([table, moved.refused]).toEqual([table, INSUFFICIENT_PRIVILEGE]);
  }
});

test('what happened is never rewritten: the histories cannot be updated or deleted by the service', async () => {
  for (const table of ['appointment_status_history', 'customer_audits', 'vehicle_audits', 'vehicle_audit_log', 'audit_logs', 'payments']) {
    expect([table, (await attempt(theirs.tenant.id, `DELETE FROM ${table}`)).refused]).toEqual([table, INSUFFICIENT_PRIVILEGE]);
    expect([table, (await attempt(theirs.tenant.id, `UPDATE ${table} SET tenant_id = tenant_id`)).refused]).toEqual([
      table,
      INSUFFICIENT_PRIVILEGE,
    ]);
  }
});
