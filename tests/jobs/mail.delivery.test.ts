/** Mail on its way through the queue to a server that misbehaves: the real adapter, over real sockets. */
import { Logger, runOnce } from 'graphile-worker';
import pg from 'pg';
import { closePdfThread } from '../../lib/pdf/pool';
import { ProviderRefusal } from '../../lib/provider-error';
import { smtpSender } from '../../lib/smtp';
import { readQueue } from '../../server/cluster/queue-watch';
import { JOBS, tasksOf } from '../../server/job-runner';
import { closeLater } from '../support/closers';
import { admin } from '../support/database';
import {
  addAppointmentService,
  createAppointment,
  createCustomer,
  createStaff,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp } from '../support/server';
import { actAs } from '../support/sessions';
import { SMTP_STEPS, type SmtpFault, SmtpSandbox } from '../support/smtp-sandbox';

const sandbox = new SmtpSandbox();
let shop: Tenant;
let agent: Agent;

jest.mock('../../config', () => {
  const actual = jest.requireActual<{ config: object }>('../../config');
  return { ...actual, config: Object.create(actual.config, { SMTP_URL: { get: () => globalThis.process.env['SMTP_URL'] } }) };
});

beforeAll(async () => {
  await sandbox.start();
  process.env['SMTP_URL'] = sandbox.url;
  const app = await startApp();
  shop = await createTenant();
  agent = await actAs(app, await createStaff({ tenant: shop, role: 'Owner' }));
  closeLater(closePdfThread);
});

beforeEach(() => admin('DELETE FROM graphile_worker._private_jobs'));

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

interface Waiting {
  attempts: number;
  max_attempts: number;
  last_error: string | null;
  run_at: Date;
}
/** The job whose payload names the id. */
const jobOf = async (id: string): Promise<Waiting | undefined> =>
  (
    await admin<Waiting>(
      `SELECT attempts, max_attempts, last_error, run_at
        FROM graphile_worker._private_jobs WHERE payload::text LIKE '%' || $1 || '%'`,
      [id],
    )
  )[0];

/** Runs the queue, and holds the job's next attempt to e^attempts seconds after its failure, which was meanwhile. */
async function failOnce(id: string): Promise<Waiting> {
  const started = Date.now();
  await runQueue();
  const ended = Date.now();
  const job = await jobOf(id);
  if (!job) throw new Error('No job is left');
  const backOff = 1000 * Math.exp(Math.min(job.attempts, 10));
  expect(job.run_at.getTime()).toBeGreaterThanOrEqual(Math.floor(started + backOff));
  expect(job.run_at.getTime()).toBeLessThanOrEqual(Math.ceil(ended + backOff));
  return job;
}

interface Sent {
  id: string;
  to: string;
}
/** A message by mail. */
async function message(): Promise<Sent> {
  const customer = await createCustomer({ tenant: shop });
  const appointment = await createAppointment({ tenant: shop, customer });
  const { status, body } = await agent.post(`/api/appointments/${appointment.id}/messages`).send({ channel: 'email', body: 'Hello' });
  expect(status).toBe(201);
  return { id: body.id, to: customer.email };
}
const stateOf = async (id: string) => (await admin('SELECT status, error_code FROM messages WHERE id = $1', [id]))[0];

/** An invoice with its PDF. */
async function invoice(): Promise<Sent> {
  const customer = await createCustomer({ tenant: shop });
  const appointment = await createAppointment({ tenant: shop, vehicle: await createVehicle({ customer }), status: 'COMPLETED' });
  await addAppointmentService(appointment, {});
  const made = await agent.post(`/api/admin/appointments/${appointment.id}/invoice`);
  expect((await agent.post(`/api/admin/invoices/${made.body.data.id}/send`).send({})).status).toBe(202);
  return { id: made.body.data.id, to: customer.email };
}
const idsTo = (to: string) => sandbox.mails.filter((mail) => mail.to === to).map(({ messageId }) => messageId);

const named = (fault: SmtpFault): [string, SmtpFault] => [`${fault.step}: ${fault.kind === 'reply' ? fault.line : fault.kind}`, fault];
const replies = (line: string, steps: readonly SmtpFault['step'][] = SMTP_STEPS): SmtpFault[] =>
  steps.map((step) => ({ step, kind: 'reply', line }));

/** What may be over at the next attempt, or once somebody has mended it: ours, not the mail's. */
const TRANSIENT: SmtpFault[] = [
  ...replies('451 4.3.0 later'),
  ...replies('421 4.7.0 going down'),
  ...SMTP_STEPS.map((step): SmtpFault => ({ step, kind: 'drop' })),
  ...replies('554 5.7.1 not from you', ['greeting', 'mail']),
  ...replies('530 5.7.0 authenticate first', ['mail', 'rcpt', 'data', 'body']),
];
const PERMANENT: SmtpFault[] = replies('550 5.1.1 no such mailbox', ['rcpt', 'data', 'body']);

describe('a message by mail', () => {
  test.each(TRANSIENT.map(named))('%s › kept and tried again later; then delivered, under one Message-ID', async (_, fault) => {
    const { id, to } = await message();
    sandbox.fail(fault);
    expect(await failOnce(id)).toMatchObject({ attempts: 1, max_attempts: 12, last_error: expect.any(String) });
    expect(await stateOf(id)).toEqual({ status: 'sending', error_code: null });
    await hurry();
    await runQueue();
    expect(await stateOf(id)).toEqual({ status: 'delivered', error_code: null });
    expect(await jobOf(id)).toBeUndefined();
    // Taken twice only where nobody could know that it was taken.
    const isLost = fault.step === 'body' && fault.kind === 'drop';
    expect(sandbox.accepted(to)).toHaveLength(isLost ? 2 : 1);
    expect([...new Set(idsTo(to))]).toEqual([`${id}@localhost`]);
  });

  test.each(PERMANENT.map(named))('%s › failed with the code, no second attempt', async (_, fault) => {
    const { id, to } = await message();
    sandbox.fail(fault);
    await runQueue();
    expect(await stateOf(id)).toEqual({ status: 'failed', error_code: '550' });
    expect(await jobOf(id)).toBeUndefined();
    const { connections } = sandbox;
    await hurry();
    await runQueue();
    expect([sandbox.connections, sandbox.accepted(to)]).toEqual([connections, []]);
  });

  test('away again and again › each wait e times the one before; given up after the twelfth attempt', async () => {
    const { id, to } = await message();
    for (let attempt = 1; attempt <= 12; attempt += 1) {
      sandbox.fail({ step: 'rcpt', kind: 'reply', line: '450 4.2.1 busy' });
      await hurry();
      expect((await failOnce(id)).attempts).toBe(attempt);
    }
    expect(await stateOf(id)).toEqual({ status: 'failed', error_code: 'gave_up' });
    expect(sandbox.accepted(to)).toEqual([]);
    expect(await jobOf(id)).toMatchObject({ attempts: 12, max_attempts: 12 });
  });

  test('a slow server at every step › waited for, one attempt', async () => {
    for (const step of SMTP_STEPS) {
      const { id, to } = await message();
      sandbox.fail({ step, kind: 'slow', ms: 300 });
      await runQueue();
      expect(await stateOf(id)).toEqual({ status: 'delivered', error_code: null });
      expect(sandbox.accepted(to)).toHaveLength(1);
    }
  });
});

describe('an invoice by mail', () => {
  test('dropped before and after DATA › one Message-ID in all attempts, the PDF in each', async () => {
    const { id, to } = await invoice();
    sandbox.fail({ step: 'data', kind: 'drop' });
    await runQueue();
    sandbox.fail({ step: 'body', kind: 'drop' });
    await hurry();
    await runQueue();
    await hurry();
    await runQueue();
    expect(await jobOf(id)).toBeUndefined();
    const taken = sandbox.accepted(to);
    expect(taken).toHaveLength(2);
    expect(new Set(taken.map(({ messageId }) => messageId)).size).toBe(1);
    for (const { messageId, text } of taken) {
      expect(messageId).toMatch(/^invoice-[0-9a-f-]{36}@localhost$/);
      expect(text).toContain('Content-Type: application/pdf');
    }
  });

  test.each(PERMANENT.map(named))('%s › dead at once, counted as such, never tried again', async (_, fault) => {
    const { id, to } = await invoice();
    sandbox.fail(fault);
    await runQueue();
    expect(await jobOf(id)).toMatchObject({ attempts: 1, max_attempts: 1, last_error: expect.stringContaining('550') });
    const client = new pg.Client({ connectionString: process.env['DATABASE_MIGRATION_URL'] as string });
    await client.connect();
    try {
      expect(await readQueue(client, ['mail.invoice'])).toMatchObject({ depth: 0, dead: 1, outbox_pending: 0, outbox_failed: 1 });
    } finally {
      await client.end();
    }
    const { connections } = sandbox;
    await hurry();
    await runQueue();
    expect([sandbox.connections, sandbox.accepted(to)]).toEqual([connections, []]);
  });
});

describe('never stuck', () => {
  const mail = { from: 'shop@localhost', to: 'somebody@customers.example', subject: 'Hello', text: 'Hello' };

  test.each(SMTP_STEPS)('%s: silence › given up at the limit, the connection closed, no refusal', async (step) => {
    const send = smtpSender(sandbox.url, { silentMs: 400, wholeMs: 60_000 });
    sandbox.fail({ step, kind: 'silent' });
    const error: unknown = await send(mail).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(ProviderRefusal);
    await closedAll();
  });

  test.each(SMTP_STEPS)('%s: an answer that never ends › given up at the limit for the whole, the connection closed', async (step) => {
    const send = smtpSender(sandbox.url, { silentMs: 60_000, wholeMs: 800 });
    sandbox.fail({ step, kind: 'trickle', ms: 50 });
    const error: unknown = await send(mail).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(ProviderRefusal);
    await closedAll();
  });

  test('nobody listens › an error, for another attempt', async () => {
    const gone = smtpSender('smtp://127.0.0.1:1', { silentMs: 400, wholeMs: 60_000 });
    await expect(gone(mail)).rejects.toMatchObject({ code: 'ESOCKET' });
  });

  /** Both ends: what was given up must not hold a socket. The test's own limit ends a wait that is in vain. */
  async function closedAll(): Promise<void> {
    while (sandbox.open > 0) await new Promise((resolve) => setImmediate(resolve));
  }
});
