/** Nobody and no car is booked twice. @core */
import { admin } from '../support/database';
import {
  createAppointment,
  createCustomer,
  createStaff,
  createTechnician,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const HOUR_MS = 3_600_000;
let app: TestApp;
let tenant: Tenant;
let advisor: Agent;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  advisor = await actAs(app, await createStaff({ tenant, role: 'Advisor' }));
});

/** Asked once: the next hour may begin within a test. */
const BASE_MS = Math.floor(Date.now() / HOUR_MS + 24) * HOUR_MS;
const tomorrow = (hour: number): string => new Date(BASE_MS + hour * HOUR_MS).toISOString();
const book = (body: object) => advisor.post('/api/admin/appointments').send(body);
const patch = (id: string, body: object) => advisor.patch(`/api/appointments/${id}`).send(body);

test.each(['technician', 'vehicle'])(
  'fifty bookings of one %s and hour at once › one 201, 49 × 409 with its id, nothing left behind',
  async (kind) => {
    const customer = await createCustomer({ tenant });
    const subject =
      kind === 'technician'
        ? { tech_id: (await createTechnician({ tenant })).id }
        : { vehicle_id: String((await createVehicle({ customer })).id), customer_id: String(customer.id) };
    const started = performance.now();
    const responses = await Promise.all(
      Array.from({ length: 50 }, (_, nr) =>
        book({ ...subject, start_ts: tomorrow(1), ...(kind === 'technician' ? { customer_name: `Parallel ${nr}` } : {}) }),
      ),
    );
    // Fifty inserts that meet in the constraint alone deadlock one after the other, for most of a minute.
    expect(performance.now() - started).toBeLessThan(20_000);
    const winners = responses.filter(({ status }) => status === 201);
    const losers = responses.filter(({ status }) => status === 409);
    expect([winners.length, losers.length]).toEqual([1, 49]);
    const id = winners[0]!.body.data.id;
    const conflicts = kind === 'technician' ? { tech: [id], vehicle: [] } : { tech: [], vehicle: [id] };
    for (const { body } of losers)
      expect(body.error).toEqual({ code: 'conflict', message: 'Scheduling conflict detected', details: { conflicts } });
    const [strays] = await admin<{ count: string }>(
      `SELECT count(*) FROM customers c WHERE tenant_id = $1 AND name LIKE 'Parallel %' AND NOT EXISTS (SELECT FROM appointments a WHERE a.tenant_id = c.tenant_id AND a.customer_id = c.id)`,
      [tenant.id],
    );
    expect(strays).toEqual({ count: '0' });
  },
);

test('neighbours › end = start of the next, and one hour apart without ends, all succeed', async () => {
  const { id: tech_id } = await createTechnician({ tenant });
  const statuses = [];
  for (const body of [{ start_ts: tomorrow(1), end_ts: tomorrow(2) }, { start_ts: tomorrow(2) }, { start_ts: tomorrow(3) }])
    statuses.push((await book({ ...body, tech_id })).status);
  expect(statuses).toEqual([201, 201, 201]);
});

test('an end that is given › still checked, and stored', async () => {
  const { id: tech_id } = await createTechnician({ tenant });
  await book({ tech_id, start_ts: tomorrow(1), end_ts: tomorrow(5) });
  expect((await book({ tech_id, start_ts: tomorrow(4), end_ts: tomorrow(6) })).status).toBe(409);
  expect((await book({ tech_id, start_ts: tomorrow(0), end_ts: tomorrow(1) })).status).toBe(201);
});

test.each(['COMPLETED', 'NO_SHOW', 'CANCELED'] as const)('a %s appointment › blocks nobody', async (status) => {
  const technician = await createTechnician({ tenant });
  const start = new Date(tomorrow(1));
  await createAppointment({ tenant, technician, status, start });
  expect((await book({ tech_id: technician.id, start_ts: start.toISOString() })).status).toBe(201);
  expect((await book({ tech_id: technician.id, start_ts: start.toISOString(), status })).status).toBe(201);
});

test('a deleted appointment › blocks nobody', async () => {
  const { id: tech_id } = await createTechnician({ tenant });
  const { body } = await book({ tech_id, start_ts: tomorrow(1) });
  expect((await advisor.delete(`/api/admin/appointments/${body.data.id}`)).status).toBe(204);
  expect((await book({ tech_id, start_ts: tomorrow(1) })).status).toBe(201);
});

test('the block of an appointment without an end › is the shop’s setting', async () => {
  const shop = await createTenant({ settings: { default_block_minutes: 90 } });
  const desk = await actAs(app, await createStaff({ tenant: shop, role: 'Advisor' }));
  const { id: tech_id } = await createTechnician({ tenant: shop });
  expect((await desk.post('/api/admin/appointments').send({ tech_id, start_ts: tomorrow(1) })).status).toBe(201);
  expect((await desk.post('/api/admin/appointments').send({ tech_id, start_ts: tomorrow(2) })).status).toBe(409);
});

describe('editing', () => {
  test('time, technician or car onto an occupied slot › 409 with the id, row unchanged; itself is not in the way', async () => {
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer });
    const tech_id = (await createTechnician({ tenant })).id;
    const first = (await book({ tech_id, vehicle_id: vehicle.id, customer_id: String(customer.id), start_ts: tomorrow(1) })).body.data.id;
    const second = (await book({ customer_id: String(customer.id), start_ts: tomorrow(1) })).body.data.id;
    for (const body of [{ tech_id }, { vehicle_id: vehicle.id }]) {
      const refused = await patch(second, body);
      expect([refused.status, refused.body.error.message]).toEqual([409, 'Scheduling conflict detected']);
      expect(Object.values(refused.body.error.details.conflicts).flat()).toEqual([first]);
    }
    expect((await patch(second, { tech_id, start_ts: tomorrow(3) })).status).toBe(200);
    expect((await patch(second, { start: tomorrow(1) })).status).toBe(409);
    expect((await patch(first, { start_ts: new Date(Date.parse(tomorrow(1)) + HOUR_MS / 4).toISOString() })).status).toBe(200);
  });

  test('completing and moving in one edit › the slot no longer matters', async () => {
    const tech_id = (await createTechnician({ tenant })).id;
    await book({ tech_id, start_ts: tomorrow(1) });
    const { id } = (await book({ tech_id, start_ts: tomorrow(3) })).body.data;
    expect((await patch(id, { status: 'COMPLETED', start_ts: tomorrow(1) })).status).toBe(200);
  });

  test('two edits onto one slot at once › exactly one succeeds', async () => {
    const tech_id = (await createTechnician({ tenant })).id;
    const ids = await Promise.all([1, 2].map(async () => (await book({ start_ts: tomorrow(1) })).body.data.id));
    const statuses = (await Promise.all(ids.map((id) => patch(id, { tech_id })))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 409]);
  });
});
