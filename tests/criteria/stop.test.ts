/** K10: the stop of the whole service. */
import { setTimeout as delay } from 'node:timers/promises';
import { call, eventually, startChaos, stats } from '../cluster/support';
import { AS_SHIPPED } from '../support/cluster';
import { criterion, isFull, limit } from '../support/criterion';
import { answered, postLoad } from './under-load';

criterion('K10', 'SIGTERM under load', async (measure) => {
  const service = await startChaos({ env: AS_SHIPPED });
  const load = postLoad(service);
  await answered(load, 1_000);
  const stoppedAt = Date.now();
  service.kill('SIGTERM');
  const { code } = await service.waitForExit();
  await delay(1_000);
  const outcomes = await load.stop();
  const refusals = outcomes.filter(([, , result]) => result === 'ECONNREFUSED').map(([at]) => at);
  // The listener is closed from here on. A client whose connection is kept was told before that it would be closed.
  const closedAt = Math.min(...refusals);
  const begun = outcomes.filter(([at]) => at < closedAt);
  const failed = begun.filter(([, , result]) => result !== 200);
  const late = begun.filter(([at]) => at >= stoppedAt);
  const kept = late.filter(([, , , isFresh]) => !isFresh).length;
  measure(
    '0 failed among requests begun before the listener closes, fresh and kept connections',
    `${failed.length} of ${begun.length}, ${late.length} of them after TERM (${kept} kept) ${JSON.stringify(failed.slice(0, 3))}`,
    failed.length === 0 && kept > 0 && kept < late.length,
  );
  const lastSuccess = Math.max(...outcomes.filter(([, , result, isFresh]) => isFresh && result === 200).map(([at]) => at));
  measure(
    'successes, then refusals',
    `the last success ${Math.round(closedAt - lastSuccess)} ms before the first refusal`,
    lastSuccess < closedAt && Number.isFinite(closedAt),
  );
  measure('exit 0', String(code), code === 0);
});

criterion('K10', 'a request that never ends', async (measure) => {
  // The limit of a request would end it first.
  const seconds = isFull() ? 30 : 10;
  const service = await startChaos({ env: { WORKERS: '2', GRACEFUL_TIMEOUT: String(seconds), REQUEST_TIMEOUT: '120' } });
  const never = call(service.url, { path: '/chaos/never', timeoutMs: 120_000 });
  await eventually('reported', async () => (await stats(service)).workers.some(({ oldest_request }) => oldest_request !== null));
  const from = performance.now();
  service.kill('SIGTERM');
  const { code } = await service.waitForExit(limit((seconds + 10) * 1_000));
  const took = (performance.now() - from) / 1000;
  await never;
  const named = service.events().find(({ message }) => message === 'requests outlived the drain');
  measure(
    `exit at ${seconds} s +- 1 s, code 1`,
    `${took.toFixed(1)} s, code ${code}`,
    code === 1 && took >= seconds - 1 && took <= seconds + limit(1_000) / 1000,
  );
  measure('the hanger is in the log', JSON.stringify(named?.['hanging'] ?? null).slice(0, 80), named?.['in_flight'] === 1);
});

criterion('K10', 'a second SIGTERM', async (measure) => {
  const service = await startChaos({ env: { WORKERS: '2', REQUEST_TIMEOUT: '120' } });
  void call(service.url, { path: '/chaos/never', timeoutMs: 60_000 });
  await eventually('in flight', async () => (await stats(service)).requests.in_flight === 1);
  service.kill('SIGTERM');
  await service.waitForLine(/"message":"stopping"/);
  // A copy within half a second is npm's echo of one Ctrl-C.
  await delay(600);
  const from = performance.now();
  service.kill('SIGTERM');
  const { code } = await service.waitForExit();
  const took = (performance.now() - from) / 1000;
  measure('a second TERM ends it in < 2 s', `${took.toFixed(1)} s, code ${code}`, code === 1 && took < limit(2_000) / 1000);
});

criterion('K10', 'streams that have no end', async (measure) => {
  const service = await startChaos({ env: { WORKERS: '2', KEEP_ALIVE_TIMEOUT: '1' } });
  const streams = [1, 2, 3, 4].map(() => call(service.url, { path: '/chaos/stream', timeoutMs: 120_000 }));
  await eventually('four streams', async () => (await stats(service)).requests.in_flight === 4);
  const from = performance.now();
  service.kill('SIGTERM');
  const outcomes = await Promise.all(streams);
  const took = (performance.now() - from) / 1000;
  const goodbyes = outcomes.filter(({ result, body }) => result === 200 && body.endsWith('data: goodbye\n\n')).length;
  measure(
    'each stream is told to end, and ends whole',
    `${goodbyes} of 4 in ${took.toFixed(1)} s`,
    goodbyes === 4 && took < limit(3_000) / 1000,
  );
  const { code } = await service.waitForExit();
  measure('exit 0', String(code), code === 0);
});
