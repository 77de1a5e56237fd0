/** Days of 23 and 25 hours: every figure, file and list by days of the shop counts from midnight to midnight of the wall clock. */
import { randomUUID } from 'node:crypto';
import { clock } from '../../lib/clock';
import { overrideRate } from '../../lib/rate-limit';
import { admin } from '../support/database';
import {
  createAppointment,
  createCustomer,
  createInvoice,
  createPayment,
  createStaff,
  createTenant,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  overrideRate('export', { limit: 1_000, windowMs: 60_000 });
});

/** One of everything at an instant. */
async function happen(tenant: Tenant, at: Date): Promise<void> {
  const customer = await createCustomer({ tenant, columns: { created_at: at } });
  const appointment = await createAppointment({
    tenant,
    customer,
    status: 'COMPLETED',
    start: at,
    columns: { end_ts: null, total_cents: 100 },
  });
  const invoice = await createInvoice({ appointment, customer, totalCents: 100, columns: { created_at: at } });
  await createPayment({ appointment, invoice, amountCents: 100, columns: { received_at: at } });
  const template = randomUUID();
  await admin(`INSERT INTO message_templates (tenant_id, id, slug, label, channel, body) VALUES ($1, $2, $3, 'x', 'sms', 'x')`, [
    tenant.id,
    template,
    template,
  ]);
  await admin(
    `INSERT INTO template_usage_events (tenant_id, template_id, channel, user_id, sent_at, hash) VALUES ($1, $2, 'sms', 'ana', $3, $4)`,
    [tenant.id, template, at, template],
  );
  await admin(
    `INSERT INTO audit_logs (tenant_id, user_id, action, entity, entity_id, created_at) VALUES ($1, 'ana', 'THEN', 'x', 'x', $2)`,
    [tenant.id, at],
  );
}

describe.each([
  ['America/Los_Angeles', '2026-03-08', '2026-03-08T08:00:00Z', 23],
  ['America/Los_Angeles', '2026-11-01', '2026-11-01T07:00:00Z', 25],
  ['Europe/Berlin', '2026-03-29', '2026-03-28T23:00:00Z', 23],
  ['Pacific/Auckland', '2026-04-05', '2026-04-04T11:00:00Z', 25],
  // Here the clocks change at midnight: the day begins at one o'clock.
  ['America/Santiago', '2026-09-06', '2026-09-06T04:00:00Z', 23],
])('%s, %s', (timeZone, day, midnight, hours) => {
  const begin = new Date(midnight);
  const end = new Date(begin.getTime() + hours * HOUR_MS);
  const justBefore = (at: Date): Date => new Date(at.getTime() - SECOND_MS);
  const shift = (days: number): string => new Date(Date.parse(day) + days * 24 * HOUR_MS).toISOString().slice(0, 10);
  const three = [
    [shift(-1), 1],
    [day, 2],
    [shift(1), 1],
  ];
  let owner: Agent;
  let restore: () => void;

  beforeAll(async () => {
    const tenant = await createTenant({ timeZone });
    owner = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
    for (const at of [justBefore(begin), begin, justBefore(end), end]) await happen(tenant, at);
    restore = clock.override(() => new Date(end.getTime() + 30 * HOUR_MS));
  });
  afterAll(() => restore());

  const read = async (path: string, query: object) => {
    const { status, body } = await owner.get(path).query(query);
    expect([path, status]).toEqual([path, 200]);
    return body.data;
  };
  const [itself, around] = [
    { from: day, to: day },
    { from: shift(-1), to: shift(1) },
  ];
  type Bucket = { bucketStart: string } & Record<string, number>;
  const trendOf = (data: { trend: Bucket[] }, key: string, unit = 1) =>
    data.trend.map((bucket) => [bucket.bucketStart, (bucket[key] ?? Number.NaN) / unit]);

  test('dashboard › the two of the day', async () => {
    expect(await read('/api/admin/dashboard/stats', itself)).toMatchObject({ jobsToday: 2, completed: 2, todayRevenue: 2 });
    expect(await read('/api/admin/analytics/dashboard', itself)).toMatchObject({
      appointments_total: 2,
      revenue_cents: 200,
      outstanding_cents: 200,
      new_customers: 2,
    });
  });

  test('analytics › the two of the day; one, two, one around it', async () => {
    const revenue = await read('/api/admin/analytics/revenue', itself);
    expect(revenue.totals).toMatchObject({ invoiced_cents: 200, collected_cents: 200 });
    const wide = await read('/api/admin/analytics/revenue', around);
    expect([trendOf(wide, 'invoiced_cents', 100), trendOf(wide, 'collected_cents', 100)]).toEqual([three, three]);
    expect((await read('/api/admin/analytics/appointments', itself)).totals.total).toBe(2);
    const work = await read('/api/admin/analytics/appointments', around);
    expect([trendOf(work, 'count'), trendOf(work, 'completed')]).toEqual([three, three]);
    const weekday = (new Date(day).getUTCDay() + 6) % 7;
    expect(work.by_weekday[weekday]).toBe(2);
    expect((await read('/api/admin/analytics/customers', itself)).totals).toMatchObject({ customers: 2, new: 2 });
    expect(trendOf(await read('/api/admin/analytics/customers', around), 'new')).toEqual(three);
  });

  test('use of templates › one, two, one', async () => {
    const { trend } = await read('/api/admin/analytics/templates', { range: '7d' });
    const found = trend.filter(({ count }: { count: number }) => count > 0);
    expect(found.map(({ bucketStart, count }: { bucketStart: string; count: number }) => [bucketStart, count])).toEqual(three);
  });

  test.each(['reports/appointments.csv', 'reports/payments.csv', 'export/invoices', 'export/customers'])('%s › two rows', async (file) => {
    const { status, text } = await owner.get(`/api/admin/${file}`).query(itself);
    expect([status, text.split('\r\n').length]).toEqual([200, 4]);
  });

  test('lists by days › the two of the day', async () => {
    expect((await read('/api/admin/appointments', itself)).appointments).toHaveLength(2);
    expect((await read('/api/admin/appointments', { date: day })).appointments).toHaveLength(2);
    expect((await read('/api/admin/appointments/board', itself)).cards).toHaveLength(2);
    expect((await read('/api/admin/audit-logs', { ...itself, action: 'THEN' })).items).toHaveLength(2);
  });
});
