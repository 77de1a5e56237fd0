/** @alone The block `db.pgbouncer` of `/stats`, held against the pooler's own words, and what it says when the pooler hangs. */
import pg from 'pg';
import { startService } from '../support/cluster';
import { show, startTestPooler, type TestPooler } from '../support/pgbouncer';
import { describeWith } from '../support/services';
import { eventually, type Running, stats, TIMES } from './support';

describeWith('pgbouncer', '/stats of a service behind PgBouncer', () => {
  let pooler: TestPooler;
  let service: Running;
  const block = async () => (await stats(service)).db.pgbouncer;

  beforeAll(async () => {
    pooler = await startTestPooler(process.env['TEST_DIRECT_URL'] ?? '', { poolSize: 3 });
    service = await startService({
      env: {
        WORKERS: '2',
        DATABASE_URL: pooler.url,
        DATABASE_MIGRATION_URL: process.env['DATABASE_MIGRATION_URL'],
        PGBOUNCER_ADMIN_URL: pooler.adminUrl,
        DB_PREPARED: String(pooler.keepsStatements),
      },
    });
  });
  afterAll(() => service.stop());

  test('four clients at work on three server connections › three active, one waits, and for how long', async () => {
    const clients = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const client = new pg.Client({ connectionString: pooler.url });
        await client.connect();
        return client;
      }),
    );
    const work = Promise.all(clients.map((client) => client.query('SELECT pg_sleep(12)')));
    const seen = await eventually('the one that waits', async () => {
      const now = await block();
      return now !== null && now.cl_waiting >= 1 && now.maxwait_s > 1 && now;
    });
    expect(seen.sv_active).toBe(3);
    expect(seen.sv_idle).toBe(0);
    expect(seen.maxwait_s).toBeLessThan(15 * TIMES);
    await work;
    await Promise.all(clients.map((client) => client.end()));
    await eventually('nobody waits', async () => {
      const now = await block();
      return now && now.cl_waiting === 0 && now.sv_idle > 0 && now;
    });
    const own = (await show(pooler.adminUrl, 'POOLS')).filter(({ database }) => database === new URL(pooler.url).pathname.slice(1));
    const now = await block();
    expect((now?.sv_active ?? 0) + (now?.sv_idle ?? 0)).toBe(
      own.reduce((sum, row) => sum + Number(row['sv_active']) + Number(row['sv_idle']) + Number(row['sv_used']), 0),
    );
  });

  test('the pooler hangs › /stats answers as fast as ever and says null; it is back when the pooler is', async () => {
    process.kill(pooler.pid, 'SIGSTOP');
    try {
      const times: number[] = [];
      await eventually('null', async () => {
        const { body, ms } = await service.ops<{ db: { pgbouncer: unknown } }>('/stats');
        times.push(ms);
        return body.db.pgbouncer === null;
      });
      // The machine may hold up one or another; whoever waited for the pooler would wait each time.
      times.sort((a, b) => a - b);
      expect(times[Math.floor(times.length * 0.95)]).toBeLessThan(500 * TIMES);
    } finally {
      process.kill(pooler.pid, 'SIGCONT');
    }
    await eventually('figures again', async () => (await block()) !== null);
  });

  test('a service that knows no admin console › null', async () => {
    const other = await startService({
      env: { WORKERS: '1', DATABASE_URL: pooler.url, DB_PREPARED: String(pooler.keepsStatements) },
    });
    await eventually('the first report', async () => (await stats(other)).db.primary.status === 'up');
    expect((await stats(other)).db.pgbouncer).toBeNull();
    await other.stop();
  });
});
