import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import type * as RateLimit from '../../lib/rate-limit';
import type * as RedisModule from '../../lib/redis';
import type * as RedisLimits from '../../lib/redis-limits';
import { SlidingWindows } from '../../lib/sliding-window';
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
    while (!redisModule.redisReady()) await delay(20);
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

  test('five hundred at one moment › exactly the limit is admitted; what is counted expires by itself', async () => {
    const undo = limits.overrideRate('session', { limit: 100, windowMs: 60_000 });
    const answers = await Promise.all(Array.from({ length: 500 }, () => limits.take('session', 'busy')));
    expect(answers.filter(({ allowed }) => allowed)).toHaveLength(100);
    expect(Math.min(...answers.map(({ remaining }) => remaining))).toBe(0);
    const ttl = (await redisModule.redis()?.pttl('autoshop:limit:60000:session:busy')) ?? 0;
    expect(ttl).toBeGreaterThan(55_000);
    expect(ttl).toBeLessThanOrEqual(60_000);
    undo();
  });

  test('any pattern of uses › the script in Redis decides as the rule in memory does', async () => {
    const { takeInRedis } = jest.requireActual<typeof RedisLimits>('../../lib/redis-limits');
    const client = redisModule.redis();
    if (!client) throw new Error('no Redis');
    const step = fc.record({ pause: fc.oneof(fc.nat(20), fc.nat(2_000), fc.nat(1_200_000)), cost: fc.integer({ min: 1, max: 3 }) });
    let keys = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20 }),
        // Redis forgets a key by its own clock, which goes on: no sooner than in a minute.
        fc.integer({ min: 60_000, max: 600_000 }),
        fc.array(step, { maxLength: 40 }),
        async (limit, windowMs, steps) => {
          keys += 1;
          let now = 1_700_000_000_123;
          const memory = new SlidingWindows({ now: () => now });
          for (const { pause, cost } of steps) {
            now += pause;
            const { allowed, used, remaining, resetMs } = memory.take('k', limit, windowMs, { cost });
            const answer = await takeInRedis(client, { key: `rule${keys}`, limit, windowMs, cost, now });
            expect(answer).toEqual({ allowed, used, remaining, resetMs: Math.ceil(resetMs) });
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('Redis gone › counted by the backend at once, nobody refused or kept waiting', async () => {
    await server.stop();
    while (redisModule.redisReady()) await delay(20);
    const started = performance.now();
    expect((await limits.take('login', '203.0.113.7', 'x')).allowed).toBe(true);
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(counted).toBe(1);
  });
});
