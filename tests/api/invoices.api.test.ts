import { admin } from '../support/database';
import {
  type Appointment,
  addAppointmentService,
  type Customer,
  createAppointment,
  createCustomer,
  createServiceOperation,
  createStaff,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';
import { countWarmStatements } from '../support/warm-statements';

let app: TestApp;
let tenant: Tenant;
let owner: Agent;
let advisor: Agent;
let accountant: Agent;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  owner = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
  advisor = await actAs(app, await createStaff({ tenant, role: 'Advisor' }));
  accountant = await actAs(app, await createStaff({ tenant, role: 'Accountant' }));
});

/** A completed appointment with one line for each price. */
async function completed(
  prices: readonly (number | null)[],
  { shop = tenant, customer, columns = {} }: { shop?: Tenant; customer?: Customer; columns?: Record<string, unknown> } = {},
): Promise<Appointment> {
  const appointment = await createAppointment({ tenant: shop, ...(customer ? { customer } : {}), status: 'COMPLETED', columns });
  for (const cents of prices) await addAppointmentService(appointment, { columns: { estimated_price_cents: cents } });
  return appointment;
}
const generate = (appointment: Appointment, agent = advisor) => agent.post(`/api/admin/appointments/${appointment.id}/invoice`);
async function invoiced(prices: readonly (number | null)[], options: Parameters<typeof completed>[1] = {}) {
  const appointment = await completed(prices, options);
  const { status, body } = await generate(appointment);
  expect([status, body.error]).toEqual([201, null]);
  return { appointment, id: body.data.id as string, body: body.data };
}
const pay = (id: string, body: object, agent = advisor) =>
  agent.post(`/api/admin/invoices/${id}/payments`).send({ method: 'card', ...body });
const detailOf = async (id: string | number) => (await advisor.get(`/api/admin/invoices/${id}`)).body.data;
const appointmentRow = async ({ id }: Appointment) =>
  (await admin<{ total_cents: string; paid_cents: string }>('SELECT total_cents, paid_cents FROM appointments WHERE id = $1', [id]))[0];
const audits = async (entityId: string) =>
  (
    await admin<{ action: string }>('SELECT action FROM audit_logs WHERE tenant_id = $1 AND entity_id = $2 ORDER BY created_at, id', [
      tenant.id,
      entityId,
    ])
  ).map(({ action }) => action);
const refusal = ({ status, body }: { status: number; body: { error: { code: string; message: string } } }) => [
  status,
  body.error.code,
  body.error.message,
];

/** A package of catalogue rows: price of the package, prices and quantities of the children. */
async function createPackage(packageCents: number | null, children: readonly [cents: number | null, qty: number][], shop = tenant) {
  const bundle = await createServiceOperation({
    tenant: shop,
    columns: { is_package: true, default_price_cents: packageCents, name: 'Bundle' },
  });
  for (const [index, [cents, qty]] of children.entries()) {
    const child = await createServiceOperation({ tenant: shop, columns: { default_price_cents: cents, name: `Part ${index}` } });
    await admin('INSERT INTO package_items (tenant_id, service_id, child_id, qty, sort_order) VALUES ($1, $2, $3, $4, $5)', [
      shop.id,
      bundle.id,
      child.id,
      qty,
      index,
    ]);
  }
  return bundle;
}
const addPackage = (id: string, packageId: unknown, agent = advisor) =>
  agent.post(`/api/admin/invoices/${id}/add-package`).send({ package_id: packageId });

describe('POST /api/admin/appointments/:id/invoice', () => {
  test('completed, with lines › 201, a copy of the lines in order, tax per line, numbers from 1, total on the appointment', async () => {
    const shop = await createTenant({ settings: { tax_basis_points: 875 } });
    const agent = await actAs(app, await createStaff({ tenant: shop, role: 'Accountant' }));
    const customer = await createCustomer({ tenant: shop });
    const operation = await createServiceOperation({ tenant: shop, columns: { default_price_cents: 12_345, category: 'BRAKES' } });
    const appointment = await createAppointment({ tenant: shop, customer, status: 'COMPLETED' });
    await addAppointmentService(appointment, { operation, columns: { notes: 'front axle', category: 'BRAKES' } });
    await addAppointmentService(appointment, { columns: { name: 'Free check', estimated_price_cents: null } });
    await addAppointmentService(appointment, { columns: { name: 'Wash', estimated_price_cents: 1_006 } });
    const { status, body, headers } = await generate(appointment, agent);
    expect([status, body.error]).toEqual([201, null]);
    // 12,345 · 8.75 % = 1,080.19 -> 1,080; 1,006 · 8.75 % = 88.025 -> 88.
    expect(body.data).toMatchObject({
      appointment_id: String(appointment.id),
      status: 'DRAFT',
      subtotal_cents: 13_351,
      tax_cents: 1_168,
      total_cents: 14_519,
      amount_paid_cents: 0,
      amount_due_cents: 14_519,
      currency: 'USD',
      invoice: { id: body.data.id, number: 1, customer_id: String(customer.id), customer_name: customer.name, issued_at: null },
    });
    expect(headers['location']).toBe(`/api/admin/invoices/${body.data.id}`);
    const lines = body.data.line_items as { position: number; name: string; description: string | null; total_cents: number }[];
    expect(lines.map(({ position, name, description, total_cents }) => [position, name, description, total_cents])).toEqual([
      [0, operation.name, 'front axle', 13_425],
      [1, 'Free check', null, 0],
      [2, 'Wash', null, 1_094],
    ]);
    const rows = await admin(
      'SELECT service_category, service_internal_code FROM invoice_line_items WHERE invoice_id = $1 ORDER BY position',
      [body.data.id],
    );
    expect(rows[0]).toEqual({ service_category: 'BRAKES', service_internal_code: operation.code });
    expect(await appointmentRow(appointment)).toEqual({ total_cents: '14519', paid_cents: '0' });
    const bundle = await agent.get(`/api/appointments/${appointment.id}`);
    expect(bundle.body.data.appointment.invoice_id).toBe(body.data.id);
    const trail = await admin('SELECT action FROM audit_logs WHERE tenant_id = $1', [shop.id]);
    expect(trail).toEqual([{ action: 'INVOICE_CREATE' }]);
  });

  test('the tax rate changes later › the invoice keeps its own, also for packages', async () => {
    const shop = await createTenant({ settings: { tax_basis_points: 1_000 } });
    const agent = await actAs(app, await createStaff({ tenant: shop, role: 'Owner' }));
    const { body } = await generate(await completed([10_000], { shop }), agent);
    await admin('UPDATE tenant_settings SET tax_basis_points = 0 WHERE tenant_id = $1', [shop.id]);
    const bundle = await createPackage(null, [[5_000, 1]], shop);
    const added = await addPackage(body.data.id, bundle.id, agent);
    expect(added.body.data.invoice).toMatchObject({ subtotal_cents: 15_000, tax_cents: 1_500, total_cents: 16_500 });
  });

  test('no services › an invoice over nothing that stays a draft and cannot be paid', async () => {
    const { id, body } = await invoiced([]);
    expect(body).toMatchObject({ status: 'DRAFT', total_cents: 0, amount_due_cents: 0, line_items: [] });
    expect(refusal(await pay(id, { amountCents: 1 }))).toEqual([400, 'already_paid', 'Invoice already fully paid']);
  });

  test.each(['SCHEDULED', 'IN_PROGRESS', 'READY', 'NO_SHOW', 'CANCELED'] as const)('%s › 400 invalid_state', async (status) => {
    const appointment = await createAppointment({ tenant, status });
    expect(refusal(await generate(appointment))).toEqual([400, 'invalid_state', `Appointment status ${status} not billable`]);
  });

  test('twice › 409 with the id of the first; after a void › again, with the next number', async () => {
    const { appointment, id, body } = await invoiced([2_500]);
    const again = await generate(appointment);
    expect(refusal(again)).toEqual([409, 'already_exists', 'Invoice already exists for appointment']);
    expect(again.body.error.details).toEqual({ invoice_id: id });
    expect((await owner.post(`/api/admin/invoices/${id}/void`)).status).toBe(200);
    const second = await generate(appointment);
    expect([second.status, second.body.data.invoice.number]).toEqual([201, body.invoice.number + 1]);
    expect((await detailOf(appointment.id)).invoice.id).toBe(second.body.data.id);
  });

  test('absent, deleted or no number › 404', async () => {
    const gone = await completed([100], { columns: { deleted_at: new Date() } });
    for (const id of [String(gone.id), '999999999', 'abc']) {
      const { status, body } = await advisor.post(`/api/admin/appointments/${id}/invoice`);
      expect([status, body.error.code, body.message]).toEqual([404, 'not_found', 'Appointment not found']);
    }
  });

  test('paid in advance › the deposit is the first payment', async () => {
    const { appointment, id, body } = await invoiced([10_000], { columns: { paid_cents: 4_000 } });
    expect(body).toMatchObject({ status: 'PARTIALLY_PAID', amount_paid_cents: 4_000, amount_due_cents: 6_000 });
    expect((await detailOf(id)).payments).toMatchObject([{ amount_cents: 4_000, amount: 40, method: 'other', note: 'Deposit' }]);
    expect(await appointmentRow(appointment)).toEqual({ total_cents: '10000', paid_cents: '4000' });
  });

  test('more paid in advance than it costs › paid; what is left over is on record', async () => {
    const { id, body } = await invoiced([1_000], { columns: { paid_cents: 1_500 } });
    expect(body).toMatchObject({ status: 'PAID', amount_paid_cents: 1_000, amount_due_cents: 0 });
    const [trail] = await admin<{ after: object }>(`SELECT after FROM audit_logs WHERE entity_id = $1`, [id]);
    expect(trail?.after).toMatchObject({ deposit_cents: 1_500, unapplied_cents: 500 });
  });

  test('the same Idempotency-Key twice › one invoice, the same reply', async () => {
    const appointment = await completed([700]);
    const call = () => generate(appointment).set('Idempotency-Key', `invoice-${appointment.id}`);
    const [first, second] = [await call(), await call()];
    expect([first.status, second.status, second.body.data.id]).toEqual([201, 201, first.body.data.id]);
    expect(second.headers['x-idempotency-status']).toBe('replayed');
  });

  test('fifty at once › numbers 1 to 50, no gap, none twice', async () => {
    const shop = await createTenant();
    const agent = await actAs(app, await createStaff({ tenant: shop, role: 'Owner' }));
    const appointments: Appointment[] = [];
    for (let index = 0; index < 50; index += 1) appointments.push(await completed([1_000 + index], { shop }));
    const replies = await Promise.all(appointments.map((appointment) => generate(appointment, agent)));
    expect(replies.map(({ status }) => status)).toEqual(Array(50).fill(201));
    const numbers = replies.map(({ body }) => body.data.invoice.number as number).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  });

  test('ten at once for one appointment › one invoice, nine refusals, no number lost', async () => {
    const shop = await createTenant();
    const agent = await actAs(app, await createStaff({ tenant: shop, role: 'Owner' }));
    const appointment = await completed([1_000], { shop });
    const replies = await Promise.all(Array.from({ length: 10 }, () => generate(appointment, agent)));
    expect(replies.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(409)]);
    const next = await generate(await completed([1], { shop }), agent);
    expect(next.body.data.invoice.number).toBe(2);
  });

  test('the audit row cannot be written › no invoice either', async () => {
    const appointment = await completed([1_000]);
    await admin(`ALTER TABLE audit_logs ADD CONSTRAINT test_block CHECK (action <> 'INVOICE_CREATE') NOT VALID`);
    try {
      expect((await generate(appointment)).status).not.toBe(201);
    } finally {
      await admin('ALTER TABLE audit_logs DROP CONSTRAINT test_block');
    }
    expect(await admin('SELECT 1 FROM invoices WHERE appointment_id = $1', [appointment.id])).toEqual([]);
    expect((await generate(appointment)).status).toBe(201);
  });
});

describe('GET /api/admin/invoices', () => {
  let shop: Tenant;
  let agent: Agent;
  let ann: Customer;
  const ids: string[] = [];
  beforeAll(async () => {
    shop = await createTenant();
    agent = await actAs(app, await createStaff({ tenant: shop, role: 'Accountant' }));
    ann = await createCustomer({ tenant: shop, columns: { name: 'Ann Zebra' } });
    const bob = await createCustomer({ tenant: shop, columns: { name: 'Bob 50% Quark' } });
    const car = await createVehicle({ customer: bob, columns: { license_plate: 'QX-7731' } });
    for (let index = 0; index < 5; index += 1) {
      const customer = index % 2 === 0 ? ann : bob;
      const appointment = await completed([1_000 * (index + 1)], {
        shop,
        customer,
        columns: index === 1 ? { vehicle_id: car.id } : {},
      });
      const { body } = await generate(appointment, agent);
      ids.push(body.data.id);
      await admin(`UPDATE invoices SET created_at = $2::timestamptz WHERE id = $1`, [body.data.id, `2026-03-0${index + 1}T20:00:00Z`]);
    }
    await pay(ids[4] as string, { amountCents: 5_000 }, agent);
  });
  const list = async (query: string) => {
    const { status, body } = await agent.get(`/api/admin/invoices${query}`);
    expect(status).toBe(200);
    return body.data;
  };
  const found = async (query: string) => (await list(query)).items.map(({ id }: { id: string }) => ids.indexOf(id));

  test('all › newest first, every field, pages counted', async () => {
    const data = await list('?pageSize=2&page=2');
    expect(data).toMatchObject({ page: 2, page_size: 2, total_items: 5, total_pages: 3 });
    expect(data.items.map(({ id }: { id: string }) => ids.indexOf(id))).toEqual([2, 1]);
    expect(data.items[0]).toEqual({
      id: ids[2],
      appointment_id: expect.stringMatching(/^\d+$/),
      customer_id: String(ann.id),
      customer_name: 'Ann Zebra',
      status: 'DRAFT',
      subtotal_cents: 3_000,
      tax_cents: 0,
      total_cents: 3_000,
      amount_paid_cents: 0,
      amount_due_cents: 3_000,
      currency: 'USD',
      issued_at: null,
      created_at: '2026-03-03T20:00:00.000Z',
      updated_at: expect.stringMatching(/Z$/),
    });
  });

  test('filters › status, customer, search by id, name and plate, days of the shop', async () => {
    expect(await found('?status=PAID')).toEqual([4]);
    expect(await found(`?customerId=${ann.id}`)).toEqual([4, 2, 0]);
    expect(await found(`?search=${ids[3]!.slice(0, 13).toUpperCase()}`)).toEqual([3]);
    expect(await found('?search=zebra')).toEqual([4, 2, 0]);
    expect(await found(`?search=${encodeURIComponent('50% q')}`)).toEqual([3, 1]);
    expect(await found('?search=5_%25')).toEqual([]);
    expect(await found('?search=qx-77')).toEqual([1]);
    expect(await found('?search=qx%2077')).toEqual([1]);
    expect(await found('?search=---')).toEqual([]);
    expect(await found('?from=2026-03-02&to=2026-03-03')).toEqual([2, 1]);
    expect(await list('?status=VOID')).toMatchObject({ items: [], total_items: 0, total_pages: 1 });
  });

  test('page and size that cannot be read › defaults and bounds', async () => {
    expect(await list('?page=abc&pageSize=abc')).toMatchObject({ page: 1, page_size: 20 });
    expect(await list('?page=-3&page_size=1000')).toMatchObject({ page: 1, page_size: 100 });
    expect(await list('?pageSize=0')).toMatchObject({ page_size: 1 });
  });

  test.each(['?status=paid', '?status=ISSUED', '?customerId=abc', '?from=2026-02-30', '?to=yesterday'])(
    '%s › 400 bad_request',
    async (query) => {
      const { status, body } = await agent.get(`/api/admin/invoices${query}`);
      expect([status, body.error.code]).toEqual([400, 'bad_request']);
    },
  );

  test('list and detail › one statement each', async () => {
    for (const path of ['/api/admin/invoices?pageSize=100', `/api/admin/invoices/${ids[0]}`]) {
      await agent.get(path);
      const { statements } = await countWarmStatements(() => agent.get(path));
      expect([path, statements.length]).toEqual([path, 1]);
    }
  });
});

describe('GET /api/admin/invoices/:id', () => {
  test('by its id and by its appointment › the same, with lines twice and payments', async () => {
    const { id, appointment } = await invoiced([1_000, 2_000]);
    await pay(id, { amountCents: 500, note: 'first' });
    const data = await detailOf(id);
    expect(await detailOf(appointment.id)).toEqual(data);
    expect(data.invoice).toMatchObject({ id, appointment_id: String(appointment.id), status: 'PARTIALLY_PAID', amount_due_cents: 2_500 });
    expect(data.lineItems).toEqual(data.line_items);
    expect(data.line_items).toHaveLength(2);
    expect(data.payments).toMatchObject([{ amount_cents: 500, amount: 5, method: 'card', note: 'first', voided_at: null }]);
  });

  test.each(['abc', '0', '7777777777', '00000000-0000-4000-8000-000000000000', 'mem-inv-1'])('%s › 404', async (id) => {
    expect(refusal(await advisor.get(`/api/admin/invoices/${id}`))).toEqual([404, 'not_found', 'Invoice not found']);
  });
});

describe('POST /api/admin/invoices/:id/payments', () => {
  test('in part, then the rest › PARTIALLY_PAID, PAID; issued once, paid_at, amounts on the appointment, audit', async () => {
    const { id, appointment } = await invoiced([10_000]);
    const part = await pay(id, { amountCents: 4_000, method: 'CASH', receivedAt: '2026-01-15', note: ' in advance ' });
    expect(part.status).toBe(201);
    expect(part.body.data.invoice).toMatchObject({
      status: 'PARTIALLY_PAID',
      amount_paid_cents: 4_000,
      amount_due_cents: 6_000,
      paid_at: null,
    });
    expect(part.body.data.payment).toMatchObject({
      invoice_id: id,
      appointment_id: String(appointment.id),
      amount_cents: 4_000,
      method: 'cash',
      note: 'in advance',
      received_at: '2026-01-15T08:00:00.000Z',
    });
    expect(await appointmentRow(appointment)).toEqual({ total_cents: '10000', paid_cents: '4000' });
    const rest = await pay(id, { amount_cents: 6_000, method: 'check' }, accountant);
    expect(rest.body.data.invoice).toMatchObject({ status: 'PAID', amount_due_cents: 0, paid_at: expect.stringMatching(/Z$/) });
    expect(rest.body.data.invoice.issued_at).toBe(part.body.data.invoice.issued_at);
    expect(await appointmentRow(appointment)).toEqual({ total_cents: '10000', paid_cents: '10000' });
    expect(await audits(rest.body.data.payment.id)).toEqual(['PAYMENT_RECORD']);
    expect(refusal(await pay(id, { amountCents: 1 }))).toEqual([400, 'already_paid', 'Invoice already fully paid']);
  });

  test.each([
    [{ amountCents: 0 }, 'invalid_amount', 'Payment amount must be positive'],
    [{ amountCents: -5 }, 'invalid_amount', 'Payment amount must be positive'],
    [{ amountCents: 1.5 }, 'invalid_amount', expect.any(String)],
    [{ amountCents: '100' }, 'invalid_amount', expect.any(String)],
    [{ amountCents: true }, 'invalid_amount', expect.any(String)],
    [{ amountCents: null }, 'invalid_amount', expect.any(String)],
    [{ amountCents: 1e17 }, 'invalid_amount', expect.any(String)],
    [{}, 'invalid_amount', expect.any(String)],
    [{ amountCents: 100, method: 'bitcoin' }, 'invalid_method', expect.any(String)],
    [{ amountCents: 100, method: 7 }, 'invalid_method', expect.any(String)],
    [{ amountCents: 1_001 }, 'overpayment', 'Payment exceeds remaining balance'],
    [{ amountCents: 100, receivedAt: '2026-02-30' }, 'validation_failed', expect.any(String)],
    [{ amountCents: 100, receivedAt: '2199-01-01' }, 'validation_failed', expect.any(String)],
    [{ amountCents: 100, note: 'x'.repeat(501) }, 'validation_failed', expect.any(String)],
  ])('%j › 400, nothing stored', async (body, code, message) => {
    const { id } = await invoiced([1_000]);
    expect(refusal(await pay(id, body))).toEqual([400, code, message]);
    expect(await admin('SELECT 1 FROM payments WHERE invoice_id = $1', [id])).toEqual([]);
  });

  test('the order of the checks › missing invoice, amount, void', async () => {
    const { id } = await invoiced([1_000]);
    await owner.post(`/api/admin/invoices/${id}/void`);
    expect(refusal(await pay('00000000-0000-4000-8000-000000000000', { amountCents: -1 }))).toEqual([
      404,
      'not_found',
      'Invoice not found',
    ]);
    expect(refusal(await pay(id, { amountCents: -1 }))[1]).toBe('invalid_amount');
    expect(refusal(await pay(id, { amountCents: 1_000 }))).toEqual([400, 'invalid_state', 'Cannot pay a void invoice']);
  });

  test('twenty full payments at once › one 201, one row', async () => {
    const { id, appointment } = await invoiced([9_999]);
    const replies = await Promise.all(Array.from({ length: 20 }, () => pay(id, { amountCents: 9_999 })));
    const codes = replies.map(({ status, body }) => (status === 201 ? 'paid' : body.error.code)).sort();
    expect(codes.filter((code) => code === 'paid')).toEqual(['paid']);
    expect(codes.filter((code) => code === 'already_paid')).toHaveLength(19);
    expect(await admin('SELECT amount_cents FROM payments WHERE invoice_id = $1', [id])).toEqual([{ amount_cents: '9999' }]);
    expect(await appointmentRow(appointment)).toEqual({ total_cents: '9999', paid_cents: '9999' });
  });

  test('the same Idempotency-Key twice › one row; with another body › 422', async () => {
    const { id } = await invoiced([1_000]);
    const call = (amountCents: number) => pay(id, { amountCents }).set('Idempotency-Key', `pay-${id}`);
    const [first, second, other] = [await call(400), await call(400), await call(401)];
    expect([first.status, second.status, second.body]).toEqual([201, 201, first.body]);
    expect([other.status, other.body.error.code]).toEqual([422, 'idempotency_key_reuse']);
    expect(await admin('SELECT amount_cents FROM payments WHERE invoice_id = $1', [id])).toEqual([{ amount_cents: '400' }]);
  });

  test('a tomorrow of the shop › accepted; the day after › refused', async () => {
    const { id } = await invoiced([1_000]);
    // By the calendar: a day of the shop may have 23 or 25 hours.
    const today = new Intl.DateTimeFormat('en-CA', { timeZone: tenant.timeZone }).format(new Date());
    const day = (days: number) => new Date(Date.parse(today) + days * 86_400_000).toISOString().slice(0, 10);
    expect((await pay(id, { amountCents: 1, receivedAt: day(1) })).status).toBe(201);
    expect((await pay(id, { amountCents: 1, receivedAt: day(2) })).status).toBe(400);
  });
});

describe('POST /api/admin/invoices/:id/refunds and …/payments/:pid/void', () => {
  const refund = (id: string, amountCents: number, agent = owner) =>
    agent.post(`/api/admin/invoices/${id}/refunds`).send({ amountCents, method: 'card' });
  const undo = (id: string, pid: string, agent = owner) =>
    agent.post(`/api/admin/invoices/${id}/payments/${pid}/void`).send({ reason: 'typing mistake' });

  test('a paid invoice, refunded in part, then wholly › PARTIALLY_PAID, SENT; a negative row each', async () => {
    const { id, appointment } = await invoiced([5_000]);
    await pay(id, { amountCents: 5_000 });
    const part = await refund(id, 2_000, accountant);
    expect(part.status).toBe(201);
    expect(part.body.data).toMatchObject({
      invoice: { status: 'PARTIALLY_PAID', amount_paid_cents: 3_000, amount_due_cents: 2_000, paid_at: null },
      payment: { amount_cents: -2_000, amount: -20 },
    });
    expect((await refund(id, 3_000)).body.data.invoice).toMatchObject({ status: 'SENT', amount_due_cents: 5_000 });
    expect(await appointmentRow(appointment)).toEqual({ total_cents: '5000', paid_cents: '0' });
    expect(refusal(await refund(id, 1))).toEqual([400, 'refund_exceeds_paid', 'Refund exceeds amount paid']);
    expect(await audits(part.body.data.payment.id)).toEqual(['PAYMENT_REFUND']);
  });

  test('a payment voided › owed again, the row kept with who and why; twice › 409', async () => {
    const { id } = await invoiced([5_000]);
    const { body } = await pay(id, { amountCents: 5_000 });
    const pid = body.data.payment.id as string;
    const voided = await undo(id, pid);
    expect(voided.status).toBe(200);
    expect(voided.body.data).toMatchObject({
      invoice: { status: 'SENT', amount_due_cents: 5_000, paid_at: null },
      payment: { id: pid, voided_at: expect.stringMatching(/Z$/), void_reason: 'typing mistake' },
    });
    expect(refusal(await undo(id, pid))).toEqual([409, 'already_void', 'Payment already void']);
    expect(await audits(pid)).toEqual(['PAYMENT_RECORD', 'PAYMENT_VOID']);
  });

  test('void of a refunded payment, or of a refund behind which was paid again › 409', async () => {
    const { id } = await invoiced([5_000]);
    const first = (await pay(id, { amountCents: 5_000 })).body.data.payment.id as string;
    const back = (await refund(id, 5_000)).body.data.payment.id as string;
    expect(refusal(await undo(id, first)).slice(0, 2)).toEqual([409, 'invalid_state']);
    await pay(id, { amountCents: 1 });
    expect(refusal(await undo(id, back)).slice(0, 2)).toEqual([409, 'invalid_state']);
    expect((await detailOf(id)).invoice).toMatchObject({ amount_paid_cents: 1, status: 'PARTIALLY_PAID' });
  });

  test('a payment of another invoice, or none › 404; a refund by an advisor › 403', async () => {
    const [one, two] = [await invoiced([100]), await invoiced([100])];
    const pid = (await pay(one.id, { amountCents: 100 })).body.data.payment.id as string;
    for (const id of [pid, 'abc', '00000000-0000-4000-8000-000000000000'])
      expect(refusal(await undo(two.id, id)).slice(0, 2)).toEqual([404, 'not_found']);
    expect((await refund(one.id, 1, advisor)).status).toBe(403);
  });
});

describe('POST /api/admin/invoices/:id/void', () => {
  test('partly paid › VOID, amounts kept, the payment reported as credit; the appointment is free again', async () => {
    const { id, appointment } = await invoiced([8_000]);
    await pay(id, { amountCents: 3_000 });
    const { status, body } = await owner.post(`/api/admin/invoices/${id}/void`).send({ reason: 'wrong car' });
    expect(status).toBe(200);
    expect(body.data).toMatchObject({
      id,
      appointment_id: String(appointment.id),
      status: 'VOID',
      previous_status: 'PARTIALLY_PAID',
      total_cents: 8_000,
      amount_paid_cents: 3_000,
      amount_due_cents: 5_000,
      details: { unapplied_cents: 3_000 },
      invoice: { id, status: 'VOID' },
    });
    expect(body.data.voided_at).toBe(body.data.invoice.voided_at);
    expect(await admin('SELECT amount_cents, voided_at FROM payments WHERE invoice_id = $1', [id])).toEqual([
      { amount_cents: '3000', voided_at: null },
    ]);
    expect(await appointmentRow(appointment)).toEqual({ total_cents: '8000', paid_cents: '0' });
    expect((await advisor.post(`/api/appointments/${appointment.id}/services`).send({ name: 'More', estimated_price: 1 })).status).toBe(
      201,
    );
    expect((await generate(appointment)).body.data).toMatchObject({ total_cents: 8_100, amount_paid_cents: 0 });
    const back = await owner.post(`/api/admin/invoices/${id}/refunds`).send({ amountCents: 3_000, method: 'cash' });
    expect(back.body.data.invoice).toMatchObject({ id, status: 'VOID', amount_paid_cents: 0 });
    expect(await appointmentRow(appointment)).toEqual({ total_cents: '8100', paid_cents: '0' });
    expect(refusal(await owner.post(`/api/admin/invoices/${id}/void`))).toEqual([409, 'already_void', 'Invoice already void']);
  });

  test('paid › 409; an advisor › as the shop decides', async () => {
    const { id } = await invoiced([100]);
    await pay(id, { amountCents: 100 });
    expect(refusal(await owner.post(`/api/admin/invoices/${id}/void`))).toEqual([409, 'already_paid', 'Cannot void a paid invoice']);
    const strict = await createTenant({ settings: { advisor_can_void: false } });
    const clerk = await actAs(app, await createStaff({ tenant: strict, role: 'Advisor' }));
    const made = await generate(await completed([2], { shop: strict }), clerk);
    const theirs = `/api/admin/invoices/${made.body.data.id}`;
    const paid = await clerk.post(`${theirs}/payments`).send({ amountCents: 1, method: 'cash' });
    expect((await clerk.post(`${theirs}/payments/${paid.body.data.payment.id}/void`)).status).toBe(403);
    expect((await clerk.post(`${theirs}/void`)).status).toBe(403);
    const open = await invoiced([1]);
    expect((await advisor.post(`/api/admin/invoices/${open.id}/void`)).status).toBe(200);
  });
});

describe('POST /api/admin/invoices/:id/add-package', () => {
  test('a package with a price of its own › lines behind those there, summing to it exactly; at the root too', async () => {
    const { id, appointment } = await invoiced([1_000]);
    const bundle = await createPackage(10_000, [
      [3_333, 1],
      [1_111, 2],
      [null, 1],
      [777, 1],
    ]);
    const { status, body } = await addPackage(id, bundle.id);
    expect(status).toBe(200);
    expect(body.added_line_items).toEqual(body.data.added_line_items);
    const added = body.data.added_line_items as { position: number; line_subtotal_cents: number; package_name: string; quantity: number }[];
    expect(added.map(({ position }) => position)).toEqual([1, 2, 3, 4]);
    // Shares of 3,333 : 2,222 : 0 : 777 of 10,000, rounded down, the rest on the last.
    expect(added.map((line) => line.line_subtotal_cents)).toEqual([5_263, 3_509, 0, 1_228]);
    expect(body.data).toMatchObject({
      package_id: bundle.id,
      package_name: 'Bundle',
      added_subtotal_cents: 10_000,
      invoice: { total_cents: 11_000 },
    });
    expect(await appointmentRow(appointment)).toEqual({ total_cents: '11000', paid_cents: '0' });
    await addPackage(id, bundle.id);
    expect((await detailOf(id)).line_items.map(({ position }: { position: number }) => position)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(await audits(id)).toEqual(['INVOICE_CREATE', 'INVOICE_ADD_PACKAGE', 'INVOICE_ADD_PACKAGE']);
  });

  test('partly paid › due grows; paid or void › 400', async () => {
    const bundle = await createPackage(null, [[500, 3]]);
    const { id } = await invoiced([1_000]);
    await pay(id, { amountCents: 400 });
    const added = await addPackage(id, bundle.id);
    expect(added.body.data.invoice).toMatchObject({ status: 'PARTIALLY_PAID', total_cents: 2_500, amount_due_cents: 2_100 });
    await pay(id, { amountCents: 2_100 });
    expect(refusal(await addPackage(id, bundle.id))).toEqual([400, 'invalid_state', 'Cannot modify PAID invoice']);
    const other = await invoiced([1]);
    await owner.post(`/api/admin/invoices/${other.id}/void`);
    expect(refusal(await addPackage(other.id, bundle.id))).toEqual([400, 'invalid_state', 'Cannot modify VOID invoice']);
  });

  test('no package, an empty one, an unknown one, none named › refused', async () => {
    const { id } = await invoiced([1]);
    const single = await createServiceOperation({ tenant });
    const empty = await createPackage(100, []);
    expect(refusal(await addPackage(id, single.id)).slice(0, 2)).toEqual([404, 'not_a_package']);
    expect(refusal(await addPackage(id, empty.id)).slice(0, 2)).toEqual([409, 'empty_package']);
    expect(refusal(await addPackage(id, 'NOPE'))).toEqual([404, 'not_found', 'Package not found']);
    for (const wrong of [undefined, null, '', 7])
      expect(refusal(await addPackage(id, wrong)).slice(0, 2)).toEqual([400, 'invalid_package_id']);
    const camel = await createPackage(null, [[5, 1]]);
    expect((await advisor.post(`/api/admin/invoices/${id}/add-package`).send({ packageId: camel.id })).status).toBe(200);
  });
});

describe('/api/invoices', () => {
  test('POST with an appointment › as the other path; without › 400 with the field named', async () => {
    const appointment = await completed([500]);
    const { status, body } = await advisor.post('/api/invoices').send({ appointment_id: String(appointment.id) });
    expect([status, body.data.total_cents]).toEqual([201, 500]);
    const wrong = await advisor.post('/api/invoices').send({ customer_id: 1 });
    expect([wrong.status, Object.keys(wrong.body.error.details)]).toEqual([400, ['appointment_id']]);
  });

  test('a customer › own invoices without drafts, in list, detail and PDF; nothing else, no writing', async () => {
    const [mine, other] = [await createCustomer({ tenant, canLogIn: true }), await createCustomer({ tenant })];
    const me = await actAs(app, mine);
    const draft = await invoiced([100], { customer: mine });
    const sent = await invoiced([200], { customer: mine });
    const theirs = await invoiced([300], { customer: other });
    for (const { id } of [sent, theirs]) await pay(id, { amountCents: 100 });
    const list = await me.get('/api/invoices');
    expect(list.body.data).toMatchObject({ total_items: 1, items: [{ id: sent.id }] });
    expect((await me.get(`/api/invoices?customerId=${other.id}`)).body.data.items).toEqual([]);
    expect((await me.get(`/api/invoices/${sent.id}`)).body.data.invoice.id).toBe(sent.id);
    expect((await me.get(`/api/invoices/${sent.appointment.id}`)).status).toBe(200);
    for (const { id, appointment } of [draft, theirs])
      for (const ref of [id, appointment.id])
        for (const path of [`/api/invoices/${ref}`, `/api/invoices/${ref}/pdf`]) expect((await me.get(path)).status).toBe(404);
    expect((await me.post('/api/invoices').send({ appointment_id: String(draft.appointment.id) })).status).toBe(403);
    expect((await me.get(`/api/admin/invoices/${sent.id}`)).status).toBe(403);
    expect((await advisor.get(`/api/invoices/${draft.id}`)).status).toBe(200);
  });
});
