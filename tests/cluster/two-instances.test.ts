/** Two instances of the service, each a cluster of its own, on one PostgreSQL and one Redis: what a balancer before them relies on. */
import { randomBytes, randomUUID } from 'node:crypto';
import { type Service, startService } from '../support/cluster';
import { admin } from '../support/database';
import { createAppointment, createCustomer, createStaff, createTenant, type Staff, type Tenant } from '../support/factories';
import { ProviderSandbox } from '../support/provider-sandbox';
import { describeWith, startRedis, temporaryFolder } from '../support/services';
import { eventually, stats } from './support';

const HOUR_MS = 3_600_000;
const SESSION_LIMIT = 100;

describeWith('redis', 'two instances', () => {
  const sandbox = new ProviderSandbox();
  let instances: [Service, Service];
  let tenant: Tenant;

  beforeAll(async () => {
    await sandbox.start();
    const redis = await startRedis();
    const { DATABASE_URL: url = '', DATABASE_MIGRATION_URL: migrationUrl = '', TEST_ADMIN_URL: adminUrl = '' } = process.env;
    const start = (instance: number) =>
      startService({
        database: { name: 'shared', url, migrationUrl, adminUrl },
        env: {
          WORKERS: '2',
          JOBS: 'true',
          INSTANCES: '2',
          DB_POOL_MAX: '10',
          REDIS_URL: redis.url,
          DATA_DIR: temporaryFolder(`instance-${instance}`),
          JWT_SECRET: secret,
          RATE_LIMIT_SESSION: `${SESSION_LIMIT}/60`,
          SMS_API_URL: sandbox.url,
          SMS_ACCOUNT: sandbox.account,
          SMS_TOKEN: sandbox.token,
          SMS_FROM: sandbox.number,
          PUBLIC_URL: 'https://shop.example/',
        },
      });
    const secret = randomBytes(48).toString('base64url');
    instances = await Promise.all([start(1), start(2)]);
    for (const instance of instances)
      await eventually('its job process', async () =>
        (await stats(instance)).workers.some(({ kind, state }) => kind === 'jobs' && state === 'ready'),
      );
    // The job of the reminders goes from shop to shop: those of earlier files would be all that happens here.
    await admin("UPDATE tenants SET status = 'cancelled'");
    tenant = await createTenant();
  });
  afterAll(() => Promise.all(instances.map((instance) => instance.stop())));

  type Headers = Record<string, string>;
  async function login({ email, password }: Staff, at: Service): Promise<Headers> {
    const { status, body } = await post<{ data: { token: string } }>(
      at,
      '/api/auth/login',
      { email, password },
      { 'x-tenant-id': tenant.id },
    );
    expect(status).toBe(200);
    return { authorization: `Bearer ${body.data.token}`, 'x-tenant-id': tenant.id };
  }
  const get = (at: Service, path: string, headers: Headers) => at.request(path, { headers });
  const post = <Body = Record<string, unknown>>(at: Service, path: string, body: unknown, headers: Headers) =>
    at.request<Body>(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  const newOwner = () => createStaff({ tenant, role: 'Owner' });
  const PATH = '/api/admin/dashboard/stats';

  test('a session begun at one › good at the other; ended at one › over at the other at once, in every worker', async () => {
    const [first, second] = instances;
    const headers = await login(await newOwner(), first);
    // Often enough that each worker has it in its memory.
    for (const at of [first, second, first, second, first, second]) expect((await get(at, PATH, headers)).status).toBe(200);
    expect((await post(first, '/api/auth/logout', {}, headers)).status).toBeLessThan(300);
    for (const at of [second, first, second, first, second, first]) expect((await get(at, PATH, headers)).status).toBe(401);
  });

  test(`a limit of ${SESSION_LIMIT} › exactly as many admitted, at whichever instance they are asked`, async () => {
    const headers = await login(await newOwner(), instances[0]);
    const asked = SESSION_LIMIT + 40;
    const answers = await Promise.all(Array.from({ length: asked }, (_, index) => get(instances[index % 2] as Service, PATH, headers)));
    const answered = (wanted: number) => answers.filter(({ status }) => status === wanted).length;
    expect({ 200: answered(200), 429: answered(429) }).toEqual({ 200: SESSION_LIMIT, 429: asked - SESSION_LIMIT });
  });

  test('one idempotency key at both at once › done once; repeated at the other › the same answer', async () => {
    const headers = { ...(await login(await newOwner(), instances[0])), 'idempotency-key': randomUUID() };
    const email = `${randomUUID()}@customer.example`;
    const create = (at: Service) => post(at, '/api/admin/customers', { name: 'Once only', email }, headers);
    const rush = await Promise.all(Array.from({ length: 10 }, (_, index) => create(instances[index % 2] as Service)));
    // 409: the first is still at work.
    expect(rush.filter(({ status }) => status !== 201 && status !== 409)).toEqual([]);
    const [first, second] = [await create(instances[0]), await create(instances[1])];
    expect([first.status, second.status]).toEqual([201, 201]);
    const dataOf = ({ body }: typeof first) => body['data'];
    expect(dataOf(second)).toEqual(dataOf(first));
    expect(await admin('SELECT 1 FROM customers WHERE email = $1', [email])).toHaveLength(1);
  });

  test('messages sent at both › each is handed over once', async () => {
    const count = 30;
    const visits = await Promise.all(
      Array.from({ length: count }, async () => {
        const customer = await createCustomer({ tenant, columns: { sms_consent: true } });
        return createAppointment({ tenant, customer });
      }),
    );
    const headers = await login(await newOwner(), instances[1]);
    const sent = await Promise.all(
      visits.map(({ id }, index) =>
        post<{ id: string }>(
          instances[index % 2] as Service,
          `/api/appointments/${id}/messages`,
          { channel: 'sms', body: 'Hello' },
          headers,
        ),
      ),
    );
    expect(sent.map(({ status }) => status)).toEqual(sent.map(() => 201));
    await queueIsEmpty();
    const calls = sent.map(({ body }) => sandbox.attempts.filter(({ dedupeKey }) => dedupeKey === body.id).length);
    expect(calls).toEqual(sent.map(() => 1));
  });

  test('reminders claimed by both at the same hour › each appointment is reminded of once', async () => {
    await admin("UPDATE tenant_settings SET quiet_from = '00:00', quiet_to = '00:00' WHERE tenant_id = $1", [tenant.id]);
    const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
    const start = new Date(hour + 24 * HOUR_MS);
    const numbers = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const customer = await createCustomer({ tenant, columns: { sms_consent: true } });
        await createAppointment({ tenant, customer, start, columns: { created_at: new Date('2026-01-01T00:00:00Z') } });
        return customer.phone;
      }),
    );
    // As if the clocks of several instances struck at once; each instance takes one job at a time.
    await admin("SELECT graphile_worker.add_job('reminders.claim', '{}'::json) FROM generate_series(1, 6)");
    await queueIsEmpty();
    const reminded = numbers.map((number) => sandbox.attempts.filter(({ fields }) => fields['To'] === number).length);
    expect(reminded).toEqual(numbers.map(() => 1));
  });

  const queueIsEmpty = () =>
    eventually(
      'nothing waits',
      async () => (await admin('SELECT 1 FROM graphile_worker._private_jobs WHERE attempts < max_attempts')).length === 0,
    );
});
