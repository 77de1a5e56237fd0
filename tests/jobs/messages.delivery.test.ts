/** Messages and reminders on their way through the queue to a provider that misbehaves. */
import '../support/sms-environment';
import { Logger, runOnce } from 'graphile-worker';
import { config } from '../../config';
import { type Job, runJob } from '../../jobs/job';
import { remindersJobs } from '../../jobs/reminders.jobs';
import { clock } from '../../lib/clock';
import { JOBS, tasksOf } from '../../server/job-runner';
import { unsafeClaimReminders } from '../../services/reminders.service';
import { admin } from '../support/database';
import {
  type Appointment,
  type Customer,
  createAppointment,
  createCustomer,
  createStaff,
  createTenant,
  type Tenant,
} from '../support/factories';
import { ProviderSandbox } from '../support/provider-sandbox';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const HOUR_MS = 3_600_000;
const sandbox = new ProviderSandbox();
let app: TestApp;
let shop: Tenant;
let agent: Agent;

jest.mock('../../config', () => {
  const actual = jest.requireActual<{ config: object }>('../../config');
  return { ...actual, config: Object.create(actual.config, { SMS_API_URL: { get: () => globalThis.process.env['SMS_API_URL'] } }) };
});

beforeAll(async () => {
  await sandbox.start();
  process.env['SMS_API_URL'] = sandbox.url;
  app = await startApp();
  // The hourly job goes from shop to shop: those of earlier files, hundreds of them, would be all that is measured here.
  await admin(`UPDATE tenants SET status = 'cancelled' WHERE id <> $1`, [config.DEFAULT_TENANT_ID]);
  shop = await createTenant();
  agent = await actAs(app, await createStaff({ tenant: shop }));
});

const quiet = new Logger(() => () => undefined);
/** Everything whose time has come, run as the job process would. */
const runQueue = () =>
  runOnce({
    connectionString: process.env['DATABASE_MIGRATION_URL'] as string,
    taskList: tasksOf(JOBS),
    noHandleSignals: true,
    logger: quiet,
  });
/** What waits for a later attempt, now. */
const hurry = () => admin('UPDATE graphile_worker._private_jobs SET run_at = now() WHERE run_at > now()');

async function visit(columns: Record<string, unknown> = {}, start?: Date): Promise<{ customer: Customer; appointment: Appointment }> {
  const customer = await createCustomer({ tenant: shop, columns: { sms_consent: true, ...columns } });
  const appointment = await createAppointment({
    tenant: shop,
    customer,
    ...(start ? { start } : {}),
    columns: { created_at: new Date('2026-01-01T00:00:00Z') },
  });
  return { customer, appointment };
}
async function send(channel = 'sms'): Promise<{ id: string; customer: Customer }> {
  const { customer, appointment } = await visit();
  const { body } = await agent.post(`/api/appointments/${appointment.id}/messages`).send({ channel, body: 'Hello' });
  return { id: body.id, customer };
}
const row = async (id: string) => (await admin<Record<string, unknown>>('SELECT * FROM messages WHERE id = $1', [id]))[0];
const tries = (id: string) => sandbox.attempts.filter(({ dedupeKey }) => dedupeKey === id);

describe('message.send', () => {
  test('a text › one call with key, number and callback; the id is stored; a second run calls nobody', async () => {
    const { id, customer } = await send();
    await runQueue();
    expect(tries(id).map(({ fields }) => fields)).toEqual([
      {
        To: customer.phone,
        From: sandbox.number,
        Body: 'Hello',
        StatusCallback: `https://shop.example/base/api/webhooks/sms/status?tenant=${shop.id}&message=${id}`,
      },
    ]);
    expect(await row(id)).toMatchObject({ status: 'sending', provider_id: sandbox.sidOf(id) });
    const job = JOBS.find(({ name }) => name === 'message.send') as Job;
    await runJob(job, { tenantId: shop.id, requestId: null, messageId: id }, { attempt: 1, maxAttempts: 2 });
    expect(tries(id)).toHaveLength(1);
  });

  test('refused for now, broken off, answer lost › tried again under the same key until it is known to have arrived', async () => {
    const { id } = await send();
    sandbox.fail({ kind: 'refused' }, { kind: 'broken' }, { kind: 'lost' });
    for (let round = 0; round < 4; round += 1) {
      await runQueue();
      await hurry();
    }
    expect(tries(id).map(({ accepted }) => accepted)).toEqual([false, false, true, true]);
    expect(await row(id)).toMatchObject({ status: 'sending', provider_id: sandbox.sidOf(id) });
  });

  test('refused for good › failed with the code of the provider, no further attempt', async () => {
    const { id } = await send();
    sandbox.fail({ kind: 'rejected', code: 21211 });
    await runQueue();
    await hurry();
    await runQueue();
    expect(tries(id)).toHaveLength(1);
    expect(await row(id)).toMatchObject({ status: 'failed', error_code: '21211' });
  });

  test('the last attempt fails › failed as given up, and the job stays to be seen', async () => {
    const { id } = await send();
    await admin('UPDATE graphile_worker._private_jobs SET max_attempts = 1 WHERE key = $1', [`message.send:${id}`]);
    sandbox.fail({ kind: 'refused' });
    await runQueue();
    expect(await row(id)).toMatchObject({ status: 'failed', error_code: 'gave_up' });
    const [dead] = await admin<{ last_error: string }>('SELECT last_error FROM graphile_worker._private_jobs WHERE key = $1', [
      `message.send:${id}`,
    ]);
    expect(dead?.last_error).toContain('503');
  });

  test('opted out between request and sending, or deleted › the provider is not called', async () => {
    const [one, two] = [await send(), await send()];
    await admin('UPDATE customers SET sms_opt_out = true WHERE id = $1', [one.customer.id]);
    await admin('DELETE FROM messages WHERE id = $1', [two.id]);
    await runQueue();
    expect([...tries(one.id), ...tries(two.id)]).toEqual([]);
    expect(await row(one.id)).toMatchObject({ status: 'failed', error_code: 'sms_opted_out' });
  });
});

describe('reminders', () => {
  const at = async <T>(iso: string, work: () => Promise<T>): Promise<T> => {
    const restore = clock.override(() => new Date(iso));
    try {
      return await work();
    } finally {
      restore();
    }
  };
  const remindersOf = ({ id }: Appointment) =>
    admin<{ id: string; body: string; status: string }>(
      'SELECT id, body, status FROM messages WHERE appointment_id = $1 ORDER BY created_at',
      [id],
    );
  const claim = (iso: string) => at(iso, unsafeClaimReminders);
  const run = async (iso: string) => {
    await hurry();
    await at(iso, runQueue);
    await at(iso, runQueue);
  };
  const runAtOf = async ({ id }: Appointment) =>
    (
      await admin<{ at: Date }>(
        `SELECT run_at AS at FROM graphile_worker._private_jobs j JOIN graphile_worker._private_tasks t ON t.id = j.task_id
          WHERE t.identifier = 'reminder.send' AND (payload->>'appointmentId')::bigint = $1`,
        [id],
      )
    )[0]?.at.toISOString();

  test('several instances at once, hour after hour over the change of the clocks › each appointment exactly once, in local time', async () => {
    // Clocks go back at 09:00Z on the first of November in the shop's zone.
    const starts = ['2026-11-01T08:30:00Z', '2026-11-01T09:30:00Z', '2026-11-01T18:00:00Z', '2026-11-02T01:15:00Z'];
    const visits: Appointment[] = [];
    for (const start of starts) visits.push((await visit({}, new Date(start))).appointment);
    for (let hour = 0; hour < 30; hour += 1) {
      const now = new Date(Date.parse('2026-10-31T04:00:30Z') + hour * HOUR_MS).toISOString();
      await at(now, () => Promise.all([unsafeClaimReminders(), unsafeClaimReminders(), unsafeClaimReminders()]));
    }
    await run('2026-10-31T18:00:00Z');
    const times: string[] = [];
    for (const one of visits) {
      const reminders = await remindersOf(one);
      expect(reminders).toHaveLength(1);
      times.push(/at (\d+:\d\d [AP]M)/.exec(reminders[0]?.body ?? '')?.[1] ?? '');
      expect(sandbox.accepted(reminders[0]?.id)).toHaveLength(1);
    }
    expect(times).toEqual(['1:30 AM', '1:30 AM', '10:00 AM', '5:15 PM']);
  });

  test('only who agreed, has a number and is still expected; nothing before its time or booked at short notice', async () => {
    const start = new Date('2027-03-10T20:30:00Z');
    const consenting = await visit({}, start);
    const others = [
      await visit({ sms_consent: false }, start),
      await visit({ sms_opt_out: true }, start),
      await visit({ phone: null }, start),
    ];
    const canceled = await visit({}, start);
    await admin(`UPDATE appointments SET status = 'CANCELED' WHERE id = $1`, [canceled.appointment.id]);
    const late = await visit({}, start);
    await admin(`UPDATE appointments SET created_at = start_ts - interval '23 hours' WHERE id = $1`, [late.appointment.id]);
    await claim('2027-03-09T19:59:00Z');
    expect(await runAtOf(consenting.appointment)).toBeUndefined();
    await claim('2027-03-09T20:01:00Z');
    await run('2027-03-09T20:02:00Z');
    expect(await remindersOf(consenting.appointment)).toHaveLength(1);
    for (const { appointment } of [...others, canceled, late]) expect(await remindersOf(appointment)).toEqual([]);
  });

  test('quiet hours › sent when they end, by the wall clock', async () => {
    const { appointment } = await visit({}, new Date('2027-03-15T05:30:00Z'));
    // 22:30 on the 13th, before the clocks go forward in the night: 08:00 is 15:00Z.
    await claim('2027-03-14T05:00:00Z');
    expect(await runAtOf(appointment)).toBe('2027-03-14T15:00:00.000Z');
  });

  test('moved after the claim › the old reminder is not sent, one for the new time is; moved back › again', async () => {
    const first = '2027-05-04T20:30:00Z';
    const { appointment } = await visit({}, new Date(first));
    const move = (iso: string) =>
      admin(`UPDATE appointments SET start_ts = $2, end_ts = NULL, block_end_ts = $2::timestamptz + interval '1 hour' WHERE id = $1`, [
        appointment.id,
        iso,
      ]);
    await claim('2027-05-03T20:00:00Z');
    await move('2027-05-06T20:30:00Z');
    await run('2027-05-03T20:01:00Z');
    expect(await remindersOf(appointment)).toEqual([]);
    await claim('2027-05-05T20:00:00Z');
    await run('2027-05-05T20:01:00Z');
    expect(await remindersOf(appointment)).toHaveLength(1);
    await move('2027-05-10T20:30:00Z');
    await claim('2027-05-09T20:00:00Z');
    await claim('2027-05-09T21:00:00Z');
    await run('2027-05-09T21:01:00Z');
    const bodies = (await remindersOf(appointment)).map(({ body }) => /May \d+/.exec(body)?.[0]);
    expect(bodies).toEqual(['May 6', 'May 10']);
  });

  test('every hour › scheduled', () => {
    expect(remindersJobs.map(({ name, schedule }) => [name, schedule])).toEqual([
      ['reminders.claim', '0 * * * *'],
      ['reminder.send', undefined],
    ]);
  });
});
