import type { Report } from '../../../server/cluster/messages';
import { queueStats } from '../../../server/ops/queue-stats';

const NOW = Date.parse('2026-03-01T10:00:00Z');
const counted = (secondsAgo: number) => ({
  state: 'ready' as const,
  report: {
    queue: {
      read_at: new Date(NOW - secondsAgo * 1000).toISOString(),
      ...{ depth: 4, oldest_s: 12.345, retries: 1, dead: 2 },
      ...{ outbox_pending: 3, outbox_oldest_s: 7, outbox_failed: 1 },
    },
  } as Report,
});
const statsOf = (jobProcess: Parameters<typeof queueStats>[0]['supervisor']['jobProcess'], JOBS = true) =>
  queueStats({ config: { JOBS }, supervisor: { jobProcess } }, NOW);

const NOTHING = { depth: null, oldest_s: null, retries: null, dead: null };

test('figures of the last two seconds › up, rounded to tenths', () => {
  expect(statsOf(counted(2))).toEqual({
    jobs: { name: 'graphile-worker', status: 'up', depth: 4, oldest_s: 12.3, retries: 1, dead: 2 },
    outbox: { pending: 3, oldest_s: 7, failed: 1 },
  });
});

test('figures older than ten seconds › stale, but still told', () => {
  expect(statsOf(counted(11)).jobs).toMatchObject({ status: 'stale', depth: 4 });
});

test('a ready process that has not counted yet › stale without figures', () => {
  const { jobs } = statsOf({ state: 'ready', report: { queue: null } as Report });
  expect(jobs).toEqual({ name: 'graphile-worker', status: 'stale', ...NOTHING });
});

test('no job process, or one that is not ready › down; switched off › off', () => {
  expect(statsOf(null).jobs).toMatchObject({ status: 'down', ...NOTHING });
  expect(statsOf({ ...counted(1), state: 'draining' }).jobs.status).toBe('down');
  expect(statsOf(null, false).jobs.status).toBe('off');
});
