/** What a limit does when nobody can count: each as it is configured. And what an instance admits while the common count cannot be had. */
import type * as RateLimit from '../../../lib/rate-limit';

let limits: typeof RateLimit;
const asked: number[] = [];

beforeAll(() => {
  Object.assign(process.env, {
    RATE_LIMIT_FAIL_CLOSED: 'login, export',
    RATE_LIMIT_LOGIN: '5/60',
    RATE_LIMIT_SESSION: '1/60',
    INSTANCES: '3',
    // Nobody listens there.
    REDIS_URL: 'redis://127.0.0.1:1',
    DB_MAX_CONNECTIONS: '200',
  });
  // The configuration is read at import.
  limits = jest.requireActual<typeof RateLimit>('../../../lib/rate-limit');
});

const silent = { take: () => Promise.reject(new Error('silent')), reset: () => Promise.reject(new Error('silent')) };

test('nobody counts › those named refuse with 503, the others let pass', async () => {
  limits.setLimitBackend(silent);
  await expect(limits.take('login', '203.0.113.7', 'ann')).rejects.toMatchObject({
    status: 503,
    code: 'unavailable',
    reason: 'rate_limit',
  });
  await expect(limits.tryTake('export', 'tenant', 'user')).rejects.toMatchObject({ status: 503 });
  expect(await limits.take('session', 'sid')).toMatchObject({ allowed: true, remaining: 1, limit: 1 });
  await expect(limits.clearLimit('login', '203.0.113.7', 'ann')).resolves.toBeUndefined();
});

test('Redis away › the instance counts its share, one at least, and says the whole limit', async () => {
  limits.setLimitBackend({
    take: async (_key, limit) => {
      asked.push(limit);
      return { allowed: true, used: 1, remaining: limit - 1, resetMs: 1_000 };
    },
    reset: async () => undefined,
  });
  expect(await limits.take('login', '203.0.113.7', 'ann')).toMatchObject({ allowed: true, limit: 5 });
  await limits.take('session', 'sid');
  expect(asked).toEqual([1, 1]);
});
