/** @alone K1: a rolling restart fails no request. */
import { setTimeout as delay } from 'node:timers/promises';
import { startChaos, stats } from '../cluster/support';
import { AS_SHIPPED } from '../support/cluster';
import { counts, criterion, limit } from '../support/criterion';
import { percentileOf } from '../support/paced-load';
import { answered, measureLossless, pidsOf, postLoad, rollOver, Watch } from './under-load';

const CALM_MS = 15_000;
const BOOT_TIMEOUT = '30';

criterion('K1', 'a rolling restart under load', async (measure, compare) => {
  const service = await startChaos({ env: { ...AS_SHIPPED, LOG_LEVEL: 'WARN', MAX_REQUESTS: '0', BOOT_TIMEOUT } });
  const load = postLoad(service);
  await answered(load, 500);
  const watch = new Watch(service);
  const spans: [number, number][] = [];
  const rolls = counts(5);
  let completed = 0;
  for (let id = 1; id <= rolls; id += 1) {
    await delay(limit(CALM_MS) / 3);
    const from = Date.now();
    const before = pidsOf(await stats(service));
    service.kill('SIGHUP');
    const last = await rollOver(service, id);
    spans.push([from, Date.now()]);
    const after = pidsOf(await stats(service));
    if (last?.result === 'completed' && !after.some((pid) => before.includes(pid))) completed += 1;
  }
  await answered(load, 20_000);
  const { leastReady } = await watch.stop();
  const outcomes = await load.stop();
  const during = outcomes.filter(([at]) => spans.some(([from, to]) => at >= from && at <= to));
  const outside = outcomes.filter((outcome) => !during.includes(outcome));
  const [p99, calm] = [percentileOf(during, 0.99), percentileOf(outside, 0.99)];
  measureLossless(measure, outcomes, counts(20_000));
  measure(`>= ${rolls} full rolls`, completed, completed >= rolls);
  measure('never fewer than 4 ready workers', leastReady, leastReady >= 4);
  compare('p99 in a roll <= 2 x outside', `${p99} ms to ${calm} ms = ${(p99 / calm).toFixed(2)}`, p99 <= 2 * calm);
  await service.stop();
});
