/** @long K24: the primary is no bigger for having replaced many workers. */
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, startChaos, stats } from '../cluster/support';
import { counts, criterion, isFull } from '../support/criterion';
import { postLoad } from './under-load';

criterion('K24', 'a supervisor without leaks', async (measure) => {
  const service = await startChaos({
    env: {
      MAX_REQUESTS: '20',
      MAX_REQUESTS_JITTER: '0',
      KEEP_ALIVE_TIMEOUT: '1',
      LOG_LEVEL: 'WARN',
      // V8 doubles the young generation once, by 16 MB, after ten recycles or a hundred, and it stays: that would lie between the two
      // readings, or not.
      NODE_OPTIONS: '--max-semi-space-size=2',
    },
    args: ['--recycle-gap-ms', '0'],
  });
  const recycled = async () => (await stats(service)).cluster.restarts.by_reason['max_requests'] ?? 0;
  /** The primary when nothing is under way: four workers, none leaving. */
  const atRest = () =>
    eventually('rest', async () => {
      const { primary, workers, cluster } = await stats(service);
      const { timers, listeners, rss } = primary;
      const fds = readdirSync(`/proc/${service.pid}/fd`).length;
      return cluster.booted_workers === 4 && workers.length === 4 && { fds, timers, listeners, rss };
    });
  const turn = async (times: number) => {
    const goal = (await recycled()) + times;
    const load = postLoad(service, 100);
    await eventually(`${goal} recycles`, async () => (await recycled()) >= goal, 1_200_000);
    await load.stop();
  };
  // What is made once is made before the first reading.
  await turn(isFull() ? 50 : 12);
  const before = await settledPrimary(atRest);
  await turn(counts(200));
  const after = await settledPrimary(atRest);
  const flat = (key: 'fds' | 'timers' | 'listeners', what: string) =>
    measure(`${what} of the primary flat over ${counts(200)} recycles`, `${before[key]} to ${after[key]}`, after[key] === before[key]);
  flat('fds', 'descriptors');
  flat('timers', 'timers');
  flat('listeners', 'listeners');
  const grown = (after.rss - before.rss) / 1024 / 1024;
  measure('RSS grows by < 10 MB', `${grown.toFixed(1)} MB`, grown < 10);
  await service.stop();
});

const RESOURCES = ['fds', 'timers', 'listeners', 'rss'] as const;
type Resources = Record<(typeof RESOURCES)[number], number>;

/** Connections of the test's own questions come and go, and so does garbage: the least of some readings at rest counts. */
async function settledPrimary(read: () => Promise<Resources>): Promise<Resources> {
  const least = await read();
  const until = performance.now() + 15_000;
  while (performance.now() < until) {
    await delay(500);
    const now = await read();
    for (const key of RESOURCES) least[key] = Math.min(least[key], now[key]);
  }
  return least;
}
