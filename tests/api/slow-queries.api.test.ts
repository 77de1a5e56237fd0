/** Slow statements and their plans: under the tenant of whoever sent them, without a value, and never executed twice. */
import { HasMany } from 'sequelize';
import { z } from 'zod';
import { ANONYMOUS, newWorkStats, type Tenant, withContext } from '../../lib/context';
import { closeDatabase, inTransaction, openDatabase, query } from '../../lib/db';
import { metrics } from '../../lib/metrics';
import { Customer } from '../../models/customers.model';
import { Vehicle } from '../../models/vehicles.model';
import { endpoint } from '../../routes/endpoint';
import { drainRecorder } from '../../server/ops/recorder';
import { explainWorst, rememberSlowQueries } from '../../server/ops/slow-queries';
import { admin } from '../support/database';
import { createCustomer, createTenant } from '../support/factories';
import { type ChainServer, startChain, TENANT } from '../support/http';

// Slow enough to be told from everything else, also on a busy machine; quick enough to wait for.
jest.mock('../../config', () => {
  const actual = jest.requireActual<{ config: object }>('../../config');
  return { ...actual, config: Object.create(actual.config, { LOG_SLOW_QUERY_MS: { value: 250 } }) };
});
const SLEEP = 'pg_sleep(0.3)';
const SECRET = 'zqMarkerOfAPerson';
const NEVER_BY_ITSELF_MS = 3_600_000;

let shop: Tenant;
let stop: () => void;

beforeAll(async () => {
  await openDatabase({ poolMin: 1, poolMax: 3 });
  shop = await createTenant();
  await createCustomer({ tenant: shop, columns: { name: SECRET } });
  stop = rememberSlowQueries(NEVER_BY_ITSELF_MS);
});
afterAll(async () => {
  stop();
  await closeDatabase();
});
beforeEach(() => void drainRecorder());

const inShop = <T>(work: () => Promise<T>): Promise<T> =>
  withContext(
    { requestId: 'r', operation: 'listVisits', actor: ANONYMOUS, tenant: shop, ip: null, userAgent: null, stats: newWorkStats() },
    work,
  );

test('a slow read › kept with its route, its plan taken under row-level security, no value in either', async () => {
  const rows = await inShop(() =>
    query({ text: `SELECT name, ${SLEEP} FROM customers WHERE name = $1 AND 'literal ${SECRET}' <> name` }, [SECRET]),
  );
  expect(rows).toHaveLength(1);
  await explainWorst();
  const { slow_queries, slow_plans } = drainRecorder().recent;
  const fingerprint = 'SELECT name, pg_sleep(?) FROM customers WHERE name = $? AND ? <> name';
  expect(slow_queries).toEqual([{ fingerprint, ms: expect.any(Number), route: 'listVisits', at: expect.any(String) }]);
  expect(slow_plans).toEqual([{ fingerprint, plan: expect.arrayContaining([expect.stringMatching(/customers/)]) }]);
  // The policy's own condition is in the plan: it was made for the tenant and the role of the statement, not for an owner.
  expect(slow_plans[0]?.plan.join('\n')).toMatch(/tenant_id = /);
  expect(JSON.stringify({ slow_queries, slow_plans })).not.toContain(SECRET);
});

test('a slow write › its plan is taken, and it is done once', async () => {
  const before = await admin<{ n: number }>('SELECT count(*)::int AS n FROM customer_notes');
  const customer = await createCustomer({ tenant: shop });
  await inShop(() =>
    inTransaction(() =>
      query(
        {
          text: `INSERT INTO customer_notes (tenant_id, customer_id, author_id, author_name, author_role, content)
            SELECT $1, $2, 'a', 'a', 'Owner', $3 FROM ${SLEEP}`,
        },
        [shop.id, customer.id, SECRET],
      ),
    ),
  );
  await explainWorst();
  const { slow_plans } = drainRecorder().recent;
  expect(slow_plans[0]?.plan[0]).toMatch(/^ModifyTable on customer_notes/);
  expect(await admin('SELECT count(*)::int AS n FROM customer_notes')).toEqual([{ n: (before[0]?.n ?? 0) + 1 }]);
});

test('the same slow statement again › kept, but planned no second time', async () => {
  const read = () => inShop(() => query({ text: `SELECT ${SLEEP}` }));
  await read();
  await explainWorst();
  expect(drainRecorder().recent.slow_plans).toHaveLength(1);
  await read();
  await explainWorst();
  expect(drainRecorder().recent).toMatchObject({ slow_queries: [{ route: 'listVisits' }], slow_plans: [] });
});

describe('budgets and includes of a route', () => {
  let server: ChainServer;

  beforeAll(async () => {
    await admin(`INSERT INTO tenants (id, slug, name) VALUES ($1, $2, 'Shop') ON CONFLICT DO NOTHING`, [TENANT.id, TENANT.slug]);
    await createCustomer({ tenant: TENANT });
    const vehicles = new HasMany(Customer, Vehicle, {
      as: 'cars',
      foreignKey: 'customerId',
      sourceKey: 'id',
      constraints: false,
    });
    const load = () =>
      inTransaction(() => Customer.findAll({ where: { tenantId: TENANT.id }, include: [{ association: vehicles }], limit: 1 }));
    const planted = (path: string, id: string, handle: () => Promise<object>) =>
      endpoint({ method: 'get', path, id, summary: id, tag: 'Test', allow: ['Owner'], queries: 2, reply: [200, z.object({})], handle });
    server = await startChain({
      endpoints: [
        planted('/within', 'withinBudget', async () => {
          await query({ text: 'SELECT 1' });
          await query({ text: 'SELECT 2, 2' });
          return {};
        }),
        planted('/over', 'overBudget', async () => {
          for (const columns of ['1', '1, 1', '1, 1, 1']) await query({ text: `SELECT ${columns.replaceAll('1', 'now()')}` });
          return {};
        }),
        {
          ...planted('/kept', 'keptOverBudget', async () => {
            for (const columns of ['2', '2, 2', '2, 2, 2']) await query({ text: `SELECT ${columns.replaceAll('2', 'now()')}` });
            return {};
          }),
          cache: { reads: ['customers'], freshSeconds: 60 },
        },
        planted('/unread', 'loadsAndForgets', async () => {
          await load();
          return {};
        }),
        planted('/read', 'loadsAndReads', async () => {
          const [customer] = await load();
          if (!Array.isArray((customer as unknown as { cars: unknown }).cars)) throw new Error('nothing was loaded');
          return {};
        }),
      ],
    });
  });

  const countOf = async (metric: { get(): Promise<{ values: { labels: Record<string, unknown>; value: number }[] }> }, route: string) =>
    (await metric.get()).values.find(({ labels }) => labels['route'] === route)?.value ?? 0;
  const ask = async (path: string): Promise<void> => {
    const response = await server.fetch(path, { headers: { 'x-actor': 'Owner', 'x-actor-id': 'o1' } });
    await response.text();
    expect(response.status).toBe(200);
  };

  test('as many statements as declared › nothing; one more › counted under the route, and answered all the same', async () => {
    await ask('/within');
    await ask('/over');
    expect(await countOf(metrics.queryBudgetExceeded, 'withinBudget')).toBe(0);
    expect(await countOf(metrics.queryBudgetExceeded, 'overBudget')).toBe(1);
    expect(await countOf(metrics.routeQueries, 'overBudget')).toBe(3);
  });

  test('a reply that is kept › counted when it is computed, not when it is repeated', async () => {
    await ask('/kept');
    expect(await countOf(metrics.queryBudgetExceeded, 'keptOverBudget')).toBe(1);
    await ask('/kept');
    expect(await countOf(metrics.queryBudgetExceeded, 'keptOverBudget')).toBe(1);
    expect(await countOf(metrics.routeQueries, 'keptOverBudget')).toBe(3);
  });

  test('an association loaded and not read › counted under the route; one that is read is not', async () => {
    await ask('/unread');
    await ask('/read');
    expect(await countOf(metrics.unusedIncludes, 'loadsAndForgets')).toBe(1);
    expect(await countOf(metrics.unusedIncludes, 'loadsAndReads')).toBe(0);
  });
});
