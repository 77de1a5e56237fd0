/** The board and its order. @core */
import { clock } from '../../lib/clock';
import { admin } from '../support/database';
import {
  addAppointmentService,
  createAppointment,
  createCustomer,
  createServiceOperation,
  createStaff,
  createTechnician,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';
import { countWarmStatements } from '../support/warm-statements';

const HOUR_MS = 3_600_000;
/** Noon of a summer day in Los Angeles. */
const NOON = new Date('2031-07-15T19:00:00Z');
const hours = (count: number): Date => new Date(NOON.getTime() + count * HOUR_MS);

let app: TestApp;
let restoreClock: () => void;

beforeAll(async () => {
  app = await startApp();
});

interface Card {
  id: string;
  status: string;
  position: number;
  [field: string]: unknown;
}
interface BoardBody {
  columns: { key: string; title: string; count: number; sum: number }[];
  cards: Card[];
}
const board = async (agent: Agent, query = ''): Promise<BoardBody> => {
  const { status, body } = await agent.get(`/api/admin/appointments/board${query}`);
  expect(status).toBe(200);
  return body.data;
};
const ids = ({ cards }: BoardBody): string[] => cards.map(({ id }) => id);

async function shop(): Promise<{ tenant: Tenant; agent: Agent }> {
  const tenant = await createTenant();
  return { tenant, agent: await actAs(app, await createStaff({ tenant, role: 'Advisor' })) };
}

describe('on a fixed day', () => {
  beforeAll(() => {
    // Sessions are checked against the database's clock, so only what the service computes itself moves.
    restoreClock = clock.override(() => NOON);
  });
  afterAll(() => restoreClock());

  // Tokens carry real times; the clock that verifies them is the library's own.
  async function fixedShop(): Promise<{ tenant: Tenant; agent: Agent }> {
    restoreClock();
    const made = await shop();
    restoreClock = clock.override(() => NOON);
    return made;
  }

  test('a card › all its fields; five columns with counts and sums, whole payload at the root too', async () => {
    const { tenant, agent } = await fixedShop();
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer, columns: { mileage: 42_000 } });
    const technician = await createTechnician({ tenant });
    const operation = await createServiceOperation({ tenant });
    const appointment = await createAppointment({
      tenant,
      vehicle,
      technician,
      start: hours(1),
      columns: { primary_operation_id: operation.id },
    });
    await addAppointmentService(appointment, { operation });
    await addAppointmentService(appointment, { columns: { name: 'Inspection', estimated_price_cents: 505 } });
    const nobody = await createAppointment({ tenant, start: hours(2), status: 'NO_SHOW', columns: { total_cents: 9_999, title: null } });
    const { body } = await agent.get('/api/admin/appointments/board');
    expect(body.data.columns).toEqual([
      { key: 'SCHEDULED', title: 'Scheduled', count: 1, sum: 125.05 },
      { key: 'IN_PROGRESS', title: 'In Progress', count: 0, sum: 0 },
      { key: 'READY', title: 'Ready', count: 0, sum: 0 },
      { key: 'COMPLETED', title: 'Completed', count: 0, sum: 0 },
      { key: 'NO_SHOW', title: 'No-Show', count: 1, sum: 99.99 },
    ]);
    expect(body.data.cards).toEqual([
      {
        id: String(appointment.id),
        customerName: customer.name,
        vehicle: '2019 Aurora Hatch',
        price: 125.05,
        status: 'SCHEDULED',
        position: 1,
        start: hours(1).toISOString(),
        end: hours(2).toISOString(),
        startedAt: null,
        completedAt: null,
        checkInAt: null,
        checkOutAt: null,
        techAssigned: technician.id,
        technicianId: technician.id,
        techInitials: technician.initials,
        techName: technician.name,
        vehicleYear: 2019,
        vehicleMake: 'Aurora',
        vehicleModel: 'Hatch',
        primaryOperationId: operation.id,
        primaryOperationName: operation.name,
        serviceCategory: 'MAINTENANCE',
        servicesSummary: `${operation.name}, Inspection`,
        scheduledTime: '13:00',
        appointmentDate: '2031-07-15',
        lastServiceDate: null,
        mileage: 42_000,
      },
      expect.objectContaining({
        id: String(nobody.id),
        customerName: 'Unknown Customer',
        vehicle: 'Unknown Vehicle',
        price: 99.99,
        techInitials: null,
      }),
    ]);
    expect([body.columns, body.cards]).toEqual([body.data.columns, body.data.cards]);
  });

  test('the day › from local midnight to local midnight, unfinished work carried over, canceled left out', async () => {
    const { tenant, agent } = await fixedShop();
    const make = async (start: Date, status: Parameters<typeof createAppointment>[0]['status'], columns = {}) =>
      String((await createAppointment({ tenant, start, status: status!, columns })).id);
    const shown = [
      await make(new Date('2031-07-15T07:00:00Z'), 'SCHEDULED'),
      await make(new Date('2031-07-16T06:59:59Z'), 'COMPLETED'),
      await make(hours(-72), 'IN_PROGRESS'),
      await make(hours(-500), 'READY'),
      await make(hours(-48), 'SCHEDULED', { check_in_at: hours(-48) }),
    ];
    const absent = [
      await make(new Date('2031-07-15T06:59:59Z'), 'SCHEDULED'),
      await make(new Date('2031-07-16T07:00:00Z'), 'SCHEDULED'),
      await make(hours(-48), 'COMPLETED', { check_in_at: hours(-48), check_out_at: hours(-47) }),
      await make(hours(1), 'CANCELED'),
      await make(hours(-48), 'CANCELED', { check_in_at: hours(-48) }),
    ];
    const today = ids(await board(agent));
    expect([...today].sort()).toEqual([...shown].sort());
    expect(today.some((id) => absent.includes(id))).toBe(false);
    expect(ids(await board(agent, '?includeCarryover=false'))).toEqual([shown[0], shown[1]]);
    expect(ids(await board(agent, '?date=2031-07-15'))).toEqual(today);
    const range = await board(agent, '?from=2031-07-15&to=2031-07-15');
    expect(ids(range)).toEqual([shown[0], shown[1], absent[3]]);
    expect(range.columns).toHaveLength(5);
  });

  test('a change of status › changes the order of the ids; a moved card is the top of its column', async () => {
    const { tenant, agent } = await fixedShop();
    const made = [];
    for (let nr = 1; nr <= 4; nr += 1) made.push(String((await createAppointment({ tenant, start: hours(nr) })).id));
    const [a, b, c, d] = made as [string, string, string, string];
    const move = (id: string, body: object) => agent.patch(`/api/admin/appointments/${id}/move`).send(body);
    expect(ids(await board(agent))).toEqual([a, b, c, d]);
    await move(a, { status: 'READY' });
    await move(c, { status: 'READY' });
    expect(ids(await board(agent))).toEqual([b, d, c, a]);
    const third = await move(b, { status: 'READY', position: 9 });
    expect(third.body.data.position).toBe(3);
    const second = await move(d, { status: 'READY', position: 2 });
    expect(second.body.data.position).toBe(2);
    const { cards } = await board(agent);
    expect(cards.map(({ id, position }) => [id, position])).toEqual([
      [c, 1],
      [d, 2],
      [a, 3],
      [b, 4],
    ]);
  });

  test('a place among cards that were never ranked › is kept, and the others keep their order', async () => {
    const { tenant, agent } = await fixedShop();
    const made = [];
    for (let nr = 1; nr <= 5; nr += 1) made.push(String((await createAppointment({ tenant, start: hours(nr), status: 'READY' })).id));
    const { id } = await createAppointment({ tenant, start: hours(9) });
    await agent.patch(`/api/admin/appointments/${id}/move`).send({ status: 'READY', position: 3 });
    expect(ids(await board(agent))).toEqual([made[0], made[1], String(id), made[2], made[3], made[4]]);
  });

  test('one technician’s board › only his cards', async () => {
    const { tenant, agent } = await fixedShop();
    const technician = await createTechnician({ tenant });
    const { id } = await createAppointment({ tenant, technician, start: hours(1) });
    await createAppointment({ tenant, start: hours(1) });
    expect(ids(await board(agent, `?techId=${technician.id}`))).toEqual([String(id)]);
  });
});

test.each([
  ['date=2031-13-01', "Invalid 'date' date format"],
  ['date=9999-12-31', "Invalid 'date' date format"],
  ['from=0000-01-01', "Invalid 'from' date format"],
  ['from=soon', "Invalid 'from' date format"],
  ['to=2031-02-30', "Invalid 'to' date format"],
  ['techId=me', 'Invalid techId'],
])('%s › 400 bad_request', async (query, message) => {
  const { agent } = await shop();
  const { status, body } = await agent.get(`/api/admin/appointments/board?${query}`);
  expect([status, body.error.code, body.error.message]).toEqual([400, 'bad_request', message]);
});

test('an unchanged board › 304; renaming its customer or a new card › 200', async () => {
  const { tenant, agent } = await shop();
  const customer = await createCustomer({ tenant });
  await createAppointment({ tenant, customer, start: new Date() });
  const first = await agent.get('/api/admin/appointments/board');
  expect(first.headers['cache-control']).toBe('private, no-cache');
  const again = () => agent.get('/api/admin/appointments/board').set('If-None-Match', first.headers['etag'] as string);
  expect((await again()).status).toBe(304);
  await admin(`UPDATE customers SET name = 'Another Name' WHERE id = $1`, [customer.id]);
  expect((await again()).status).toBe(200);
});

test.each([1, 20, 500])('%i cards › one statement, and each part shows at most 500', async (count) => {
  const { tenant, agent } = await shop();
  const vehicle = await createVehicle({ customer: await createCustomer({ tenant }) });
  await admin(
    `WITH a AS (INSERT INTO appointments (tenant_id, customer_id, vehicle_id, start_ts, block_end_ts, status)
        SELECT $1, $2, $3, now(), now() + interval '1 hour', 'COMPLETED' FROM generate_series(1, $4::int) RETURNING tenant_id, id)
      INSERT INTO appointment_services (tenant_id, appointment_id, name, estimated_price_cents) SELECT tenant_id, id, 'Line', 1000 FROM a, generate_series(1, 3)`,
    [tenant.id, vehicle.customer.id, vehicle.id, count + (count === 500 ? 10 : 0)],
  );
  await agent.get('/api/admin/appointments/board');
  const { result, statements } = await countWarmStatements(async () => await agent.get('/api/admin/appointments/board'));
  expect([result.body.data.cards.length, statements.length]).toEqual([count, 1]);
  expect(result.body.data.columns[3]).toMatchObject({ count, sum: count * 30 });
});
