/** Who may do what with appointments, lines, technicians and catalogue: roles, other tenants, customers and strangers. @core */
import { admin } from '../support/database';
import {
  type Appointment,
  addAppointmentService,
  type Customer,
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

type Caller = 'Owner' | 'Advisor' | 'Accountant' | 'Technician' | 'Customer' | 'nobody';
const CALLERS: readonly Caller[] = ['Owner', 'Advisor', 'Accountant', 'Technician', 'Customer', 'nobody'];

let app: TestApp;
let tenant: Tenant;
let person: Customer;
let agents: Record<Caller, Agent>;
let stranger: Agent;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant({ settings: { public_catalog: false, public_booking: false } });
  person = await createCustomer({ tenant, canLogIn: true });
  const staff = async (role: 'Owner' | 'Advisor' | 'Accountant' | 'Technician') => actAs(app, await createStaff({ tenant, role }));
  agents = {
    Owner: await staff('Owner'),
    Advisor: await staff('Advisor'),
    Accountant: await staff('Accountant'),
    Technician: await staff('Technician'),
    Customer: await actAs(app, person),
    nobody: app.agent().set('X-Tenant-Id', tenant.id),
  };
  const elsewhere = await createTenant();
  stranger = await actAs(app, await createStaff({ tenant: elsewhere, role: 'Owner' }));
});

interface Target {
  appointment: Appointment;
  line: string;
  technician: string;
}
async function target(): Promise<Target> {
  const appointment = await createAppointment({ tenant, customer: person });
  const line = await addAppointmentService(appointment);
  return { appointment, line: line.id, technician: (await createTechnician({ tenant })).id };
}

interface Call {
  name: string;
  send: (agent: Agent, target: Target) => ReturnType<Agent['get']>;
  /** Status for the roles that may; everybody else of the staff and customers 403, nobody 401. */
  ok: number;
  may: readonly Caller[];
  /** Reached with another tenant's ids: a list shows nothing, everything else is 404. */
  byId?: boolean;
}
const STAFF: readonly Caller[] = ['Owner', 'Advisor', 'Accountant', 'Technician'];
const DESK: readonly Caller[] = ['Owner', 'Advisor'];
const OFFICE: readonly Caller[] = ['Owner', 'Advisor', 'Accountant'];
const SHOP: readonly Caller[] = ['Owner', 'Advisor', 'Technician'];
const start_ts = '2031-01-01T10:00:00Z';

const CALLS: readonly Call[] = [
  { name: 'GET /api/admin/appointments', send: (a) => a.get('/api/admin/appointments'), ok: 200, may: STAFF },
  { name: 'GET /api/appointments', send: (a) => a.get('/api/appointments'), ok: 200, may: [...STAFF, 'Customer'] },
  { name: 'GET /api/admin/appointments/board', send: (a) => a.get('/api/admin/appointments/board'), ok: 200, may: STAFF },
  {
    name: 'GET /api/appointments/:id',
    send: (a, t) => a.get(`/api/appointments/${t.appointment.id}`),
    ok: 200,
    may: [...STAFF, 'Customer'],
    byId: true,
  },
  {
    name: 'GET /api/admin/appointments/:id',
    send: (a, t) => a.get(`/api/admin/appointments/${t.appointment.id}`),
    ok: 200,
    may: STAFF,
    byId: true,
  },
  { name: 'POST /api/admin/appointments', send: (a) => a.post('/api/admin/appointments').send({ start_ts }), ok: 201, may: DESK },
  {
    name: 'POST /api/appointments',
    send: (a) => a.post('/api/appointments').send({ start_ts: new Date(Date.now() + 86_400_000).toISOString() }),
    ok: 201,
    may: [...DESK, 'Customer'],
  },
  ...(['patch', 'put'] as const).flatMap((verb) =>
    ['/api/appointments', '/api/admin/appointments'].map((path) => ({
      name: `${verb.toUpperCase()} ${path}/:id`,
      send: (a: Agent, t: Target) => a[verb](`${path}/${t.appointment.id}`).send({ notes: 'n' }),
      ok: 200,
      may: SHOP,
      byId: true,
    })),
  ),
  {
    name: 'PATCH move',
    send: (a, t) => a.patch(`/api/admin/appointments/${t.appointment.id}/move`).send({ status: 'IN_PROGRESS' }),
    ok: 200,
    may: SHOP,
    byId: true,
  },
  {
    name: 'POST start',
    send: (a, t) => a.post(`/api/appointments/${t.appointment.id}/start`),
    ok: 200,
    may: SHOP,
    byId: true,
  },
  {
    name: 'POST check-in',
    send: (a, t) => a.post(`/api/appointments/${t.appointment.id}/check-in`),
    ok: 200,
    may: DESK,
    byId: true,
  },
  { name: 'GET today', send: (a) => a.get('/api/admin/appointments/today'), ok: 200, may: OFFICE },
  {
    name: 'DELETE /api/appointments/:id',
    send: (a, t) => a.delete(`/api/appointments/${t.appointment.id}`),
    ok: 204,
    may: DESK,
    byId: true,
  },
  {
    name: 'DELETE /api/admin/appointments/:id',
    send: (a, t) => a.delete(`/api/admin/appointments/${t.appointment.id}`),
    ok: 204,
    may: DESK,
    byId: true,
  },
  { name: 'GET lines', send: (a, t) => a.get(`/api/appointments/${t.appointment.id}/services`), ok: 200, may: STAFF, byId: true },
  {
    name: 'POST line',
    send: (a, t) => a.post(`/api/appointments/${t.appointment.id}/services`).send({ name: 'Wash' }),
    ok: 201,
    may: DESK,
    byId: true,
  },
  {
    name: 'PATCH line price',
    send: (a, t) => a.patch(`/api/appointments/${t.appointment.id}/services/${t.line}`).send({ estimated_price: 5 }),
    ok: 200,
    may: DESK,
    byId: true,
  },
  {
    name: 'PATCH line notes',
    send: (a, t) => a.patch(`/api/appointments/${t.appointment.id}/services/${t.line}`).send({ notes: 'x' }),
    ok: 200,
    may: SHOP,
    byId: true,
  },
  {
    name: 'DELETE line',
    send: (a, t) => a.delete(`/api/appointments/${t.appointment.id}/services/${t.line}`),
    ok: 200,
    may: DESK,
    byId: true,
  },
  { name: 'GET technicians', send: (a) => a.get('/api/admin/technicians'), ok: 200, may: STAFF },
  {
    name: 'POST technician',
    send: (a) => a.post('/api/admin/technicians').send({ name: 'New', initials: letters() }),
    ok: 201,
    may: ['Owner'],
  },
  {
    name: 'PATCH technician',
    send: (a, t) => a.patch(`/api/admin/technicians/${t.technician}`).send({ name: 'Renamed' }),
    ok: 200,
    may: ['Owner'],
    byId: true,
  },
  { name: 'GET catalogue', send: (a) => a.get('/api/admin/service-operations'), ok: 200, may: STAFF },
];
let counter = 0;
function letters(): string {
  counter += 1;
  return [...String(counter).padStart(3, '0')].map((digit) => String.fromCharCode(65 + Number(digit))).join('');
}

describe.each(CALLS)('$name', ({ send, ok, may, byId }) => {
  test.each(CALLERS)('by %s', async (caller) => {
    const { status, body, headers } = await send(agents[caller], await target());
    if (may.includes(caller)) expect(status).toBe(ok);
    else if (caller === 'nobody') {
      expect([status, body.error]).toEqual([401, { code: 'auth_required', message: 'Missing or invalid authorization token' }]);
      expect(headers['x-request-id']).toBeTruthy();
    } else {
      expect([status, body.ok, body.data]).toEqual([403, false, null]);
      expect(body.error.message).toMatch(/^Insufficient permissions\. Required role: (Advisor|Owner)$/);
    }
  });

  if (byId)
    test('by the owner of another shop › 404, nothing changed', async () => {
      const wanted = await target();
      const before = await admin('SELECT * FROM appointments WHERE id = $1', [wanted.appointment.id]);
      const { status, body } = await send(stranger, wanted);
      expect([status, body.error.code]).toEqual([404, 'not_found']);
      expect(await admin('SELECT * FROM appointments WHERE id = $1', [wanted.appointment.id])).toEqual(before);
    });
});

test.each([
  ['get', '/api/appointments/abc', 'Appointment not found'],
  ['patch', '/api/admin/appointments/1.5', 'Appointment not found'],
  ['put', '/api/appointments/0', 'Appointment not found'],
  ['delete', '/api/admin/appointments/abc', 'Appointment not found'],
  ['post', '/api/appointments/None/start', 'Appointment not found'],
  ['post', '/api/appointments/abc/check-in', 'Appointment not found'],
  ['get', '/api/appointments/abc/services', 'Appointment not found'],
  ['delete', '/api/appointments/abc/services/x', 'Appointment not found'],
  ['get', '/api/appointments/abc/messages', 'Appointment not found'],
  ['get', '/api/admin/customers/abc', 'Customer not found'],
  ['get', '/api/admin/vehicles/abc', 'Vehicle not found'],
] as const)('%s %s › no id at all reads as an absent one: 404 %s', async (verb, path, message) => {
  const { status, body } = await agents.Owner[verb](path);
  expect([status, body.error]).toEqual([404, { code: 'not_found', message }]);
});

test('another shop’s lists and board › show nothing of this one', async () => {
  await target();
  expect((await stranger.get('/api/admin/appointments')).body.data.appointments).toEqual([]);
  expect((await stranger.get('/api/admin/appointments/board?from=2000-01-01')).body.data.cards).toEqual([]);
  expect((await stranger.get('/api/admin/technicians')).body.data.technicians).toEqual([]);
  expect((await stranger.get('/api/admin/service-operations')).body.data).toEqual([]);
});

test('deleting without the right › code rbac_forbidden', async () => {
  const { appointment } = await target();
  const { body } = await agents.Accountant.delete(`/api/admin/appointments/${appointment.id}`);
  expect(body.error.code).toBe('rbac_forbidden');
});

test('ids of another shop inside a body › as if they did not exist', async () => {
  const elsewhere = await createTenant();
  const foreignCustomer = await createCustomer({ tenant: elsewhere });
  const vehicle = await createVehicle({ customer: foreignCustomer });
  const technician = await createTechnician({ tenant: elsewhere });
  const operation = await createServiceOperation({ tenant: elsewhere });
  const book = (body: object) => agents.Advisor.post('/api/admin/appointments').send({ start_ts, ...body });
  expect((await book({ customer_id: String(foreignCustomer.id) })).status).toBe(404);
  expect((await book({ vehicle_id: String(vehicle.id) })).status).toBe(404);
  expect((await book({ tech_id: technician.id })).status).toBe(400);
  expect((await book({ primary_operation_id: operation.id })).status).toBe(400);
  const { body } = await book({ service_operation_ids: [operation.id] });
  expect(body.data.appointment.service_operation_ids).toEqual([]);
});

describe('a customer', () => {
  test('reads his own appointments only', async () => {
    const mine = await createAppointment({ tenant, customer: person });
    const other = await createAppointment({ tenant, customer: await createCustomer({ tenant }) });
    const { body } = await agents.Customer.get('/api/appointments');
    const ids = body.data.appointments.map(({ id }: { id: string }) => id);
    expect(ids).toContain(String(mine.id));
    expect(ids).not.toContain(String(other.id));
    expect((await agents.Customer.get(`/api/appointments/${mine.id}`)).body.data.customer.id).toBe(String(person.id));
    const foreign = await agents.Customer.get(`/api/appointments/${other.id}`);
    expect([foreign.status, foreign.body.error.message]).toEqual([404, 'Appointment not found']);
  });

  test('books for himself, whatever the body says', async () => {
    const other = await createCustomer({ tenant });
    const { id: tech_id } = await createTechnician({ tenant });
    const start = new Date(Date.now() + 3 * 86_400_000).toISOString();
    const { status, body } = await agents.Customer.post('/api/appointments').send({
      start_ts: start,
      customer_id: String(other.id),
      status: 'COMPLETED',
      total_amount: 500,
      paid_amount: 500,
      tech_id,
      title: 'Strange noise',
    });
    expect(status).toBe(201);
    expect(body.data.appointment).toMatchObject({
      customer_id: String(person.id),
      status: 'SCHEDULED',
      total_amount: 0,
      paid_amount: 0,
      tech_id: null,
      title: 'Strange noise',
    });
    expect(await admin('SELECT source FROM appointments WHERE id = $1', [body.data.id])).toEqual([{ source: 'customer' }]);
  });

  test('with somebody else’s car, in the past, or too far ahead › 400', async () => {
    const vehicle = await createVehicle({ customer: await createCustomer({ tenant }) });
    const day = (count: number) => new Date(Date.now() + count * 86_400_000).toISOString();
    const book = (body: object) => agents.Customer.post('/api/appointments').send(body);
    expect((await book({ start_ts: day(1), vehicle_id: vehicle.id })).body.error.message).toBe('vehicle does not belong to customer');
    expect((await book({ requested_time: day(-1) })).status).toBe(400);
    expect((await book({ start_ts: day(181) })).status).toBe(400);
  });
});

describe('the public booking page', () => {
  let open: Tenant;
  const visitor = () => app.agent().set('X-Tenant-Id', open.id);
  const tomorrow = () => new Date(Date.now() + 86_400_000).toISOString();

  beforeAll(async () => {
    open = await createTenant({ settings: { public_booking: true, public_catalog: true } });
  });

  test('a booking › 201 with a receipt only; free text kept, everything that is not a stranger’s to say ignored', async () => {
    const known = await createCustomer({ tenant: open });
    const vehicle = await createVehicle({ customer: known });
    const { id: tech_id } = await createTechnician({ tenant: open });
    const operation = await createServiceOperation({ tenant: open });
    const start = tomorrow();
    const response = await visitor()
      .post('/api/admin/appointments')
      .send({
        customer_id: known.name,
        customer_phone: known.phone,
        customer_email: known.email,
        service: 'Brakes',
        requested_time: start,
        start,
        status: 'COMPLETED',
        total_amount: 900,
        paid_amount: 900,
        tech_id,
        vehicle_id: vehicle.id,
        license_plate: vehicle.plate,
        vin: vehicle.vin,
        vehicle_make: 'Aurora',
        service_operation_ids: [operation.id],
        primary_operation_id: operation.id,
        notes: 'Blue gate',
        location_address: '1 Yard Lane',
        sms_consent: true,
        sms_consent_ip: '0.0.0.0',
      });
    expect(response.status).toBe(201);
    const { id } = response.body;
    const receipt = { id, status: 'SCHEDULED', start_ts: start };
    expect(response.body.data).toEqual({ ...receipt, appointment: receipt });
    const [row] = await admin<Record<string, unknown>>('SELECT * FROM appointments WHERE id = $1', [id]);
    expect(row).toMatchObject({
      status: 'SCHEDULED',
      source: 'public',
      title: 'Brakes',
      notes: `Blue gate\nVehicle: Aurora ${vehicle.plate}`,
      location_address: '1 Yard Lane',
      tech_id: null,
      vehicle_id: null,
      primary_operation_id: null,
      total_cents: '0',
      paid_cents: '0',
    });
    expect(row!['customer_id']).not.toBe(String(known.id));
    const [made] = await admin<Record<string, unknown>>('SELECT * FROM customers WHERE id = $1', [row!['customer_id']]);
    expect(made).toMatchObject({ name: known.name, is_verified: false, email: null, sms_consent: true });
    expect(String(made!['sms_consent_ip'])).toMatch(/^10\./);
    expect(await admin('SELECT version, sms_consent FROM customers WHERE id = $1', [known.id])).toEqual([
      { version: 1, sms_consent: false },
    ]);
    expect(await admin('SELECT 1 FROM appointment_services WHERE appointment_id = $1', [id])).toEqual([]);
    const actions = await admin(`SELECT user_id, role FROM audit_logs WHERE tenant_id = $1 AND action = 'APPT_CREATE'`, [open.id]);
    expect(actions).toEqual([{ user_id: 'anonymous', role: null }]);
  });

  test.each([
    ['in the past', () => new Date(Date.now() - 60_000).toISOString()],
    ['more than 180 days ahead', () => new Date(Date.now() + 181 * 86_400_000).toISOString()],
  ])('a start %s › 400', async (_, start) => {
    const { status, body } = await visitor().post('/api/admin/appointments').send({ customer_id: 'Someone', requested_time: start() });
    expect([status, body.error.code]).toEqual([400, 'validation_failed']);
  });

  test('a token that does not count › 401, not a booking by a stranger; an empty one is none', async () => {
    const book = (authorization: string) =>
      visitor().post('/api/admin/appointments').set('Authorization', authorization).send({ customer_id: 'Someone', start: tomorrow() });
    const refused = await book('Bearer not-ours');
    expect([refused.status, refused.body.error.code]).toEqual([401, 'auth_required']);
    expect((await book('Bearer ')).status).toBe(201);
  });

  test('the sixth booking from one address in ten minutes › 429', async () => {
    const one = visitor();
    const statuses = [];
    for (let nr = 0; nr < 6; nr += 1) {
      statuses.push((await one.post('/api/admin/appointments').send({ customer_id: `Visitor ${nr}`, start: tomorrow() })).status);
    }
    expect(statuses).toEqual([201, 201, 201, 201, 201, 429]);
  });

  test('the catalogue › the public columns of active operations and no others', async () => {
    const shown = await createServiceOperation({ tenant: open });
    await createServiceOperation({ tenant: open, columns: { is_active: false } });
    const { status, body } = await visitor().get('/api/admin/service-operations');
    expect(status).toBe(200);
    const item = body.data.find(({ id }: { id: string }) => id === shown.id);
    expect(Object.keys(item).sort()).toEqual([
      'base_labor_rate',
      'category',
      'default_hours',
      'default_price',
      'display_order',
      'id',
      'is_active',
      'is_package',
      'keywords',
      'name',
      'subcategory',
    ]);
    expect(body.data.every((row: { is_active: boolean }) => row.is_active)).toBe(true);
  });

  test('everything else › 401', async () => {
    for (const path of [
      '/api/admin/appointments',
      '/api/admin/appointments/board',
      '/api/appointments',
      '/api/appointments/1',
      '/api/admin/technicians',
    ])
      expect((await visitor().get(path)).status).toBe(401);
    expect((await visitor().post('/api/appointments').send({ start_ts })).status).toBe(401);
  });
});
