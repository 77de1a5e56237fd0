/** K11. What the service counts against what its clients counted, request by request. */
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, Load, type Running, startChaos, stats, sumOf, tally } from '../cluster/support';
import { AS_SHIPPED } from '../support/cluster';
import { counts, criterion, limit } from '../support/criterion';
import { quantile } from './support';

const ROUTE = 'route="/chaos/wait"';
const TOTAL = 'autoshop_http_requests_total';
/** Upper edges of the buckets of `autoshop_http_request_duration_seconds`, milliseconds. */
const EDGES = [5, 10, 25, 50, 100, 200, 300, 500, 800, 1000, 2500, 5000, 10_000, 30_000];
const REPORT_MS = 1_000;

const scrape = async (service: Running): Promise<string> => (await service.ops<string>('/metrics')).body;
const counted = async (service: Running): Promise<number> => sumOf(await scrape(service), TOTAL, ROUTE);
const bucketOf = (ms: number): number => EDGES.findIndex((edge) => ms <= edge);

/** What is known of an answer that took so long: it lies between two edges. */
const widthOf = (ms: number): number => (EDGES[bucketOf(ms)] ?? Number.POSITIVE_INFINITY) - (EDGES[bucketOf(ms) - 1] ?? 0);

/** Every sample of every counter, bucket and sum that is smaller in `later`. */
function fallen(earlier: string, later: string): string[] {
  const valuesOf = (text: string): Map<string, number> =>
    new Map(
      text
        .split('\n')
        .filter((line) => /^autoshop_\w+_(total|count|bucket|sum)[{ ]/.test(line))
        .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
    );
  const now = valuesOf(later);
  return [...valuesOf(earlier)].filter(([name, value]) => (now.get(name) ?? 0) < value).map(([name]) => name);
}

criterion('K11', 'recycles and a kill › the counters are the clients’ counts, and never fall', async (measure) => {
  const service = await startChaos({
    env: { ...AS_SHIPPED, MAX_REQUESTS: '150', MAX_REQUESTS_JITTER: '20' },
    args: ['--recycle-gap-ms', '200'],
  });
  const falls: string[] = [];
  let scrapes = 0;
  let scraping = true;
  const scraper = (async () => {
    let last = await scrape(service);
    while (scraping || scrapes < counts(1_000)) {
      const text = await scrape(service);
      scrapes += 1;
      falls.push(...fallen(last, text));
      last = text;
    }
  })();

  const load = new Load(service.url, { clients: 8, limitMs: 400_000, request: () => ({ path: '/chaos/wait?ms=25' }) });
  await eventually('10 recycles', async () => ((await stats(service)).cluster.restarts.by_reason['max_requests'] ?? 0) >= 10, 300_000);
  const outcomes = await load.stop();
  const answered = outcomes.filter(({ result }) => result === 200).length;
  measure('recycles: no request fails', JSON.stringify(tally(outcomes)), answered === outcomes.length);
  // Nothing is being sent any more: what is on its way arrives with the next reports.
  const total = await eventually('all are counted', async () => {
    const seen = await counted(service);
    return seen >= answered && seen;
  });
  await delay(2 * REPORT_MS);
  measure(
    'requests of 10 recycled workers: exact',
    `${await counted(service)} of ${answered}`,
    total === answered && (await counted(service)) === answered,
  );

  const again = new Load(service.url, { clients: 8, request: () => ({ path: '/chaos/wait?ms=25' }) });
  await delay(3 * REPORT_MS);
  const victim = (await stats(service)).workers.find(({ kind, state }) => kind === 'http' && state === 'ready');
  const lostBefore = (await stats(service)).metrics.lost_workers_total;
  const scrapesBefore = scrapes;
  const killedAt = performance.now();
  process.kill(victim?.pid ?? 0, 'SIGKILL');
  await eventually('the loss is known', async () => (await stats(service)).metrics.lost_workers_total === lostBefore + 1);
  await eventually('it is replaced', async () => {
    const ready = (await stats(service)).workers.filter(({ kind, state }) => kind === 'http' && state === 'ready');
    return ready.length === 4 && ready.every(({ pid }) => pid !== victim?.pid);
  });
  const after = await again.stop();
  await delay(3 * REPORT_MS);
  const scrapesOfKill = scrapes - scrapesBefore;
  scraping = false;
  await scraper;
  measure(
    `no counter, bucket or sum falls over ${counts(1_000)} scrapes, recycles and the kill among them`,
    `${falls.length} in ${scrapes} scrapes, ${scrapesOfKill} from the kill on ${falls.slice(0, 3).join(' ')}`,
    falls.length === 0 && scrapesOfKill > 0,
  );
  const served = after.filter(({ result }) => result === 200);
  const missing = answered + served.length - (await counted(service));
  const lastSecond = served.filter(({ body, startedAt, ms }) => {
    const end = startedAt + ms;
    return (JSON.parse(body) as { pid: number }).pid === victim?.pid && end > killedAt - limit(REPORT_MS);
  }).length;
  measure(
    'a kill: at most its last second is missing',
    `${missing} missing, ${lastSecond} in its last ${limit(REPORT_MS)} ms`,
    missing >= 0 && missing <= lastSecond,
  );
  measure(
    'a kill: shown as one lost worker',
    sumOf(await scrape(service), 'autoshop_lost_workers_total') - lostBefore,
    (await stats(service)).metrics.lost_workers_total === lostBefore + 1,
  );
  await service.stop();
});

criterion('K11', 'percentiles over four workers › those of the clients’ own samples', async (measure) => {
  const service = await startChaos({ env: { MAX_REQUESTS: '0' } });
  // From 5 to 700 ms, most of them short, as answers are.
  const load = new Load(service.url, {
    clients: 24,
    limitMs: 240_000,
    request: () => ({ path: `/chaos/wait?ms=${Math.round(5 + 695 * Math.random() ** 3)}` }),
  });
  await eventually('enough samples', async () => load.outcomes.length >= counts(10_000), 240_000);
  const outcomes = await load.stop();
  await eventually('all are counted', async () => (await counted(service)) === outcomes.length);
  const route = (await stats(service, 900)).routes.find((each) => each.route === '/chaos/wait');
  const exact = outcomes.map(({ ms }) => ms);
  for (const [name, share] of [
    ['p50', 0.5],
    ['p95', 0.95],
    ['p99', 0.99],
  ] as const) {
    const [told, real] = [route?.[name] ?? Number.NaN, quantile(exact, share)];
    const apart = Math.abs(bucketOf(told) - bucketOf(real));
    const off = Math.abs(told - real);
    measure(
      `${name} within one bucket, and by no more than its width`,
      `${told.toFixed(0)} ms told, ${real.toFixed(0)} ms measured: ${((told / real - 1) * 100).toFixed(1)} %, ${off.toFixed(0)} of ${widthOf(real)} ms`,
      apart <= 1 && off <= widthOf(real),
    );
  }
  await service.stop();
});
