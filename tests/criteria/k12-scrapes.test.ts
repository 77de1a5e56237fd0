/** @alone K12. Nothing that is asked about the cluster waits for a worker. */
import { eventually, Load, startChaos, stats } from '../cluster/support';
import { counts, criterion, limit } from '../support/criterion';
import { quantile } from './support';

criterion('K12', 'one of four workers is stopped › /metrics and /stats answer as ever, and show it', async (measure, compare) => {
  // Killed for its silence only long after the test.
  const service = await startChaos({ env: { WORKER_TIMEOUT: '300', MAX_REQUESTS: '0' } });
  const load = new Load(service.url, { clients: 4, request: () => ({ path: '/chaos/wait?ms=20', timeoutMs: 1_000 }) });
  const victim = service.banner.pids[0] as number;
  process.kill(victim, 'SIGSTOP');
  try {
    await eventually(
      'it is marked',
      async () => (await stats(service)).workers.find(({ pid }) => pid === victim)?.state === 'unresponsive',
    );
    for (const path of ['/metrics', '/stats']) {
      const times: number[] = [];
      let bad = 0;
      for (let scrape = 0; scrape < counts(1_000); scrape += 1) {
        const { status, ms } = await service.ops(path);
        if (status !== 200) bad += 1;
        times.push(ms);
      }
      measure(`${path}: always 200`, `${bad} others of ${times.length}`, bad === 0);
      compare(
        `${path}: p99 < ${limit(50)} ms`,
        `${quantile(times, 0.99).toFixed(1)} ms (p50 ${quantile(times, 0.5).toFixed(1)})`,
        quantile(times, 0.99) < limit(50),
      );
    }
    const { metrics, cluster, workers } = await stats(service);
    const silent = workers.find(({ pid }) => pid === victim);
    measure(
      'the silent worker is marked, with the age of its numbers',
      `${silent?.state}, ${metrics.oldest_age_ms} ms`,
      silent?.state === 'unresponsive' && cluster.unresponsive === 1 && (metrics.oldest_age_ms ?? 0) > 2_000,
    );
  } finally {
    process.kill(victim, 'SIGCONT');
  }
  await load.stop();
  await eventually('it speaks again', async () => (await stats(service)).cluster.unresponsive === 0);
  await service.stop();
});
