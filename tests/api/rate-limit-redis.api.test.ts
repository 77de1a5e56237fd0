import { setTimeout as delay } from 'node:timers/promises';
import type * as RateLimit from '../../lib/rate-limit';
import type * as RedisModule from '../../lib/redis';
import { describeWith, type Redis, startRedis } from '../support/services';

describeWith('redis', 'limits in Redis', () => {
  let server: Redis;
  let limits: typeof RateLimit;
  let redisModule: typeof RedisModule;
  let counted = 0;

  beforeAll(async () => {
    server = await startRedis();
    process.env['REDIS_URL'] = server.url;
    // The configuration is read at import, so these come after the address is known.
    limits = jest.requireActual<typeof RateLimit>('../../lib/rate-limit');
    redisModule = jest.requireActual<typeof RedisModule>('../../lib/redis');
    limits.setLimitBackend({
      take: async (_key, limit) => {
        counted += 1;
        return { allowed: true, used: 1, remaining: limit - 1, resetMs: 1000 };
      },
      reset: async () => undefined,
    });
    redisModule.redis();
    for (let waited = 0; !redisModule.redisReady() && waited < 5_000; waited += 20) await delay(20);
  });
  afterAll(() => redisModule.closeRedis());

  test('counted in Redis, refused over the limit, cleared, not in the backend', async () => {
    const undo = limits.overrideRate('login', { limit: 2, windowMs: 300_000 });
    const take = () => limits.take('login', '203.0.113.7', 'ann@example.com');
    expect([(await take()).allowed, (await take()).allowed, (await take()).allowed]).toEqual([true, true, false]);
    const refused = await take();
    expect(refused).toMatchObject({ limit: 2, remaining: 0 });
    expect(refused.resetMs).toBeGreaterThan(290_000);
    const keys = (await redisModule.redis()?.keys('*')) ?? [];
    expect(keys).toHaveLength(1);
    expect(keys[0]).not.toContain('ann');
    await limits.clearLimit('login', '203.0.113.7', 'ann@example.com');
    expect((await take()).allowed).toBe(true);
    expect(counted).toBe(0);
    undo();
  });

  test('Redis gone › counted by the backend at once, nobody refused or kept waiting', async () => {
    await server.stop();
    for (let waited = 0; redisModule.redisReady() && waited < 5_000; waited += 20) await delay(20);
    const started = performance.now();
    expect((await limits.take('login', '203.0.113.7', 'x')).allowed).toBe(true);
    expect(performance.now() - started).toBeLessThan(500);
    expect(counted).toBe(1);
  });
});
