/**
 * All rows of the traffic profile on a shop of hundreds of rows in every list: none sends one read for each row (the detector of the
 * service runs in mode `raise`), and none sends more statements than its endpoint declares.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { seedDatabase } from '../../scripts/seed/database';
import { demoPlans } from '../../scripts/seed/plans';
import type { ShopPlan } from '../../scripts/seed/shop';
import { drainRecorder } from '../../server/ops/recorder';
import { admin } from '../support/database';
import { call, endpointOf, type ProfileRow, type ProfileWorld, readProfile } from '../support/profile-rows';
import { login, startApp } from '../support/server';
import { countWarmStatements } from '../support/warm-statements';

const ROWS = 200;
const profile = readProfile();

/** The demo shop under names of its own: other files' shops are in the same database. */
function planOf(): ShopPlan {
  const [plan] = demoPlans();
  if (!plan) throw new Error('No demo shop is planned');
  const mark = randomBytes(4).toString('hex');
  const renamed = (name: string): string => `${mark}-${name}`;
  return {
    ...plan,
    tenantId: randomUUID(),
    slug: `shop-${mark}`,
    staff: plan.staff.map((member) => ({
      ...member,
      id: renamed(member.id),
      username: renamed(member.username),
      email: renamed(member.email),
    })),
    logins: plan.logins.map((account) => ({ ...account, email: renamed(account.email) })),
  };
}

let world: ProfileWorld;
let shop: string;

beforeAll(async () => {
  const plan = planOf();
  shop = plan.tenantId;
  const client = new pg.Client({ connectionString: process.env['DATABASE_MIGRATION_URL'] });
  await client.connect();
  try {
    const outcome = await seedDatabase(client, [plan], { onlyIfEmpty: false, now: new Date(), log: () => undefined });
    if (outcome.kind !== 'seeded') throw new Error(`Not seeded: ${outcome.kind}`);
  } finally {
    await client.end();
  }
  const app = await startApp();
  const tenant = { id: shop, slug: plan.slug, name: plan.name, timeZone: plan.timeZone };
  const [owner] = plan.staff;
  const [customer] = plan.logins;
  if (!owner || !customer) throw new Error('The plan has no accounts');
  const one = async (text: string): Promise<string> => (await admin<{ id: string }>(text, [shop]))[0]?.id ?? '';
  const appointment = 'SELECT a.id FROM appointments a WHERE a.tenant_id = $1 AND a.customer_id IS NOT NULL';
  // The regular of the shop has the longest history and the most vehicles there are.
  const regular = await one('SELECT customer_id AS id FROM appointments WHERE tenant_id = $1 GROUP BY 1 ORDER BY count(*) DESC LIMIT 1');
  world = {
    owner: (await login(app, { email: owner.email, password: owner.password, tenant })).agent,
    customer: (await login(app, { ...customer, tenant })).agent,
    stranger: () => app.agent().set('X-Tenant-Id', shop),
    ownerAccount: owner,
    customerAccount: customer,
    customerId: Number(regular),
    vehicleId: Number(await one('SELECT id FROM vehicles WHERE tenant_id = $1 ORDER BY id LIMIT 1')),
    appointmentId: Number(await one(`${appointment} AND status = 'SCHEDULED' LIMIT 1`)),
    billableId: Number(
      await one(
        `${appointment} AND status = 'COMPLETED' AND NOT EXISTS (SELECT FROM invoices i WHERE i.tenant_id = a.tenant_id AND i.appointment_id = a.id) LIMIT 1`,
      ),
    ),
    invoiceId: await one(`SELECT id FROM invoices WHERE tenant_id = $1 AND status = 'PAID' LIMIT 1`),
  };
});

test('the shop has at least 200 rows in every list that the profile reads', async () => {
  for (const table of ['customers', 'vehicles', 'appointments', 'appointment_services', 'invoices']) {
    const [row] = await admin<{ n: number }>(`SELECT count(*)::int AS n FROM ${table} WHERE tenant_id = $1`, [shop]);
    expect([table, (row?.n ?? 0) >= ROWS]).toEqual([table, true]);
  }
});

test.each(profile.map((row): [string, ProfileRow] => [row.key, row]))(
  '%s › no read for each row, no more statements than declared',
  async (_key, row) => {
    drainRecorder();
    const { result, statements } = await countWarmStatements(() => call(row, world));
    expect([result.response.status, result.response.text?.slice(0, 300)]).toEqual([result.expected, result.response.text?.slice(0, 300)]);
    expect(drainRecorder().recent.repeated_reads).toEqual([]);
    const budget = endpointOf(row)?.queries;
    if (budget !== undefined) expect([statements.length <= budget, statements]).toEqual([true, statements]);
  },
);

test('the detector is awake: the same statement five times in a request of this app is refused', async () => {
  // Not by a planted route: `tests/api/read-watch.api.test.ts` has those. Here only that the mode is the one the tests above rely on.
  const { config } = jest.requireActual<typeof import('../../config')>('../../config');
  expect([config.N_PLUS_ONE, config.N_PLUS_ONE_REPEATS]).toEqual(['raise', 5]);
});
