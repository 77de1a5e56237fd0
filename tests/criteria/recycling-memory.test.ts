/** K9: a worker that has grown too big or too old is replaced. */
import { eventually, startChaos, stats } from '../cluster/support';
import { AS_SHIPPED } from '../support/cluster';
import { counts, criterion } from '../support/criterion';
import { failureLine, failures } from '../support/paced-load';
import { answered, postLoad } from './under-load';

criterion('K9', 'recycling by memory and by age', async (measure) => {
  const fat = await startChaos({
    env: { ...AS_SHIPPED, WORKERS: '2', WORKER_MAX_RSS_MB: '1', MAX_REQUESTS: '0', KEEP_ALIVE_TIMEOUT: '2' },
    args: ['--recycle-gap-ms', '0'],
  });
  const from = performance.now();
  const load = postLoad(fat, 100);
  await eventually('a recycling', async () =>
    fat.events().some(({ message, reason }) => message === 'worker is to be replaced' && reason === 'max_rss'),
  );
  const seconds = (performance.now() - from) / 1000;
  measure('a breach of the memory limit is acted on in < 20 s', `${seconds.toFixed(1)} s`, seconds < 20);
  await answered(load, 20_000, 1_200_000);
  const recycled = await eventually('two recyclings', async () => {
    const times = (await stats(fat)).cluster.restarts.by_reason['max_rss'] ?? 0;
    return times >= 2 && times;
  });
  const outcomes = await load.stop();
  measure(
    `by memory: 0 failed of ${counts(20_000)}`,
    `${failureLine(outcomes)}; ${recycled} recyclings`,
    failures(outcomes).length === 0 && outcomes.length >= counts(20_000),
  );
  await fat.stop();
  const old = await startChaos({ env: { WORKERS: '1', WORKER_MAX_AGE: '3', KEEP_ALIVE_TIMEOUT: '1' } });
  await eventually('a recycling', async () => (await stats(old)).cluster.restarts.by_reason['max_age'] === 1);
  measure('a worker past its age is replaced', 1, true);
  await old.stop();
});
