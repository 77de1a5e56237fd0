/** Read replicas: a real one that streams from a primary of this file's own, stopped, frozen, and held back at will. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type * as ContextModule from '../../lib/context';
import type * as DatabaseModule from '../../lib/db';
import type * as MigratorModule from '../../lib/migrator';
import type * as RouteModule from '../../lib/read-route';
import type * as RedisModule from '../../lib/redis';
import { PIN_MS } from '../../lib/replica-choice';
import type * as ReplicasModule from '../../lib/replicas';
import type * as RoutesModule from '../../routes';
import type * as DatabaseStateModule from '../../server/ops/database-state';
import { closeLater } from '../support/closers';
import { admin } from '../support/database';
import { createAppointment, createCustomer, createStaff, createTenant, type Staff, type Tenant } from '../support/factories';
import { startReplicatedDatabase, type TestReplica } from '../support/replicated-database';
import type * as ServerModule from '../support/server';
import { describeWith } from '../support/services';

/** Two servers are made first. */
jest.setTimeout(120_000);

/** A statement, and the server it went to. */
type Sent = { target: string; text: string; operation: string | null };

describeWith('pg_basebackup', 'read replicas', () => {
  let replica: TestReplica;
  let db: typeof DatabaseModule;
  let context: typeof ContextModule;
  let route: typeof RouteModule;
  let replicas: typeof ReplicasModule;
  let server: typeof ServerModule;
  let routes: typeof RoutesModule;
  let app: ServerModule.TestApp;
  let tenant: Tenant;
  let owner: Staff;
  let session: ServerModule.Session;

  beforeAll(async () => {
    const pair = await startReplicatedDatabase();
    replica = pair.replica;
    Object.assign(process.env, {
      DATABASE_URL: pair.database.url,
      DATABASE_MIGRATION_URL: pair.database.migrationUrl,
      TEST_ADMIN_URL: pair.database.adminUrl,
      DATABASE_REPLICA_URLS: replica.url,
      RATE_LIMIT_EXPORT: '1000/3600',
    });
    // The configuration is read at import, so these come after the addresses are known.
    await jest.requireActual<typeof MigratorModule>('../../lib/migrator').runMigrations(pair.database.migrationUrl);
    db = jest.requireActual<typeof DatabaseModule>('../../lib/db');
    context = jest.requireActual<typeof ContextModule>('../../lib/context');
    route = jest.requireActual<typeof RouteModule>('../../lib/read-route');
    replicas = jest.requireActual<typeof ReplicasModule>('../../lib/replicas');
    routes = jest.requireActual<typeof RoutesModule>('../../routes');
    server = jest.requireActual<typeof ServerModule>('../support/server');
    jest.requireActual<typeof DatabaseStateModule>('../../server/ops/database-state').setMigrationCounter(async () => 0);
    app = await server.startApp();
    await replicas.openReplicas({ poolMax: 5, name: 'replica-test' });
    closeLater(() => replicas.closeReplicas());
    tenant = await createTenant();
    owner = await createStaff({ tenant, role: 'Owner' });
    session = await server.login(app, owner);
    await usable();
    // Where the run has a Redis, everybody reads from the primary at first: who wrote elsewhere before is not known.
    const redis = jest.requireActual<typeof RedisModule>('../../lib/redis');
    while (process.env['REDIS_URL'] && redis.redisReadyForMs() < PIN_MS) await delay(50);
  });

  /** Until the replica answers, and shows all that was committed before this call. */
  async function usable(): Promise<void> {
    const [now] = await admin<{ at: string }>('SELECT pg_current_wal_flush_lsn()::text AS at');
    const caughtUp = async () =>
      (await replica.query<{ done: boolean }>(`SELECT pg_last_wal_replay_lsn() >= '${now?.at}'::pg_lsn AS done`))[0]?.done === true;
    while (!(await caughtUp())) await delay(20);
    // A look that began after that knows it.
    const fresh = () => replicas.replicaReports().every(({ status, lag_s }) => status === 'up' && lag_s !== null && lag_s < 0.5);
    await delay(1);
    while (!fresh()) await delay(20);
  }

  /** The statements of requests, while `work` runs. */
  async function watching<T>(work: () => Promise<T>): Promise<{ result: T; sent: Sent[] }> {
    const sent: Sent[] = [];
    const stop = db.observeStatements(({ target, text, operation }) => {
      if (operation !== null) sent.push({ target, text, operation });
    });
    try {
      return { result: await work(), sent };
    } finally {
      stop();
    }
  }

  /** Runs `work` as a request of a session that has not written, on the replica. */
  async function onReplica<T>(work: () => Promise<T>): Promise<T> {
    const actor = { kind: 'staff', id: owner.id, role: 'Owner', name: owner.name, sessionId: randomUUID() } as const;
    const readRoute = await replicas.routeReads(actor);
    if (!readRoute) throw new Error('The replica is not in use');
    const stats = context.newWorkStats();
    return route.onReadRoute(readRoute, () =>
      context.withContext({ requestId: randomUUID(), operation: 'test', actor, tenant, ip: null, userAgent: null, stats }, work),
    );
  }

  /** Where a statement ran, with time to disturb it on the replica. */
  const SLOW_THERE = {
    text: `SELECT pg_is_in_recovery() AS standby, count(*) AS customers, pg_sleep(CASE WHEN pg_is_in_recovery() THEN 60 ELSE 0 END)::text AS slept
      FROM (SELECT 1 FROM customers LIMIT 1) c`,
  };
  const sleepers = "FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%AS slept%' AND pid <> pg_backend_pid()";
  async function untilItSleeps(): Promise<void> {
    while ((await replica.query(`SELECT 1 ${sleepers}`)).length === 0) await delay(20);
  }

  const marked = () => routes.endpoints.filter((endpoint) => endpoint.replica);

  test('the marks › on the analytics, the reports and the exports, on nothing that follows a write', () => {
    expect(
      marked()
        .map(({ id }) => id)
        .sort(),
    ).toEqual([
      'exportAppointments',
      'exportCustomers',
      'exportInvoices',
      'readAppointmentAnalytics',
      'readCustomerAnalytics',
      'readDashboardAnalytics',
      'readRevenueAnalytics',
      'readTemplateAnalytics',
      'reportAppointments',
      'reportPayments',
    ]);
    expect(marked().every(({ method }) => method === 'get')).toBe(true);
  });

  test('every marked endpoint › reads only on the replica, writes its trail only on the primary', async () => {
    await createAppointment({ tenant, customer: await createCustomer({ tenant }) });
    await usable();
    for (const endpoint of marked()) {
      const { result, sent } = await watching(() => session.agent.get(endpoint.path));
      expect([endpoint.id, result.status]).toEqual([endpoint.id, 200]);
      const own = sent.filter(({ operation }) => operation === endpoint.id);
      const [there, here] = ['replica-1', 'primary'].map((name) => own.filter(({ target }) => target === name));
      expect([endpoint.id, there?.length]).not.toEqual([endpoint.id, 0]);
      expect(there?.filter(({ text }) => !/^\s*(select|with|declare|fetch)/i.test(text))).toEqual([]);
      // Who asks is always asked of the primary; a connection that is opened for it prepares its scope.
      expect(here?.filter(({ text }) => !/^INSERT INTO audit_logs|FROM (sessions s|tenants)\s|^SELECT set_config/.test(text))).toEqual([]);
    }
  });

  test('a marked endpoint whose replies are kept elsewhere › asked again, read again: nothing is kept of what a replica gives', async () => {
    const cached = marked().filter(({ cache }) => cache);
    expect(cached).toHaveLength(5);
    for (const endpoint of cached) {
      await session.agent.get(endpoint.path).expect(200);
      const { result, sent } = await watching(() => session.agent.get(endpoint.path).expect(200));
      expect([endpoint.id, result.headers['x-cache']]).toEqual([endpoint.id, undefined]);
      expect(sent.filter(({ target, operation }) => target === 'replica-1' && operation === endpoint.id).length).toBeGreaterThan(0);
    }
  });

  test('an endpoint that follows every write › never on the replica', async () => {
    const { sent } = await watching(() => session.agent.get('/api/admin/dashboard/stats').expect(200));
    expect(sent.length).toBeGreaterThan(0);
    expect(sent.filter(({ target }) => target !== 'primary')).toEqual([]);
  });

  describe('replay is held back', () => {
    beforeEach(() => replica.pauseReplay());
    afterEach(async () => {
      await replica.resumeReplay();
      await usable();
    });

    const customersSeenBy = async ({ agent }: ServerModule.Session): Promise<string> =>
      (await agent.get('/api/admin/export/customers').expect(200)).text;
    const createBy = ({ agent }: ServerModule.Session, name: string) =>
      agent.post('/api/admin/customers').send({ name, email: `${randomUUID()}@customer.example` });

    test('the session that wrote › sees its own write at once; the replica does not have it', async () => {
      const name = `Own ${randomUUID()}`;
      const created = await createBy(session, name);
      expect([created.status, created.text]).toEqual([201, expect.any(String)]);
      expect(await customersSeenBy(session)).toContain(name);
      expect(await replica.query(`SELECT 1 FROM customers WHERE name = '${name}'`)).toEqual([]);
    });

    test('data older than two seconds › nobody reads it; a replica that has caught up is used again', async () => {
      const name = `Late ${randomUUID()}`;
      await createBy(session, name);
      const other = await server.login(app, await createStaff({ tenant, role: 'Owner' }));
      while (!replicas.replicaReports().some(({ lag_s }) => lag_s !== null && lag_s > 2)) await delay(20);
      const { sent } = await watching(async () => expect(await customersSeenBy(other)).toContain(name));
      expect(sent.filter(({ target }) => target !== 'primary')).toEqual([]);
      expect(replicas.replicaReports()).toMatchObject([{ status: 'up' }]);
      await replica.resumeReplay();
      await usable();
      const again = await watching(async () => expect(await customersSeenBy(other)).toContain(name));
      expect(again.sent.filter(({ target }) => target === 'replica-1').length).toBeGreaterThan(0);
    });
  });

  test('a primary that rests › no lag, however long ago its last commit was', async () => {
    const age = async () =>
      (await replica.query<{ age: number }>('SELECT extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 AS age'))[0]?.age ??
      0;
    while ((await age()) < 3) await delay(100);
    await usable();
    expect(await onReplica(() => db.query({ text: 'SELECT pg_is_in_recovery() AS standby' }))).toEqual([{ standby: true }]);
  });

  test('the connection is lost under a statement › answered by the primary, once, and the replica stays in use', async () => {
    const read = onReplica(() => db.query<{ standby: boolean }>(SLOW_THERE));
    await untilItSleeps();
    await replica.query(`SELECT pg_terminate_backend(pid) ${sleepers}`);
    expect(await read).toMatchObject([{ standby: false }]);
    await usable();
  });

  test('replaying the log conflicts with a statement › it is cancelled there and answered by the primary', async () => {
    await replica.query("ALTER SYSTEM SET max_standby_streaming_delay = '0'");
    await replica.query('SELECT pg_reload_conf()');
    const read = onReplica(() => db.query<{ standby: boolean }>(SLOW_THERE));
    await untilItSleeps();
    // An exclusive lock is replayed; it cannot wait for the reader.
    await admin('DO $$ BEGIN LOCK TABLE customers IN ACCESS EXCLUSIVE MODE; PERFORM txid_current(); END $$');
    expect(await read).toMatchObject([{ standby: false }]);
    await replica.query('ALTER SYSTEM RESET max_standby_streaming_delay');
    await replica.query('SELECT pg_reload_conf()');
    await usable();
  });

  test('a statement that is wrong › fails once, with its own error, and says nothing against the replica', async () => {
    await expect(onReplica(() => db.query({ text: 'SELECT nothing FROM nowhere' }))).rejects.toMatchObject({ code: '42P01' });
    await expect(onReplica(() => db.query({ text: 'INSERT INTO customers DEFAULT VALUES' }))).rejects.toMatchObject({ code: '25006' });
    expect(replicas.areReplicasUp()).toBe(true);
  });

  describe('a large result', () => {
    const ROWS = { text: `SELECT n, pg_is_in_recovery() AS standby FROM generate_series(1, 2500) n ORDER BY n` };
    const SAME = { text: 'SELECT n FROM generate_series(1, 2500) n ORDER BY n' };
    const endStreams = () => replica.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'FETCH%'");

    test('the replica is lost on the way › the primary goes on where it stopped', async () => {
      const seen: number[] = [];
      await onReplica(async () => {
        for await (const rows of db.streamRows<{ n: number }>(SAME, [], 500)) {
          seen.push(...rows.map(({ n }) => n));
          if (seen.length === 1000) await endStreams();
        }
      });
      expect(seen).toEqual(Array.from({ length: 2500 }, (_, index) => index + 1));
      await usable();
    });

    test('the primary would have begun otherwise › an error, never a mixture', async () => {
      const read = onReplica(async () => {
        let count = 0;
        for await (const rows of db.streamRows(ROWS, [], 500)) {
          count += rows.length;
          if (count === 1000) await endStreams();
        }
      });
      await expect(read).rejects.toMatchObject({ reason: 'replica_lost' });
      await usable();
    });
  });

  test('it freezes before a file is begun, while its connections look well › the primary gives the whole file', async () => {
    // One connection is there to be used again.
    await onReplica(() => db.query({ text: 'SELECT 1 AS one' }));
    replica.freeze();
    try {
      const seen = await onReplica(async () => {
        const all: number[] = [];
        for await (const rows of db.streamRows<{ n: number }>({ text: 'SELECT n FROM generate_series(1, 700) n ORDER BY n' }))
          all.push(...rows.map(({ n }) => n));
        return all;
      });
      expect(seen).toHaveLength(700);
    } finally {
      replica.thaw();
    }
    await usable();
  });

  describe.each([
    ['stopped', () => replica.stop('immediate'), () => replica.start()],
    ['frozen', async () => replica.freeze(), async () => replica.thaw()],
  ])('the replica is %s', (_name, lose, heal) => {
    test('requests under way and those after › answered; degraded says so; used again when it is back', async () => {
      const underWay = onReplica(() => db.query<{ standby: boolean }>(SLOW_THERE));
      await untilItSleeps();
      await lose();
      expect((await session.agent.get('/api/admin/analytics/revenue')).status).toBe(200);
      expect(await underWay).toMatchObject([{ standby: false }]);
      while (replicas.areReplicasUp()) await delay(20);
      expect(replicas.replicaReports()).toMatchObject([{ status: 'down', lag_s: null, latency: null }]);
      const ready = await app.agent().get('/ready');
      expect(ready.body).toMatchObject({ status: 'degraded', checks: { replicas: false, database: true } });
      expect(ready.status).toBe(200);
      await heal();
      await usable();
      expect((await app.agent().get('/ready')).body).toMatchObject({ checks: { replicas: true } });
      expect(await onReplica(() => db.query({ text: 'SELECT pg_is_in_recovery() AS standby' }))).toEqual([{ standby: true }]);
    });
  });
});
