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
import {
  type Appointment,
  addAppointmentService,
  type Customer,
  createAppointment,
  createCustomer,
  createStaff,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { type Agent, loginWithCookies, startApp, type TestApp } from '../support/server';
import { describeWith, findProgram, temporaryFolder } from '../support/services';
import { actAs } from '../support/sessions';

const NAME = 'Łucja Żółć-Ωμέγα Щербакова';
let app: TestApp;
let tenant: Tenant;
let owner: Agent;
let customer: Customer;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant({ name: 'Garage Ünïcode', settings: { tax_basis_points: 875 } });
  owner = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
  customer = await createCustomer({ tenant, columns: { name: NAME } });
  closeLater(closePdfThread);
});

interface Made {
  id: string;
  appointment: Appointment;
}
async function invoice({ lines = 3, client = customer as Customer | undefined } = {}): Promise<Made> {
  const vehicle = client ? await createVehicle({ customer: client, columns: { make: 'Škoda' } }) : undefined;
  const appointment = await createAppointment({ tenant, ...(vehicle ? { vehicle } : {}), status: 'COMPLETED' });
  for (let index = 0; index < lines; index += 1)
    await addAppointmentService(appointment, { columns: { name: `Job ${index} of ${NAME}`, estimated_price_cents: 10_001 + index } });
  const { body } = await owner.post(`/api/admin/appointments/${appointment.id}/invoice`);
  return { id: body.data.id, appointment };
}
const pay = (id: string, amountCents: number) => owner.post(`/api/admin/invoices/${id}/payments`).send({ amountCents, method: 'card' });
const download = async (path: string, agent = owner) => {
  const { status, headers, body } = await agent
    .get(path)
    .buffer(true)
    .parse(binary as never);
  expect([path, status, headers['content-type']]).toEqual([path, 200, 'application/pdf']);
  return { headers, bytes: body as Buffer };
};
function binary(response: NodeJS.ReadableStream, done: (error: Error | null, body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.on('end', () => done(null, Buffer.concat(chunks)));
}
const inFile = (bytes: Buffer): string => {
  const path = join(temporaryFolder('pdf'), 'file.pdf');
  writeFileSync(path, bytes);
  return path;
};

describe('PDF', () => {
  test('receipt and estimate › inline, named, private for a minute; the same bytes again; others after a payment', async () => {
    const { id, appointment } = await invoice();
    const receipt = await download(`/api/admin/invoices/${id}/receipt.pdf`);
    expect(receipt.headers).toMatchObject({
      'content-disposition': `inline; filename=invoice-${id}-receipt.pdf`,
      'cache-control': 'private, max-age=60',
      'content-length': String(receipt.bytes.length),
    });
    expect(receipt.bytes.subarray(0, 5).toString()).toBe('%PDF-');
    expect(receipt.bytes.length).toBeLessThan(200_000);
    expect((await download(`/api/admin/invoices/${id}/receipt.pdf`)).bytes.equals(receipt.bytes)).toBe(true);
    // Drawn anew in another thread, not remembered.
    await closePdfThread();
    expect((await download(`/api/admin/invoices/${appointment.id}/receipt.pdf`)).bytes.equals(receipt.bytes)).toBe(true);
    const estimate = await download(`/api/admin/invoices/${id}/estimate.pdf`);
    expect(estimate.headers['content-disposition']).toBe(`inline; filename=invoice-${id}-estimate.pdf`);
    await pay(id, 100);
    expect((await download(`/api/admin/invoices/${id}/receipt.pdf`)).bytes.equals(receipt.bytes)).toBe(false);
  });

  test('…/pdf › the estimate, and the receipt once it is paid', async () => {
    const { id } = await invoice({ lines: 1 });
    for (const path of [`/api/admin/invoices/${id}/pdf`, `/api/invoices/${id}/pdf`])
      expect((await download(path)).headers['content-disposition']).toContain('estimate');
    await pay(id, 10_001 + 875);
    for (const path of [`/api/admin/invoices/${id}/pdf`, `/api/invoices/${id}/pdf`])
      expect((await download(path)).headers['content-disposition']).toContain('receipt');
  });

  test('twenty at once › all answered, all alike', async () => {
    const { id } = await invoice();
    const files = await Promise.all(Array.from({ length: 20 }, () => download(`/api/admin/invoices/${id}/receipt.pdf`)));
    expect(new Set(files.map(({ bytes }) => bytes.toString('base64'))).size).toBe(1);
  });

  test('absent › 404 in JSON; HEAD › no body', async () => {
    const missing = await owner.get('/api/admin/invoices/00000000-0000-4000-8000-000000000000/receipt.pdf');
    expect([missing.status, missing.body.error.code]).toEqual([404, 'not_found']);
    const { id } = await invoice({ lines: 1 });
    const head = await owner.head(`/api/admin/invoices/${id}/receipt.pdf`);
    expect([head.status, head.headers['content-type']]).toEqual([200, 'application/pdf']);
  });
});

describeWith('qpdf', 'PDF, checked by a strict reader', () => {
  test.each([0, 1, 60, 200])('%i lines › no fault', async (lines) => {
    const { id } = await invoice({ lines });
    const { bytes } = await download(`/api/admin/invoices/${id}/receipt.pdf`);
    expect(execFileSync(findProgram('qpdf')!, ['--check', inFile(bytes)], { encoding: 'utf8' })).toContain(
      'No syntax or stream encoding errors',
    );
  });
});

describeWith('pdftotext', 'PDF, read back', () => {
  const textOf = (bytes: Buffer) => execFileSync(findProgram('pdftotext')!, ['-layout', inFile(bytes), '-'], { encoding: 'utf8' });
  const words = (text: string) => text.replace(/\s+/g, ' ');

  test('receipt › shop, customer, car, lines, payments in any script; the totals of the invoice', async () => {
    const { id } = await invoice();
    await pay(id, 12_345);
    const text = words(textOf((await download(`/api/admin/invoices/${id}/receipt.pdf`)).bytes));
    const { body } = await owner.get(`/api/admin/invoices/${id}`);
    const { subtotal_cents, tax_cents, total_cents, amount_paid_cents, amount_due_cents } = body.data.invoice;
    expect(total_cents).toBe(30_006 + 3 * 875);
    for (const part of [
      'Garage Ünïcode',
      'Invoice Receipt',
      id,
      'Łucja',
      'Щербакова',
      'Škoda',
      `Subtotal ${formatCents(subtotal_cents)}`,
      `Tax (8.75 %) ${formatCents(tax_cents)}`,
      `Total ${formatCents(total_cents)}`,
      `Paid ${formatCents(amount_paid_cents)}`,
      `Due ${formatCents(amount_due_cents)}`,
      '$123.45',
    ])
      expect(text).toContain(part);
    expect(words(textOf((await download(`/api/admin/invoices/${id}/estimate.pdf`)).bytes))).not.toContain('Payments');
  });

  test('two hundred lines › every one of them, on numbered pages', async () => {
    const { id } = await invoice({ lines: 200 });
    const text = textOf((await download(`/api/admin/invoices/${id}/receipt.pdf`)).bytes);
    for (let index = 0; index < 200; index += 1) expect(text).toContain(`Job ${index} of`);
    const pages = text.split('\f').filter((page) => page.trim() !== '');
    expect(pages.length).toBeGreaterThan(3);
    for (const [index, page] of pages.entries()) expect(page).toContain(`Page ${index + 1} of ${pages.length}`);
  });

  test('a void invoice › says so across the page', async () => {
    const { id } = await invoice({ lines: 1 });
    const before = textOf((await download(`/api/admin/invoices/${id}/receipt.pdf`)).bytes);
    await owner.post(`/api/admin/invoices/${id}/void`);
    const after = textOf((await download(`/api/admin/invoices/${id}/receipt.pdf`)).bytes);
    expect(words(after)).toContain('Status: Void');
    const letters = (text: string) => text.split('\n').filter((line) => /^\s+[VOID]$/.test(line)).length;
    expect([letters(before), letters(after) > 0]).toEqual([0, true]);
  });
});

describe('HTML', () => {
  test('receipt and estimate › their words, escaped, with a policy that allows nothing', async () => {
    const evil = await createCustomer({ tenant, columns: { name: '<img src=x onerror=alert(1)>' } });
    const { id } = await invoice({ client: evil });
    for (const [path, words] of [
      ['receipt.html', 'Invoice Receipt'],
      ['estimate.html', 'Invoice Estimate'],
    ]) {
      const { status, headers, text } = await owner.get(`/api/admin/invoices/${id}/${path}`);
      expect([status, headers['content-type'], headers['content-security-policy'], headers['cache-control']]).toEqual([
        200,
        'text/html; charset=utf-8',
        "default-src 'none'; style-src 'unsafe-inline'",
        'no-store',
      ]);
      for (const part of [id, words as string, '&lt;img src=x onerror=alert(1)&gt;']) expect(text).toContain(part);
      expect(text).not.toContain('<img');
    }
  });

  test('a car that is somebody else’s › the document does without it', async () => {
    const { id, appointment } = await invoice();
    const other = await createVehicle({ customer: await createCustomer({ tenant }), columns: { make: 'Foreignmobile' } });
    await admin('UPDATE invoices SET vehicle_id = $2 WHERE id = $1', [id, other.id]);
    const { status, text } = await owner.get(`/api/admin/invoices/${appointment.id}/receipt.html`);
    expect(status).toBe(200);
    expect(text).not.toContain('Foreignmobile');
    expect(text).toContain('Łucja');
  });

  test('as the browser opens them: by cookie, by appointment, with and without the prefix', async () => {
    const { id, appointment } = await invoice({ lines: 1 });
    const { agent } = await loginWithCookies(app, await createStaff({ tenant, role: 'Accountant' }));
    for (const ref of [id, appointment.id])
      for (const prefix of ['/api/admin', '/admin', '/api/api/admin'])
        for (const path of ['receipt.html', 'receipt.pdf']) {
          const { status, headers } = await agent.get(`${prefix}/invoices/${ref}/${path}?v=1`).unset('X-Tenant-Id').unset('X-CSRF-Token');
          expect([prefix, path, status]).toEqual([prefix, path, 200]);
          expect(headers['content-type']).toMatch(path.endsWith('pdf') ? /pdf/ : /html/);
        }
    expect((await app.agent().get(`/admin/invoices/${id}/receipt.pdf`)).status).toBe(401);
    expect((await agent.get(`/admin/invoices/${id}`)).status).toBe(404);
    expect((await agent.get(`/admin/invoices/${id}/estimate.pdf`)).status).toBe(404);
  });
});

describe('POST /api/admin/invoices/:id/send', () => {
  const send = (id: string | number, body: object = {}, agent = owner) => agent.post(`/api/admin/invoices/${id}/send`).send(body);
  const runQueue = () =>
    runOnce({ connectionString: process.env['DATABASE_MIGRATION_URL'] as string, taskList: tasksOf(JOBS), noHandleSignals: true });
  const jobsOf = (id: string) =>
    admin<{ payload: Record<string, unknown> }>(`SELECT payload FROM graphile_worker._private_jobs WHERE payload ->> 'invoiceId' = $1`, [
      id,
    ]);
  const rawMail = (address: string): string[] => {
    const folder = join(config.DATA_DIR, 'mail');
    return readdirSync(folder)
      .sort()
      .map((file) => readFileSync(join(folder, file), 'utf8'))
      .filter((raw) => new RegExp(`^To: ${address}\r$`, 'm').test(raw));
  };

  test('a draft, by its appointment › 202, SENT, one job; run › the PDF in the mail of the customer', async () => {
    const { id, appointment } = await invoice();
    const { status, body } = await send(appointment.id);
    expect(status).toBe(202);
    expect(body.data).toEqual({ status: 'QUEUED', invoice_id: id, type: 'receipt', queued_at: expect.stringMatching(/Z$/) });
    const detail = (await owner.get(`/api/admin/invoices/${id}`)).body.data.invoice;
    expect(detail).toMatchObject({ status: 'SENT', issued_at: body.data.queued_at });
    const [job] = await jobsOf(id);
    expect(job?.payload).toMatchObject({ tenantId: tenant.id, invoiceId: id, type: 'receipt', to: null });
    await runQueue();
    expect(await jobsOf(id)).toEqual([]);
    const mails = rawMail(customer.email).filter((raw) => raw.includes(`invoice-${id}-receipt.pdf`));
    expect(mails).toHaveLength(1);
    // The same for every attempt at this mail.
    expect(mails[0]).toContain(`Message-ID: <invoice-${job?.payload['mailId']}@`);
    const encoded = /application\/pdf[\s\S]*?\r\n\r\n([A-Za-z0-9+/=\r\n]+)/.exec(mails[0]!)?.[1] ?? '';
    const attached = Buffer.from(encoded, 'base64');
    expect(attached.equals((await download(`/api/admin/invoices/${id}/receipt.pdf`)).bytes)).toBe(true);
    const trail = await admin(`SELECT action FROM audit_logs WHERE entity_id = $1 AND action = 'INVOICE_SEND'`, [id]);
    expect(trail).toHaveLength(1);
    // Sent again: still issued when it was.
    await send(id, { type: 'estimate', destinationEmail: 'somebody.else@mail.example' });
    await runQueue();
    expect((await owner.get(`/api/admin/invoices/${id}`)).body.data.invoice.issued_at).toBe(detail.issued_at);
    expect(rawMail('somebody.else@mail.example').filter((raw) => raw.includes(`invoice-${id}-estimate.pdf`))).toHaveLength(1);
  });

  test.each([
    [{ type: 'bill' }, 'invalid_type'],
    [{ type: 7 }, 'invalid_type'],
    [{ destinationEmail: 'nobody' }, 'invalid_email'],
    [{ destinationEmail: 'a@b.example, c@d.example' }, 'invalid_email'],
    [{ destinationEmail: 5 }, 'invalid_email'],
  ])('%j › 400 %s, no job', async (wrong, code) => {
    const { id } = await invoice({ lines: 1 });
    const { status, body } = await send(id, wrong);
    expect([status, body.error.code]).toEqual([400, code]);
    expect(await jobsOf(id)).toEqual([]);
  });

  test('no address anywhere › 400 missing_email, still a draft; void › 400', async () => {
    const { id } = await invoice({ lines: 1, client: await createCustomer({ tenant, columns: { email: null } }) });
    expect((await send(id)).body.error.code).toBe('missing_email');
    expect((await owner.get(`/api/admin/invoices/${id}`)).body.data.invoice.status).toBe('DRAFT');
    expect((await send(id, { destinationEmail: '' })).body.error.code).toBe('missing_email');
    await owner.post(`/api/admin/invoices/${id}/void`);
    expect((await send(id, { destinationEmail: 'a@b.example' })).body.error.code).toBe('invalid_state');
    expect(await jobsOf(id)).toEqual([]);
  });

  test('eleven times in an hour › the last is 429; another invoice is not affected', async () => {
    const [one, two] = [await invoice({ lines: 1 }), await invoice({ lines: 1 })];
    for (let round = 0; round < 10; round += 1) expect((await send(one.id)).status).toBe(202);
    const { status, body, headers } = await send(one.id);
    expect([status, body.error.code, body.error.message]).toEqual([429, 'rate_limited', 'Rate limit exceeded']);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(await jobsOf(one.id)).toHaveLength(10);
    expect((await send(two.id)).status).toBe(202);
  });

  test('by cookie from the same origin, without header or tenant › 202; from elsewhere › 403', async () => {
    const { appointment } = await invoice({ lines: 1 });
    const { agent } = await loginWithCookies(app, await createStaff({ tenant, role: 'Advisor' }));
    const bare = () =>
      agent.post(`/api/admin/invoices/${appointment.id}/send`).unset('X-Tenant-Id').unset('X-CSRF-Token').send({ type: 'receipt' });
    expect((await bare().set('Sec-Fetch-Site', 'same-origin')).status).toBe(202);
    expect((await bare().set('Origin', 'https://evil.example')).status).toBe(403);
  });
});
