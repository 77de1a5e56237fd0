/**
 * @alone The service with a read replica, as it runs: what reaches which server, by the servers' own statistics; the replica stopped, started
 * and frozen under load; a session's own writes from every worker.
 */
import { randomUUID } from 'node:crypto';
import { call, eventually, Load, stats, sumOf, tally } from '../cluster/support';
import { type Service, startService } from '../support/cluster';
import { admin } from '../support/database';
import { createAppointment, createCustomer, createStaff, createTenant, type Staff, type Tenant } from '../support/factories';
import { startReplicatedDatabase, type TestReplica } from '../support/replicated-database';
import { describeWith, temporaryFolder } from '../support/services';

const MARKED = [
  '/api/admin/analytics/dashboard',
  '/api/admin/analytics/revenue',
  '/api/admin/analytics/appointments',
  '/api/admin/analytics/customers',
  '/api/admin/analytics/templates',
  '/api/admin/reports/appointments.csv',
  '/api/admin/reports/payments.csv',
  '/api/admin/export/appointments',
  '/api/admin/export/invoices',
  '/api/admin/export/customers',
];
const POOL_MAX = 12;

describeWith('pg_basebackup', 'the service with a read replica', () => {
  let replica: TestReplica;
  let service: Service;
  let tenant: Tenant;
  let headers: Record<string, string>;

  beforeAll(async () => {
    const pair = await startReplicatedDatabase();
    replica = pair.replica;
    process.env['TEST_ADMIN_URL'] = pair.database.adminUrl;
    service = await startService({
      database: pair.database,
      env: {
        WORKERS: '2',
        MAX_REQUESTS: '0',
        DB_POOL_MAX: String(POOL_MAX),
        DATABASE_REPLICA_URLS: replica.url,
        DATA_DIR: temporaryFolder('replicas'),
        RATE_LIMIT_SESSION: '1000000/60',
        RATE_LIMIT_EXPORT: '1000000/60',
      },
    });
    tenant = await createTenant();
    const customers = await Promise.all(Array.from({ length: 20 }, () => createCustomer({ tenant })));
    for (const customer of customers) await createAppointment({ tenant, customer });
    headers = await login(await createStaff({ tenant, role: 'Owner' }));
    await inUse();
  });
  afterAll(() => service.stop());

  // What one test left broken must not be the next one's fault.
  afterEach(async () => {
    replica.thaw();
    if (!replica.isRunning) await replica.start();
  });

  async function login({ email, password }: Staff): Promise<Record<string, string>> {
    const { body } = await service.request<{ data: { token: string } }>('/api/auth/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-tenant-id': tenant.id },
      body: JSON.stringify({ email, password }),
    });
    return { authorization: `Bearer ${body.data.token}`, 'x-tenant-id': tenant.id };
  }

  const choices = async (choice: string): Promise<number> =>
    sumOf((await service.ops<string>('/metrics')).body, 'autoshop_db_replica_choices_total', `choice="${choice}"`);
  const replicaStats = async () => (await stats(service)).db.replicas[0];

  /** Until every worker says that it uses the replica, and reads do come to it. */
  async function inUse(): Promise<void> {
    await eventually('the replica is up', async () => {
      const found = await replicaStats();
      return found?.status === 'up' && found.lag_s !== null && found.lag_s < 2;
    });
    const before = await choices('replica');
    await eventually('the replica is read', async () => {
      await get('/api/admin/analytics/revenue');
      return (await choices('replica')) > before;
    });
  }

  const get = (path: string) => call(service.url, { path, headers });

  /** What the service's role has sent since the last reset, without its constants. */
  const STATEMENTS = `SELECT query FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = 'autoshop_app'`;
  const RESET = 'SELECT pg_stat_statements_reset()';

  test('analytics, reports and exports › their statements only on the replica; writes only on the primary', async () => {
    await admin(RESET);
    await replica.query(RESET);
    for (const path of MARKED) expect([path, (await get(path)).result]).toEqual([path, 200]);
    const texts = (rows: { query: string }[]) => rows.map(({ query }) => query.replace(/\s+/g, ' ').trim());
    const there = texts(await replica.query<{ query: string }>(STATEMENTS));
    const here = texts(await admin<{ query: string }>(STATEMENTS));
    const ofTheShop = (text: string) => /\b(FROM|JOIN) (appointments|invoices|payments|template_usage_events)\b/.test(text);
    expect(there.filter(ofTheShop).length).toBeGreaterThanOrEqual(MARKED.length);
    expect(here.filter(ofTheShop)).toEqual([]);
    // What both know is only how a connection begins.
    const both = there
      .filter((text) => here.includes(text))
      .filter((text) => !/set_config|^(START TRANSACTION|BEGIN|COMMIT|ROLLBACK)/.test(text));
    expect(both.filter((text) => !text.includes('pg_roles'))).toEqual([]);

    const body = Buffer.from(JSON.stringify({ name: 'Somebody', email: `${randomUUID()}@customer.example` }));
    const json = { ...headers, 'content-type': 'application/json' };
    expect((await call(service.url, { path: '/api/admin/customers', method: 'POST', headers: json, body })).result).toBe(201);
    const isWrite = (text: string) => /\b(INSERT INTO|UPDATE|DELETE FROM|add_job)\b/i.test(text);
    expect(texts(await replica.query<{ query: string }>(STATEMENTS)).filter(isWrite)).toEqual([]);
    expect(texts(await admin<{ query: string }>(STATEMENTS)).filter(isWrite).length).toBeGreaterThan(0);
  });

  test('a write, then reads by new connections to every worker › all show it, while the replica does not have it', async () => {
    await inUse();
    const owner = await login(await createStaff({ tenant, role: 'Owner' }));
    await replica.pauseReplay();
    try {
      const name = `Own ${randomUUID()}`;
      const body = Buffer.from(JSON.stringify({ name, email: `${randomUUID()}@customer.example` }));
      const posted = { path: '/api/admin/customers', method: 'POST', headers: { ...owner, 'content-type': 'application/json' }, body };
      expect((await call(service.url, posted)).result).toBe(201);
      const reads = await Promise.all(
        Array.from({ length: 8 }, () => call(service.url, { path: '/api/admin/export/customers', headers: owner })),
      );
      expect(reads.map(({ result, body: text }) => [result, text.includes(name)])).toEqual(reads.map(() => [200, true]));
      expect(await replica.query(`SELECT 1 FROM customers WHERE name = '${name}'`)).toEqual([]);
    } finally {
      await replica.resumeReplay();
    }
  });

  test('/stats › the pool, its reuse and the lag of the replica; the budget holds there as well', async () => {
    await inUse();
    const load = new Load(service.url, { clients: 8, request: (client) => ({ path: MARKED[client] as string, headers }) });
    await load.until(400);
    const [{ connections = 0 } = {}] = await replica.query<{ connections: number }>(
      "SELECT count(*)::int AS connections FROM pg_stat_activity WHERE application_name LIKE 'autoshop:%'",
    );
    const outcomes = await load.stop();
    expect(tally(outcomes)).toEqual({ 200: outcomes.length });
    expect(connections).toBeGreaterThan(0);
    expect(connections).toBeLessThanOrEqual(POOL_MAX);
    const found = await eventually('what happened is told', async () => {
      const block = await replicaStats();
      // A look that takes a second on a starved machine puts it out of use for a moment.
      return block?.status === 'up' && block.lag_s !== null && block.acquire.p95 !== null && block;
    });
    expect(found).toMatchObject({
      status: 'up',
      role: 'replica',
      latency: expect.any(Number),
      lag_s: expect.any(Number),
      pool: { min: 0 },
    });
    expect(found.reuse_ratio).toBeGreaterThan(0.9);
    expect(found.pool.max).toBeLessThan(POOL_MAX);
    expect(found.acquire.timeouts).toBe(0);
  });

  test.each([
    ['stopped', () => replica.stop('fast'), () => replica.start()],
    ['crashed', () => replica.stop('immediate'), () => replica.start()],
    ['frozen', async () => replica.freeze(), async () => replica.thaw()],
  ])('%s under load › no request fails, the state says degraded, and it is used again', async (_name, lose, heal) => {
    await inUse();
    let sent = 0;
    const load = new Load(service.url, {
      clients: 8,
      limitMs: 110_000,
      request: () => {
        sent += 1;
        return { path: MARKED[sent % MARKED.length] as string, headers };
      },
    });
    await load.until(100);
    await lose();
    await load.until(load.outcomes.length + 100);
    const { db, requests } = await eventually('every worker knows', async () => {
      const seen = await stats(service);
      return seen.db.replicas[0]?.status === 'down' && seen.db.replicas[0].lag_s === null && seen;
    });
    expect(db.primary.status).toBe('up');
    expect(service.events().filter(({ status, message }) => Number(status) >= 500 || message === 'request failed')).toEqual([]);
    expect(requests.error_ratio['5xx']).toBe(0);
    expect(await service.request('/ready')).toMatchObject({ status: 200, body: { status: 'degraded', checks: { replicas: false } } });
    await heal();
    await inUse();
    await load.until(load.outcomes.length + 100);
    const outcomes = await load.stop();
    expect(tally(outcomes)).toEqual({ 200: outcomes.length });
    await eventually('ready again', async () => (await service.request<{ status: string }>('/ready')).body.status === 'ready');
  });
});
