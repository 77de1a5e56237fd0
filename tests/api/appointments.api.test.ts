/** Appointments: list, create, read, change, delete. @core */
import { admin } from '../support/database';
import {
  addAppointmentService,
  type Customer,
  createAppointment,
  createCustomer,
  createInvoice,
  createServiceOperation,
  createStaff,
  createTechnician,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';
import { countStatements } from '../support/statements';

const HOUR_MS = 3_600_000;
let app: TestApp;
let tenant: Tenant;
let customer: Customer;
let advisor: Agent;
let technician: Agent;
let owner: Agent;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  customer = await createCustomer({ tenant });
  advisor = await actAs(app, await createStaff({ tenant, role: 'Advisor' }));
  technician = await actAs(app, await createStaff({ tenant, role: 'Technician' }));
  owner = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
});

/** A start that no other test of this file uses. */
let lastStart = Math.floor(Date.now() / HOUR_MS) * HOUR_MS + 24 * HOUR_MS;
const nextStart = (): Date => {
  lastStart += 2 * HOUR_MS;
  return new Date(lastStart);
};
const inHours = (date: Date, hours: number): Date => new Date(date.getTime() + hours * HOUR_MS);

const audits = (entityId: number | string): Promise<{ action: string; before: unknown; after: unknown }[]> =>
  admin(
    `SELECT action, before, after FROM audit_logs WHERE tenant_id = $1 AND entity = 'appointment' AND entity_id = $2 ORDER BY created_at`,
    [tenant.id, String(entityId)],
  );
const rowOf = async (id: number | string): Promise<Record<string, unknown>> =>
  (await admin<Record<string, unknown>>('SELECT * FROM appointments WHERE tenant_id = $1 AND id = $2', [tenant.id, id]))[0]!;

describe('POST /api/admin/appointments', () => {
  test('customer, car, lines in one request › 201, stored with history and one audit row', async () => {
    const operation = await createServiceOperation({ tenant });
    const start = nextStart();
    const response = await advisor.post('/api/admin/appointments').send({
      customer_name: 'Robin Vale',
      customer_phone: '555 010 2233',
      customer_email: '',
      license_plate: 'abc 42',
      vehicle_year: '2018',
      vehicle_make: 'Meridian',
      vehicle_model: 'Wagon',
      service_operation_ids: [operation.id, 'nothing-like-it'],
      start_ts: start.toISOString(),
      service: 'Squeaking brakes',
      mileage_at_service: 61_000,
    });
    expect(response.status).toBe(201);
    const { data } = response.body;
    expect(response.body.id).toBe(data.id);
    expect(response.body.appointment.id).toBe(data.id);
    expect(response.headers['location']).toBe(`/api/appointments/${data.id}`);
    expect(data.appointment).toMatchObject({
      status: 'SCHEDULED',
      title: 'Squeaking brakes',
      customer_name: 'Robin Vale',
      vehicle_label: 'Meridian Wagon',
      service_operation_ids: [operation.id],
      total_amount: operation.priceCents / 100,
      start_ts: start.toISOString(),
      end_ts: null,
      vehicle: { license_plate: 'ABC 42', year: 2018, total_services: 0 },
    });
    const row = await rowOf(data.id);
    expect(row['block_end_ts']).toEqual(inHours(start, 1));
    expect(
      await admin('SELECT from_status, to_status, source FROM appointment_status_history WHERE tenant_id = $1 AND appointment_id = $2', [
        tenant.id,
        data.id,
      ]),
    ).toEqual([{ from_status: null, to_status: 'SCHEDULED', source: 'create' }]);
    expect(
      await admin('SELECT mileage_at_service FROM appointment_vehicles WHERE tenant_id = $1 AND appointment_id = $2', [tenant.id, data.id]),
    ).toEqual([{ mileage_at_service: 61_000 }]);
    expect((await audits(data.id)).map(({ action }) => action)).toEqual(['APPT_CREATE']);
  });

  test('digits as customer_id › that customer, and never a customer named by digits', async () => {
    const response = await advisor
      .post('/api/admin/appointments')
      .send({ customer_id: String(customer.id), start_ts: nextStart().toISOString() });
    expect(response.status).toBe(201);
    expect(response.body.appointment.customer_id).toBe(String(customer.id));
    const missing = await advisor.post('/api/admin/appointments').send({ customer_id: '999999999', start_ts: nextStart().toISOString() });
    expect([missing.status, missing.body.error.code, missing.body.error.message]).toEqual([404, 'not_found', 'Customer not found']);
  });

  test('nobody named › no customer row, read as Unknown Customer', async () => {
    const before = await admin('SELECT count(*) FROM customers WHERE tenant_id = $1', [tenant.id]);
    const response = await advisor.post('/api/admin/appointments').send({ start: nextStart().toISOString() });
    expect(response.status).toBe(201);
    expect(response.body.appointment).toMatchObject({ customer_id: null, customer_name: 'Unknown Customer', vehicle: null });
    expect(await admin('SELECT count(*) FROM customers WHERE tenant_id = $1', [tenant.id])).toEqual(before);
  });

  test('name, phone or e-mail of a known customer › that customer; a plate of his › that car', async () => {
    const known = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer: known });
    for (const contact of [{ customer_phone: known.phone }, { customer_email: known.email.toUpperCase() }, { customer_id: known.name }]) {
      const { body } = await advisor
        .post('/api/admin/appointments')
        .send({ ...contact, license_plate: vehicle.plate.toLowerCase(), start_ts: nextStart().toISOString() });
      expect(body.data.appointment).toMatchObject({ customer_id: String(known.id), vehicle_id: String(vehicle.id) });
    }
  });

  test('somebody else’s car › refused, and no customer is left behind', async () => {
    const vehicle = await createVehicle({ customer });
    const byId = await advisor
      .post('/api/admin/appointments')
      .send({ customer_name: 'Nobody Yet', vehicle_id: vehicle.id, start_ts: nextStart().toISOString() });
    expect([byId.status, byId.body.error.code, byId.body.error.message]).toEqual([
      400,
      'validation_failed',
      'vehicle does not belong to customer',
    ]);
    const byPlate = await advisor
      .post('/api/admin/appointments')
      .send({ customer_name: 'Nobody Yet', license_plate: vehicle.plate, start_ts: nextStart().toISOString() });
    expect([byPlate.status, byPlate.body.error.message]).toEqual([409, 'License plate already belongs to another customer']);
    expect(await admin(`SELECT 1 FROM customers WHERE tenant_id = $1 AND name = 'Nobody Yet'`, [tenant.id])).toEqual([]);
  });

  const HOUR_AGO = new Date(Date.now() - HOUR_MS).toISOString();
  test.each([
    [{}, 'invalid_request', 'start_ts is required'],
    [{ start_ts: HOUR_AGO }, 'validation_failed', 'start_ts too far in past'],
    [{ start: HOUR_AGO }, 'validation_failed', 'start_ts too far in past'],
    [{ start_ts: 'tomorrow' }, 'validation_failed', 'Validation failed'],
    [{ start_ts: '2031-02-30T10:00:00Z' }, 'validation_failed', 'Validation failed'],
    [{ start_ts: '2031-01-01T10:00:00Z', end_ts: '2031-01-01T09:00:00Z' }, 'validation_failed', 'end_ts must be after start_ts'],
    [{ start_ts: '2031-01-01T10:00:00Z', end_ts: '2031-01-03T10:00:01Z' }, 'validation_failed', 'Appointment longer than 48 hours'],
    [{ start_ts: '2031-01-01T10:00:00Z', status: 'done' }, 'validation_failed', 'Validation failed'],
    [{ start_ts: '2031-01-01T10:00:00Z', total_amount: -1 }, 'validation_failed', 'Validation failed'],
    [
      { start_ts: '2031-01-01T10:00:00Z', total_amount: 10, paid_amount: 11 },
      'validation_failed',
      'paid_amount cannot exceed total_amount',
    ],
    [{ start_ts: '2031-01-01T10:00:00Z', tech_id: 'nobody' }, 'bad_request', 'tech_id not found or inactive'],
    [{ start_ts: '2031-01-01T10:00:00Z', primary_operation_id: 'NOPE' }, 'bad_request', 'primary_operation_id not found'],
    [{ start_ts: '2031-01-01T10:00:00Z', vehicle_id: 'x' }, 'validation_failed', 'Validation failed'],
    [{ start_ts: '2031-01-01T10:00:00Z', notes: 5 }, 'validation_failed', 'Validation failed'],
  ])('%j › 400 %s', async (body, code, message) => {
    const response = await advisor.post('/api/admin/appointments').send(body);
    expect([response.status, response.body.error.code, response.body.error.message]).toEqual([400, code, message]);
  });

  test('an inactive technician › 400', async () => {
    const { id } = await createTechnician({ tenant, columns: { is_active: false } });
    const response = await advisor.post('/api/admin/appointments').send({ start_ts: nextStart().toISOString(), tech_id: id });
    expect([response.status, response.body.error.message]).toEqual([400, 'tech_id not found or inactive']);
  });

  test('a past visit › by requested_time, or finished already; stamps from its times, the car counted', async () => {
    const vehicle = await createVehicle({ customer });
    const past = new Date(Date.now() - 90 * 24 * HOUR_MS);
    const body = { customer_id: String(customer.id), vehicle_id: vehicle.id, status: 'completed' };
    const asked = await advisor.post('/api/admin/appointments').send({ ...body, requested_time: past.toISOString() });
    expect(asked.status).toBe(201);
    const fixed = await advisor
      .post('/api/admin/appointments')
      .send({ ...body, start_ts: past.toISOString(), end_ts: inHours(past, 2).toISOString() });
    expect(fixed.body.data.appointment).toMatchObject({
      started_at: past.toISOString(),
      completed_at: inHours(past, 2).toISOString(),
      vehicle: { total_services: 2 },
    });
    const open = await advisor.post('/api/admin/appointments').send({ ...body, status: 'SCHEDULED', requested_time: past.toISOString() });
    expect(open.status).toBe(201);
  });

  test('half cents › rounded up once; amounts are numbers', async () => {
    const { body } = await advisor
      .post('/api/admin/appointments')
      .send({ start_ts: nextStart().toISOString(), total_amount: 1.005, paid_amount: 0.1 });
    expect(body.data.appointment).toMatchObject({ total_amount: 1.01, paid_amount: 0.1 });
  });

  test('the same Idempotency-Key twice › one appointment', async () => {
    const start_ts = nextStart().toISOString();
    const send = () => advisor.post('/api/admin/appointments').set('Idempotency-Key', `key-${start_ts}`).send({ start_ts });
    const [first, second] = [await send(), await send()];
    expect([first.status, second.status, second.body.id]).toEqual([201, 201, first.body.id]);
    expect(second.headers['x-idempotency-status']).toBe('replayed');
    const nobody = await app.agent().post('/api/appointments').set('Idempotency-Key', `key-${start_ts}`).send({ start_ts });
    expect([nobody.status, nobody.body.data]).toEqual([401, null]);
  });
});

describe('GET /api/admin/appointments/:id and GET /api/appointments/:id', () => {
  test('the drawer › customer with cars, true VIN and plate, lines with their operation, numbers', async () => {
    const vehicle = await createVehicle({ customer, columns: { license_plate: null } });
    const operation = await createServiceOperation({ tenant });
    const appointment = await createAppointment({ tenant, vehicle, columns: { total_cents: 0, paid_cents: 1_250 } });
    await addAppointmentService(appointment, { operation });
    await addAppointmentService(appointment, { columns: { estimated_price_cents: null, estimated_hours: null } });
    const invoice = await createInvoice({ appointment, totalCents: 12_000 });
    for (const path of ['/api/appointments', '/api/admin/appointments']) {
      const { status, body, headers } = await technician.get(`${path}/${appointment.id}`);
      expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
      expect(body.data.appointment).toMatchObject({
        id: String(appointment.id),
        customer_id: String(customer.id),
        vehicle_id: String(vehicle.id),
        invoice_id: invoice.id,
        total_amount: 120,
        paid_amount: 12.5,
        version: 1,
        service_operation_ids: [operation.id],
      });
      expect(body.data.vehicle).toMatchObject({ vin: vehicle.vin, plate: null, license_plate: null, display: '2019 Aurora Hatch' });
      expect(body.data.customer.vehicles.map(({ id }: { id: string }) => id)).toContain(String(vehicle.id));
      expect(body.data.services).toEqual([
        expect.objectContaining({
          estimated_price: 120,
          operation: expect.objectContaining({ id: operation.id, name: operation.name, default_price: 120 }),
        }),
        expect.objectContaining({ estimated_price: null, estimated_hours: null, operation: null }),
      ]);
      expect(body.data.meta).toEqual({ version: 1 });
    }
  });

  test('a void invoice › does not count as the invoice', async () => {
    const appointment = await createAppointment({ tenant });
    await createInvoice({ appointment, totalCents: 100, columns: { status: 'VOID' } });
    expect((await advisor.get(`/api/appointments/${appointment.id}`)).body.data.appointment.invoice_id).toBeNull();
  });

  test.each(['None', 'seed-appt-1', '0', '999999999', '1.5', '99999999999999999999'])('id %s › 404', async (id) => {
    const { status, body } = await advisor.get(`/api/appointments/${id}`);
    expect([status, body.error.code, body.message]).toEqual([404, 'not_found', 'Appointment not found']);
  });

  test.each([1, 20, 500])('%i lines and cars › one statement', async (count) => {
    const fleet = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer: fleet });
    const appointment = await createAppointment({ tenant, vehicle });
    await admin(
      `INSERT INTO appointment_services (tenant_id, appointment_id, name) SELECT $1, $2, 'Line ' || n FROM generate_series(1, $3::int) n`,
      [tenant.id, appointment.id, count],
    );
    await admin(
      `INSERT INTO vehicles (tenant_id, customer_id, make, model) SELECT $1, $2, 'Aurora', 'No. ' || n FROM generate_series(1, $3::int) n`,
      [tenant.id, fleet.id, count],
    );
    await advisor.get(`/api/appointments/${appointment.id}`);
    const { result, statements } = await countStatements(async () => await advisor.get(`/api/appointments/${appointment.id}`));
    expect(result.body.data.services).toHaveLength(count);
    expect(statements).toHaveLength(1);
  });
});

describe('GET /api/admin/appointments', () => {
  let shop: Tenant;
  let desk: Agent;
  const at = (iso: string) => new Date(iso);
  const ids = (body: { data: { appointments: { id: string }[] } }) => body.data.appointments.map(({ id }) => id);

  beforeAll(async () => {
    shop = await createTenant();
    desk = await actAs(app, await createStaff({ tenant: shop, role: 'Advisor' }));
  });

  test('no parameters › the newest 200, ascending, whatever their number; one statement', async () => {
    const many = await createTenant();
    const reader = await actAs(app, await createStaff({ tenant: many, role: 'Advisor' }));
    const owner_ = await createCustomer({ tenant: many });
    const insert = (from: number, to: number) =>
      admin(
        `INSERT INTO appointments (tenant_id, customer_id, start_ts, block_end_ts)
          SELECT $1, $2, t, t + interval '1 hour' FROM generate_series($3::int, $4::int) n, LATERAL (SELECT timestamptz '2030-01-01Z' + n * interval '1 hour' AS t) x`,
        [many.id, owner_.id, from, to],
      );
    let size = 0;
    for (const next of [1, 20, 500]) {
      await insert(size + 1, next);
      size = next;
      await reader.get('/api/admin/appointments');
      const { result, statements } = await countStatements(async () => await reader.get('/api/admin/appointments'));
      const { appointments, nextCursor } = result.body.data;
      expect([appointments.length, nextCursor, statements.length]).toEqual([Math.min(size, 200), null, 1]);
      const starts = appointments.map(({ start_ts }: { start_ts: string }) => start_ts);
      expect(starts).toEqual([...starts].sort());
      expect(starts.at(-1)).toBe(new Date(Date.UTC(2030, 0, 1, size)).toISOString());
    }
  });

  test('an item › everything the screens read, in the shop’s time', async () => {
    const person = await createCustomer({ tenant: shop });
    const vehicle = await createVehicle({ customer: person });
    const lift = await createTechnician({ tenant: shop });
    const appointment = await createAppointment({
      tenant: shop,
      vehicle,
      technician: lift,
      start: at('2031-03-10T01:30:00Z'),
      minutes: 45,
      columns: { notes: 'Gate code 7', location_address: '1 Yard Lane', total_cents: 9_900 },
    });
    const { body } = await desk.get('/api/admin/appointments?date=2031-03-09');
    expect(body.data.appointments).toEqual([
      {
        id: String(appointment.id),
        customer_id: String(person.id),
        vehicle_id: String(vehicle.id),
        status: 'SCHEDULED',
        title: 'Oil change',
        notes: 'Gate code 7',
        total_amount: 99,
        paid_amount: 0,
        start_ts: '2031-03-10T01:30:00.000Z',
        end_ts: '2031-03-10T02:15:00.000Z',
        start: '2031-03-10T01:30:00.000Z',
        end: '2031-03-10T02:15:00.000Z',
        customer_name: person.name,
        customerName: person.name,
        customer_phone: person.phone,
        customer_email: person.email,
        vehicle_label: 'Aurora Hatch',
        location_address: '1 Yard Lane',
        service_id: null,
        tech_id: lift.id,
        date: '2031-03-09',
        time: '18:30',
        duration: 45,
      },
    ]);
  });

  test('a day of 23 hours › from its first to its last moment', async () => {
    const inside = [at('2032-03-14T08:00:00Z'), at('2032-03-15T06:59:59Z')];
    const outside = [at('2032-03-14T07:59:59Z'), at('2032-03-15T07:00:00Z')];
    const wanted = [];
    for (const start of inside) wanted.push(String((await createAppointment({ tenant: shop, start })).id));
    for (const start of outside) await createAppointment({ tenant: shop, start });
    expect(ids((await desk.get('/api/admin/appointments?date=2032-03-14')).body)).toEqual(wanted);
    expect(ids((await desk.get('/api/admin/appointments?from=2032-03-14&to=2032-03-14')).body)).toEqual(wanted);
  });

  test('filters › from (included), to (excluded when an instant), status, technician', async () => {
    const lift = await createTechnician({ tenant: shop });
    const first = await createAppointment({ tenant: shop, start: at('2033-05-01T10:00:00Z'), technician: lift });
    const second = await createAppointment({ tenant: shop, start: at('2033-05-01T12:00:00Z'), status: 'NO_SHOW' });
    const found = async (query: string) => ids((await desk.get(`/api/admin/appointments?${query}`)).body);
    const range = 'from=2033-05-01T10:00:00Z&to=2033-05-01T12:00:00Z';
    expect(await found(range)).toEqual([String(first.id)]);
    expect(await found('from=2033-05-01&status=no-show')).toEqual([String(second.id)]);
    expect(await found(`techId=${lift.id.toUpperCase()}`)).toEqual([String(first.id)]);
  });

  test('q › customer, make, model, plate, id; wildcards are plain text', async () => {
    const person = await createCustomer({ tenant: shop, columns: { name: 'Ada 100% Sure' } });
    const vehicle = await createVehicle({ customer: person, columns: { make: 'Zephyr', model: 'Under_score', license_plate: 'QX-77' } });
    const { id } = await createAppointment({ tenant: shop, vehicle });
    for (const q of ['ada', '100%', 'zephyr', 'UNDER_', 'qx-7', String(id)])
      expect(ids((await desk.get('/api/admin/appointments').query({ q })).body)).toContain(String(id));
    for (const q of ['underXscore', '100%%', "'; --"])
      expect(ids((await desk.get('/api/admin/appointments').query({ q })).body)).not.toContain(String(id));
  });

  test('blank parameters › as if absent', async () => {
    const { status, body } = await desk.get('/api/admin/appointments?from=&to=&status=&techId=&q=&limit=');
    expect([status, body.data.nextCursor]).toEqual([200, null]);
  });

  test('a busy day › all of it, not the first fifty', async () => {
    const busy = await createTenant();
    const reader = await actAs(app, await createStaff({ tenant: busy, role: 'Advisor' }));
    await admin(
      `INSERT INTO appointments (tenant_id, start_ts, block_end_ts)
        SELECT $1, t, t + interval '1 hour' FROM generate_series(1, 60) n, LATERAL (SELECT timestamptz '2030-06-01 12:00Z' + n * interval '1 minute' AS t) x`,
      [busy.id],
    );
    expect(ids((await reader.get('/api/admin/appointments?date=2030-06-01')).body)).toHaveLength(60);
    expect(ids((await reader.get('/api/admin/appointments?from=2030-06-01')).body)).toHaveLength(50);
  });

  test('pages by cursor › every row once, also with equal starts and microseconds', async () => {
    const paged = await createTenant();
    const reader = await actAs(app, await createStaff({ tenant: paged, role: 'Accountant' }));
    await admin(
      `INSERT INTO appointments (tenant_id, start_ts, block_end_ts)
        SELECT $1, t, t + interval '1 hour' FROM generate_series(1, 25) n,
          LATERAL (SELECT timestamptz '2030-01-01Z' + (n / 3) * interval '1 microsecond' AS t) x`,
      [paged.id],
    );
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const { body }: { body: { data: { appointments: { id: string }[]; nextCursor: string | null } } } = await reader
        .get('/api/admin/appointments')
        .query({ limit: 4, ...(cursor ? { cursor } : {}) });
      seen.push(...ids(body));
      cursor = body.data.nextCursor;
    } while (cursor);
    expect(seen).toHaveLength(25);
    expect(new Set(seen).size).toBe(25);
    expect(ids((await reader.get('/api/admin/appointments?limit=5&offset=20')).body)).toEqual(seen.slice(20));
  });

  test.each([
    ['limit=0', "Invalid 'limit' parameter"],
    ['limit=201', "Invalid 'limit' parameter"],
    ['limit=many', "Invalid 'limit' parameter"],
    ['offset=-1', "Invalid 'offset' parameter"],
    ['offset=1&cursor=x', 'cursor and offset exclude each other'],
    ['cursor=%25%25', 'Invalid cursor'],
    ['from=yesterday', "Invalid 'from' date format"],
    ['to=2027-02-30', "Invalid 'to' date format"],
    ['date=2027-2-3', "Invalid 'date' date format"],
    ['status=late', 'Invalid status'],
    ['techId=7', 'Invalid techId'],
  ])('%s › 400 bad_request', async (query, message) => {
    const { status, body } = await desk.get(`/api/admin/appointments?${query}`);
    expect([status, body.error.code, body.error.message]).toEqual([400, 'bad_request', message]);
  });
});

describe('PATCH /api/appointments/:id', () => {
  const patch = (id: number | string, body: object) => advisor.patch(`/api/admin/appointments/${id}`).send(body);

  test('several fields › stored, named, audited with before and after of those alone', async () => {
    const appointment = await createAppointment({ tenant, columns: { notes: 'old' } });
    const lift = await createTechnician({ tenant });
    const response = await patch(appointment.id, {
      notes: 'new',
      location_address: '',
      tech_id: lift.id,
      title: 'Oil change',
      total_amount: 80,
    });
    expect(response.status).toBe(200);
    expect(response.body.data.updated_fields).toEqual(['total_amount', 'tech_id', 'notes']);
    expect(response.body.appointment).toMatchObject({ notes: 'new', tech_id: lift.id, total_amount: 80, version: 2 });
    expect(response.body.id).toBe(String(appointment.id));
    expect(response.headers['etag']).toMatch(/^W\/"2\./);
    expect(await audits(appointment.id)).toEqual([
      {
        action: 'APPT_PATCH',
        before: { notes: 'old', tech_id: null, total_cents: null },
        after: { notes: 'new', tech_id: lift.id, total_cents: 8_000 },
      },
    ]);
  });

  test('tech_id null › cleared; blank notes › null', async () => {
    const lift = await createTechnician({ tenant });
    const { id } = await createAppointment({ tenant, technician: lift, columns: { notes: 'x' } });
    const { body } = await patch(id, { tech_id: null, notes: ' ' });
    expect(body.data.appointment).toMatchObject({ tech_id: null, notes: null });
    expect(await rowOf(id)).toMatchObject({ tech_id: null, notes: null });
  });

  test('yesterday’s job › notes can be written, the past start only when it stays', async () => {
    const start = new Date(Date.now() - 24 * HOUR_MS);
    const { id } = await createAppointment({ tenant, start });
    expect((await patch(id, { notes: 'called back', start: start.toISOString() })).status).toBe(200);
    const moved = await patch(id, { start: inHours(start, -1).toISOString() });
    expect([moved.status, moved.body.error.message]).toEqual([400, 'start_ts too far in past']);
    expect((await patch(id, { status: 'COMPLETED' })).status).toBe(200);
  });

  test('nothing new › 200 with the appointment, no field, no audit, same version', async () => {
    const appointment = await createAppointment({ tenant });
    const { status, body } = await patch(appointment.id, {
      title: 'Oil change',
      status: 'scheduled',
      start_ts: appointment.start.toISOString(),
    });
    expect([status, body.data.updated_fields, body.data.appointment.version]).toEqual([200, [], 1]);
    expect(await audits(appointment.id)).toEqual([]);
  });

  test.each([{}, { colour: 'red' }, { version: 1 }])('%j › 400 No valid fields to update', async (body) => {
    const { id } = await createAppointment({ tenant });
    const response = await patch(id, body);
    expect([response.status, response.body.error.code, response.body.error.message]).toEqual([
      400,
      'bad_request',
      'No valid fields to update',
    ]);
  });

  test('a start without an end › keeps the duration', async () => {
    const appointment = await createAppointment({ tenant, minutes: 90, start: nextStart() });
    const start = nextStart();
    const { body } = await patch(appointment.id, { start_ts: start.toISOString() });
    expect(body.data.appointment.end_ts).toBe(inHours(start, 1.5).toISOString());
    expect((await rowOf(appointment.id))['block_end_ts']).toEqual(inHours(start, 1.5));
  });

  test('end null › back to the default block; an end before the start › 400', async () => {
    const appointment = await createAppointment({ tenant, minutes: 90, start: nextStart() });
    expect((await patch(appointment.id, { end_ts: appointment.start.toISOString() })).status).toBe(400);
    const { body } = await patch(appointment.id, { end: null });
    expect(body.data.appointment.end_ts).toBeNull();
    expect((await rowOf(appointment.id))['block_end_ts']).toEqual(inHours(appointment.start, 1));
  });

  test('stale version 409, stale If-Match 412 with the current row, fresh ones and * pass', async () => {
    const { id } = await createAppointment({ tenant });
    const stale = await patch(id, { notes: 'a', version: 9 });
    expect([stale.status, stale.body.error]).toEqual([
      409,
      expect.objectContaining({ code: 'version_conflict', details: { current_version: 1, provided_version: 9 } }),
    ]);
    const tagged = await patch(id, { notes: 'a' }).set('If-Match', 'W/"9.abc"');
    expect([tagged.status, tagged.body.error.code, tagged.body.error.message]).toEqual([412, 'conflict', 'etag_mismatch']);
    expect(tagged.body.data.current).toMatchObject({ id: String(id), version: 1 });
    expect(tagged.headers['etag']).toContain(tagged.body.data.etag);
    const etag = tagged.headers['etag'] as string;
    expect((await patch(id, { notes: 'b' }).set('If-Match', etag)).status).toBe(200);
    expect((await patch(id, { notes: 'c', version: 2 })).status).toBe(200);
    expect((await patch(id, { notes: 'd' }).set('If-Match', '*')).status).toBe(200);
  });

  test('customer and car together › changed; a car of somebody else › 400', async () => {
    const other = await createCustomer({ tenant });
    const [mine, theirs] = [await createVehicle({ customer }), await createVehicle({ customer: other })];
    const { id } = await createAppointment({ tenant, vehicle: mine });
    const refused = await patch(id, { vehicle_id: String(theirs.id) });
    expect([refused.status, refused.body.error.message]).toEqual([400, 'vehicle does not belong to customer']);
    expect((await patch(id, { customer_id: String(other.id) })).status).toBe(400);
    const { body } = await patch(id, { customer_id: String(other.id), vehicle_id: String(theirs.id) });
    expect(body.data.updated_fields).toEqual(['customer_id', 'vehicle_id']);
    expect(
      await admin('SELECT vehicle_id FROM appointment_vehicles WHERE tenant_id = $1 AND appointment_id = $2', [tenant.id, id]),
    ).toEqual([{ vehicle_id: String(theirs.id) }]);
  });

  describe('the car box', () => {
    test('fields › edit the linked car, with its own trail', async () => {
      const vehicle = await createVehicle({ customer });
      const { id } = await createAppointment({ tenant, vehicle });
      const { body } = await patch(id, { license_plate: 'new 1', vehicle_year: 2020, vehicle_make: 'Borealis', vehicle_model: '' });
      expect(body.data.updated_fields).toEqual(['license_plate', 'vehicle_year', 'vehicle_make']);
      expect(body.data.appointment.vehicle_label).toBe('Borealis Hatch');
      expect(await admin('SELECT license_plate, year, make, version FROM vehicles WHERE id = $1', [vehicle.id])).toEqual([
        { license_plate: 'NEW 1', year: 2020, make: 'Borealis', version: 2 },
      ]);
      const [trail] = await admin<{ fields_changed: object }>('SELECT fields_changed FROM vehicle_audits WHERE vehicle_id = $1', [
        vehicle.id,
      ]);
      expect(Object.keys(trail!.fields_changed).sort()).toEqual(['license_plate', 'make', 'year']);
      expect((await audits(id)).map(({ action }) => action)).toEqual(['APPT_PATCH']);
    });

    test('the VIN in the plate box › is not taken for a plate', async () => {
      const vehicle = await createVehicle({ customer, columns: { license_plate: null } });
      const { id } = await createAppointment({ tenant, vehicle });
      const { status, body } = await patch(id, { license_plate: vehicle.vin.toLowerCase() });
      expect([status, body.data.updated_fields]).toEqual([200, []]);
      expect(await admin('SELECT license_plate FROM vehicles WHERE id = $1', [vehicle.id])).toEqual([{ license_plate: null }]);
    });

    test('the plate of the customer’s other car › that car; of another customer › 409, nobody’s car moves', async () => {
      const [first, second] = [await createVehicle({ customer }), await createVehicle({ customer })];
      const foreign = await createVehicle({ customer: await createCustomer({ tenant }) });
      const { id } = await createAppointment({ tenant, vehicle: first });
      const relinked = await patch(id, { license_plate: second.plate });
      expect(relinked.body.data.appointment.vehicle_id).toBe(String(second.id));
      const refused = await patch(id, { license_plate: foreign.plate });
      expect([refused.status, refused.body.error.message]).toEqual([409, 'License plate already belongs to another customer']);
      expect(await admin('SELECT customer_id FROM vehicles WHERE id = $1', [foreign.id])).toEqual([
        { customer_id: String(foreign.customer.id) },
      ]);
    });

    test('no car yet › made and linked', async () => {
      const { id } = await createAppointment({ tenant, customer });
      const { body } = await patch(id, { license_plate: `N${id}`, vehicle_make: 'Corona', vehicle_model: 'Coupe' });
      expect(body.data.appointment.vehicle_label).toBe('Corona Coupe');
    });
  });

  test('service_operation_ids › adds what is missing, ignores linked, line and unknown ids; the total follows', async () => {
    const [one, two] = [await createServiceOperation({ tenant }), await createServiceOperation({ tenant })];
    const appointment = await createAppointment({ tenant });
    const line = await addAppointmentService(appointment, { operation: one });
    const { body } = await patch(appointment.id, { service_operation_ids: [one.id, line.id, two.id, 'unknown', two.id] });
    expect(body.data.updated_fields).toEqual(['service_operation_ids']);
    expect(body.data.appointment).toMatchObject({ service_operation_ids: [one.id, two.id], total_amount: 240 });
    const again = await patch(appointment.id, { service_operation_ids: [one.id, two.id] });
    expect(again.body.data.updated_fields).toEqual([]);
  });

  test('an invoiced appointment › lines and amounts are frozen, the rest is not', async () => {
    const operation = await createServiceOperation({ tenant });
    const appointment = await createAppointment({ tenant, columns: { total_cents: 5_000 } });
    await createInvoice({ appointment, totalCents: 5_000 });
    for (const body of [{ service_operation_ids: [operation.id] }, { total_amount: 60 }, { paid_amount: 10 }]) {
      const refused = await patch(appointment.id, body);
      expect([refused.status, refused.body.error.code]).toEqual([409, 'invalid_state']);
    }
    expect((await patch(appointment.id, { notes: 'paid at the door', total_amount: 50 })).status).toBe(200);
  });

  test('the total that was shown, sent back › no change, also where it is the sum of the lines and once invoiced', async () => {
    const appointment = await createAppointment({ tenant, columns: { total_cents: 0 } });
    await addAppointmentService(appointment);
    const echoed = await patch(appointment.id, { total_amount: 50 });
    expect(echoed.body.data).toMatchObject({ updated_fields: [], appointment: { total_amount: 50, version: 1 } });
    await createInvoice({ appointment, totalCents: 5_000 });
    const noted = await patch(appointment.id, { total_amount: 50, notes: 'Paid by card' });
    expect([noted.status, noted.body.data?.updated_fields]).toEqual([200, ['notes']]);
    expect((await patch(appointment.id, { total_amount: 51 })).status).toBe(409);
  });

  test('paid more than the total › 400, also when only the total shrinks', async () => {
    const { id } = await createAppointment({ tenant, columns: { total_cents: 5_000, paid_cents: 3_000 } });
    for (const body of [{ paid_amount: 50.01 }, { total_amount: 29.99 }]) {
      const refused = await patch(id, body);
      expect([refused.status, refused.body.error.message]).toEqual([400, 'paid_amount cannot exceed total_amount']);
    }
    expect((await patch(id, { paid_amount: 50 })).status).toBe(200);
  });

  test('total_amount null › cleared, and the lines count again', async () => {
    const appointment = await createAppointment({ tenant, columns: { total_cents: 9_900 } });
    await addAppointmentService(appointment);
    const { body } = await patch(appointment.id, { total_amount: null });
    expect([body.data.updated_fields, body.data.appointment.total_amount]).toEqual([['total_amount'], 50]);
    expect((await rowOf(appointment.id))['total_cents']).toBeNull();
  });

  test('arrival and departure › set and cleared; leaving before arriving › 400', async () => {
    const { id } = await createAppointment({ tenant });
    const now = new Date();
    expect((await patch(id, { check_in_at: now.toISOString() })).body.data.appointment.check_in_at).toBe(now.toISOString());
    expect((await patch(id, { check_out_at: inHours(now, -1).toISOString() })).status).toBe(400);
    expect((await patch(id, { check_in_at: null })).body.data.appointment.check_in_at).toBeNull();
  });

  test('a technician › notes yes, anything else 403', async () => {
    const { id } = await createAppointment({ tenant });
    expect((await technician.patch(`/api/appointments/${id}`).send({ notes: 'pads at 2 mm' })).status).toBe(200);
    const refused = await technician.patch(`/api/appointments/${id}`).send({ notes: 'x', title: 'y' });
    expect([refused.status, refused.body.error.code]).toEqual([403, 'forbidden']);
    expect((await rowOf(id))['notes']).toBe('pads at 2 mm');
  });

  test('PUT › the same as PATCH, with a message', async () => {
    const { id } = await createAppointment({ tenant });
    for (const path of ['/api/appointments', '/api/admin/appointments']) {
      const { status, body } = await advisor.put(`${path}/${id}`).send({ notes: path });
      expect([status, body.data.message, body.data.appointment.notes, body.data.appointment.title]).toEqual([
        200,
        'Appointment updated',
        path,
        'Oil change',
      ]);
    }
  });

  test('a failing audit › fails the edit and leaves the row', async () => {
    const { id } = await createAppointment({ tenant, columns: { notes: 'before' } });
    await admin('REVOKE INSERT ON audit_logs FROM autoshop_app');
    try {
      expect((await patch(id, { notes: 'after' })).status).toBe(500);
    } finally {
      await admin('GRANT INSERT ON audit_logs TO autoshop_app');
    }
    expect(await rowOf(id)).toMatchObject({ notes: 'before', version: 1 });
  });
});

describe('DELETE /api/admin/appointments/:id', () => {
  test('an appointment › 204, gone from every read, kept in the table, audited with a snapshot; again › 404', async () => {
    const vehicle = await createVehicle({ customer });
    const { id } = await createAppointment({ tenant, vehicle });
    const response = await owner.delete(`/api/admin/appointments/${id}`);
    expect([response.status, response.text]).toEqual([204, '']);
    expect((await rowOf(id))['deleted_at']).toBeInstanceOf(Date);
    expect((await advisor.get(`/api/appointments/${id}`)).status).toBe(404);
    expect((await advisor.get(`/api/appointments/${id}/services`)).status).toBe(404);
    // The digits of its id may be in somebody's random name or plate as well.
    const { appointments } = (await advisor.get('/api/admin/appointments').query({ q: String(id) })).body.data;
    expect(appointments.map((one: { id: string }) => one.id)).not.toContain(String(id));
    expect((await advisor.patch(`/api/appointments/${id}`).send({ notes: 'x' })).status).toBe(404);
    expect(await audits(id)).toEqual([{ action: 'APPT_DELETE', before: expect.objectContaining({ id: String(id) }), after: null }]);
    expect((await advisor.delete(`/api/appointments/${id}`)).status).toBe(404);
  });

  test.each([
    ['DRAFT', 0, 'VOID'],
    ['DRAFT', 100, 'DRAFT'],
    ['SENT', 0, 'SENT'],
  ])('with an invoice %s and %i cents paid › invoice %s', async (status, paid, after) => {
    const appointment = await createAppointment({ tenant });
    const { id } = await createInvoice({
      appointment,
      totalCents: 5_000,
      columns: { status, amount_paid_cents: paid, amount_due_cents: 5_000 - paid },
    });
    await advisor.delete(`/api/admin/appointments/${appointment.id}`);
    expect(await admin('SELECT status, appointment_id FROM invoices WHERE id = $1', [id])).toEqual([
      { status: after, appointment_id: String(appointment.id) },
    ]);
  });
});
