import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Logger, runOnce } from 'graphile-worker';
import { config } from '../../config';
import { overrideRate } from '../../lib/rate-limit';
import { hashOpaqueToken } from '../../lib/tokens';
import { JOBS, startQueue, tasksOf } from '../../server/job-runner';
import { admin } from '../support/database';
import { type Customer, createCustomer, createStaff, createTenant, PASSWORD, type Staff, type Tenant } from '../support/factories';
import { linkParameters, mailTo } from '../support/mail';
import { login, startApp, type TestApp } from '../support/server';

const NEW_PASSWORD = 'Brand-new-secret-8';
let app: TestApp;
let shop: Tenant;

beforeAll(async () => {
  app = await startApp();
  shop = await createTenant();
});

/** The library writes a line for each job to the console. */
const quiet = new Logger(() => () => undefined);
/** Everything that waits in the queue, run as the job process would. */
const runQueue = () =>
  runOnce({
    connectionString: process.env['DATABASE_MIGRATION_URL'] as string,
    taskList: tasksOf(JOBS),
    noHandleSignals: true,
    logger: quiet,
  });

const request = (email: unknown, tenant: string | undefined = shop.id, agent = app.agent()) =>
  agent.post('/api/auth/request-password-reset').send({ email, ...(tenant === undefined ? {} : { tenant_id: tenant }) });
const reset = (body: object, agent = app.agent()) => agent.post('/api/auth/reset-password').send({ tenant_id: shop.slug, ...body });
const jobsFor = (kind: string, id: string | number) =>
  admin<{ payload: Record<string, string> }>('SELECT payload FROM graphile_worker._private_jobs WHERE key = $1', [
    `password-reset:${kind}:${id}`,
  ]);
const signIn = ({ email }: { email: string }, password: string) =>
  app.agent().set('X-Tenant-Id', shop.id).post('/api/auth/login').send({ email, password });

async function mailedToken(account: Staff | Customer): Promise<string> {
  expect((await request(account.email)).status).toBe(204);
  await runQueue();
  const mail = mailTo(account.email).at(-1);
  if (!mail) throw new Error(`No mail to ${account.email}`);
  return linkParameters(mail).get('token') ?? '';
}

describe('POST /api/auth/request-password-reset', () => {
  it('a known customer › 204, a job with ids only; run › one mail with a link, hash stored, valid an hour', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const response = await request(` ${customer.email.toUpperCase()} `);
    expect(response.status).toBe(204);
    expect(response.text).toBe('');
    expect((await jobsFor('customer', customer.id)).map(({ payload }) => payload)).toEqual([
      { tenantId: shop.id, requestId: response.headers['x-request-id'], kind: 'customer', userId: String(customer.id) },
    ]);
    await runQueue();
    expect(await jobsFor('customer', customer.id)).toEqual([]);
    const [mail, ...more] = mailTo(customer.email);
    expect(more).toEqual([]);
    expect(mail?.subject).toContain(shop.name);
    const link = linkParameters(mail as NonNullable<typeof mail>);
    const token = link.get('token') ?? '';
    expect(token).toMatch(/^[\w-]{43}$/);
    expect([link.get('email'), link.get('tenant')]).toEqual([customer.email, shop.slug]);
    const rows = await admin<Record<string, unknown>>(
      `SELECT token_hash, used_at, tenant_id, extract(epoch FROM expires_at - now())::float8 / 60 AS minutes
        FROM password_resets WHERE actor_type = 'customer' AND user_id = $1`,
      [String(customer.id)],
    );
    expect(rows).toEqual([{ token_hash: hashOpaqueToken(token), used_at: null, tenant_id: shop.id, minutes: expect.any(Number) }]);
    expect(rows[0]?.['minutes']).toBeGreaterThan(59);
    expect(rows[0]?.['minutes']).toBeLessThanOrEqual(60);
  });

  it('mail files › readable by their owner only', () => {
    const folder = join(config.DATA_DIR, 'mail');
    for (const file of readdirSync(folder)) expect(statSync(join(folder, file)).mode & 0o077).toBe(0);
  });

  it('asked twice › only the link of the second mail works', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const [first, second] = [await mailedToken(customer), await mailedToken(customer)];
    expect((await reset({ email: customer.email, token: first, new_password: NEW_PASSWORD })).status).toBe(400);
    expect((await reset({ email: customer.email, token: second, new_password: NEW_PASSWORD })).status).toBe(204);
  });

  it('asked twice before the job runs › one job, one mail', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    await request(customer.email);
    await request(customer.email);
    expect(await jobsFor('customer', customer.id)).toHaveLength(1);
    await runQueue();
    expect(mailTo(customer.email)).toHaveLength(1);
  });

  it.each([['nobody@nowhere.example'], [''], [undefined], [7], [{ a: 1 }], ['x'.repeat(300)]])('e-mail %j › 204, no job', async (email) => {
    const before = await admin('SELECT 1 FROM graphile_worker._private_jobs');
    expect((await request(email)).status).toBe(204);
    expect(await admin('SELECT 1 FROM graphile_worker._private_jobs')).toHaveLength(before.length);
  });

  it('unknown or suspended tenant, deleted customer, inactive staff › 204, no job', async () => {
    const suspended = await createTenant({ status: 'suspended' });
    const there = await createCustomer({ tenant: suspended, canLogIn: true });
    const deleted = await createCustomer({ tenant: shop, canLogIn: true, columns: { deleted_at: new Date() } });
    const inactive = await createStaff({ tenant: shop, isActive: false });
    expect((await request(there.email, 'no-such-shop')).status).toBe(204);
    expect((await request(there.email, suspended.id)).status).toBe(204);
    expect((await request(deleted.email)).status).toBe(204);
    expect((await request(inactive.email)).status).toBe(204);
    for (const { id } of [there, deleted]) expect(await jobsFor('customer', id)).toEqual([]);
    expect(await jobsFor('staff', inactive.id)).toEqual([]);
  });

  it('a known and an unknown address › answered in the same time', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const restore = overrideRate('reset', { limit: 1000, windowMs: 60_000 });
    const timeOf = async (email: string) => {
      const started = performance.now();
      await request(email);
      return performance.now() - started;
    };
    try {
      // In turns, and the quickest of each: what else the machine does makes some of them slower, never quicker.
      let [known, unknown] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      for (let round = 0; round < 7; round += 1) {
        known = Math.min(known, await timeOf(customer.email));
        unknown = Math.min(unknown, await timeOf('nobody@nowhere.example'));
      }
      expect(Math.min(known, unknown)).toBeGreaterThanOrEqual(55);
      expect(Math.abs(known - unknown)).toBeLessThan(60);
    } finally {
      restore();
    }
  });

  it('a sixth request for one address › still 204, nothing is done', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const agent = app.agent();
    for (let count = 0; count < 5; count += 1) expect((await request(customer.email, shop.id, agent)).status).toBe(204);
    await runQueue();
    expect((await request(customer.email, shop.id, agent)).status).toBe(204);
    expect(await jobsFor('customer', customer.id)).toEqual([]);
  });

  it('an address of staff and of a customer › both accounts get a link of their own', async () => {
    const staff = await createStaff({ tenant: shop });
    const customer = await createCustomer({ tenant: shop, canLogIn: true, columns: { email: staff.email } });
    await request(staff.email);
    await runQueue();
    const tokens = mailTo(staff.email).map((mail) => linkParameters(mail).get('token'));
    expect(new Set(tokens).size).toBe(2);
    for (const token of tokens) expect((await reset({ email: staff.email, token, new_password: NEW_PASSWORD })).status).toBe(204);
    const [auth] = await admin<{ updated: boolean }>(
      'SELECT updated_at > created_at AS updated FROM customer_auth WHERE tenant_id = $1 AND customer_id = $2',
      [shop.id, customer.id],
    );
    expect(auth).toEqual({ updated: true });
    expect((await signIn(staff, NEW_PASSWORD)).status).toBe(200);
  });
});

describe('POST /api/auth/reset-password', () => {
  it('with the mailed token › 204, new password works, old one not, every session ended, audited', async () => {
    const staff = await createStaff({ tenant: shop });
    const sessions = [await login(app, staff), await login(app, staff)];
    const token = await mailedToken(staff);
    expect((await reset({ email: staff.email, token, new_password: NEW_PASSWORD })).status).toBe(204);
    for (const { agent } of sessions) expect((await agent.get('/api/auth/verify-token')).status).toBe(401);
    expect((await signIn(staff, PASSWORD)).status).toBe(401);
    expect((await signIn(staff, NEW_PASSWORD)).status).toBe(200);
    const audit = await admin(
      `SELECT user_id, entity FROM audit_logs WHERE tenant_id = $1 AND entity_id = $2 AND action = 'PASSWORD_RESET'`,
      [shop.id, staff.id],
    );
    expect(audit).toEqual([{ user_id: staff.id, entity: 'staff' }]);
  });

  it('a token used before, also by two requests at once › works exactly once', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const token = await mailedToken(customer);
    const attempt = () => reset({ email: customer.email, token, new_password: NEW_PASSWORD });
    const answers = await Promise.all([attempt(), attempt(), attempt()]);
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 400, 400]);
    const again = await attempt();
    expect([again.status, again.body.message, again.body.error.code]).toEqual([400, 'Invalid token or request', 'invalid_request']);
  });

  it('a customer without a log-in › gets one by proof of the mailbox', async () => {
    const customer = await createCustomer({ tenant: shop });
    const taken = await app
      .agent()
      .set('X-Tenant-Id', shop.id)
      .post('/api/customers/register')
      .send({ email: customer.email, password: PASSWORD });
    expect(taken.status).toBe(409);
    await runQueue();
    const mail = mailTo(customer.email)[0];
    const token = linkParameters(mail as NonNullable<typeof mail>).get('token');
    expect((await reset({ email: customer.email, token, new_password: NEW_PASSWORD })).status).toBe(204);
    const response = await signIn(customer, NEW_PASSWORD);
    expect(response.body.data.user).toMatchObject({ id: String(customer.id), role: 'Customer' });
  });

  it('a locked account › unlocked by the reset', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    await admin(`UPDATE customer_auth SET locked_until = now() + interval '10 minutes' WHERE customer_id = $1`, [customer.id]);
    expect((await signIn(customer, PASSWORD)).status).toBe(401);
    const token = await mailedToken(customer);
    await reset({ email: customer.email, token, new_password: NEW_PASSWORD });
    expect((await signIn(customer, NEW_PASSWORD)).status).toBe(200);
  });

  it('weak password › its rule first, whatever the token; the token is not used up', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const token = await mailedToken(customer);
    for (const [body, message] of [
      [{ new_password: 'short' }, 'Password must be at least 8 characters long'],
      [{ new_password: 'alllowercase1!' }, 'Password must contain at least one uppercase letter'],
      [{}, 'Password is required'],
    ] as const) {
      const response = await reset({ email: customer.email, token, ...body });
      expect([response.status, response.body.error.code, response.body.message]).toEqual([400, 'invalid_request', message]);
    }
    expect((await reset({ email: customer.email, token, new_password: NEW_PASSWORD })).status).toBe(204);
  });

  it('wrong token, somebody else’s token, expired token, unknown e-mail, nothing › one answer', async () => {
    const [one, two] = [await createCustomer({ tenant: shop, canLogIn: true }), await createCustomer({ tenant: shop, canLogIn: true })];
    const [tokenOfOne, tokenOfTwo] = [await mailedToken(one), await mailedToken(two)];
    await admin(`UPDATE password_resets SET expires_at = now() - interval '1 second' WHERE token_hash = $1`, [hashOpaqueToken(tokenOfOne)]);
    for (const body of [
      { email: two.email, token: 'wrong' },
      { email: two.email, token: hashOpaqueToken(tokenOfTwo) },
      { email: one.email, token: tokenOfTwo },
      { email: one.email, token: tokenOfOne },
      { email: 'nobody@nowhere.example', token: tokenOfTwo },
      {},
    ]) {
      const response = await reset({ new_password: NEW_PASSWORD, ...body });
      expect([response.status, response.body.error.code, response.body.message]).toEqual([
        400,
        'invalid_request',
        'Invalid token or request',
      ]);
    }
    expect((await signIn(two, PASSWORD)).status).toBe(200);
  });

  it('unknown tenant › 400 Invalid tenant; another tenant › as a wrong token', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const token = await mailedToken(customer);
    const attempt = (tenant: string) => reset({ email: customer.email, token, new_password: NEW_PASSWORD, tenant_id: tenant });
    expect((await attempt('no-such-shop')).body.message).toBe('Invalid tenant');
    expect((await attempt((await createTenant()).id)).body.message).toBe('Invalid token or request');
  });

  it('a sixth attempt for one address › 429 with Retry-After', async () => {
    const agent = app.agent();
    const attempt = () => reset({ email: 'somebody@nowhere.example', token: 'guess', new_password: NEW_PASSWORD }, agent);
    for (let count = 0; count < 5; count += 1) expect((await attempt()).status).toBe(400);
    const response = await attempt();
    expect(response.status).toBe(429);
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
  });
});

describe('the queue', () => {
  /** The next mail, not a scheduled job whose minute begins meanwhile. */
  const mailed = ({ events }: Awaited<ReturnType<typeof startQueue>>): Promise<void> =>
    new Promise((resolve) => {
      events.on('job:success', ({ job }: { job: { task_identifier: string } }) => {
        if (job.task_identifier === 'mail.password-reset') resolve();
      });
    });

  it('a running queue › takes a new job by notification, over one connection', async () => {
    const queue = await startQueue(process.env['DATABASE_MIGRATION_URL'] as string);
    try {
      const customer = await createCustomer({ tenant: shop, canLogIn: true });
      const order: string[] = [];
      queue.events.once('pool:listen:notification', () => order.push('notified'));
      const done = mailed(queue);
      await request(customer.email);
      await done;
      order.push('done');
      expect(order).toEqual(['notified', 'done']);
      expect(mailTo(customer.email)).toHaveLength(1);
      const connections = await admin(
        `SELECT 1 FROM pg_stat_activity WHERE application_name = 'autoshop-jobs' AND datname = current_database()`,
      );
      expect(connections).toHaveLength(1);
    } finally {
      await queue.close();
    }
  });

  it('its connection is cut › opened anew, the next job still runs', async () => {
    const queue = await startQueue(process.env['DATABASE_MIGRATION_URL'] as string);
    try {
      await admin(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'autoshop-jobs' AND datname = current_database()`,
      );
      const customer = await createCustomer({ tenant: shop, canLogIn: true });
      const done = mailed(queue);
      await request(customer.email);
      await done;
      expect(mailTo(customer.email)).toHaveLength(1);
    } finally {
      await queue.close();
    }
  });

  it('a job whose tenant is gone › dropped, not tried again', async () => {
    await admin(
      `SELECT graphile_worker.add_job('mail.password-reset', json_build_object('tenantId', gen_random_uuid(), 'kind', 'staff', 'userId', 'x'), job_key => 'orphan')`,
    );
    await runQueue();
    expect(await admin(`SELECT 1 FROM graphile_worker._private_jobs WHERE key = 'orphan'`)).toEqual([]);
  });

  it('a payload of the wrong form › fails, is kept for another try', async () => {
    await admin(`SELECT graphile_worker.add_job('mail.password-reset', '{"kind":"robot"}', job_key => 'misformed')`);
    await runQueue();
    const [row] = await admin<{ attempts: number; last_error: string | null }>(
      `SELECT attempts, last_error FROM graphile_worker._private_jobs WHERE key = 'misformed'`,
    );
    expect(row).toMatchObject({ attempts: 1, last_error: expect.stringContaining('kind') });
    await admin(`DELETE FROM graphile_worker._private_jobs WHERE key = 'misformed'`);
  });
});
