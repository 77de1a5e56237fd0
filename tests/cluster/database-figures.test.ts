/** The blocks `db.server`, `db.top` and `db.profiler` of `/stats`, held against the server itself. */
import type { Stats } from '../../server/ops/stats.schema';
import { startService } from '../support/cluster';
import { admin } from '../support/database';
import { eventually, stats } from './support';

test('/stats › server limits and connections, why there is no profile, then the profile that any instance took', async () => {
  await admin('DROP EXTENSION IF EXISTS pg_stat_statements');
  // Of other tests on this database.
  await admin('DELETE FROM statement_profiles');
  const service = await startService({
    env: { WORKERS: '2', DATABASE_URL: process.env['DATABASE_URL'], DATABASE_MIGRATION_URL: process.env['DATABASE_MIGRATION_URL'] },
  });
  const read = async (): Promise<Stats['db']> => (await stats(service)).db;
  // The server was asked before the last connections were opened, and is asked again.
  const first = await eventually('the server figures, with every connection of ours', async () => {
    const db = await read();
    return db.server !== null && db.server.used >= db.budget.used && db;
  });
  const [limit] = await admin<{ max_connections: string }>('SHOW max_connections');
  expect(first.server?.max_connections).toBe(Number(limit?.max_connections));
  expect(first.top).toBeNull();
  expect(first.profiler).toEqual({ status: 'absent', sampled_at: null, regressions: [] });

  // As the job of another instance would leave it.
  await admin(
    `INSERT INTO statement_profiles (sampled_at, queryid, fingerprint, calls, total_ms, rows, baseline_ms, is_regression)
      VALUES ('2031-01-01T00:05:00Z', 7, 'SELECT slow', 20, 600, 40, 10, true), ('2031-01-01T00:05:00Z', 8, 'SELECT quick', 20, 2, 20, NULL, false),
        ('2031-01-01T00:00:00Z', 9, 'SELECT former', 1, 1, 1, NULL, false)`,
  );
  await admin('CREATE EXTENSION pg_stat_statements');
  const second = await eventually('the profile', async () => {
    const db = await read();
    return db.top !== null && db.profiler.status === 'up' && db;
  });
  expect(second.top).toEqual([
    { queryid: '7', fingerprint: 'SELECT slow', calls: 20, mean: 30, total: 600, rows: 40 },
    { queryid: '8', fingerprint: 'SELECT quick', calls: 20, mean: 0.1, total: 2, rows: 20 },
  ]);
  expect(second.profiler).toEqual({
    status: 'up',
    sampled_at: '2031-01-01T00:05:00.000Z',
    regressions: [{ queryid: '7', fingerprint: 'SELECT slow', mean: 30, baseline: 10 }],
  });
  await admin('DELETE FROM statement_profiles');
  await admin('DROP EXTENSION pg_stat_statements');
  expect(await service.stop()).toEqual({ code: 0, signal: null });
});
