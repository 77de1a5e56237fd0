/** Who wrote a moment ago, remembered in a real Redis that hangs. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type * as RedisModule from '../../lib/redis';
import type * as PinsModule from '../../lib/write-pins';
import { describeWith, type OwnRedis, startOwnRedis } from '../support/services';

/** Far above the limit of one command, far below the one of a request. */
const SOON_MS = 2_000;

describeWith('redis', 'sessions that wrote, in Redis', () => {
  let server: OwnRedis;
  let redis: typeof RedisModule;
  let pins: typeof PinsModule;

  beforeAll(async () => {
    server = await startOwnRedis();
    process.env['REDIS_URL'] = server.url;
    // The configuration is read at import, so these come after the address is known.
    redis = jest.requireActual<typeof RedisModule>('../../lib/redis');
    pins = jest.requireActual<typeof PinsModule>('../../lib/write-pins');
    redis.redis();
    while (!redis.redisReady()) await delay(5);
  });
  afterAll(() => redis.closeRedis());

  test('a session that wrote › remembered there, for ten seconds', async () => {
    const session = randomUUID();
    await pins.pinSession(session);
    const left = (await redis.redis()?.pttl(`autoshop:wrote:${session}`)) ?? 0;
    expect(left).toBeGreaterThan(5_000);
    expect(left).toBeLessThanOrEqual(10_000);
    expect(await pins.isSessionPinned(session)).toBe(true);
  });

  test('Redis hangs › who wrote is answered all the same, soon, and reads from the primary', async () => {
    server.pause();
    const started = performance.now();
    const session = randomUUID();
    await Promise.race([pins.pinSession(session), delay(2 * SOON_MS, undefined, { ref: false })]);
    expect(await pins.isSessionPinned(session)).toBe(true);
    expect(performance.now() - started).toBeLessThan(SOON_MS);
    server.resume();
  });
});
