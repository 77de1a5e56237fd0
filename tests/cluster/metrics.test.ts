/** @alone What the cluster says of itself: /stats by its schema, the same from every worker, limits and messages over all of them. */
import { Stats } from '../../server/ops/stats.schema';
import { AS_SHIPPED } from '../support/cluster';
import { call, eventually, type Running, reserveOf, startChaos, stats, sumOf, TIMES, tally } from './support';

const TOTAL = 'autoshop_http_requests_total';

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

test('/stats › fits its published schema; percentiles and rates are those of the load', async () => {
  const service = await startChaos({ env: { ...AS_SHIPPED, WORKERS: '2' } });
  // Nothing loads while times are taken.
  await reserveOf(service);
  await eventually('the job process', async () =>
    (await stats(service)).workers.some(({ kind, state }) => kind === 'jobs' && state === 'ready'),
  );
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
  expect(published.ms).toBeLessThan(200 * TIMES);
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
