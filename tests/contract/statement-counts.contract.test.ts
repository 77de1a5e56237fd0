/**
 * All rows of the traffic profile on a shop of hundreds of rows in every list: none sends one read for each row (the detector of the
 * service runs in mode `raise`), and none sends more statements than its endpoint declares. Nor does an endpoint that takes a list, for
 * the items of it.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Response } from 'supertest';
import { z } from 'zod';
import { query } from '../../lib/db';
import { endpoints } from '../../routes';
import { type Endpoint, endpoint } from '../../routes/endpoint';
import { seedDatabase } from '../../scripts/seed/database';
import { demoPlans } from '../../scripts/seed/plans';
import type { ShopPlan } from '../../scripts/seed/shop';
import { drainRecorder } from '../../server/ops/recorder';
import { admin } from '../support/database';
import { call, endpointOf, type ProfileRow, type ProfileWorld, readProfile } from '../support/profile-rows';
import { login, startApp } from '../support/server';
import { countWarmStatements } from '../support/warm-statements';

const ROWS = 200;
/** More than what the detector lets pass. */
const ITEMS = 6;
const profile = readProfile();

/** Among the endpoints of the service, so that what the tests below rely on is seen at work in the same app. */
const PLANTED = endpoint({
  method: 'get',
  path: '/api/planted',
  id: 'readOneByOne',
  summary: 'One read for each of some rows',
  tag: 'Test',
  allow: ['Owner'],
  reply: [200, z.object({})],
  handle: async () => {
    for (let id = 1; id <= ITEMS; id += 1) await query({ text: 'SELECT name FROM customers WHERE id = $1' }, [id]);
    return {};
  },
});

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
  (endpoints as Endpoint[]).push(PLANTED);
  const app = await startApp();
  const tenant = { id: shop, slug: plan.slug, name: plan.name, timeZone: plan.timeZone };
  const [owner] = plan.staff;
  const [customer] = plan.logins;
  if (!owner || !customer) throw new Error('The plan has no accounts');
  const one = async (text: string): Promise<string> => (await admin<{ id: string }>(text, [shop]))[0]?.id ?? '';
  const appointment = 'SELECT a.id FROM appointments a WHERE a.tenant_id = $1 AND a.customer_id IS NOT NULL';
  const reachable =
    'EXISTS (SELECT FROM customers c WHERE c.tenant_id = a.tenant_id AND c.id = a.customer_id AND c.email IS NOT NULL AND c.phone IS NOT NULL)';
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
    // Of a customer who can be written to; which visits still lie ahead depends on the hour.
    appointmentId: Number(await one(`${appointment} AND status = 'SCHEDULED' AND ${reachable} ORDER BY a.id LIMIT 1`)),
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

// ------------------------------------------------------------------ endpoints that take a list

const items = <T>(make: (index: number) => T): T[] => Array.from({ length: ITEMS }, (_, index) => make(index));
const idsOf = async (text: string): Promise<string[]> =>
  (await admin<{ id: string }>(`${text} LIMIT ${ITEMS}`, [shop])).map(({ id }) => id);
const operations = (): Promise<string[]> => idsOf('SELECT id FROM service_operations WHERE tenant_id = $1 AND NOT is_package ORDER BY id');
const mark = (): string => randomBytes(6).toString('hex');
const tags = (): string[] => items((index) => `tag ${index}`);
const newCustomer = () => ({ name: 'Many Tags', email: `${mark()}@walk-in.example`, tags: tags() });
const newPackage = async () => ({
  name: `Package ${mark()}`,
  category: 'Packages',
  internal_code: mark(),
  keywords: items((index) => `word ${index}`),
  package_items: (await operations()).map((child_id) => ({ child_id })),
});
const newAppointment = async () => ({
  customer_id: String(world.customerId),
  start_ts: new Date(Date.now() + (1_000 + (randomBytes(2).readUInt16BE() % 9_000)) * 86_400_000).toISOString(),
  service_operation_ids: await operations(),
});
const owner = () => world.owner;

/** What is sent to each endpoint that takes a list. */
const LISTS: Readonly<Record<string, () => Promise<Response>>> = {
  'put /api/customers/profile': async () =>
    world.customer.put('/api/customers/profile').send({ vehicles: items((index) => ({ make: 'Saab', model: `${index}`, year: 1991 })) }),
  'post /api/admin/customers': async () => owner().post('/api/admin/customers').send(newCustomer()),
  'patch /api/admin/customers/:id': async () => owner().patch(`/api/admin/customers/${world.customerId}`).send({ tags: tags() }),
  'post /api/admin/vehicles/transfer': async () =>
    owner()
      .post('/api/admin/vehicles/transfer')
      .send({
        vehicle_ids: (await idsOf('SELECT id FROM vehicles WHERE tenant_id = $1 ORDER BY id')).map(Number),
        customer_id: world.customerId,
      }),
  'post /api/admin/appointments': async () =>
    owner()
      .post('/api/admin/appointments')
      .send(await newAppointment()),
  'post /api/appointments': async () =>
    owner()
      .post('/api/appointments')
      .send(await newAppointment()),
  'patch /api/appointments/:id': async () =>
    owner()
      .patch(`/api/appointments/${world.appointmentId}`)
      .send({ service_operation_ids: await operations() }),
  'put /api/appointments/:id': async () =>
    owner()
      .put(`/api/appointments/${world.appointmentId}`)
      .send({ service_operation_ids: (await operations()).reverse() }),
  'post /api/admin/service-operations': async () =>
    owner()
      .post('/api/admin/service-operations')
      .send(await newPackage()),
  'patch /api/admin/service-operations/:id': async () => {
    const { package_items, ...rest } = await newPackage();
    const { body } = await owner()
      .post('/api/admin/service-operations')
      .send({ ...rest, is_package: true });
    return owner()
      .patch(`/api/admin/service-operations/${(body as { id: string }).id}`)
      .send({ package_items, keywords: rest.keywords.toReversed() });
  },
  'post /api/appointments/:id/messages': async () =>
    owner()
      .post(`/api/appointments/${world.appointmentId}/messages`)
      .send({ channel: 'email', body: 'Your car is ready.', variables_used: items((index) => `name.${index}`) }),
  'post /api/telemetry': async () =>
    world
      .stranger()
      .post('/api/telemetry')
      .send({ events: items(() => ({ event: 'page', ts_iso: '2026-03-04T09:00:00Z', session_id: 's' })) }),
};

/** By what an endpoint is told apart: method and path. */
const nameOf = ({ method, path }: Endpoint): string => `${method} ${path}`;
const takesList = ({ body }: Endpoint): boolean =>
  body !== undefined &&
  // Behind a preprocessing step only the output is known, before a transformation only the input.
  (['input', 'output'] as const).some((io) =>
    JSON.stringify(z.toJSONSchema(body, { io, unrepresentable: 'any' })).includes('"type":"array"'),
  );

test('every endpoint that takes a list is sent one below', () => {
  expect(Object.keys(LISTS).sort()).toEqual(endpoints.filter(takesList).map(nameOf).sort());
});

test.each(Object.entries(LISTS))('%s › no read for each of six items', async (_name, send) => {
  drainRecorder();
  const { status, text } = await send();
  expect([status < 300, status, text.slice(0, 300)]).toEqual([true, status, text.slice(0, 300)]);
  expect(drainRecorder().recent.repeated_reads).toEqual([]);
});

test('the detector is awake: the same statement five times in a request of this app is refused, and named', async () => {
  drainRecorder();
  expect((await world.owner.get(PLANTED.path)).status).toBe(500);
  expect(drainRecorder().recent.repeated_reads).toMatchObject([{ route: `GET ${PLANTED.id}`, repeats_max: 5 }]);
});
