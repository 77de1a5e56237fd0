/**
 * Plans on the load data: no row of the traffic profile reads a large table from end to end. The statements are those that the
 * served route sends, with their values, planned again under the service's own role and row-level security.
 *
 * The calls are the first shop's, with four fifths of all rows. An export is a shop's whole table, streamed from a cursor along an
 * index: it is called for the second shop too, with one fifth, which must not pay for the first.
 */
import pg from 'pg';
import type { Statement } from '../../lib/db-client';
import { seedDatabase } from '../../scripts/seed/database';
import { FIRST_TENANT, loadPlans, SECOND_TENANT } from '../../scripts/seed/plans';
import { closeLater } from '../support/closers';
import { createDatabase, type TestDatabase } from '../support/database';
import type { ProfileRow, ProfileWorld } from '../support/profile-rows';
import type { Agent } from '../support/server';

/** Tables with more rows than this are large. */
const LARGE = 10_000;
/** Making the load data takes half a minute; on a machine with thirty other things to do, minutes. */
const SEEDING_MS = 600_000;
const OWNER = { email: 'admin@example.com', password: 'admin123' };
const SECOND_OWNER = { email: 'admin-two@load.example', password: 'admin123' };
const CUSTOMER = { email: 'customer1@load.example', password: 'Load-test-1!' };

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  Plans?: Plan[];
}

let database: TestDatabase;
let rows: typeof import('../support/profile-rows');
let db: typeof import('../../lib/db');
let world: ProfileWorld;
let smallWorld: ProfileWorld;
let service: pg.Client;
let large: Map<string, number>;

beforeAll(async () => {
  database = await createDatabase();
  await withClient(database.migrationUrl, (client) =>
    seedDatabase(client, loadPlans(), { onlyIfEmpty: true, now: new Date(), log: () => undefined }),
  );
  // Another database than this worker's: read into the configuration at the import that follows.
  process.env['DATABASE_URL'] = database.url;
  jest.resetModules();
  // The modules of that other world have closers of their own; they must end before the database is dropped.
  closeLater(() => jest.requireActual<typeof import('../support/closers')>('../support/closers').runClosers());
  rows = jest.requireActual('../support/profile-rows');
  db = jest.requireActual('../../lib/db');
  [world, smallWorld] = await makeWorlds();
  service = new pg.Client({ connectionString: database.url });
  closeLater(() => service.end());
  await service.connect();
  large = await largeTables();
  // As autovacuum leaves them: without its map of pages that all may see, a count by index costs as much as reading the table.
  await withClient(database.migrationUrl, async (client) => {
    for (const name of large.keys()) await client.query(`VACUUM ${name}`);
  });
}, SEEDING_MS);

async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Rows of the first of the two shops, found past row-level security, and sessions in both, by the real log-in. */
async function makeWorlds(): Promise<[first: ProfileWorld, second: ProfileWorld]> {
  const { login, startApp } = jest.requireActual<typeof import('../support/server')>('../support/server');
  const app = await startApp();
  const named = (id: string) => ({ id, slug: '', name: '', timeZone: '' });
  const found = await withClient(database.adminUrl, async (client) => {
    const one = async (text: string) => (await client.query<{ id: string }>(text, [FIRST_TENANT])).rows[0]?.id ?? '';
    const appointment = 'SELECT a.id FROM appointments a WHERE a.tenant_id = $1 AND a.customer_id IS NOT NULL';
    const invoice = 'SELECT i.id FROM invoices i WHERE i.tenant_id = $1';
    return {
      customerId: Number(await one('SELECT id FROM customers WHERE tenant_id = $1 ORDER BY id OFFSET 100 LIMIT 1')),
      vehicleId: Number(await one('SELECT id FROM vehicles WHERE tenant_id = $1 ORDER BY id OFFSET 100 LIMIT 1')),
      appointmentId: Number(await one(`${appointment} AND status = 'SCHEDULED' ORDER BY a.start_ts DESC LIMIT 1`)),
      billableId: Number(
        await one(
          `${appointment} AND status = 'COMPLETED' AND NOT EXISTS (SELECT FROM invoices i WHERE i.tenant_id = a.tenant_id AND i.appointment_id = a.id) LIMIT 1`,
        ),
      ),
      invoiceId: await one(`${invoice} AND status = 'PAID' ORDER BY i.id LIMIT 1`),
    };
  });
  const agent = async (account: typeof OWNER, id = FIRST_TENANT): Promise<Agent> =>
    (await login(app, { ...account, tenant: named(id) })).agent;
  const first = {
    owner: await agent(OWNER),
    customer: await agent(CUSTOMER),
    stranger: () => app.agent().set('X-Tenant-Id', FIRST_TENANT),
    ownerAccount: OWNER,
    customerAccount: CUSTOMER,
    ...found,
  };
  return [first, { ...first, owner: await agent(SECOND_OWNER, SECOND_TENANT) }];
}

async function largeTables(): Promise<Map<string, number>> {
  const { rows: tables } = await service.query<{ name: string; rows: number }>(
    `SELECT relname AS name, reltuples::int AS rows FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples > $1`,
    [LARGE],
  );
  return new Map(tables.map((table) => [table.name, table.rows]));
}

/** What the route sent while it was called, without repetitions of the same text. */
async function statementsOf(row: ProfileRow, caller: ProfileWorld): Promise<Statement[]> {
  const sent = new Map<string, Statement>();
  const end = db.observeStatements((statement) => sent.set(statement.text, statement));
  try {
    const { response, expected } = await rows.call(row, caller);
    if (response.status !== expected) throw new Error(`${row.key} answered ${response.status}: ${response.text}`);
  } finally {
    end();
  }
  return [...sent.values()].flatMap(plannable);
}

/** A cursor is planned as a cursor, for its first rows; what follows it only fetches. */
const plannable = (statement: Statement): Statement[] =>
  /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|DECLARE)\b/i.test(statement.text) ? [statement] : [];

/** Names of the tables that the plan reads from end to end. */
async function scanned({ text, values }: Statement, tenantId: string): Promise<string[]> {
  await service.query('BEGIN');
  try {
    await service.query("SELECT set_config('app.tenant_id', $1, true)", [tenantId]);
    const { rows: plans } = await service.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(`EXPLAIN (FORMAT JSON) ${text}`, [...values]);
    const found: string[] = [];
    const look = (plan: Plan): void => {
      if (plan['Node Type'] === 'Seq Scan' && plan['Relation Name']) found.push(plan['Relation Name']);
      plan.Plans?.forEach(look);
    };
    for (const { Plan: plan } of plans[0]?.['QUERY PLAN'] ?? []) look(plan);
    return found;
  } finally {
    await service.query('ROLLBACK');
  }
}

test('the load data hold large tables, and reading one from end to end is noticed', async () => {
  expect([...large.keys()]).toEqual(expect.arrayContaining(['appointments', 'appointment_services', 'appointment_status_history']));
  const statement = {
    text: 'SELECT count(*) FROM appointments WHERE tenant_id = $1',
    values: [SECOND_TENANT],
    target: 'primary',
    ms: 0,
    failed: false,
    operation: null,
    context: undefined,
  };
  expect(await scanned(statement, SECOND_TENANT)).toEqual([]);
  await service.query('SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off');
  expect(await scanned(statement, SECOND_TENANT)).toEqual(['appointments']);
  await service.query('RESET ALL');
});

// The list is read again in the test: here only its names are needed, before any database is.
test.each(
  jest
    .requireActual<typeof import('../support/profile-rows')>('../support/profile-rows')
    .readProfile()
    .map((row): [string, ProfileRow] => [row.key, row]),
)('%s › no large table is read from end to end', async (key, row) => {
  if (!rows.PROBES.has(key) && !rows.endpointOf(row)) throw new Error(`${key} is not served`);
  // An export is a shop's whole table: for the large shop, and for the small one, which must not pay for the large.
  const callers: [ProfileWorld, string][] = [[world, FIRST_TENANT]];
  if (key.includes('/export/')) callers.push([smallWorld, SECOND_TENANT]);
  const faults: string[] = [];
  for (const [caller, tenantId] of callers)
    for (const statement of await statementsOf(row, caller))
      for (const table of await scanned(statement, tenantId))
        if (large.has(table)) faults.push(`${table} (${large.get(table)} rows): ${statement.text}`);
  expect(faults).toEqual([]);
});
