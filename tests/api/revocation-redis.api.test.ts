import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis as RedisClient } from 'ioredis';
import type * as RedisModule from '../../lib/redis';
import type * as RevocationModule from '../../lib/revocation';
import type * as RelayModule from '../../lib/revocation-relay';
import { describeWith, type Redis, startRedis } from '../support/services';

const CHANNEL = 'autoshop:revocation';

describeWith('redis', 'revocations by Redis', () => {
  let server: Redis;
  let other: RedisClient;
  let revocation: typeof RevocationModule;
  let redisModule: typeof RedisModule;
  let disconnect: () => void;
  const heard: RevocationModule.Revocation[] = [];

  beforeAll(async () => {
    server = await startRedis();
    process.env['REDIS_URL'] = server.url;
    // The configuration is read at import, so these come after the address is known.
    redisModule = jest.requireActual<typeof RedisModule>('../../lib/redis');
    revocation = jest.requireActual<typeof RevocationModule>('../../lib/revocation');
    const relay = jest.requireActual<typeof RelayModule>('../../lib/revocation-relay');
    revocation.onRevocation((message) => heard.push(message));
    disconnect = relay.connectRevocationRelay();
    other = new RedisClient(server.url);
    while (!redisModule.redisReady() || ((await other.pubsub('NUMSUB', CHANNEL)) as [string, number])[1] < 1) await delay(10);
  });
  afterAll(async () => {
    disconnect();
    other.disconnect();
    await redisModule.closeRedis();
  });
  beforeEach(() => {
    heard.length = 0;
  });

  const nextHeard = async () => {
    while (heard.length === 0) await delay(5);
    return heard;
  };

  test('announced here › published for other instances, heard here once', async () => {
    const listener = other.duplicate();
    await listener.subscribe(CHANNEL);
    const arrived = once(listener, 'message');
    await revocation.announceRevocation({ sessions: ['one'] });
    const [, text] = (await arrived) as [string, string];
    expect(JSON.parse(text)).toMatchObject({ revocation: { sessions: ['one'] } });
    await delay(50);
    expect(heard).toEqual([{ sessions: ['one'] }]);
    listener.disconnect();
  });

  test('published by another instance › heard here', async () => {
    await other.publish(CHANNEL, JSON.stringify({ origin: 'elsewhere', revocation: { actors: ['staff:7'] } }));
    expect(await nextHeard()).toEqual([{ actors: ['staff:7'] }]);
  });

  test('garbage on the channel › ignored, the next message still arrives', async () => {
    for (const text of [
      '',
      'junk',
      'null',
      '{}',
      '{"origin":1}',
      '{"origin":"x","revocation":{"sessions":7}}',
      '{"origin":"x","revocation":null}',
    ])
      await other.publish(CHANNEL, text);
    await other.publish(CHANNEL, JSON.stringify({ origin: 'elsewhere', revocation: { sessions: ['two'] } }));
    expect(await nextHeard()).toEqual([{ sessions: ['two'] }]);
  });

  test('Redis gone › announcing still succeeds, at once', async () => {
    await server.stop();
    const started = performance.now();
    await revocation.announceRevocation({ sessions: ['three'] });
    // Not kept waiting for Redis to come back, which it does not.
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(heard).toEqual([{ sessions: ['three'] }]);
  });
});
