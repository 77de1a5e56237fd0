/** A limit is the service's, not each worker's and not each instance's: counted on real clusters, from many connections at once. */
import { describeWith, startRedis } from '../support/services';
import { startTcpProxy } from '../support/tcp-proxy';
import { call, eventually, type Outcome, type Running, startSteady, stats, sumOf, tally } from './support';

const LIMIT = 100;
const CLIENTS = 16;
const PATH = '/api/csrf-token';

const start = (env: Record<string, string> = {}): Promise<Running> => startSteady({ RATE_LIMIT_ANON: `${LIMIT}/60`, ...env });

/** Each on a connection of its own, in turn to each of the services. */
async function ask(services: Running[], count: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let sent = 0;
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (sent < count) {
        const service = services[sent % services.length] as Running;
        sent += 1;
        outcomes.push(await call(service.url, { path: PATH }));
      }
    }),
  );
  return outcomes;
}

function expectStandardHeaders(outcomes: Outcome[]): void {
  for (const { result, headers, body } of outcomes) {
    expect(headers['ratelimit-limit']).toBe(String(LIMIT));
    expect(headers['ratelimit-policy']).toBe(`${LIMIT};w=60`);
    expect(Number(headers['ratelimit-remaining'])).toBeGreaterThanOrEqual(0);
    expect(Number(headers['ratelimit-reset'])).toBeGreaterThan(0);
    if (result !== 429) continue;
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60);
    expect(JSON.parse(body).error).toMatchObject({ code: 'rate_limited', message: expect.stringContaining('Rate limit exceeded') });
  }
}

test('four workers without Redis › 100 of 400 are admitted, with standard headers', async () => {
  const service = await start();
  const outcomes = await ask([service], 400);
  expect(tally(outcomes)).toEqual({ 200: LIMIT, 429: 300 });
  expectStandardHeaders(outcomes);
  const { rate_limit } = await stats(service);
  expect(rate_limit).toMatchObject({ backend: 'primary', fail_open: 0 });
  await service.stop();
});

describeWith('redis', 'two instances of four workers', () => {
  test('one Redis › exactly 100 of 600 are admitted by both together', async () => {
    const { url } = await startRedis();
    const env = { REDIS_URL: url, INSTANCES: '2', DB_MAX_CONNECTIONS: '200' };
    const services = await Promise.all([start(env), start(env)]);
    const outcomes = await ask(services, 600);
    expect(tally(outcomes)).toEqual({ 200: LIMIT, 429: 500 });
    expectStandardHeaders(outcomes);
    // Each has admitted some: they counted together, not one after the other.
    const admitted = await eventually('the primaries have counted them', async () => {
      const told = await Promise.all(services.map(async (service) => (await stats(service)).rate_limit));
      return told.reduce((sum, { allowed }) => sum + allowed, 0) === LIMIT && told;
    });
    for (const { backend, allowed } of admitted) {
      expect(backend).toBe('redis');
      expect(allowed).toBeGreaterThan(0);
    }
    await Promise.all(services.map((service) => service.stop()));
  });

  test('workers that reach it only after a while › they serve when they can count there, their first requests too', async () => {
    const { port } = await startRedis();
    const way = await startTcpProxy(port);
    way.delay(500);
    const service = await start({ REDIS_URL: `redis://127.0.0.1:${way.port}`, INSTANCES: '2' });
    expect(tally(await ask([service], 80))).toEqual({ 200: 80 });
    await eventually('the primary has counted them', async () => (await stats(service)).rate_limit.allowed === 80);
    const { body } = await service.ops<string>('/metrics');
    expect(sumOf(body, 'autoshop_rate_allowed_total', 'redis')).toBe(80);
    await service.stop();
  });

  test('one that takes connections and says nothing › the workers start without it, and count for themselves', async () => {
    const { port } = await startRedis();
    const way = await startTcpProxy(port);
    way.silence();
    const service = await start({ REDIS_URL: `redis://127.0.0.1:${way.port}` });
    expect(tally(await ask([service], 120))).toEqual({ 200: LIMIT, 429: 20 });
    await eventually('the primary has counted them', async () => (await stats(service)).rate_limit.allowed === LIMIT);
    const { body } = await service.ops<string>('/metrics');
    expect(sumOf(body, 'autoshop_rate_allowed_total', 'share')).toBe(LIMIT);
    await service.stop();
  });
});
