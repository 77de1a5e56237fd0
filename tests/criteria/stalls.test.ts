/** K4: event loops that stand still. WORKER_TIMEOUT is 10 s. */
import { setTimeout as delay } from 'node:timers/promises';
import { routeOf, type StallName } from '../cluster/fixtures/stalls';
import { call, eventually, type Running, startChaos, stats } from '../cluster/support';
import { AS_SHIPPED } from '../support/cluster';
import { counts, criterion, isFull, limit } from '../support/criterion';
import { block, FOR_EVER_MS, most, NAMES, stalledBy } from './blocked-loop';

/** From the beginning of the stall: reported, and whole again without the culprit. */
async function killedStall(
  service: Running,
  name: StallName,
): Promise<{ reported: number; misdirected: number; replaced: number; routed: boolean }> {
  const id = crypto.randomUUID();
  const began = performance.now();
  const blocked = block(service, name, FOR_EVER_MS, id);
  const victim = await eventually(`${name}: reported`, () => stalledBy(service, id));
  const reported = performance.now() - began;
  await delay(Math.max(0, 1_500 - (performance.now() - began)));
  const calls = Array.from({ length: 20 }, () => call(service.url, { path: '/chaos/wait?ms=1', timeoutMs: limit(2_000) }));
  const misdirected = (await Promise.all(calls)).filter(({ result }) => result !== 200).length;
  await eventually(
    `${name}: replaced`,
    async () => {
      const { workers, cluster } = await stats(service);
      return cluster.booted_workers === 4 && !workers.some(({ pid }) => pid === victim.pid);
    },
    90_000,
  );
  const replaced = performance.now() - began;
  await blocked;
  return { reported, misdirected, replaced, routed: victim.stalls?.last?.route === routeOf(name) };
}

criterion('K4', 'a blocked event loop is reported, given nothing more, killed and replaced; a busy one is left alone', async (measure) => {
  const service = await startChaos({ env: { ...AS_SHIPPED, WORKER_TIMEOUT: '10' } });
  const outcomes = [];
  for (const name of NAMES) outcomes.push(await killedStall(service, name));
  const reported = most(outcomes.map((one) => one.reported));
  measure(`six stalls reported < ${limit(500)} ms`, `slowest ${reported} ms`, reported < limit(500));
  const misdirected = outcomes.reduce((sum, one) => sum + one.misdirected, 0);
  measure('out of dispatch after 1.5 s: 0 of 120 new connections stuck', misdirected, misdirected === 0);
  const replaced = most(outcomes.map((one) => one.replaced));
  measure(`killed and replaced < ${limit(12_000)} ms`, `slowest ${replaced} ms`, replaced < limit(12_000));
  const { by_reason } = (await stats(service)).cluster.restarts;
  measure('each counted as a stall', `${by_reason['stall'] ?? 0} of ${NAMES.length}`, by_reason['stall'] === NAMES.length);
  await service.stop();

  const workers = isFull() ? 2 : 1;
  const busy = await startChaos({ env: { WORKERS: String(workers), WORKER_TIMEOUT: '10', REQUEST_TIMEOUT: '900' } });
  const seconds = counts(600);
  const calls = Array.from({ length: workers }, () =>
    call(busy.url, { path: `/chaos/duty?s=${seconds}`, timeoutMs: (seconds + 120) * 1_000 }),
  );
  await Promise.all(calls);
  const { restarts } = (await stats(busy)).cluster;
  measure(`0 kills in ${seconds} s at 90 % CPU with 200 ms pauses`, restarts.total, restarts.total === 0);
  await busy.stop();
});
