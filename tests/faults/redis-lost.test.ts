/**
 * Redis dies, hangs and comes back while the service is under load: no request fails, no reply is older than an acknowledged write,
 * limits hold, the probes and /stats say what is the matter, and all of it works again by itself.
 */
import { call, eventually, Load, type Running, startSteady, stats, tally } from '../cluster/support';
import { createStaff, createTechnician, createTenant } from '../support/factories';
import { describeWith, type OwnRedis, startOwnRedis } from '../support/services';
import { openSession } from '../support/sessions';
import { startTcpProxy } from '../support/tcp-proxy';

const TECHNICIANS = '/api/admin/technicians';
const DASHBOARD = '/api/admin/dashboard/stats';

async function createOwner(): Promise<{ headers: Record<string, string>; technician: string }> {
  const tenant = await createTenant();
  const session = await openSession(await createStaff({ tenant, role: 'Owner' }));
  const { id } = await createTechnician({ tenant });
  return { technician: id, headers: { ...session, 'Content-Type': 'application/json' } };
}

describeWith('redis', 'Redis goes away under load', () => {
  let redis: OwnRedis;
  let service: Running;
  beforeAll(async () => {
    redis = await startOwnRedis();
    service = await startSteady({ WORKERS: '3', REDIS_URL: redis.url, RATE_LIMIT_SESSION: '1000000/60', RATE_LIMIT_ANON: '60/60' });
  });
  afterAll(() => service.stop());

  const isReady = (expected: 'ready' | 'degraded') =>
    eventually(`/ready says ${expected}`, async () => {
      // Every worker answers for itself.
      const answers = await Promise.all(Array.from({ length: 9 }, () => call(service.url, { path: '/ready' })));
      expect(answers.map(({ result }) => result)).toEqual(answers.map(() => 200));
      return answers.every(({ body }) => JSON.parse(body).status === expected && JSON.parse(body).checks.redis === (expected === 'ready'));
    });
  const cacheIs = (expected: 'ready' | 'degraded') =>
    eventually(`/stats says ${expected}`, async () => (await stats(service)).cache.status === expected);

  test.each([
    ['dies', (one: OwnRedis) => one.kill(), (one: OwnRedis) => one.restart()],
    ['hangs', async (one: OwnRedis) => one.pause(), async (one: OwnRedis) => one.resume()],
  ] as const)('it %s and comes back › no failed request, no old reply, degraded meanwhile, recovered after', async (_what, hurt, heal) => {
    const { headers, technician } = await createOwner();
    const get = (path: string) => call(service.url, { path, headers });
    let acknowledged = 0;
    let asked = 0;
    const rename = async () => {
      asked += 1;
      const name = asked;
      const { result, body } = await call(service.url, {
        path: `${TECHNICIANS}/${technician}`,
        method: 'PATCH',
        headers,
        body: Buffer.from(JSON.stringify({ name: `Name ${name}` })),
      });
      expect([result, body]).toEqual([200, body]);
      acknowledged = name;
    };
    await rename();
    const tooOld: string[] = [];
    let reading = true;
    const readers = Array.from({ length: 3 }, async () => {
      while (reading) {
        const atLeast = acknowledged;
        const { result, body } = await get(TECHNICIANS);
        const seen = result === 200 ? Number(JSON.parse(body).data.technicians[0].name.replace(/\D/g, '')) : Number.NaN;
        if (!(seen >= atLeast)) tooOld.push(`${result}: ${seen} after ${atLeast}`);
      }
    });
    const load = new Load(service.url, { clients: 4, request: () => ({ path: DASHBOARD, headers }) });
    await load.until(50);
    for (let round = 0; round < 5; round += 1) await rename();
    await isReady('ready');

    await hurt(redis);
    for (let round = 0; round < 5; round += 1) await rename();
    await isReady('degraded');
    await cacheIs('degraded');
    for (let round = 0; round < 5; round += 1) await rename();
    expect((await get(DASHBOARD)).headers['x-cache']).toBe('miss');

    await heal(redis);
    await rename();
    await isReady('ready');
    await cacheIs('ready');
    for (let round = 0; round < 5; round += 1) await rename();
    reading = false;
    await Promise.all(readers);
    expect(tooOld).toEqual([]);
    expect(Object.keys(tally(await load.stop()))).toEqual(['200']);
    // The cache works again, in every worker.
    await eventually('only hits', async () => {
      const answers = await Promise.all(Array.from({ length: 9 }, () => get(DASHBOARD)));
      return answers.every(({ headers: sent }) => sent['x-cache'] === 'hit');
    });
    expect((await stats(service)).cache.fallback).toBeGreaterThan(0);
  });

  test('meanwhile › a session that is ended is ended in every worker at once', async () => {
    await redis.kill();
    const { headers } = await createOwner();
    const me = () => call(service.url, { path: '/api/auth/verify-token', headers });
    const warm = await Promise.all(Array.from({ length: 12 }, me));
    expect(tally(warm)).toEqual({ 200: 12 });
    expect((await call(service.url, { path: '/api/auth/logout', method: 'POST', headers })).result).toBe(204);
    expect(tally(await Promise.all(Array.from({ length: 12 }, me)))).toEqual({ 401: 12 });
    await redis.restart();
    await isReady('ready');
  });

  test('meanwhile › limits are counted by the instance; after it, in Redis again', async () => {
    const strangers = async (count: number) =>
      tally(
        await Promise.all(
          Array.from({ length: count }, () =>
            call(service.url, { path: '/api/csrf-token', headers: { 'X-Forwarded-For': '203.0.113.9' } }),
          ),
        ),
      );
    await redis.kill();
    await isReady('degraded');
    expect(await strangers(80)).toEqual({ 200: 60, 429: 20 });
    await redis.restart();
    await isReady('ready');
    // A Redis that remembers nothing counts from the beginning.
    expect(await strangers(80)).toEqual({ 200: 60, 429: 20 });
  });
});

describeWith('redis', 'only the way to Redis is cut', () => {
  test('a write meanwhile, then the service ends; another starts and reaches Redis › no old reply', async () => {
    const redis = await startOwnRedis();
    const way = await startTcpProxy(redis.port);
    const start = () => startSteady({ WORKERS: '2', REDIS_URL: `redis://127.0.0.1:${way.port}` });
    const { headers, technician } = await createOwner();
    const read = async ({ url }: Running) => {
      const answer = await call(url, { path: TECHNICIANS, headers });
      return { name: JSON.parse(answer.body).data.technicians[0].name as string, from: answer.headers['x-cache'] };
    };
    const first = await start();
    await eventually('kept in Redis', async () => (await read(first)).from === 'hit');
    way.cut();
    const { result } = await call(first.url, {
      path: `${TECHNICIANS}/${technician}`,
      method: 'PATCH',
      headers,
      body: Buffer.from(JSON.stringify({ name: 'Renamed' })),
    });
    expect(result).toBe(200);
    await first.stop();
    way.heal();
    const second = await start();
    expect((await read(second)).name).toBe('Renamed');
    await eventually('kept again', async () => (await read(second)).from === 'hit');
    await second.stop();
  });
});
