/** The log of automatic messages through the HTTP API. */
import { admin } from '../support/database';
import { type Appointment, createAppointment, createCustomer, createStaff, createTenant, type Tenant } from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';
import { countWarmStatements } from '../support/warm-statements';

const PATH = '/api/admin/notifications';
const HOUR_MS = 3_600_000;
const at = (hours: number): Date => new Date(Date.now() + hours * HOUR_MS);

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});

async function shop(): Promise<{ tenant: Tenant; advisor: Agent }> {
  const tenant = await createTenant({ settings: { quiet_from: '00:00', quiet_to: '00:00' } });
  return { tenant, advisor: await actAs(app, await createStaff({ tenant })) };
}

interface Row {
  status?: 'sent' | 'failed' | 'pending';
  type?: string;
  error?: string | null;
  /** Hours before now. */
  ago?: number;
  phone?: string | null;
  start?: Date;
}
async function log(
  tenant: Tenant,
  { status = 'failed', type = 'reminder_24h', error = null, ago = 1, phone = '(555) 010-4477', start = at(20) }: Row = {},
): Promise<{ id: string; appointment: Appointment }> {
  const customer = await createCustomer({ tenant, columns: { phone, name: 'Ida' } });
  const appointment = await createAppointment({ tenant, customer, start });
  const [row] = await admin<{ id: string }>(
    `INSERT INTO notification_log (tenant_id, appointment_id, notification_type, status, error_code, start_ts, created_at, updated_at)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING id`,
    [tenant.id, appointment.id, type, status, error, start, at(-ago)],
  );
  return { id: row?.id ?? '', appointment };
}

describe('GET /api/admin/notifications', () => {
  test('all that came up in the last day › newest first, every field, the number masked; by one statement', async () => {
    const { tenant, advisor } = await shop();
    const { id, appointment } = await log(tenant, { error: '30003', ago: 2 });
    const second = await log(tenant, { status: 'sent', phone: '+15550104478' });
    const third = await log(tenant, { status: 'pending', phone: null, ago: 3 });
    await log(tenant, { ago: 25 });
    await log(await createTenant());
    const { result, statements } = await countWarmStatements(() => advisor.get(PATH));
    expect([result.status, statements.length]).toEqual([200, 1]);
    const { data } = result.body;
    expect([data.count, data.filtered_by]).toEqual([3, { appointment_id: null, status: null, hours: 24 }]);
    expect(data.notifications.map((one: { id: string }) => one.id)).toEqual([second.id, id, third.id]);
    expect(data.notifications[1]).toEqual({
      id,
      appointment_id: String(appointment.id),
      notification_type: 'reminder_24h',
      status: 'failed',
      timestamp: expect.stringMatching(/Z$/),
      error_message: '30003',
      customer_name: 'Ida',
      customer_phone: '(***) ***-4477',
      start_ts: appointment.start.toISOString(),
    });
    expect([data.notifications[0].customer_phone, data.notifications[2].customer_phone]).toEqual(['+*******4478', null]);
  });

  test('status, appointment and hours › those alone', async () => {
    const { tenant, advisor } = await shop();
    const failed = await log(tenant);
    const old = await log(tenant, { ago: 50 });
    await log(tenant, { status: 'sent' });
    const ids = async (query: object) =>
      (await advisor.get(PATH).query(query)).body.data.notifications.map((one: { id: string }) => one.id);
    expect(await ids({ status: 'failed' })).toEqual([failed.id]);
    expect(await ids({ status: 'failed', hours: 72 })).toEqual([failed.id, old.id]);
    expect(await ids({ appointment_id: old.appointment.id, hours: '72' })).toEqual([old.id]);
    expect(await ids({ appointment_id: '', status: '', hours: '' })).toHaveLength(2);
  });

  test.each([
    ['status', 'lost'],
    ['hours', '0'],
    ['hours', '721'],
    ['hours', 'many'],
    ['appointment_id', 'abc'],
  ])('%s=%s › 400, the parameter named', async (name, value) => {
    const { advisor } = await shop();
    const { status, body } = await advisor.get(PATH).query({ [name]: value });
    expect([status, body.error]).toEqual([400, { code: 'bad_request', message: `Invalid '${name}' parameter` }]);
  });
});

describe('GET /api/admin/notifications/stats', () => {
  test('nothing yet › zeros and no rate', async () => {
    const { advisor } = await shop();
    expect((await advisor.get(`${PATH}/stats`)).body.data).toEqual({
      total: 0,
      sent: 0,
      failed: 0,
      pending: 0,
      success_rate: null,
      by_type: { appointment_confirmation: 0, reminder_24h: 0, appointment_cancelled: 0 },
      recent_failures: [],
    });
  });

  test('counts by status and kind, and the last ten failures', async () => {
    const { tenant, advisor } = await shop();
    for (let index = 0; index < 11; index += 1) await log(tenant, { ago: 1 + index / 10, error: `E${index}` });
    for (let index = 0; index < 4; index += 1) await log(tenant, { status: 'sent', type: 'appointment_cancelled' });
    await log(tenant, { status: 'pending' });
    await log(tenant, { ago: 30 });
    const { data } = (await advisor.get(`${PATH}/stats`)).body;
    expect(data).toMatchObject({
      total: 16,
      sent: 4,
      failed: 11,
      pending: 1,
      success_rate: 0.2667,
      by_type: { appointment_confirmation: 0, reminder_24h: 12, appointment_cancelled: 4 },
    });
    expect(data.recent_failures.map((one: { error_message: string }) => one.error_message)).toEqual(
      Array.from({ length: 10 }, (_, index) => `E${index}`),
    );
  });
});

describe('POST /api/admin/notifications/:appointmentId/retry', () => {
  const retry = (agent: Agent, id: number | string) => agent.post(`${PATH}/${id}/retry`);
  const jobsOf = (id: number) =>
    admin<{ payload: object }>(`SELECT payload FROM graphile_worker._private_jobs WHERE (payload ->> 'appointmentId')::bigint = $1`, [id]);

  test('one that failed › 202, waiting again, its job there; at once a second time › 409, one job', async () => {
    const { tenant, advisor } = await shop();
    const { id, appointment } = await log(tenant, { error: '30003', ago: 5 });
    const answers = await Promise.all([retry(advisor, appointment.id), retry(advisor, appointment.id)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409]);
    const [done, refused] = answers.sort((a, b) => a.status - b.status);
    expect(done?.body.data).toEqual({ appointment_id: String(appointment.id), notification_type: 'reminder_24h', status: 'pending' });
    expect(refused?.body.error).toEqual({ code: 'invalid_state', message: 'The notification is pending already' });
    expect(await jobsOf(appointment.id)).toMatchObject([{ payload: { startsAt: appointment.start.toISOString(), tenantId: tenant.id } }]);
    const [row] = await admin('SELECT status, error_code, message_id FROM notification_log WHERE id = $1', [id]);
    expect(row).toEqual({ status: 'pending', error_code: null, message_id: null });
  });

  test.each<[string, Row, string | null]>([
    ['was sent', { status: 'sent' }, null],
    ['the appointment has begun', { start: at(-1) }, null],
    ['the appointment was called off', {}, `status = 'CANCELED'`],
    ['the appointment was moved', {}, `start_ts = start_ts + interval '1 minute'`],
  ])('%s › 409, nothing happens', async (_name, row, change) => {
    const { tenant, advisor } = await shop();
    const { appointment } = await log(tenant, row);
    if (change) await admin(`UPDATE appointments SET ${change} WHERE id = $1`, [appointment.id]);
    const { status, body } = await retry(advisor, appointment.id);
    expect([status, body.error.code]).toEqual([409, 'invalid_state']);
    expect(await jobsOf(appointment.id)).toEqual([]);
  });

  test('no reminder, no such appointment, no number › 404; a technician reads and may not retry', async () => {
    const { tenant, advisor } = await shop();
    const bare = await createAppointment({ tenant });
    for (const id of [bare.id, 999_999_999, 'abc']) {
      const { status, body } = await retry(advisor, id);
      expect([status, body.error]).toEqual([404, { code: 'not_found', message: 'Notification not found' }]);
    }
    const technician = await actAs(app, await createStaff({ tenant, role: 'Technician' }));
    expect([(await technician.get(PATH)).status, (await retry(technician, bare.id)).status]).toEqual([200, 403]);
  });
});
