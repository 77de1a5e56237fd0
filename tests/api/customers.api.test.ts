/** Customers for the staff: list, search, detail, create, change, notes. @core */
import { admin } from '../support/database';
import {
  addAppointmentService,
  type Customer,
  createAppointment,
  createCustomer,
  createInvoice,
  createPayment,
  createStaff,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { login, type Session, startApp, type TestApp } from '../support/server';
import { countWarmStatements } from '../support/warm-statements';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ago = (ms: number): Date => new Date(Date.now() - ms);

let app: TestApp;
let tenant: Tenant;
let advisor: Session;
let accountant: Session;
let technician: Session;
/** Staff of another shop. */
let stranger: Session;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  const other = await createTenant();
  [advisor, accountant, technician, stranger] = await Promise.all([
    login(app, await createStaff({ tenant, role: 'Advisor' })),
    login(app, await createStaff({ tenant, role: 'Accountant' })),
    login(app, await createStaff({ tenant, role: 'Technician' })),
    login(app, await createStaff({ tenant: other, role: 'Owner' })),
  ]);
});

const auditsOf = (customer: Pick<Customer, 'id'>) =>
  admin<{ fields_changed: Record<string, unknown>; actor_id: string }>(
    'SELECT fields_changed, actor_id FROM customer_audits WHERE customer_id = $1 ORDER BY id',
    [customer.id],
  );

/** Appointments of a customer in the past, newest last, each with a service, a payment and a message. */
async function addVisits(customer: Customer, count: number): Promise<void> {
  await admin(
    `WITH made AS (
      INSERT INTO appointments (tenant_id, customer_id, status, start_ts, end_ts, block_end_ts, total_cents, paid_cents)
      SELECT $1, $2, 'COMPLETED', now() - i * interval '2 hours', now() - i * interval '2 hours' + interval '1 hour',
        now() - i * interval '2 hours' + interval '1 hour', 10000, 4000 FROM generate_series(1, $3::int) i RETURNING tenant_id, id),
    lines AS (INSERT INTO appointment_services (tenant_id, appointment_id, name, estimated_price_cents) SELECT tenant_id, id, 'Brakes', 10000 FROM made),
    texts AS (INSERT INTO messages (tenant_id, appointment_id, channel, direction, status, body) SELECT tenant_id, id, 'sms', 'out', 'delivered', 'Ready' FROM made),
    bills AS (INSERT INTO invoices (tenant_id, number, appointment_id, customer_id, subtotal_cents, total_cents, amount_paid_cents, amount_due_cents)
      SELECT tenant_id, 1000000 + id, id, $2, 10000, 10000, 4000, 6000 FROM made RETURNING tenant_id, id, appointment_id)
    INSERT INTO payments (tenant_id, invoice_id, appointment_id, amount_cents, method, recorded_by)
      SELECT tenant_id, id, appointment_id, 4000, 'card', 'test' FROM bills`,
    [customer.tenant.id, customer.id, count],
  );
}

describe('GET /api/admin/customers/:id', () => {
  test('a customer with work done › figures, vehicles and appointments, ids as text, amounts as numbers', async () => {
    const customer = await createCustomer({ tenant, columns: { tags: JSON.stringify(['fleet']), notes: 'Rings twice' } });
    const vehicle = await createVehicle({ customer, columns: { is_primary: true } });
    const retired = await createVehicle({ customer, columns: { is_active: false } });
    const done = await createAppointment({
      tenant,
      vehicle,
      status: 'COMPLETED',
      start: ago(2 * DAY_MS),
      columns: { total_cents: 12_345, paid_cents: 2_345 },
    });
    await createAppointment({ tenant, vehicle, status: 'CANCELED', start: ago(DAY_MS), columns: { total_cents: 99_900 } });
    await createAppointment({ tenant, vehicle, status: 'SCHEDULED', columns: { total_cents: 50_000 } });
    const gone = await createAppointment({
      tenant,
      vehicle,
      status: 'COMPLETED',
      start: ago(3 * DAY_MS),
      columns: { total_cents: 1, deleted_at: new Date() },
    });

    const { status, body, headers } = await advisor.agent.get(`/api/admin/customers/${customer.id}`);

    expect(status).toBe(200);
    expect(body.data.customer).toMatchObject({
      id: String(customer.id),
      name: customer.name,
      full_name: customer.name,
      tags: ['fleet'],
      notes: 'Rings twice',
      isVip: false,
      relationshipDurationDays: 0,
    });
    expect(body.data.metrics).toMatchObject({
      totalSpent: 123.45,
      unpaidBalance: 100,
      visitsCount: 1,
      completedCount: 1,
      avgTicket: 123.45,
      lastVisitAt: done.start.toISOString(),
      vehiclesCount: 1,
      isOverdueForService: false,
    });
    expect(body.data.vehicles.map((item: { id: string; is_active: boolean }) => [item.id, item.is_active])).toEqual([
      [String(vehicle.id), true],
      [String(retired.id), false],
    ]);
    expect(body.data.vehicles[0]).toMatchObject({
      display: '2019 Aurora Hatch',
      plate: vehicle.plate,
      license_plate: vehicle.plate,
      isPrimary: true,
      visits: 1,
      totalSpent: 123.45,
      daysSinceLastService: 2,
    });
    expect(body.data.vehicles[1]).toMatchObject({ lastServiceDate: null, daysSinceLastService: null, visits: 0 });
    expect(body.data.appointments.map((item: { status: string }) => item.status)).toEqual(['SCHEDULED', 'CANCELED', 'COMPLETED']);
    expect(body.data.appointments.some((item: { id: string }) => item.id === String(gone.id))).toBe(false);
    expect(body.data.appointments[2]).toMatchObject({ totalAmount: 123.45, paidAmount: 23.45, unpaidAmount: 100 });
    for (const name of ['services', 'payments', 'messages']) expect(body.data.appointments[0]).not.toHaveProperty(name);
    expect(body.data.includes).toEqual([]);
    expect(body).not.toHaveProperty('customer');
    expect(headers['cache-control']).toBe('private, no-cache');
    expect(headers['etag']).toContain(body.data.customer._etag);
  });

  test('include=appointmentDetails › services in order, live payments newest first, messages; voided and deleted left out', async () => {
    const customer = await createCustomer({ tenant });
    const appointment = await createAppointment({ tenant, customer, status: 'COMPLETED', start: ago(DAY_MS) });
    const first = await addAppointmentService(appointment, { columns: { name: 'First', created_at: ago(2000) } });
    const second = await addAppointmentService(appointment, { columns: { name: 'Second', created_at: ago(1000) } });
    await addAppointmentService(appointment, { columns: { name: 'Struck out', deleted_at: new Date() } });
    const invoice = await createInvoice({ appointment, customer, totalCents: 10_000 });
    const older = await createPayment({ appointment, invoice, amountCents: 1_050, columns: { created_at: ago(5000) } });
    const newer = await createPayment({ appointment, invoice, amountCents: 2_000, columns: { created_at: ago(1000) } });
    await createPayment({ appointment, invoice, amountCents: 9_999, columns: { voided_at: new Date() } });

    const { body } = await advisor.agent.get(`/api/admin/customers/${customer.id}?include=appointmentDetails`);

    const [shown] = body.data.appointments;
    expect(shown.services.map((item: { id: string }) => item.id)).toEqual([first.id, second.id]);
    expect(shown.services[0]).toMatchObject({ name: 'First', estimated_price: 50, estimated_hours: 1 });
    expect(shown.payments.map((item: { id: string }) => item.id)).toEqual([newer.id, older.id]);
    expect(shown.payments[1]).toMatchObject({ amount: 10.5, method: 'card' });
    expect(shown.messages).toEqual([]);
    expect(body.data.includes).toEqual(['appointmentDetails']);
  });

  test.each([1, 20, 500])('%i appointments › the same number of statements, every child exactly once', async (count) => {
    const customer = await createCustomer({ tenant });
    await addVisits(customer, count);
    const path = `/api/admin/customers/${customer.id}`;
    await advisor.agent.get(path);

    const started = performance.now();
    const detailed = await countWarmStatements(() => advisor.agent.get(`${path}?include=appointmentDetails`));
    // No statistics exist in this database: a plan that goes through the children anew for each appointment takes half a minute.
    expect(performance.now() - started).toBeLessThan(5000);
    const plain = await countWarmStatements(() => advisor.agent.get(path));

    expect(detailed.statements).toHaveLength(1);
    expect(plain.statements).toHaveLength(1);
    const { appointments, metrics } = detailed.result.body.data;
    expect(appointments).toHaveLength(count);
    for (const item of appointments) expect([item.services.length, item.payments.length, item.messages.length]).toEqual([1, 1, 1]);
    expect(metrics).toMatchObject({ totalSpent: count * 100, unpaidBalance: count * 60, visitsCount: count, isVip: count * 100 >= 5000 });
  });

  test('more than 500 appointments › the newest 500, figures over all', async () => {
    const customer = await createCustomer({ tenant });
    await addVisits(customer, 503);
    const { body } = await advisor.agent.get(`/api/admin/customers/${customer.id}`);
    expect(body.data.appointments).toHaveLength(500);
    expect(body.data.metrics.visitsCount).toBe(503);
  });

  test('an unknown include token › 400 invalid_include that names it', async () => {
    const customer = await createCustomer({ tenant });
    const { status, body } = await advisor.agent.get(`/api/admin/customers/${customer.id}?include=appointmentDetails,invoices`);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'invalid_include', message: 'Unsupported include token(s): invoices' });
  });

  test.each(['999999999', 'abc', '0', '-1', '12.5', "1'--"])('id %s › 404', async (id) => {
    const { status, body } = await advisor.agent.get(`/api/admin/customers/${encodeURIComponent(id)}`);
    expect([status, body.error.code, body.data]).toEqual([404, 'not_found', null]);
  });

  test('the tag sent back › 304; after a change of an appointment › 200 with another tag', async () => {
    const customer = await createCustomer({ tenant });
    const appointment = await createAppointment({ tenant, customer });
    const path = `/api/admin/customers/${customer.id}`;
    const { headers } = await advisor.agent.get(path);
    const again = await advisor.agent.get(path).set('If-None-Match', headers['etag'] as string);
    expect([again.status, again.text, again.headers['etag']]).toEqual([304, '', headers['etag']]);
    await admin(`UPDATE appointments SET notes = 'Squeaks' WHERE id = $1`, [appointment.id]);
    const changed = await advisor.agent.get(path).set('If-None-Match', headers['etag'] as string);
    expect(changed.status).toBe(200);
    expect(changed.headers['etag']).not.toBe(headers['etag']);
  });

  test('another shop › 404, also for every other path of the customer', async () => {
    const customer = await createCustomer({ tenant });
    const base = `/api/admin/customers/${customer.id}`;
    for (const path of [
      base,
      `${base}/profile`,
      `${base}/visits`,
      `${base}/vehicles`,
      `${base}/notes`,
      `/api/customers/${customer.id}/history`,
    ]) {
      expect([path, (await stranger.agent.get(path)).status]).toEqual([path, 404]);
    }
    expect((await stranger.agent.patch(base).send({ name: 'Mine now' })).status).toBe(404);
    expect((await stranger.agent.post(`${base}/notes`).send({ content: 'Hello' })).status).toBe(404);
    const [row] = await admin<{ name: string }>('SELECT name FROM customers WHERE id = $1', [customer.id]);
    expect(row?.name).toBe(customer.name);
  });

  test('technician › 403; nobody › 401', async () => {
    const customer = await createCustomer({ tenant });
    expect((await technician.agent.get(`/api/admin/customers/${customer.id}`)).status).toBe(403);
    expect((await app.agent().get(`/api/admin/customers/${customer.id}`)).status).toBe(401);
  });
});

describe('POST /api/admin/customers', () => {
  test('all fields › 201 with Location and tag, stored normalised, on record', async () => {
    const mark = Date.now();
    const response = await advisor.agent.post('/api/admin/customers').send({
      name: '  Dana Field ',
      email: ` Dana.${mark}@Example.COM `,
      phone: ' (555) 010-2000 ',
      address_line1: '1 Long Road',
      city: 'Springfield',
      state: 'OR',
      zip_code: '97477',
      tags: ['a', ' b ', '', 'a'],
      sms_consent: true,
      colour: 'ignored',
    });
    expect(response.status).toBe(201);
    const { data } = response.body;
    expect(data).toMatchObject({
      name: 'Dana Field',
      email: `dana.${mark}@example.com`,
      phone: '(555) 010-2000',
      address: '1 Long Road, Springfield, OR 97477',
      tags: ['a', 'b'],
      is_vip: false,
    });
    expect(response.headers['location']).toBe(`/api/admin/customers/${data.id}`);
    expect(response.headers['etag']).toContain(data._etag);
    const [row] = await admin<{ sms_consent: boolean; sms_consent_date: Date | null; phone_digits: string }>(
      'SELECT sms_consent, sms_consent_date, phone_digits FROM customers WHERE id = $1',
      [data.id],
    );
    expect(row).toMatchObject({ sms_consent: true, sms_consent_date: expect.any(Date), phone_digits: '5550102000' });
    const audits = await admin<{ action: string }>(`SELECT action FROM audit_logs WHERE entity = 'customer' AND entity_id = $1`, [data.id]);
    expect(audits).toEqual([{ action: 'CUSTOMER_CREATE' }]);
  });

  test('an e-mail in use, in other case › 409 already_exists, nothing stored; a shared phone › 201', async () => {
    const known = await createCustomer({ tenant });
    const taken = await advisor.agent.post('/api/admin/customers').send({ name: 'Twin', email: known.email.toUpperCase() });
    expect([taken.status, taken.body.error.code, taken.body.message]).toEqual([409, 'already_exists', 'Email already registered']);
    const shared = await advisor.agent.post('/api/admin/customers').send({ name: 'Housemate', phone: known.phone });
    expect(shared.status).toBe(201);
    const rows = await admin(`SELECT id FROM customers WHERE tenant_id = $1 AND name = 'Twin'`, [tenant.id]);
    expect(rows).toHaveLength(0);
  });

  test('the same e-mail in another shop › 201', async () => {
    const known = await createCustomer({ tenant });
    expect((await stranger.agent.post('/api/admin/customers').send({ name: 'Same person', email: known.email })).status).toBe(201);
  });

  test('ten at once with one e-mail › one 201, nine 409', async () => {
    const email = `race-${Date.now()}@example.com`;
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => advisor.agent.post('/api/admin/customers').send({ name: `Racer ${index}`, email })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(409)]);
  });

  test('the same Idempotency-Key again › the first answer, one customer', async () => {
    const key = `create-${Date.now()}`;
    const send = () => advisor.agent.post('/api/admin/customers').set('Idempotency-Key', key).send({ name: 'Only once' });
    const [first, second] = [await send(), await send()];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body.data.id).toBe(first.body.data.id);
    expect(second.headers['x-idempotency-status']).toBe('replayed');
  });

  test.each<[string, Record<string, unknown>, Record<string, string>]>([
    ['no name', {}, { full_name: 'required' }],
    ['a blank name', { name: '   ' }, { full_name: 'required' }],
    ['a long name', { name: 'x'.repeat(121) }, { full_name: 'too_long' }],
    ['no e-mail address', { name: 'A', email: 'nobody' }, { email: 'invalid' }],
    ['a long phone', { name: 'A', phone: '1'.repeat(21) }, { phone: 'too_long' }],
    ['letters in the phone', { name: 'A', phone: 'call me' }, { phone: 'invalid' }],
    ['tags that are no list', { name: 'A', tags: 'vip' }, { tags: 'must_be_array' }],
    ['eleven tags', { name: 'A', tags: Array.from({ length: 11 }, (_, i) => `t${i}`) }, { tags: 'too_many' }],
    ['a long tag', { name: 'A', tags: ['ok', 'x'.repeat(51)] }, { 'tags[1]': 'tag_too_long' }],
    ['long notes', { name: 'A', notes: 'x'.repeat(1001) }, { notes: 'too_long' }],
    ['consent as text', { name: 'A', sms_consent: 'yes' }, { sms_consent: 'must_be_boolean' }],
    ['an unknown method', { name: 'A', preferred_contact_method: 'fax' }, { preferred_contact_method: 'invalid_method' }],
    ['a long time', { name: 'A', preferred_contact_time: 'x'.repeat(51) }, { preferred_contact_time: 'too_long' }],
    ['a long address', { name: 'A', address: 'x'.repeat(501) }, { address: 'too_long' }],
  ])('%s › 400 validation_failed with its reason', async (_case, body, details) => {
    const response = await advisor.agent.post('/api/admin/customers').send(body);
    expect(response.status).toBe(400);
    expect(response.body.error).toMatchObject({ code: 'validation_failed', details });
    expect(response.headers['cache-control']).toBe('no-store');
  });

  test('accountant › 403', async () => {
    expect((await accountant.agent.post('/api/admin/customers').send({ name: 'A' })).status).toBe(403);
  });
});

describe('PATCH /api/admin/customers/:id', () => {
  test('some fields › those alone change, with one audit row of the differences', async () => {
    const customer = await createCustomer({ tenant, columns: { notes: 'Old' } });
    const { status, body, headers } = await advisor.agent
      .patch(`/api/admin/customers/${customer.id}`)
      .send({ full_name: customer.name, notes: '', tags: ['new'], preferred_contact_method: 'sms' });
    expect(status).toBe(200);
    expect(body.data).toMatchObject({
      id: customer.id,
      full_name: customer.name,
      email: customer.email,
      notes: null,
      tags: ['new'],
      preferred_contact_method: 'sms',
    });
    expect(headers['etag']).toContain(body.data._etag);
    const audits = await auditsOf(customer);
    expect(audits.map(({ fields_changed }) => fields_changed)).toEqual([
      {
        notes: { from: 'Old', to: null },
        tags: { from: [], to: ['new'] },
        preferred_contact_method: { from: 'phone', to: 'sms' },
      },
    ]);
  });

  test('nothing different › 200, same tag, no audit row, updated_at kept', async () => {
    const customer = await createCustomer({ tenant, columns: { tags: JSON.stringify(['a']) } });
    const path = `/api/admin/customers/${customer.id}`;
    const before = await advisor.agent.get(path);
    const { status, body, headers } = await advisor.agent.patch(path).send({ name: customer.name, email: customer.email, tags: ['a'] });
    expect(status).toBe(200);
    expect(headers['etag']).toBe(before.headers['etag']);
    expect(body.data._etag).toBe(before.body.data.customer._etag);
    expect(await auditsOf(customer)).toEqual([]);
    const after = await advisor.agent.get(path);
    expect(after.body.data.customer.updatedAt).toBe(before.body.data.customer.updatedAt);
  });

  test('If-Match as the body delivered it, quoted, weak or * › 200; absent › 200', async () => {
    const customer = await createCustomer({ tenant });
    const path = `/api/admin/customers/${customer.id}`;
    const forms = [(tag: string) => tag, (tag: string) => `"${tag}"`, (tag: string) => `W/"${tag}"`, () => '*'];
    for (const [index, form] of forms.entries()) {
      const { _etag } = (await advisor.agent.get(path)).body.data.customer;
      const { status } = await advisor.agent
        .patch(path)
        .set('If-Match', form(_etag))
        .send({ notes: `Change ${index}` });
      expect([index, status]).toEqual([index, 200]);
    }
    expect((await advisor.agent.patch(path).send({ notes: 'Unconditional' })).status).toBe(200);
  });

  test('the profile page’s tag › good for a write too, whatever happened to appointments meanwhile', async () => {
    const customer = await createCustomer({ tenant });
    const { body } = await advisor.agent.get(`/api/admin/customers/${customer.id}/profile`);
    await createAppointment({ tenant, customer });
    const { status } = await advisor.agent
      .patch(`/api/admin/customers/${customer.id}`)
      .set('If-Match', body.data.customer._etag)
      .send({ notes: 'Seen' });
    expect(status).toBe(200);
  });

  test('a stale tag › 412 conflict with the current customer, nothing stored', async () => {
    const customer = await createCustomer({ tenant });
    const path = `/api/admin/customers/${customer.id}`;
    const { _etag } = (await advisor.agent.get(path)).body.data.customer;
    await advisor.agent.patch(path).send({ notes: 'Somebody was faster' });
    const { status, body, headers } = await advisor.agent.patch(path).set('If-Match', _etag).send({ notes: 'Too late' });
    expect(status).toBe(412);
    expect([body.error.code, body.error.message]).toEqual(['conflict', 'etag_mismatch']);
    expect(body.data.current.customer).toMatchObject({ id: String(customer.id), notes: 'Somebody was faster' });
    expect(headers['etag']).toContain(body.data.etag);
    expect(headers['cache-control']).toBe('no-store');
    expect((await advisor.agent.get(path)).body.data.customer.notes).toBe('Somebody was faster');
  });

  test('ten at once on one tag › one 200, nine 412, one audit row', async () => {
    const customer = await createCustomer({ tenant });
    const path = `/api/admin/customers/${customer.id}`;
    const { _etag } = (await advisor.agent.get(path)).body.data.customer;
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        advisor.agent
          .patch(path)
          .set('If-Match', _etag)
          .send({ notes: `Writer ${index}` }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(412)]);
    expect(await auditsOf(customer)).toHaveLength(1);
  });

  test('an e-mail in use › 409 already_exists, the whole change refused', async () => {
    const [customer, other] = [await createCustomer({ tenant }), await createCustomer({ tenant })];
    const { status, body } = await advisor.agent
      .patch(`/api/admin/customers/${customer.id}`)
      .send({ email: other.email, notes: 'Not this either' });
    expect([status, body.error.code]).toEqual([409, 'already_exists']);
    const [row] = await admin<{ notes: string | null }>('SELECT notes FROM customers WHERE id = $1', [customer.id]);
    expect(row?.notes).toBeNull();
  });

  test('another e-mail and name › the log-in follows, the live session shows them; cleared › the log-in stays', async () => {
    const customer = await createCustomer({ tenant, canLogIn: true });
    const { agent } = await login(app, customer);
    expect((await agent.get('/api/auth/verify-token')).body.data.user).toMatchObject({ email: customer.email, name: customer.name });
    const moved = { email: `moved-${customer.id}@customer.example`, name: 'Moved Once' };
    expect((await advisor.agent.patch(`/api/admin/customers/${customer.id}`).send(moved)).status).toBe(200);
    expect((await agent.get('/api/auth/verify-token')).body.data.user).toMatchObject(moved);
    await expect(login(app, { ...customer, ...moved })).resolves.toHaveProperty('token');
    await expect(login(app, customer)).rejects.toThrow();
    expect((await advisor.agent.patch(`/api/admin/customers/${customer.id}`).send({ email: null })).body.data.email).toBeNull();
    await expect(login(app, { ...customer, ...moved })).resolves.toHaveProperty('token');
  });

  test('consent given › stamped and opt-out cleared; taken back › no opt-out by the staff', async () => {
    const customer = await createCustomer({ tenant, columns: { sms_opt_out: true, sms_opt_out_method: 'STOP' } });
    const path = `/api/admin/customers/${customer.id}`;
    const read = async () =>
      (
        await admin<{ sms_consent: boolean; sms_consent_date: Date | null; sms_opt_out: boolean; sms_opt_out_method: string | null }>(
          'SELECT sms_consent, sms_consent_date, sms_opt_out, sms_opt_out_method FROM customers WHERE id = $1',
          [customer.id],
        )
      )[0];
    await advisor.agent.patch(path).send({ sms_consent: true });
    expect(await read()).toMatchObject({
      sms_consent: true,
      sms_consent_date: expect.any(Date),
      sms_opt_out: false,
      sms_opt_out_method: null,
    });
    await advisor.agent.patch(path).send({ sms_consent: false });
    expect(await read()).toMatchObject({ sms_consent: false, sms_opt_out: false });
  });

  test('the audit row cannot be written › 500, the change is not stored', async () => {
    const customer = await createCustomer({ tenant });
    await admin('REVOKE INSERT ON customer_audits FROM autoshop_app');
    try {
      const { status, body } = await advisor.agent.patch(`/api/admin/customers/${customer.id}`).send({ notes: 'Unaudited' });
      expect(status).toBe(500);
      expect(body.error).toEqual({ code: 'internal', message: 'An unexpected internal server error occurred.' });
    } finally {
      await admin('GRANT INSERT ON customer_audits TO autoshop_app');
    }
    const [row] = await admin<{ notes: string | null }>('SELECT notes FROM customers WHERE id = $1', [customer.id]);
    expect(row?.notes).toBeNull();
  });

  test('accountant › 403', async () => {
    const customer = await createCustomer({ tenant });
    expect((await accountant.agent.patch(`/api/admin/customers/${customer.id}`).send({ notes: 'x' })).status).toBe(403);
  });
});

describe('GET /api/admin/customers', () => {
  test('pages › true total, newest first, no row twice, the sizes capped', async () => {
    const shop = await createTenant();
    const { agent } = await login(app, await createStaff({ tenant: shop, role: 'Accountant' }));
    for (let index = 0; index < 30; index += 1) {
      await createCustomer({ tenant: shop, columns: { name: `Page ${index}`, created_at: ago(index * HOUR_MS) } });
    }
    await createCustomer({ tenant: shop, columns: { deleted_at: new Date() } });
    const first = (await agent.get('/api/admin/customers')).body;
    expect(first.data).toMatchObject({ page: 1, page_size: 25, total: 30, total_pages: 2 });
    expect(first.meta.pagination).toEqual({ page: 1, page_size: 25, total: 30, total_pages: 2 });
    const second = (await agent.get('/api/admin/customers?page=2')).body;
    const names = [...first.data.items, ...second.data.items].map(({ name }: { name: string }) => name);
    expect(names).toEqual(Array.from({ length: 30 }, (_, index) => `Page ${index}`));
    expect((await agent.get('/api/admin/customers?limit=1000&page=abc')).body.data).toMatchObject({ page: 1, page_size: 100, total: 30 });
    expect((await agent.get('/api/admin/customers?page=9')).body.data).toMatchObject({ items: [], total: 30 });
  });

  test('search › name, e-mail, phone and digits; % is a literal', async () => {
    const shop = await createTenant();
    const { agent } = await login(app, await createStaff({ tenant: shop, role: 'Advisor' }));
    await createCustomer({ tenant: shop, columns: { name: 'Ada Quill', email: 'ada@quill.example', phone: '(555) 123-4567' } });
    await createCustomer({ tenant: shop, columns: { name: '100% Cotton', email: null, phone: null } });
    const found = async (search: string) =>
      (await agent.get('/api/admin/customers').query({ search })).body.data.items.map(({ name }: { name: string }) => name);
    for (const text of ['quill', 'ADA@', '123-45', '5551234567', '+1 555 123 4567'])
      expect([text, await found(text)]).toEqual([text, ['Ada Quill']]);
    expect(await found('%')).toEqual(['100% Cotton']);
    expect(await found('_')).toEqual([]);
  });

  test('filters › vip by flag or spend, overdue by the last completed service', async () => {
    const shop = await createTenant();
    const { agent } = await login(app, await createStaff({ tenant: shop, role: 'Advisor' }));
    const flagged = await createCustomer({ tenant: shop, columns: { is_vip: true } });
    const spender = await createCustomer({ tenant: shop });
    const late = await createCustomer({ tenant: shop });
    await createAppointment({
      tenant: shop,
      customer: spender,
      status: 'COMPLETED',
      start: ago(DAY_MS),
      columns: { total_cents: 500_000 },
    });
    await createAppointment({ tenant: shop, customer: late, status: 'COMPLETED', start: ago(181 * DAY_MS) });
    await createAppointment({ tenant: shop, customer: late, status: 'CANCELED', start: ago(DAY_MS), columns: { total_cents: 900_000 } });
    const ids = async (filter: string) =>
      (await agent.get(`/api/admin/customers?filter=${filter}`)).body.data.items.map(({ id }: { id: string }) => Number(id)).sort();
    expect(await ids('vip')).toEqual([flagged.id, spender.id].sort());
    expect(await ids('overdue')).toEqual([late.id]);
    expect(await ids('nonsense')).toHaveLength(3);
  });

  test.each([1, 20, 500])('%i customers › one statement', async (count) => {
    const shop = await createTenant();
    const { agent } = await login(app, await createStaff({ tenant: shop, role: 'Advisor' }));
    await admin(`INSERT INTO customers (tenant_id, name) SELECT $1, 'C' || i FROM generate_series(1, $2::int) i`, [shop.id, count]);
    await agent.get('/api/admin/customers');
    const { statements, result } = await countWarmStatements(() => agent.get('/api/admin/customers?limit=100'));
    expect(statements).toHaveLength(1);
    expect(result.body.data.total).toBe(count);
  });
});

describe('customer notes', () => {
  test('written by an accountant › 200 with the note itself; listed newest first with the total', async () => {
    const customer = await createCustomer({ tenant });
    const path = `/api/admin/customers/${customer.id}/notes`;
    await advisor.agent.post(path).send({ content: 'First' });
    const { status, body } = await accountant.agent.post(path).send({ content: '  Second ', isAlert: true });
    expect(status).toBe(200);
    expect(body.data).toMatchObject({ content: 'Second', isAlert: true, authorRole: 'Accountant', id: expect.stringMatching(/^\d+$/) });
    const list = (await advisor.agent.get(`${path}?limit=1`)).body.data;
    expect(list).toMatchObject({ total: 2, limit: 1, offset: 0 });
    expect(list.notes).toEqual([body.data]);
    expect((await advisor.agent.get(`${path}?offset=5&limit=-3`)).body.data).toMatchObject({ notes: [], total: 2, limit: 50, offset: 5 });
  });

  test.each<[unknown, string]>([
    [undefined, 'content is required'],
    ['  ', 'content is required'],
    [{ a: 1 }, 'content is required'],
    ['x'.repeat(501), 'content must be <= 500 characters'],
  ])('content %p › 400 "%s"', async (content, message) => {
    const customer = await createCustomer({ tenant });
    const { status, body } = await advisor.agent.post(`/api/admin/customers/${customer.id}/notes`).send({ content });
    expect([status, body.error.code, body.message]).toEqual([400, 'bad_request', message]);
  });

  test('a limit above 100 › 400', async () => {
    const customer = await createCustomer({ tenant });
    expect((await advisor.agent.get(`/api/admin/customers/${customer.id}/notes?limit=101`)).status).toBe(400);
  });
});
