/**
 * @alone 500 requests at once through PgBouncer with 25 server connections: more clients of the pooler than it has connections, none fails,
 * and the pooler never opens a further one. What `/stats` says of budget and reuse afterwards is held against the metrics.
 */
import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { closeLater } from '../support/closers';
import { startService } from '../support/cluster';
import { admin, createDatabase } from '../support/database';
import { createCustomer, createStaff, createTenant, createVehicle } from '../support/factories';
import { startTestPooler, type TestPooler } from '../support/pgbouncer';
import { describeWith } from '../support/services';
import { openSession } from '../support/sessions';
import { currentCluster, withDatabase } from '../support/test-cluster';
import { call, eventually, Load, type Running, stats, sumOf, tally } from './support';

const CLIENTS = 500;
const REQUESTS = 1_500;
const SERVER_CONNECTIONS = 25;
/** The service's budget. What two workers keep of it, beside the share of a third, is more than the pooler has; opened before the load. */
const POOL = 60;
const SAMPLE_MS = 50;
const AT_ONCE = 25;

describeWith('pgbouncer', '500 concurrent requests through PgBouncer', () => {
  let pooler: TestPooler;
  let service: Running;
  let name: string;
  let customers: number[];
  let headers: Record<string, string>;

  beforeAll(async () => {
    const database = await createDatabase();
    process.env['TEST_ADMIN_URL'] = database.adminUrl;
    name = database.name;
    pooler = await startTestPooler(withDatabase(currentCluster().appUrl, name), {
      poolSize: SERVER_CONNECTIONS,
      maxServerConnections: SERVER_CONNECTIONS,
    });
    service = await startService({
      database: { ...database, url: pooler.url },
      env: {
        WORKERS: '2',
        BOOT_TIMEOUT: '120',
        // All of them may wait at once: that they are answered is the question here, not how soon.
        DB_QUEUE_MAX: String(CLIENTS),
        REQUEST_TIMEOUT: '120',
        KEEP_ALIVE_TIMEOUT: '120',
        DB_TIMEOUT: '120',
        DB_POOL_MIN: String(POOL),
        DB_POOL_MAX: String(POOL),
        PGBOUNCER_ADMIN_URL: pooler.adminUrl,
        DB_PREPARED: String(pooler.keepsStatements),
        MAX_REQUESTS: '0',
        RATE_LIMIT_SESSION: '1000000/60',
        RATE_LIMIT_ANON: '1000000/60',
        LOG_LEVEL: 'WARNING',
      },
    });
    const tenant = await createTenant();
    customers = [];
    for (let count = 0; count < 20; count += 1) {
      const customer = await createCustomer({ tenant });
      await createVehicle({ customer });
      customers.push(customer.id);
    }
    headers = { ...(await openSession(await createStaff({ tenant }))), 'Content-Type': 'application/json' };
  });
  afterAll(() => service.stop());

  /** A connection for each client, opened some at a time: how connections are taken in is another question. */
  async function openConnections(): Promise<Agent[]> {
    const agents = Array.from({ length: CLIENTS }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
    closeLater(() => {
      for (const agent of agents) agent.destroy();
    });
    for (let at = 0; at < CLIENTS; at += AT_ONCE)
      await Promise.all(agents.slice(at, at + AT_ONCE).map((agent) => call(service.url, { path: '/health', agent })));
    return agents;
  }

  /** Every statement on customers waits, and keeps its server connection, until the returned function is called. */
  async function lockCustomers(): Promise<() => Promise<void>> {
    const holder = new pg.Client({ connectionString: process.env['TEST_ADMIN_URL'] });
    closeLater(() => holder.end());
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('LOCK TABLE customers IN ACCESS EXCLUSIVE MODE');
    return () => holder.end();
  }

  /** Looks at the pooler every few milliseconds until stopped. */
  async function watchPooler(): Promise<{ samples: { servers: number; waiting: number }[]; stop(): Promise<void> }> {
    const watcher = new pg.Client({ connectionString: pooler.adminUrl });
    await watcher.connect();
    const samples: { servers: number; waiting: number }[] = [];
    let watching = true;
    const watch = async (): Promise<void> => {
      while (watching) {
        const [servers, pools] = [(await watcher.query('SHOW SERVERS')).rows, (await watcher.query('SHOW POOLS')).rows];
        samples.push({
          servers: servers.filter(({ database }) => database === name).length,
          waiting: pools.filter(({ database }) => database === name).reduce((sum, { cl_waiting }) => sum + Number(cl_waiting), 0),
        });
        await delay(SAMPLE_MS);
      }
      await watcher.end();
    };
    const watched = watch();
    const stop = (): Promise<void> => {
      watching = false;
      return watched;
    };
    closeLater(stop);
    return { samples, stop };
  }

  /** Of the service, as the server counts them. */
  const atServer = async (): Promise<number> =>
    (
      await admin<{ n: number }>(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND usename = 'autoshop_app'",
      )
    )[0]?.n ?? 0;

  const metric = async (metrics: string): Promise<number> => sumOf((await service.ops<string>('/metrics')).body, metrics);
  const acquires = () => metric('autoshop_db_pool_acquire_seconds_count');
  const connects = () => metric('autoshop_db_connects_total');

  /** Reads of one, two and four statements, and one write in ten. */
  const request = (client: number) => {
    const customer = customers[client % customers.length];
    if (client % 10 === 0)
      return { path: '/api/admin/customers', method: 'POST', body: Buffer.from(JSON.stringify({ name: `new ${client}` })) };
    if (client % 3 === 0) return { path: '/api/admin/customers?page_size=10' };
    return { path: `/api/admin/customers/${customer}?include=appointmentDetails` };
  };

  test('1,500 requests, 500 at a time › no error, at most 25 server connections, and connections are reused', async () => {
    const agents = await openConnections();
    await eventually('full pools', async () => {
      const { pool } = (await stats(service)).db.primary;
      return pool.min > 0 && pool.idle + pool.busy >= pool.min;
    });
    const before = [await acquires(), await connects()] as const;
    expect(before[1]).toBeGreaterThan(SERVER_CONNECTIONS);
    const { samples, stop } = await watchPooler();
    const release = await lockCustomers();
    const load = new Load(service.url, {
      clients: CLIENTS,
      limitMs: 170_000,
      request: (client) => ({ ...request(client), headers, timeoutMs: 120_000, agent: agents[client] ?? false }),
    });
    // More is asked of the pooler than it has, however fast the machine: else the limit would not be tried.
    await eventually('a full pooler', async () => samples.some(({ servers, waiting }) => servers >= SERVER_CONNECTIONS && waiting > 0));
    // One that the pooler has only begun to open is not yet at the server.
    await eventually('as many at the server', async () => (await atServer()) >= SERVER_CONNECTIONS);
    const atPeak = await atServer();
    await release();
    await load.until(REQUESTS);
    const outcomes = await load.stop();
    await stop();

    expect(outcomes.length).toBeGreaterThanOrEqual(REQUESTS);
    const failed = outcomes.filter(({ result }) => result !== 200 && result !== 201);
    expect(failed.slice(0, 5).map(({ result, ms, body }) => ({ result, ms, body }))).toEqual([]);
    expect(Object.keys(tally(outcomes)).sort()).toEqual(['200', '201']);
    const most = Math.max(...samples.map(({ servers }) => servers));
    expect([most, atPeak]).toEqual([SERVER_CONNECTIONS, SERVER_CONNECTIONS]);

    // What the primary has heard is a second old.
    const db = await eventually('quiet figures', async () => {
      const { db: told } = await stats(service);
      return told.budget.waiting === 0 && told.pgbouncer?.cl_waiting === 0 && told.pgbouncer.sv_active === 0 && told;
    });
    const [allAcquires, allConnects] = [await acquires(), await connects()];
    const reuse = 1 - (allConnects - before[1]) / (allAcquires - before[0]);
    process.stdout.write(
      `${outcomes.length} requests, ${samples.length} samples, at most ${most} server connections; reuse ${reuse.toFixed(5)} under load, ${db.primary.reuse_ratio} since the start (${allConnects} connects, ${allAcquires} acquires)\n`,
    );
    expect(reuse).toBeGreaterThanOrEqual(0.999);
    expect(db.primary.connects).toBe(allConnects);
    expect(db.primary.reuse_ratio).toBeCloseTo(1 - allConnects / allAcquires, 3);
    expect(db.primary.acquire.timeouts).toBe(0);
    expect(db.budget.limit).toBe(POOL);
    expect(db.budget.used).toBeLessThanOrEqual(POOL);
    expect(db.budget.granted).toBeLessThanOrEqual(POOL);
    expect(db.pgbouncer).toMatchObject({ sv_idle: SERVER_CONNECTIONS });
  }, 240_000);
});
