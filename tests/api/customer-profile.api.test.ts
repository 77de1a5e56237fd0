/** Profile pages of customers and vehicles, history, visits and the export. @core */
import { admin } from '../support/database';
import {
  addAppointmentService,
  createAppointment,
  createCustomer,
  createInvoice,
  createPayment,
  createStaff,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { login, loginWithCookies, type Session, startApp, type TestApp } from '../support/server';
import { countWarmStatements } from '../support/warm-statements';

const DAY_MS = 86_400_000;
const ago = (days: number): Date => new Date(Date.now() - days * DAY_MS);

let app: TestApp;
/** Los Angeles: eight hours behind UTC in winter. */
let tenant: Tenant;
let advisor: Session;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  advisor = await login(app, await createStaff({ tenant, role: 'Advisor' }));
});

describe('GET /api/admin/customers/:id/profile', () => {
  test('figures from invoices and finished visits, everything at the root too', async () => {
    const customer = await createCustomer({ tenant, columns: { is_vip: true } });
    const vehicle = await createVehicle({ customer });
    const checkedOut = ago(4);
    const done = await createAppointment({ tenant, vehicle, status: 'COMPLETED', start: ago(5), columns: { check_out_at: checkedOut } });
    const line = await addAppointmentService(done, { columns: { name: 'Brakes' } });
    const ready = await createAppointment({ tenant, vehicle, status: 'READY', start: ago(9) });
    const off = await createAppointment({ tenant, customer, status: 'CANCELED', start: ago(1) });
    const invoice = await createInvoice({
      appointment: done,
      customer,
      totalCents: 10_050,
      columns: { amount_paid_cents: 50, amount_due_cents: 10_000 },
    });
    await createInvoice({ appointment: ready, customer, totalCents: 20_000 });
    await createInvoice({ appointment: ready, customer, totalCents: 99_999, columns: { status: 'VOID' } });

    const { status, body, headers } = await advisor.agent.get(`/api/admin/customers/${customer.id}/profile?include_invoices=true`);

    expect(status).toBe(200);
    expect(body.data.stats).toMatchObject({
      lifetime_spend: 300.5,
      unpaid_balance: 300,
      total_visits: 2,
      last_service_at: checkedOut.toISOString(),
      avg_ticket: 150.25,
      isVip: true,
      vehiclesCount: 1,
    });
    expect(body.data.customer).toMatchObject({ id: String(customer.id), full_name: customer.name, is_vip: true });
    expect(body.data.appointments.map(({ id }: { id: string }) => id)).toEqual([off, done, ready].map(({ id }) => String(id)));
    expect(body.data.appointments[0]).toMatchObject({ vehicle_id: null, services: [], invoice: null, status: 'CANCELED' });
    expect(body.data.appointments[1]).toMatchObject({
      vehicle_id: String(vehicle.id),
      scheduled_at: done.start.toISOString(),
      services: [{ service_id: line.id, name: 'Brakes', display_order: 1 }],
      invoice: { id: invoice.id, total: 100.5, paid: 0.5, unpaid: 100 },
    });
    expect(body.data.page).toEqual({ page_size: 25, has_more: false, next_cursor: null });
    for (const key of ['customer', 'stats', 'vehicles', 'appointments', 'page']) expect(body[key]).toEqual(body.data[key]);
    expect(headers['etag']).toContain(body.data.customer._etag);
    const plain = await advisor.agent.get(`/api/admin/customers/${customer.id}/profile`);
    expect(plain.body.data.appointments[1].invoice).toBeNull();
  });

  test('nobody served yet › zeros and nulls, arrays empty', async () => {
    const customer = await createCustomer({ tenant });
    const { body } = await advisor.agent.get(`/api/admin/customers/${customer.id}/profile`);
    expect(body.data.stats).toMatchObject({
      lifetime_spend: 0,
      unpaid_balance: 0,
      total_visits: 0,
      last_service_at: null,
      avg_ticket: 0,
      last_visit_at: null,
    });
    expect([body.vehicles, body.appointments]).toEqual([[], []]);
  });

  test('pages by cursor › every appointment once, newest first, also those that start in the same microsecond', async () => {
    const customer = await createCustomer({ tenant });
    await admin(
      `INSERT INTO appointments (tenant_id, customer_id, status, start_ts, block_end_ts)
       SELECT $1, $2, 'COMPLETED', timestamptz '2026-01-01 12:00:00.000123Z' + (i / 3) * interval '1 microsecond', '2026-01-02' FROM generate_series(1, 23) i`,
      [tenant.id, customer.id],
    );
    const seen: number[] = [];
    let cursor: string | null = '';
    for (let pages = 0; cursor !== null; pages += 1) {
      expect(pages).toBeLessThan(6);
      const path: string = `/api/admin/customers/${customer.id}/profile?limit_appointments=5&cursor=${cursor}`;
      const { statements, result } = await countWarmStatements(() => advisor.agent.get(path));
      expect(statements).toHaveLength(1);
      seen.push(...result.body.appointments.map(({ id }: { id: string }) => Number(id)));
      expect(result.body.page.has_more).toBe(result.body.page.next_cursor !== null);
      cursor = result.body.page.next_cursor as string | null;
    }
    expect(seen).toEqual([...seen].sort((a, b) => b - a));
    expect(new Set(seen).size).toBe(23);
  });

  test('from and to › the tenant’s days, both ends included; a cursor makes them ignored', async () => {
    const customer = await createCustomer({ tenant });
    const at = async (instant: string) => String((await createAppointment({ tenant, customer, start: new Date(instant) })).id);
    // Midnight in Los Angeles is 08:00 UTC in January.
    const [before, first, last, after] = [
      await at('2026-01-10T07:59:59Z'),
      await at('2026-01-10T08:00:00Z'),
      await at('2026-01-12T07:59:59Z'),
      await at('2026-01-12T08:00:00Z'),
    ];
    const ids = async (query: string) =>
      (await advisor.agent.get(`/api/admin/customers/${customer.id}/profile?${query}`)).body.appointments.map(
        ({ id }: { id: string }) => id,
      );
    expect(await ids('from=2026-01-10&to=2026-01-11')).toEqual([last, first]);
    expect(await ids('from=2026-01-12')).toEqual([after]);
    expect(await ids('to=2026-01-09')).toEqual([before]);
    const cursor = Buffer.from(`2026-01-12T07:59:59.000000Z|${last}`).toString('base64url');
    expect(await ids(`from=2026-01-12&cursor=${cursor}`)).toEqual([first, before]);
  });

  test.each([
    'limit_appointments=101',
    'limit_appointments=ten',
    'limit_appointments=1.5',
    'from=yesterday',
    'from=2026-02-30',
    'to=2026-13-01',
    'from=2026-02-02&to=2026-02-01',
    'cursor=rubbish',
    `cursor=${Buffer.from('2026-01-01T00:00:00Z|x').toString('base64url')}`,
    'vehicle_id=999999999',
    'vehicle_id=abc',
  ])('%s › 400 bad_request', async (query) => {
    const customer = await createCustomer({ tenant });
    const { status, body } = await advisor.agent.get(`/api/admin/customers/${customer.id}/profile?${query}`);
    expect([status, body.error.code]).toEqual([400, 'bad_request']);
  });

  test('limit 0 and -5 › 25; vehicle_id › its appointments; another’s vehicle › 400 that says so', async () => {
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer });
    const mine = await createAppointment({ tenant, vehicle });
    await createAppointment({ tenant, customer });
    const path = `/api/admin/customers/${customer.id}/profile`;
    for (const limit of [0, -5]) expect((await advisor.agent.get(`${path}?limit_appointments=${limit}`)).body.page.page_size).toBe(25);
    const filtered = (await advisor.agent.get(`${path}?vehicle_id=${vehicle.id}`)).body.appointments;
    expect(filtered.map(({ id }: { id: string }) => id)).toEqual([String(mine.id)]);
    const foreign = await createVehicle({ customer: await createCustomer({ tenant }) });
    const refused = await advisor.agent.get(`${path}?vehicle_id=${foreign.id}`);
    expect([refused.status, refused.body.message]).toEqual([400, 'vehicle does not belong to customer']);
  });

  test('the tag sent back › 304; a changed appointment › 200', async () => {
    const customer = await createCustomer({ tenant });
    const { id } = await createAppointment({ tenant, customer });
    const path = `/api/admin/customers/${customer.id}/profile`;
    const { headers } = await advisor.agent.get(path);
    expect(headers['cache-control']).toBe('private, no-cache');
    expect((await advisor.agent.get(path).set('If-None-Match', headers['etag'] as string)).status).toBe(304);
    await admin(`UPDATE appointments SET status = 'READY' WHERE id = $1`, [id]);
    expect((await advisor.agent.get(path).set('If-None-Match', headers['etag'] as string)).status).toBe(200);
  });

  test('cookies, an empty Bearer, no tenant and no CSRF header › profile, notes and vehicle page load, a note can be posted', async () => {
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer });
    const { agent } = await loginWithCookies(app, await createStaff({ tenant, role: 'Advisor' }));
    const bare = (request: ReturnType<typeof agent.get>) =>
      request
        .unset('X-Tenant-Id')
        .unset('X-CSRF-Token')
        .set('Authorization', 'Bearer ')
        .set('Sec-Fetch-Site', 'same-origin')
        .set('Origin', app.url);
    expect((await bare(agent.get(`/api/admin/customers/${customer.id}/profile`))).status).toBe(200);
    expect((await bare(agent.get(`/api/admin/customers/${customer.id}/notes`))).status).toBe(200);
    expect((await bare(agent.get(`/api/admin/vehicles/${vehicle.id}/profile`))).status).toBe(200);
    expect((await bare(agent.post(`/api/admin/customers/${customer.id}/notes`)).send({ content: 'Hi' })).status).toBe(200);
  });
});

describe('GET /api/admin/vehicles/:id/profile', () => {
  test('by id, and by plate in any writing › header, figures, time line, tag', async () => {
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer, columns: { license_plate: 'VP-77 Q', trim: 'EX' } });
    const done = await createAppointment({ tenant, vehicle, status: 'COMPLETED', start: ago(3), columns: { total_cents: 8_000 } });
    await addAppointmentService(done, { columns: { name: 'Tyres' } });
    await createAppointment({ tenant, vehicle, status: 'CANCELED', start: ago(2), columns: { total_cents: 90_000 } });
    await createInvoice({ appointment: done, customer, totalCents: 8_000 });
    const { body, headers } = await advisor.agent.get(`/api/admin/vehicles/${vehicle.id}/profile?include_invoices=true&page_size=25`);
    expect(body.data.header).toEqual({
      vehicle_id: String(vehicle.id),
      year: 2019,
      make: 'Aurora',
      model: 'Hatch',
      trim: 'EX',
      plate: 'VP-77 Q',
      vin: vehicle.vin,
      customer_id: String(customer.id),
      customer_name: customer.name,
    });
    expect(body.data.stats).toEqual({
      lifetime_spend: 80,
      total_visits: 1,
      completed_visits: 1,
      last_service_at: done.start.toISOString(),
      avg_ticket: 80,
    });
    expect(body.data.timeline).toHaveLength(2);
    expect(body.data.timeline[1]).toMatchObject({
      id: String(done.id),
      type: 'appointment',
      occurred_at: done.start.toISOString(),
      services: [{ name: 'Tyres' }],
      invoice: { total: 80, paid: 0, unpaid: 80 },
    });
    expect(body.data.page).toEqual({ next_cursor: null, has_more: false, page_size: 25 });
    expect(headers['etag']).toContain(body.data.etag);
    expect(body).not.toHaveProperty('header');
    for (const plate of ['VP-77 Q', 'vp77q']) {
      const { body: found } = await advisor.agent.get(`/api/admin/vehicles/${encodeURIComponent(plate)}/profile`);
      expect(found.data.header.vehicle_id).toBe(String(vehicle.id));
    }
    const again = await advisor.agent
      .get(`/api/admin/vehicles/${vehicle.id}/profile?include_invoices=true&page_size=25`)
      .set('If-None-Match', headers['etag'] as string);
    expect(again.status).toBe(304);
  });

  test('status, owner, range, cursor › narrowed; bad ones › 400; unknown › 404', async () => {
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer });
    for (const day of [1, 2, 3]) await createAppointment({ tenant, vehicle, status: 'COMPLETED', start: ago(day) });
    await createAppointment({ tenant, vehicle, status: 'NO_SHOW', start: ago(4) });
    const get = (query: string) => advisor.agent.get(`/api/admin/vehicles/${vehicle.id}/profile?${query}`);
    expect((await get('status=no-show')).body.data.timeline).toHaveLength(1);
    const first = (await get('page_size=3')).body.data;
    expect(first.page).toMatchObject({ has_more: true, page_size: 3 });
    expect((await get(`page_size=3&cursor=${first.page.next_cursor}`)).body.data.timeline).toHaveLength(1);
    expect((await get(`customer_id=${customer.id}`)).status).toBe(200);
    for (const query of ['status=LOST', 'page_size=51', 'cursor=x', 'from=x', `customer_id=${customer.id + 1_000_000}`, 'customer_id=x']) {
      expect([query, (await get(query)).status]).toEqual([query, 400]);
    }
    expect((await get('customer_id=1')).body.message).toBe('vehicle does not belong to customer');
    for (const id of ['999999999', 'NOPLATE', '%25'])
      expect((await advisor.agent.get(`/api/admin/vehicles/${id}/profile`)).status).toBe(404);
  });
});

describe('GET /api/customers/:id/history', () => {
  test('closed appointments newest first, payments under them and flat; open, deleted and voided left out', async () => {
    const customer = await createCustomer({ tenant });
    const done = await createAppointment({
      tenant,
      customer,
      status: 'COMPLETED',
      start: ago(5),
      columns: { total_cents: 12_050, paid_cents: 5_000 },
    });
    const missed = await createAppointment({ tenant, customer, status: 'NO_SHOW', start: ago(3) });
    await createAppointment({ tenant, customer, status: 'IN_PROGRESS', start: ago(1) });
    await createAppointment({ tenant, customer, status: 'COMPLETED', start: ago(2), columns: { deleted_at: new Date() } });
    const invoice = await createInvoice({ appointment: done, customer, totalCents: 12_050 });
    const older = await createPayment({ appointment: done, invoice, amountCents: 1_000, columns: { created_at: ago(2) } });
    const newer = await createPayment({ appointment: done, invoice, amountCents: 4_000, columns: { created_at: ago(1) } });
    await createPayment({ appointment: done, invoice, amountCents: 7_000, columns: { voided_at: new Date() } });
    const { body } = await advisor.agent.get(`/api/customers/${customer.id}/history`);
    expect(body.data.pastAppointments.map(({ id }: { id: string }) => id)).toEqual([String(missed.id), String(done.id)]);
    expect(body.data.pastAppointments[1]).toMatchObject({
      status: 'COMPLETED',
      start: done.start.toISOString(),
      total_amount: 120.5,
      paid_amount: 50,
      payments: [{ id: newer.id, amount: 40, method: 'card' }, { id: older.id }],
    });
    expect(body.data.payments.map(({ id }: { id: string }) => id)).toEqual([newer.id, older.id]);
    expect(body.data).not.toHaveProperty('data');
    expect(body).not.toHaveProperty('pastAppointments');
  });

  test.each([1, 20, 500])('%i appointments › one statement', async (count) => {
    const customer = await createCustomer({ tenant });
    await admin(
      `INSERT INTO appointments (tenant_id, customer_id, status, start_ts, block_end_ts)
       SELECT $1, $2, 'COMPLETED', now() - i * interval '1 hour', now() FROM generate_series(1, $3::int) i`,
      [tenant.id, customer.id, count],
    );
    await advisor.agent.get('/api/customers/1/history');
    const { result, statements } = await countWarmStatements(() => advisor.agent.get(`/api/customers/${customer.id}/history`));
    expect(statements).toHaveLength(1);
    expect(result.body.data.pastAppointments).toHaveLength(count);
  });

  test('unknown, no number › 404; technician › 403; a customer › 403', async () => {
    for (const id of ['999999999', 'abc']) expect((await advisor.agent.get(`/api/customers/${id}/history`)).status).toBe(404);
    const customer = await createCustomer({ tenant, canLogIn: true });
    const tech = await login(app, await createStaff({ tenant, role: 'Technician' }));
    expect((await tech.agent.get(`/api/customers/${customer.id}/history`)).status).toBe(403);
    expect((await (await login(app, customer)).agent.get(`/api/customers/${customer.id}/history`)).status).toBe(403);
  });
});

describe('visits', () => {
  test('of a customer and of a plate › work typed and summed up, warranty told, notes as texts', async () => {
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer, columns: { license_plate: 'WAR 100' } });
    const visit = await createAppointment({
      tenant,
      vehicle,
      status: 'COMPLETED',
      start: ago(30),
      columns: { total_cents: 45_000, notes: ' Squeaks ' },
    });
    const add = (name: string, columns: Record<string, unknown>) => addAppointmentService(visit, { columns: { name, ...columns } });
    await add('Oil filter', { estimated_price_cents: 25_000, notes: 'Warranty: 2 years / 24,000 miles', created_at: ago(3) });
    await add('Diagnostic scan', { estimated_price_cents: 30_000, created_at: ago(2) });
    await add('Brake labor', { estimated_price_cents: 9_000, created_at: ago(1) });
    const { body } = await advisor.agent.get(`/api/admin/customers/${customer.id}/visits`);
    const [shown] = body.data.visits;
    expect(shown).toMatchObject({
      id: String(visit.id),
      status: 'COMPLETED',
      price: 450,
      vehicle: '2019 Aurora Hatch',
      plate: 'WAR 100',
      notes: ['Squeaks'],
      service_summary: { parts: 1, labor: 1, diagnostic: 1, total_services: 3 },
      is_completed: true,
      has_warranty_active: true,
      major_services: ['Oil filter'],
    });
    expect(shown.services[0].warranty).toMatchObject({ status: 'Active', info: expect.stringMatching(/^\d+ days remaining$/) });
    expect(shown.services[1]).toMatchObject({ service_type: 'Diagnostic', warranty: { status: 'N/A', info: null, expires_at: null } });
    const byPlate = await advisor.agent.get('/api/admin/vehicles/war-100/visits');
    expect(byPlate.body.data).toEqual(body.data);
    expect((await advisor.agent.get('/api/admin/vehicles/%25/visits')).status).toBe(404);
    expect((await app.agent().get('/api/admin/vehicles/war-100/visits')).status).toBe(401);
  });
});

describe('GET /api/admin/export/customers', () => {
  const exporter = async (shop: Tenant) => (await login(app, await createStaff({ tenant: shop, role: 'Accountant' }))).agent;
  const HEADER = 'ID,Name,Email,Phone,Address,VIP,Tags,Created At,Vehicles,Visits,Total Spent,Last Service';

  test('a file of all customers › quoted, formulas disarmed, on record with its filters and rows', async () => {
    const shop = await createTenant();
    const agent = await exporter(shop);
    const customer = await createCustomer({
      tenant: shop,
      columns: {
        name: '=HYPERLINK("x")',
        email: 'a@b.example',
        phone: '+15550001111',
        tags: JSON.stringify(['a', 'b']),
        address: '1 Road, Town',
        created_at: '2026-01-05T10:00:00Z',
      },
    });
    await createVehicle({ customer });
    // 03:00 UTC is still the day before in Los Angeles.
    await createAppointment({
      tenant: shop,
      customer,
      status: 'COMPLETED',
      start: new Date('2026-02-02T03:00:00Z'),
      columns: { total_cents: 12_340 },
    });
    const { status, text, headers } = await agent.get('/api/admin/export/customers?filter=all');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/csv; charset=utf-8');
    expect(headers['content-disposition']).toBe('attachment; filename=customers_export.csv');
    expect(headers['cache-control']).toBe('no-store');
    expect(text).toBe(
      `${HEADER}\r\n${customer.id},"'=HYPERLINK(""x"")",a@b.example,'+15550001111,"1 Road, Town",false,a; b,2026-01-05T10:00:00.000Z,1,1,123.40,2026-02-01\r\n`,
    );
    const audits = await admin<{ action: string; after: unknown }>(
      'SELECT action, after FROM audit_logs WHERE tenant_id = $1 AND action = $2',
      [shop.id, 'EXPORT_RUN'],
    );
    expect(audits).toEqual([{ action: 'EXPORT_RUN', after: { from: null, to: null, filter: 'all', rows: 1 } }]);
  });

  test('from and to › the tenant’s days; nobody in them › the header alone; bad ones › 400', async () => {
    const shop = await createTenant();
    const agent = await exporter(shop);
    for (const at of ['2026-01-10T07:59:59Z', '2026-01-10T08:00:00Z', '2026-01-11T07:59:59Z', '2026-01-11T08:00:00Z']) {
      await createCustomer({ tenant: shop, columns: { created_at: at } });
    }
    const lines = async (query: string) =>
      (await agent.get(`/api/admin/export/customers?${query}`)).text.trimEnd().split('\r\n').length - 1;
    expect(await lines('from=2026-01-10&to=2026-01-10')).toBe(2);
    expect(await lines('from=2030-01-01')).toBe(0);
    expect((await agent.get('/api/admin/export/customers?from=x')).status).toBe(400);
  });

  test('more rows than a batch › all of them, each once', async () => {
    const shop = await createTenant();
    const agent = await exporter(shop);
    await admin(`INSERT INTO customers (tenant_id, name) SELECT $1, 'Row ' || i FROM generate_series(1, 2500) i`, [shop.id]);
    const { text } = await agent.get('/api/admin/export/customers');
    const ids = text
      .trimEnd()
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(',')[0]);
    expect(new Set(ids).size).toBe(2500);
  });

  test('the sixth within an hour › 429 with Retry-After; a colleague still may', async () => {
    const shop = await createTenant();
    const agent = await exporter(shop);
    const statuses: number[] = [];
    for (let run = 0; run < 6; run += 1) statuses.push((await agent.get('/api/admin/export/customers')).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
    const refused = await agent.get('/api/admin/export/customers');
    expect(refused.body.error.code).toBe('rate_limited');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await (await exporter(shop)).get('/api/admin/export/customers')).status).toBe(200);
  });

  test('technician › 403, nothing on record', async () => {
    const shop = await createTenant();
    const { agent } = await login(app, await createStaff({ tenant: shop, role: 'Technician' }));
    expect((await agent.get('/api/admin/export/customers')).status).toBe(403);
    expect(await admin(`SELECT id FROM audit_logs WHERE tenant_id = $1 AND action = 'EXPORT_RUN'`, [shop.id])).toEqual([]);
  });
});
