/** From the booking to the receipt, through the public API alone, as the browser does it: by cookie, without a tenant header. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runOnce } from 'graphile-worker';
import { config } from '../../config';
import { formatCents } from '../../lib/money';
import { closePdfThread } from '../../lib/pdf/pool';
import { JOBS, tasksOf } from '../../server/job-runner';
import { closeLater } from '../support/closers';
import { admin } from '../support/database';
import { createCustomer, createServiceOperation, createStaff, createTenant, createVehicle } from '../support/factories';
import { loginWithCookies, startApp, type TestApp } from '../support/server';
import { findProgram, isAvailable, temporaryFolder } from '../support/services';

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  closeLater(closePdfThread);
});

test('a visit › booked, done, invoiced, extended by a package, paid twice, receipt as file and by mail; the same totals everywhere', async () => {
  const tenant = await createTenant({ settings: { tax_basis_points: 725 } });
  const customer = await createCustomer({ tenant });
  const vehicle = await createVehicle({ customer });
  const operation = await createServiceOperation({ tenant, columns: { default_price_cents: 8_999 } });
  const bundle = await createServiceOperation({ tenant, columns: { is_package: true, default_price_cents: 10_000, name: 'Winter' } });
  for (const price of [3_333, 3_334, 3_330]) {
    const child = await createServiceOperation({ tenant, columns: { default_price_cents: price } });
    await admin('INSERT INTO package_items (tenant_id, service_id, child_id) VALUES ($1, $2, $3)', [tenant.id, bundle.id, child.id]);
  }
  const { agent } = await loginWithCookies(app, await createStaff({ tenant, role: 'Advisor' }));
  agent.set('X-Tenant-Id', '');

  const booked = await agent
    .post('/api/admin/appointments')
    .send({ customer_id: String(customer.id), vehicle_id: String(vehicle.id), start_ts: new Date().toISOString() });
  const id = booked.body.id as string;
  await agent.post(`/api/appointments/${id}/services`).send({ service_operation_id: operation.id });
  for (const action of ['start', 'ready', 'complete']) expect((await agent.post(`/api/appointments/${id}/${action}`)).status).toBe(200);

  const made = await agent.post(`/api/admin/appointments/${id}/invoice`);
  expect(made.status).toBe(201);
  const invoiceId = made.body.data.invoice.id as string;
  const drawer = await agent.get(`/api/appointments/${id}`);
  expect(drawer.body.data.appointment).toMatchObject({ invoice_id: invoiceId, total_amount: 96.51 });

  const extended = await agent.post(`/api/admin/invoices/${invoiceId}/add-package`).send({ package_id: bundle.id });
  expect(extended.body.added_line_items).toHaveLength(3);
  const total = extended.body.data.invoice.total_cents as number;
  expect(extended.body.data.invoice.subtotal_cents).toBe(18_999);

  const pay = (amountCents: number) =>
    agent.post(`/api/admin/invoices/${invoiceId}/payments`).send({ amountCents, method: 'cash', receivedAt: '2026-01-05', note: '' });
  expect((await pay(5_000)).body.data.invoice).toMatchObject({ status: 'PARTIALLY_PAID', amount_due_cents: total - 5_000 });
  expect((await pay(total)).body.message).toBe('Payment exceeds remaining balance');
  expect((await pay(total - 5_000)).body.data.invoice.status).toBe('PAID');

  const { invoice, lineItems, payments } = (await agent.get(`/api/admin/invoices/${invoiceId}`)).body.data;
  expect(invoice).toMatchObject({ status: 'PAID', total_cents: total, amount_due_cents: 0, appointment_id: id });
  expect(lineItems.reduce((sum: number, line: { total_cents: number }) => sum + line.total_cents, 0)).toBe(total);
  expect(payments.reduce((sum: number, payment: { amount_cents: number }) => sum + payment.amount_cents, 0)).toBe(total);
  expect((await agent.get(`/api/appointments/${id}`)).body.data.appointment).toMatchObject({
    total_amount: total / 100,
    paid_amount: total / 100,
  });

  const page = await agent.get(`/admin/invoices/${id}/receipt.html`);
  expect(page.text).toContain(formatCents(total));
  const receipt = await agent.get(`/admin/invoices/${id}/receipt.pdf`).buffer(true).responseType('blob');
  expect([receipt.status, receipt.headers['content-type']]).toEqual([200, 'application/pdf']);
  const file = join(temporaryFolder('receipt'), 'receipt.pdf');
  writeFileSync(file, receipt.body as Buffer);
  if (isAvailable('qpdf')) execFileSync(findProgram('qpdf')!, ['--check', file]);
  if (isAvailable('pdftotext')) {
    const text = execFileSync(findProgram('pdftotext')!, ['-layout', file, '-'], { encoding: 'utf8' }).replace(/\s+/g, ' ');
    for (const [label, cents] of Object.entries({ Total: total, Paid: total, Due: 0 }))
      expect(text).toContain(`${label} ${formatCents(cents)}`);
  }

  expect((await agent.post(`/api/admin/invoices/${id}/send`).send({ type: 'receipt' })).status).toBe(202);
  await runOnce({ connectionString: process.env['DATABASE_MIGRATION_URL'] as string, taskList: tasksOf(JOBS), noHandleSignals: true });
  const folder = join(config.DATA_DIR, 'mail');
  const mails = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  const [mail] = mails.filter((raw) => raw.includes(customer.email) && raw.includes(`invoice-${invoiceId}-receipt.pdf`));
  expect(mail).toContain(formatCents(total));
});
