/** What `/stats` and `/metrics` say of the job queue, held against rows put into it. */
import type { Stats } from '../../server/ops/stats.schema';
import { startService } from '../support/cluster';
import { admin } from '../support/database';
import { eventually, stats, sumOf } from './support';

const environment = () => ({
  WORKERS: '1',
  JOBS: 'true',
  DATABASE_URL: process.env['DATABASE_URL'],
  DATABASE_MIGRATION_URL: process.env['DATABASE_MIGRATION_URL'],
});
type Queue = Pick<Stats, 'jobs' | 'outbox'>;
const queueOf = async (service: Parameters<typeof stats>[0]): Promise<Queue> => {
  const { jobs, outbox } = await stats(service);
  return { jobs, outbox };
};

/** Not taken by the job process: a task that nobody knows, or a time to come, or no attempt left. */
async function add(task: string, columns: string): Promise<void> {
  const [added] = await admin<{ id: string }>(
    `SELECT id FROM graphile_worker.add_job($1, '{}', run_at => now() + interval '400 seconds', max_attempts => 12)`,
    [task],
  );
  await admin(`UPDATE graphile_worker._private_jobs SET ${columns} WHERE id = $1`, [added?.id]);
}

/** Of other tests on this database. */
beforeAll(() => admin('DELETE FROM graphile_worker._private_jobs'));

test('jobs that wait, fail and are dead › counted within seconds, by age since they were first due', async () => {
  const service = await startService({ env: environment() });
  const empty = await eventually('the first count', async () => {
    const now = await queueOf(service);
    return now.jobs.status === 'up' && now.jobs.depth === 0 && now;
  });
  expect(empty).toEqual({
    jobs: { name: 'graphile-worker', status: 'up', depth: 0, oldest_s: 0, retries: 0, dead: 0 },
    outbox: { pending: 0, oldest_s: 0, failed: 0 },
  });

  await add('message.send', 'attempts = 0');
  await add('nobody.knows', `run_at = now() - interval '100 seconds'`);
  // Seven failures: 1,733 seconds of waiting, of which 400 are still to come.
  await add('message.send', 'attempts = 7');
  await add('mail.invoice', 'attempts = 12');
  await add('sessions.prune', 'attempts = 12');
  const full = await eventually('what was added', async () => {
    const now = await queueOf(service);
    return now.jobs.depth === 3 && now.jobs.dead === 2 && now;
  });
  expect(full.jobs).toMatchObject({ status: 'up', depth: 3, retries: 1, dead: 2 });
  expect(full.outbox).toMatchObject({ pending: 2, failed: 1 });
  for (const age of [full.jobs.oldest_s, full.outbox.oldest_s]) {
    expect(age).toBeGreaterThanOrEqual(1_333);
    expect(age).toBeLessThan(1_393);
  }
  const { body: metrics } = await service.ops<string>('/metrics');
  expect(sumOf(metrics, 'autoshop_jobs_depth')).toBe(3);
  expect(sumOf(metrics, 'autoshop_jobs_retries')).toBe(1);
  expect(sumOf(metrics, 'autoshop_jobs_dead')).toBe(2);
  expect(sumOf(metrics, 'autoshop_outbox_failed')).toBe(1);
  expect(sumOf(metrics, 'autoshop_outbox_oldest_seconds')).toBeGreaterThan(300);

  await admin(`DELETE FROM graphile_worker._private_jobs WHERE attempts <> 0`);
  const mended = await eventually('what was taken away', async () => {
    const now = await queueOf(service);
    return now.jobs.dead === 0 && now.jobs.depth === 2 && now;
  });
  expect(mended.jobs).toMatchObject({ depth: 2, retries: 0 });
  expect(mended.jobs.oldest_s).toBeGreaterThanOrEqual(100);
  expect(mended.outbox).toEqual({ pending: 1, oldest_s: 0, failed: 0 });
  await admin('DELETE FROM graphile_worker._private_jobs');
  expect(await service.stop()).toEqual({ code: 0, signal: null });
});

test('the job process is killed › down without figures, then up again with them', async () => {
  const service = await startService({ env: environment() });
  const first = await eventually('the job process', async () => {
    const { jobs, workers } = await stats(service);
    return jobs.status === 'up' && workers.find(({ kind }) => kind === 'jobs');
  });
  process.kill(first.pid, 'SIGKILL');
  const down = await eventually('down', async () => {
    const now = await queueOf(service);
    return now.jobs.status === 'down' && now;
  });
  expect(down).toEqual({
    jobs: { name: 'graphile-worker', status: 'down', depth: null, oldest_s: null, retries: null, dead: null },
    outbox: { pending: null, oldest_s: null, failed: null },
  });
  expect((await service.ops<string>('/metrics')).body).not.toContain('autoshop_jobs_dead');
  await eventually('up', async () => (await queueOf(service)).jobs.status === 'up');
  await service.stop();
});

test('JOBS=0 › off', async () => {
  const service = await startService({ env: { ...environment(), JOBS: '0' } });
  expect((await queueOf(service)).jobs).toMatchObject({ status: 'off', depth: null });
  await service.stop();
});
