/** Reports and exports: files as their readers open them, on record, bounded, and streamed. */
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
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const FILES = [
  '/api/admin/reports/appointments.csv',
  '/api/admin/reports/payments.csv',
  '/api/admin/export/appointments',
  '/api/admin/export/invoices',
];
const APPOINTMENT_HEADER =
  'ID,Status,Start,End,Total Amount,Paid Amount,Customer Name,Customer Email,Customer Phone,Vehicle Year,Vehicle Make,Vehicle Model,Vehicle VIN,Services';
const HEADERS: Readonly<Record<string, string>> = {
  '/api/admin/reports/appointments.csv': APPOINTMENT_HEADER,
  '/api/admin/export/appointments': APPOINTMENT_HEADER,
  '/api/admin/reports/payments.csv': 'ID,Appointment ID,Amount,Payment Method,Transaction ID,Payment Date,Status',
  '/api/admin/export/invoices':
    'Invoice ID,Appointment ID,Customer Name,Status,Subtotal,Tax,Total,Paid,Due,Issued At,Paid At,Voided At,Created At',
};

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});

async function shop(timeZone = 'America/Los_Angeles'): Promise<{ tenant: Tenant; accountant: Agent }> {
  const tenant = await createTenant({ timeZone });
  return { tenant, accountant: await actAs(app, await createStaff({ tenant, role: 'Accountant' })) };
}
const lines = (text: string): string[] => text.split('\r\n').slice(0, -1);

describe.each(FILES)('GET %s', (path) => {
  test('an empty shop › the header alone, as a file nobody keeps', async () => {
    const { accountant } = await shop();
    const { status, text, headers } = await accountant.get(path);
    expect([status, text]).toEqual([200, `${HEADERS[path]}\r\n`]);
    expect(headers['content-type']).toBe('text/csv; charset=utf-8');
    expect(headers['content-disposition']).toMatch(/^attachment; filename="?(appointments|payments|invoices)_export\.csv"?$/);
    expect(headers['cache-control']).toBe('no-store');
  });

  test('format=json › an array', async () => {
    const { accountant } = await shop();
    const { body, headers } = await accountant.get(path).query({ format: 'json' });
    expect([body, headers['content-type']]).toEqual([[], 'application/json; charset=utf-8']);
    expect(headers['content-disposition']).toContain('_export.json');
  });

  test.each([
    [{ from: '01/02/2026' }, 'invalid_date_format', "Invalid 'from' date format"],
    [{ to: '2026-02-30' }, 'invalid_date_format', "Invalid 'to' date format"],
    [{ from: '2026-02-02', to: '2026-02-01' }, 'invalid_date_format', "'from' must not be after 'to'"],
    [{ status: 'DONE' }, 'invalid_status', 'Invalid status'],
    [{ format: 'xlsx' }, 'bad_request', "Invalid 'format' parameter"],
  ])('%j › 400 in the envelope, and nothing on record', async (query, code, message) => {
    const { tenant, accountant } = await shop();
    const { status, body } = await accountant.get(path).query(query);
    expect([status, body.ok, body.error]).toEqual([400, false, { code, message }]);
    expect(await admin('SELECT action FROM audit_logs WHERE tenant_id = $1', [tenant.id])).toEqual([]);
  });

  test('a technician › 403', async () => {
    const { tenant } = await shop();
    const technician = await actAs(app, await createStaff({ tenant, role: 'Technician' }));
    expect((await technician.get(path)).status).toBe(403);
  });
});

test('appointments › every column, services joined, newest first; deleted ones and other shops are not there', async () => {
  const { tenant, accountant } = await shop();
  const customer = await createCustomer({ tenant, columns: { name: '=1+1', phone: '+15550001111' } });
  const vehicle = await createVehicle({ customer, columns: { make: 'Say "Hi"', model: 'A,B' } });
  const start = new Date('2026-03-01T18:00:00Z');
  const done = await createAppointment({ tenant, vehicle, start, status: 'COMPLETED', columns: { total_cents: 12_345, paid_cents: 45 } });
  await addAppointmentService(done, { columns: { name: 'Oil', created_at: new Date(1) } });
  await addAppointmentService(done, { columns: { name: '-Filter', created_at: new Date(2) } });
  await addAppointmentService(done, { columns: { name: 'Gone', deleted_at: new Date() } });
  const bare = await createAppointment({ tenant, start: new Date('2026-03-02T18:00:00Z'), columns: { end_ts: null } });
  await createAppointment({ tenant, start, columns: { deleted_at: start } });
  await createAppointment({ tenant: await createTenant(), start });
  const { text } = await accountant.get('/api/admin/export/appointments');
  expect(lines(text)).toEqual([
    APPOINTMENT_HEADER,
    `${bare.id},SCHEDULED,2026-03-02T18:00:00.000Z,,,0.00,,,,,,,,`,
    `${done.id},COMPLETED,2026-03-01T18:00:00.000Z,2026-03-01T19:00:00.000Z,123.45,0.45,'=1+1,${customer.email},'+15550001111,2019,"Say ""Hi""","A,B",${vehicle.vin},Oil; -Filter`,
  ]);
  const json = await accountant.get('/api/admin/reports/appointments.csv').query({ format: 'json', status: 'completed' });
  expect(json.body).toEqual([
    {
      id: done.id,
      status: 'COMPLETED',
      start: '2026-03-01T18:00:00.000Z',
      end: '2026-03-01T19:00:00.000Z',
      total_amount: '123.45',
      paid_amount: '0.45',
      customer_name: '=1+1',
      customer_email: customer.email,
      customer_phone: '+15550001111',
      vehicle_year: 2019,
      vehicle_make: 'Say "Hi"',
      vehicle_model: 'A,B',
      vehicle_vin: vehicle.vin,
      services: 'Oil; -Filter',
    },
  ]);
});

test('from and to › whole days of the shop, both inclusive; both spellings of canceled', async () => {
  const { tenant, accountant } = await shop('Pacific/Auckland');
  const at = async (instant: string) =>
    String((await createAppointment({ tenant, start: new Date(instant), status: 'CANCELED', columns: { end_ts: null } })).id);
  await at('2026-06-30T11:59:59Z');
  const first = await at('2026-06-30T12:00:00Z');
  const last = await at('2026-07-01T11:59:59Z');
  await at('2026-07-01T12:00:00Z');
  for (const status of ['CANCELED', 'cancelled']) {
    const { text } = await accountant.get('/api/admin/reports/appointments.csv').query({ from: '2026-07-01', to: '2026-07-01', status });
    expect(lines(text).map((line) => line.split(',')[0])).toEqual(['ID', last, first]);
  }
  expect(await admin('SELECT action, entity, entity_id, role, after FROM audit_logs WHERE tenant_id = $1 LIMIT 1', [tenant.id])).toEqual([
    {
      action: 'CSV_EXPORT',
      entity: 'export',
      entity_id: 'appointments',
      role: 'Accountant',
      after: { from: '2026-07-01', to: '2026-07-01', status: 'CANCELED', format: 'csv', rows: 2 },
    },
  ]);
});

test('payments › dollars, the shop’s day, voided and refunds told apart', async () => {
  const { tenant, accountant } = await shop('Pacific/Auckland');
  const appointment = await createAppointment({ tenant, status: 'COMPLETED' });
  const invoice = await createInvoice({ appointment, totalCents: 10_000 });
  const pay = async (amountCents: number, columns: Record<string, unknown>) =>
    (await createPayment({ appointment, invoice, amountCents, columns })).id;
  const paid = await pay(9_999, { received_at: '2026-01-01T10:00:00Z', external_ref: '@ref' });
  const refund = await pay(-500, { received_at: '2026-01-01T11:00:00Z', method: 'cash' });
  const voided = await pay(1, { received_at: '2026-01-02T11:00:00Z', voided_at: '2026-01-02T12:00:00Z' });
  const read = async (query: object) => lines((await accountant.get('/api/admin/reports/payments.csv').query(query)).text).slice(1);
  expect(await read({})).toEqual([
    `${voided},${appointment.id},0.01,card,,2026-01-03,voided`,
    `${refund},${appointment.id},-5.00,cash,,2026-01-02,refund`,
    `${paid},${appointment.id},99.99,card,'@ref,2026-01-01,completed`,
  ]);
  expect(await read({ from: '2026-01-02', to: '2026-01-02' })).toHaveLength(1);
  expect(await read({ status: 'COMPLETED' })).toHaveLength(3);
  expect(await read({ status: 'READY' })).toEqual([]);
});

test('invoices › dollars with two decimals, by creation', async () => {
  const { tenant, accountant } = await shop();
  const customer = await createCustomer({ tenant });
  const appointment = await createAppointment({ tenant, customer, status: 'COMPLETED' });
  const { id } = await createInvoice({
    appointment,
    customer,
    totalCents: 1_000,
    columns: {
      subtotal_cents: 900,
      tax_cents: 100,
      amount_paid_cents: 333,
      amount_due_cents: 667,
      status: 'PARTIALLY_PAID',
      issued_at: '2026-01-02T00:00:00Z',
      created_at: '2026-01-01T00:00:00Z',
    },
  });
  const { text } = await accountant.get('/api/admin/export/invoices').query({ status: 'partially_paid' });
  expect(lines(text)[1]).toBe(
    `${id},${appointment.id},${customer.name},PARTIALLY_PAID,9.00,1.00,10.00,3.33,6.67,2026-01-02T00:00:00.000Z,,,2026-01-01T00:00:00.000Z`,
  );
  expect((await accountant.get('/api/admin/export/invoices').query({ status: 'PAID' })).text).toBe(
    `${HEADERS['/api/admin/export/invoices']}\r\n`,
  );
});

test('the sixth file within the hour, of whatever kind › 429 with the time to wait', async () => {
  const { tenant } = await shop();
  const agent = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
  for (const path of [...FILES, '/api/admin/export/customers']) expect((await agent.get(path)).status).toBe(200);
  const { status, body, headers } = await agent.get(FILES[0] as string);
  expect([status, body.error.code, body.error.message]).toEqual([429, 'rate_limited', 'Rate limit exceeded']);
  expect(Number(headers['retry-after'])).toBeGreaterThan(3_000);
  const colleague = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
  expect((await colleague.get(FILES[0] as string)).status).toBe(200);
});

test('the record cannot be written › no file', async () => {
  const { accountant } = await shop();
  await admin('REVOKE INSERT ON audit_logs FROM autoshop_app');
  try {
    const { status, text } = await accountant.get('/api/admin/export/invoices');
    expect([status, text.includes('Invoice ID')]).toEqual([500, false]);
  } finally {
    await admin('GRANT INSERT ON audit_logs TO autoshop_app');
  }
});
