/**
 * What the search of customers reads among 50,000 of one shop, under row-level security as the service's own role (ADR 13): two narrow
 * indexes, of these the shop's part alone, and tables only for what was found. The shop beside it is as large.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { customerSearchSql } from '../../models/customer-lists.queries';
import { plateKey } from '../../schemas/identity.schema';
import { closeLater } from '../support/closers';
import { createDatabase, type TestDatabase } from '../support/database';
import { withClient } from '../support/test-cluster';

const SHOP = '00000000-0000-4000-8000-00000000c0de';
const NEIGHBOUR = '00000000-0000-4000-8000-00000000c0df';
const CUSTOMERS = 50_000;
const VEHICLES = CUSTOMERS / 2;
/** Of 8 KB: the shop's half of both indexes is 1,140 of them; the two tables are 3,900. */
const MAX_PAGES = 1_300;
const FILL_MS = 180_000;
const SETTLE_MS = 100;
/** More than a look-up of what was found leaves out. */
const MANY = 100;

let service: pg.Client;

beforeAll(async () => {
  const database = await createDatabase();
  await fill(database);
  service = new pg.Client({ connectionString: database.url });
  closeLater(() => service.end());
  await service.connect();
}, FILL_MS);

async function fill({ adminUrl }: TestDatabase): Promise<void> {
  await withClient(adminUrl, async (client) => {
    // No look-up of the tenant for each of the rows.
    await client.query("SET session_replication_role = 'replica'");
    for (const tenant of [SHOP, NEIGHBOUR]) {
      await client.query('INSERT INTO tenants (id, slug, name) VALUES ($1::uuid, $1::text, $1::text)', [tenant]);
      await client.query(
        `INSERT INTO customers (tenant_id, name, email, phone, address, notes)
          SELECT $1, 'Customer ' || md5(n::text), 'c' || n || '@large.example', '+1 555 ' || lpad(n::text, 7, '0'), n || ' Long Street, Springfield', md5(n::text)
          FROM generate_series(1, ${CUSTOMERS}) n`,
        [tenant],
      );
    }
    await client.query(
      `INSERT INTO vehicles (tenant_id, customer_id, make, model, license_plate)
        SELECT tenant_id, id, 'Make', 'Model', 'P' || lpad(upper(to_hex(id)), 7, '0') FROM customers WHERE id % 2 = 0`,
    );
    await client.query(
      `INSERT INTO appointments (tenant_id, customer_id, status, start_ts, end_ts, block_end_ts, title)
        SELECT tenant_id, id, 'COMPLETED', t, t + interval '1 hour', t + interval '1 hour', 'Oil change'
        FROM customers, LATERAL (SELECT now() - (1 + id % 500) * interval '1 day' AS t) starts WHERE id % 5 = 0`,
    );
    for (const table of ['customers', 'vehicles', 'appointments']) await settle(client, table);
  });
}

/** Vacuums until every page is known to be seen by all: one pass cannot say so while autovacuum reads in the same database. */
async function settle(client: pg.Client, table: string): Promise<void> {
  for (;;) {
    await client.query(`VACUUM (ANALYZE) ${table}`);
    const { rowCount } = await client.query('SELECT FROM pg_class WHERE oid = $1::regclass AND relallvisible = relpages', [table]);
    if (rowCount === 1) return;
    await delay(SETTLE_MS);
  }
}

interface Node {
  'Node Type': string;
  'Index Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Heap Fetches'?: number;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  Plans?: Node[];
}
const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

/** What was executed of the plan, the root first. */
async function explain(text: string, digits: string): Promise<[root: Node, ...Node[]]> {
  await service.query('BEGIN');
  try {
    await service.query("SELECT set_config('app.tenant_id', $1, true), set_config('jit', 'off', true)", [SHOP]);
    const { rows } = await service.query<{ 'QUERY PLAN': { Plan: Node }[] }>(
      `EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${customerSearchSql('relevance', 'all').text}`,
      [SHOP, text, new Date(), digits, plateKey(text), 25],
    );
    const root = rows[0]?.['QUERY PLAN'][0]?.Plan;
    if (!root) throw new Error('No plan');
    return nodesOf(root).filter((node) => node['Actual Loops'] > 0) as [Node, ...Node[]];
  } finally {
    await service.query('ROLLBACK');
  }
}

/**
 * Pages that the plan touched, less those that an index-only scan looked at in the table because not everybody's view of them was
 * settled: how many these are is a matter of when the table was last vacuumed with nobody at work, not of the plan.
 */
const pagesOf = ([root, ...nodes]: readonly [Node, ...Node[]]): number =>
  root['Shared Hit Blocks'] + root['Shared Read Blocks'] - nodes.reduce((sum, { 'Heap Fetches': fetches = 0 }) => sum + fetches, 0);

test('the role of the service › bound by row-level security', async () => {
  expect((await service.query('SELECT FROM customers LIMIT 1')).rowCount).toBe(0);
});

test.each([
  ['a name', 'c4ca4238a0b9', '', 1],
  ['an e-mail address', 'c4711@large.example', '', 1],
  ['a plate', 'P000001', '', 8],
  ['a phone', '0004711', '0004711', 1],
  ['nothing that exists', 'no such thing', '', 0],
])(
  "a search for %s › reads the shop's part of two narrow indexes, and tables only for what was found",
  async (_what, text, digits, found) => {
    const nodes = await explain(text, digits);
    expect(nodes[0]['Actual Rows']).toBe(found);
    expect(nodes.filter(({ 'Node Type': type }) => /Seq Scan|Bitmap/.test(type))).toEqual([]);
    // What was looked at row by row, and how many of them that were: never one of the neighbour's.
    const filtered = nodes.filter((node) => (node['Rows Removed by Filter'] ?? 0) > MANY);
    const seen = filtered.map((node) => [
      node['Node Type'],
      node['Index Name'],
      node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0),
    ]);
    expect(seen.sort()).toEqual([
      ['Index Only Scan', 'customers_search_idx', CUSTOMERS],
      ['Index Only Scan', 'vehicles_search_idx', VEHICLES],
    ]);
    expect(pagesOf(nodes)).toBeLessThan(MAX_PAGES);
  },
);
