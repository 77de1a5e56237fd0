/** K14. A limit is the service's, not each worker's. Without Redis the primary counts. */
import { call, type Outcome, startChaos } from '../cluster/support';
import { criterion } from '../support/criterion';

const CLIENTS = 8;

/** Sends `count` requests from eight clients, each on a connection of its own, so that they reach all workers. */
async function admitted(
  url: string,
  path: string,
  count: number,
  refusal: number,
): Promise<{ passed: number; odd: number; workers: number }> {
  const outcomes: Outcome[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (left > 0) {
        left -= 1;
        outcomes.push(await call(url, { path }));
      }
    }),
  );
  const pids = outcomes.flatMap(({ body }) => /"pid":(\d+)/.exec(body)?.slice(1) ?? []);
  return {
    passed: outcomes.filter(({ result }) => result === 200).length,
    odd: outcomes.filter(({ result }) => result !== 200 && result !== refusal).length,
    workers: new Set(pids).size,
  };
}

criterion('K14', 'a limit over four workers, without Redis › admitted once for all of them', async (measure) => {
  const service = await startChaos({ env: { RATE_LIMIT_ANON: '100/60', MAX_REQUESTS: '0' } });
  const real = await admitted(service.url, '/api/csrf-token', 400, 429);
  measure(
    'an address, 100 a minute: 100 +- 5 of 400',
    `${real.passed} (${real.odd} other answers)`,
    Math.abs(real.passed - 100) <= 5 && real.odd === 0,
  );
  const exact = await admitted(service.url, '/chaos/take?key=exact&limit=100', 400, 429);
  measure(
    'counted one by one, 100 a minute: 100 +- 5 of 400',
    `${exact.passed} over ${exact.workers} workers`,
    Math.abs(exact.passed - 100) <= 5 && exact.workers === 4,
  );
  const leased = await admitted(service.url, '/chaos/take?key=leased&limit=200', 500, 429);
  measure(
    'counted in leases, 200 a minute: 200 +- 5 % of 500',
    `${leased.passed} over ${leased.workers} workers`,
    leased.passed <= 200 && leased.passed >= 190,
  );
  await service.stop();
});
