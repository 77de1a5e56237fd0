/** Whatever a caller sends, the answer is a refusal or a success in the envelope, never a defect. */
import fc from 'fast-check';
import { overrideRate } from '../../lib/rate-limit';
import {
  createAppointment,
  createCustomer,
  createServiceOperation,
  createStaff,
  createTechnician,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp } from '../support/server';
import { actAs } from '../support/sessions';

let advisor: Agent;
let tenant: Tenant;
let fixed: { appointment: string; customer: string; vehicle: string; technician: string; operation: string };

const AMPLE = { limit: 1_000_000, windowMs: 60_000 };
const restore = [overrideRate('session', AMPLE), overrideRate('move', AMPLE)];
afterAll(() => {
  for (const undo of restore) undo();
});

beforeAll(async () => {
  const app = await startApp();
  tenant = await createTenant();
  advisor = await actAs(app, await createStaff({ tenant, role: 'Advisor' }));
  const customer = await createCustomer({ tenant });
  const vehicle = await createVehicle({ customer });
  fixed = {
    customer: String(customer.id),
    vehicle: String(vehicle.id),
    appointment: String((await createAppointment({ tenant, vehicle })).id),
    technician: (await createTechnician({ tenant })).id,
    operation: (await createServiceOperation({ tenant })).id,
  };
});

const FIELDS = [
  'start_ts',
  'start',
  'requested_time',
  'end_ts',
  'end',
  'status',
  'customer_id',
  'customer_name',
  'customer_phone',
  'customer_email',
  'vehicle_id',
  'license_plate',
  'vin',
  'vehicle_year',
  'vehicle_make',
  'service_operation_ids',
  'primary_operation_id',
  'title',
  'notes',
  'tech_id',
  'total_amount',
  'paid_amount',
  'check_in_at',
  'check_out_at',
  'mileage_at_service',
  'version',
  'position',
  'at',
  'name',
  'service_operation_id',
  'estimated_price',
  'estimated_hours',
  'category',
  'initials',
  'isActive',
];
const QUERY = [
  'limit',
  'offset',
  'cursor',
  'from',
  'to',
  'status',
  'techId',
  'q',
  'date',
  'category',
  'sort',
  'dir',
  'legacy',
  'includeCarryover',
];

/** Values that are nearly right, and values that are not at all. */
const value = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '0',
    '-1',
    '1e3',
    '12',
    "'",
    '%',
    '\\',
    'READY',
    'cancelled',
    'null',
    '2031-01-01',
    '2031-01-01T10:00:00Z',
    '2031-01-01T11:00:00+14:00',
    '9999-12-31T23:59:59Z',
  ),
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1, 0.005, 1e300, 2 ** 53, [], {}, ['x'], [null], [['y']]),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ maxLength: 6_000 }),
  fc.double(),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.uuid(),
);
const known = fc.constantFrom('customer', 'vehicle', 'technician', 'operation').map((name) => () => fixed[name as keyof typeof fixed]);
const body = fc
  .dictionary(fc.constantFrom(...FIELDS), fc.oneof({ weight: 4, arbitrary: value }, { weight: 1, arbitrary: known }), { maxKeys: 3 })
  .map((fields) =>
    Object.fromEntries(Object.entries(fields).map(([key, item]) => [key, typeof item === 'function' ? (item as () => string)() : item])),
  );

/** What makes each request a good one, so that the random fields get past the first check. */
const GOOD: Record<string, object> = {
  create: { start_ts: '2031-01-01T10:00:00Z' },
  move: { status: 'READY' },
  'add line': { name: 'Line' },
};
const RIGHT: Record<string, object> = { patch: { notes: 'Called back' }, 'check-in': {} };
const WRONG: Record<string, object> = {
  create: { start_ts: 'soon' },
  patch: { status: 'soon' },
  move: { status: 'soon' },
  'check-in': { at: 'soon' },
  'add line': { estimated_price: -1 },
};
const WRITES: Record<string, (agent: Agent, sent: object) => ReturnType<Agent['post']>> = {
  create: (agent, sent) => agent.post('/api/admin/appointments').send(sent),
  patch: (agent, sent) => agent.patch(`/api/appointments/${fixed.appointment}`).send(sent),
  move: (agent, sent) => agent.patch(`/api/admin/appointments/${fixed.appointment}/move`).send(sent),
  'check-in': (agent, sent) => agent.post(`/api/appointments/${fixed.appointment}/check-in`).send(sent),
  'add line': (agent, sent) => agent.post(`/api/appointments/${fixed.appointment}/services`).send(sent),
};

test.each(Object.keys(WRITES))('%s › random fields › never a 5xx, always the envelope', async (name) => {
  const answers = new Set<number>();
  // Scheduled, whatever the requests before have made of the other one.
  fixed.appointment = String((await createAppointment({ tenant })).id);
  await fc.assert(
    fc.asyncProperty(body, async (sent) => {
      const response = await WRITES[name]!(advisor, { ...GOOD[name], ...sent });
      answers.add(response.status);
      expect(response.status).toBeLessThan(500);
      expect(response.body.ok).toBe(response.status < 300);
      if (response.status >= 400)
        expect(response.body.error).toEqual(expect.objectContaining({ code: expect.any(String), message: expect.any(String) }));
    }),
    // One request that must work and one that cannot, so that both kinds are met whatever is drawn.
    { numRuns: 120, examples: [[RIGHT[name] ?? {}], [WRONG[name] ?? {}]] },
  );
  expect([...answers].some((status) => status < 300)).toBe(true);
  expect(answers).toContain(400);
});

test.each(['/api/admin/appointments', '/api/admin/appointments/board', '/api/admin/service-operations', '/api/admin/technicians'])(
  'GET %s › random parameters › never a 5xx',
  async (path) => {
    const text = fc.oneof(value, fc.string({ maxLength: 40 })).map((item) => String(item));
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.constantFrom(...QUERY), text, { maxKeys: 5 }), async (query) => {
        const { status, body: reply } = await advisor.get(path).query(new URLSearchParams(query).toString());
        expect([status < 500, reply.ok]).toEqual([true, status < 300]);
      }),
      { numRuns: 120 },
    );
  },
);
