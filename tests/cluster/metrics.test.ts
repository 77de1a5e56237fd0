/** Counts of the whole cluster: exact through recycles, one second short at most after a kill, the same from every worker. */
import { setTimeout as delay } from 'node:timers/promises';
import { Stats } from '../../server/ops/stats.schema';
import { call, eventually, Load, type Running, startChaos, stats, sumOf, tally } from './support';

const TOTAL = 'autoshop_http_requests_total';

const scrape = async (service: Running): Promise<string> => (await service.ops<string>('/metrics')).body;
const counted = async (service: Running): Promise<number> => sumOf(await scrape(service), TOTAL);

/** Sends exactly `count` requests over eight clients. */
async function send(service: Running, count: number, path = '/chaos/wait?ms=1'): Promise<void> {
  let left = count;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (left > 0) {
        left -= 1;
        expect((await call(service.url, { path })).result).toBe(200);
      }
    }),
  );
}

test('1,000 requests with graceful recycles on the way › none fails, the total is exact and never falls', async () => {
  const service = await startChaos({
    env: { WORKERS: '2', MAX_REQUESTS: '150', MAX_REQUESTS_JITTER: '20' },
    args: ['--recycle-gap-ms', '200'],
  });
  const seen: number[] = [];
  let scraping = true;
  const scraper = (async () => {
    while (scraping) {
      seen.push(await counted(service));
      await delay(20);
    }
  })();
  await send(service, 1_000);
  await eventually('a recycle', async () => ((await stats(service)).cluster.restarts.by_reason['max_requests'] ?? 0) >= 1);
  expect(await eventually('the exact total', async () => (await counted(service)) >= 1_000 && (await counted(service)), 10_000)).toBe(
    1_000,
  );
  scraping = false;
  await scraper;
  expect(seen.every((value, index) => index === 0 || value >= (seen[index - 1] as number))).toBe(true);
  const after = await stats(service);
  expect(after.requests.total).toBe(1_000);
  expect(after.summary).toMatchObject({ requests: 1_000, errors: 0, statusCounts: { '2xx': 1_000, '4xx': 0, '5xx': 0 } });
  expect(after.metrics.lost_workers_total).toBe(0);
  expect(sumOf(await scrape(service), 'autoshop_http_request_duration_seconds_count')).toBe(1_000);
  expect(await service.stop()).toEqual({ code: 0, signal: null });
});

test('a worker killed by SIGKILL › at most its last second is missing, and it is counted as lost', async () => {
  const service = await startChaos({ env: { WORKERS: '2', MAX_REQUESTS: '0' } });
  await send(service, 200);
  await eventually('all counted', async () => (await counted(service)) === 200);
  const load = new Load(service.url, { clients: 4, request: () => ({ path: '/chaos/wait?ms=20' }) });
  await delay(1_500);
  process.kill(service.banner.pids[0] as number, 'SIGKILL');
  const killedAt = performance.now();
  await eventually(
    'two workers',
    async () => (await stats(service)).cluster.booted_workers === 2 && (await stats(service)).metrics.lost_workers_total === 1,
  );
  const outcomes = await load.stop();
  const answered = outcomes.filter(({ result }) => result === 200);
  const atRisk = answered.filter(({ startedAt, ms }) => startedAt + ms > killedAt - 1_500 && startedAt + ms < killedAt + 100).length;
  await delay(1_500);
  const total = await counted(service);
  expect(total).toBeLessThanOrEqual(200 + outcomes.length);
  expect(total).toBeGreaterThanOrEqual(200 + answered.length - atRisk);
  expect(sumOf(await scrape(service), 'autoshop_lost_workers_total')).toBe(1);
  await service.stop();
});

test('/stats › fits its published schema; percentiles and rates are those of the load', async () => {
  const service = await startChaos({ env: { WORKERS: '2' } });
  await send(service, 60, '/chaos/wait?ms=60');
  const now = await eventually('counted', async () => {
    const body = await stats(service);
    return body.requests.total === 60 && body;
  });
  expect(Stats.parse(now)).toEqual(now);
  const schema = (await service.ops('/stats/schema')).body;
  expect(Object.keys(schema['properties'] as object).sort()).toEqual(Object.keys(now).sort());
  // 60 ms lies in the bucket from 50 to 100.
  for (const value of [now.requests.latency.p50, now.routes[0]?.p50]) {
    expect(value).toBeGreaterThanOrEqual(50);
    expect(value).toBeLessThanOrEqual(100);
  }
  expect(now.requests.latency.max).toBeGreaterThanOrEqual(55);
  expect(now.routes[0]).toMatchObject({ method: 'GET', route: '/chaos/wait', count: 60, '4xx': 0, '5xx': 0 });
  expect(now.workers.reduce((sum, { requests_count }) => sum + requests_count, 0)).toBe(60);
  expect(now.db.budget.granted).toBeLessThanOrEqual(now.db.budget.limit);
  const page = await call(service.opsUrl, { path: '/stats', headers: { accept: 'text/html' } });
  expect(page.headers['content-type']).toContain('text/html');
  expect(page.body).toContain('GET /chaos/wait');
  expect((await service.ops('/nothing')).status).toBe(404);
  await service.stop();
});

test('the public port › the same documents with the token, 404 without, whichever worker is asked', async () => {
  const token = 'an-operations-token-of-32-bytes!';
  const service = await startChaos({ env: { WORKERS: '2', OPS_TOKEN: token } });
  const basic = `Basic ${Buffer.from(`ops:${token}`).toString('base64')}`;
  for (const path of ['/stats', '/metrics']) {
    for (const authorization of [`Bearer ${token}`, basic])
      expect((await call(service.url, { path, headers: { authorization } })).result).toBe(200);
    for (const headers of [{}, { authorization: 'Bearer wrong' }]) {
      const { result, body } = await call(service.url, { path, headers });
      expect(result).toBe(404);
      expect(body).not.toContain('autoshop_');
    }
  }
  let before = 0;
  for (let index = 0; index < 50; index += 1) {
    const { body } = await call(service.url, { path: '/metrics', headers: { authorization: `Bearer ${token}` } });
    const total = sumOf(body, TOTAL);
    expect(total).toBeGreaterThanOrEqual(before);
    before = total;
  }
  await service.stop();
});

test('rate limits and messages › counted and delivered over all workers', async () => {
  const service = await startChaos();
  const taken = await Promise.all(Array.from({ length: 160 }, () => call(service.url, { path: '/chaos/take?key=k&limit=100' })));
  expect(tally(taken)).toEqual({ 200: 100, 429: 60 });
  expect(new Set(taken.map(({ body }) => (JSON.parse(body) as { pid: number }).pid)).size).toBe(4);
  const published = JSON.parse((await call(service.url, { path: '/chaos/publish?text=hello' })).body) as { pid: number; ms: number };
  expect(published.ms).toBeLessThan(200);
  const heard = new Map<number, unknown[]>();
  await eventually('an answer of each worker', async () => {
    const { pid, received } = JSON.parse((await call(service.url, { path: '/chaos/received' })).body) as {
      pid: number;
      received: unknown[];
    };
    heard.set(pid, received);
    return heard.size === 4;
  });
  for (const [pid, received] of heard) expect(received).toEqual(pid === published.pid ? [] : [{ text: 'hello' }]);
  await service.stop();
});
