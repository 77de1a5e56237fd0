/** @alone K1 and K3: a rolling restart fails no request, and a bad release stops at its first worker. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, type Running, startChaos, stats } from '../cluster/support';
import { AS_SHIPPED } from '../support/cluster';
import { counts, criterion, limit } from '../support/criterion';
import { failures, percentileOf } from '../support/paced-load';
import { temporaryFolder } from '../support/services';
import { answered, pidsOf, postLoad, Watch } from './under-load';

const ROLL_LIMIT_MS = 240_000;
const CALM_MS = 15_000;
const BOOT_TIMEOUT = '30';
/** From the signal: what is done before the first worker is forked comes on top. */
const ABORT_S = Number(BOOT_TIMEOUT) + limit(2_000) / 1000;

const rollOver = async (service: Running, id: number) =>
  (
    await eventually(
      `the end of roll ${id}`,
      async () => {
        const { cluster } = await stats(service);
        return cluster.roll.id === id && cluster.roll.state === 'idle' && cluster;
      },
      ROLL_LIMIT_MS,
    )
  ).roll.last;

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
  measure(
    `0 failed of >= ${counts(20_000)} requests`,
    `${failures(outcomes).length} of ${outcomes.length}`,
    failures(outcomes).length === 0 && outcomes.length >= counts(20_000),
  );
  measure(`>= ${rolls} full rolls`, completed, completed >= rolls);
  measure('never fewer than 4 ready workers', leastReady, leastReady >= 4);
  compare('p99 in a roll <= 2 x outside', `${p99} ms to ${calm} ms = ${(p99 / calm).toFixed(2)}`, p99 <= 2 * calm);
  await service.stop();
});

criterion('K3', 'a broken build is stopped by its first worker', async (measure) => {
  const dataDir = temporaryFolder('canary');
  const service = await startChaos({ env: { ...AS_SHIPPED, DATA_DIR: dataDir, LOG_LEVEL: 'WARN', MAX_REQUESTS: '0', BOOT_TIMEOUT } });
  const before = pidsOf(await stats(service));
  const load = postLoad(service);
  const watch = new Watch(service);
  const faults = [
    ['broken', 'does not load', /this release is broken/],
    ['short-lived', 'dies soon after it was ready', /this release dies young/],
    ['silent', 'never gets ready', /not ready within BOOT_TIMEOUT: loading, and never done/],
  ] as const;
  for (const [index, [fault, what, words]] of faults.entries()) {
    const file = join(dataDir, fault);
    writeFileSync(file, '');
    const from = performance.now();
    service.kill('SIGHUP');
    const last = await rollOver(service, index + 1);
    const seconds = (performance.now() - from) / 1000;
    rmSync(file);
    measure(
      `a build that ${what}: aborted in its words`,
      `${last?.result}: ${last?.reason}`,
      last?.result === 'aborted' && words.test(last.reason ?? ''),
    );
    measure(`… within boot_timeout + ${ABORT_S - Number(BOOT_TIMEOUT)} s`, `${seconds.toFixed(1)} s of ${ABORT_S}`, seconds <= ABORT_S);
  }
  const { leastReady } = await watch.stop();
  const outcomes = await load.stop();
  measure(
    '0 failed requests',
    `${failures(outcomes).length} of ${outcomes.length}`,
    failures(outcomes).length === 0 && outcomes.length > 0,
  );
  measure('never fewer than 4 ready workers', leastReady, leastReady >= 4);
  const after = pidsOf(await stats(service));
  measure('all old workers still serve', String(after), String(after) === String(before));
  await service.stop();
});
