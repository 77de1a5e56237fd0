/** Replies in Redis: two processes, here two stores that know each other by a bus, on a real server that dies, hangs and cannot be reached. */
import { setTimeout as delay } from 'node:timers/promises';
import type { StoredReply } from '../../lib/cache/backend';
import type * as RepliesModule from '../../lib/cache/redis-replies';
import type { ClusterBus } from '../../lib/cluster-ports';
import type * as RedisModule from '../../lib/redis';
import { describeWith, type OwnRedis, startOwnRedis, temporaryFolder } from '../support/services';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy';

const TAGS = ['t:appointments', 't:payments'];
const POLICY = { freshMs: 60_000, staleMs: 60_000 };
const reply = (text: string): StoredReply => ({
  status: 200,
  headers: { a: 'b' },
  parts: [text, 'é', ''],
  etag: 'e',
  storedAt: Date.now(),
});

/** What one publishes, the other hears. */
function twoBuses(): [ClusterBus, ClusterBus] {
  const handlers: [Map<string, (payload: unknown) => void>, Map<string, (payload: unknown) => void>] = [new Map(), new Map()];
  const bus = (own: 0 | 1): ClusterBus => ({
    publish: async (topic, payload) => handlers[own === 0 ? 1 : 0].get(topic)?.(payload),
    subscribe: (topic, handler) => {
      handlers[own].set(topic, handler as (payload: unknown) => void);
      return () => handlers[own].delete(topic);
    },
  });
  return [bus(0), bus(1)];
}

describeWith('redis', 'replies in Redis', () => {
  let server: OwnRedis;
  let way: TcpProxy;
  let redis: typeof RedisModule;
  let RedisReplies: typeof RepliesModule.RedisReplies;
  let one: RepliesModule.RedisReplies;
  let two: RepliesModule.RedisReplies;
  let errors = 0;
  let keys = 0;
  const key = () => `t:k${keys}`;

  beforeAll(async () => {
    server = await startOwnRedis({ folder: temporaryFolder('redis') });
    way = await startTcpProxy(server.port);
    process.env['REDIS_URL'] = `redis://127.0.0.1:${way.port}`;
    // The configuration is read at import, so these come after the address is known.
    redis = jest.requireActual<typeof RedisModule>('../../lib/redis');
    ({ RedisReplies } = jest.requireActual<typeof RepliesModule>('../../lib/cache/redis-replies'));
    const [first, second] = twoBuses();
    const onError = () => {
      errors += 1;
    };
    one = new RedisReplies({ bus: first, onError });
    two = new RedisReplies({ bus: second, onError });
    redis.redis();
    await ready();
  });
  afterAll(() => redis.closeRedis());
  beforeEach(() => {
    keys += 1;
    errors = 0;
  });

  const ready = async () => {
    while (!redis.redisReady()) await delay(5);
  };
  const claim = async (store: RepliesModule.RedisReplies, version: string, wait = true) =>
    store.claim({ key: key(), tags: TAGS, version, policy: POLICY, wait });
  /** Computes and stores, as a leader does. */
  async function fill(store: RepliesModule.RedisReplies, text: string): Promise<void> {
    const { version } = await store.look(key(), TAGS);
    const task = await claim(store, version);
    if (task.kind !== 'lead') throw new Error(`not the leader: ${task.kind}`);
    task.keep(reply(text));
    while (!(await store.look(key(), TAGS)).reply) await delay(2);
  }
  const textOf = async (store: RepliesModule.RedisReplies) => (await store.look(key(), TAGS)).reply?.parts[0] ?? null;

  test('stored by one process › found by the other, whole; void for both after a write by either', async () => {
    await fill(one, 'x');
    const { reply: found } = await two.look(key(), TAGS);
    expect(found).toEqual({ ...reply('x'), storedAt: expect.any(Number) });
    await two.invalidate([TAGS[1] as string]);
    expect([await textOf(one), await textOf(two)]).toEqual([null, null]);
  });

  test('old rows read, then the write announced, then stored › never found', async () => {
    const { version } = await one.look(key(), TAGS);
    const task = await claim(one, version);
    await two.invalidate([TAGS[0] as string]);
    if (task.kind === 'lead') task.keep(reply('old'));
    await delay(50);
    expect([await textOf(one), await textOf(two)]).toEqual([null, null]);
  });

  test('a tag that Redis has forgotten › what was stored before is void, not valid again', async () => {
    await fill(one, 'x');
    await redis.redis()?.del(`autoshop:reply-tag:${TAGS[0]}`);
    expect(await textOf(two)).toBeNull();
    await fill(two, 'y');
    expect(await textOf(one)).toBe('y');
  });

  test('twenty at once › one computes, the others wait for it and get it', async () => {
    const { version } = await one.look(key(), TAGS);
    let computed = 0;
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const task = await claim(index % 2 === 0 ? one : two, version);
        if (task.kind !== 'lead') return task.kind === 'reply' ? task.reply.parts[0] : task.kind;
        computed += 1;
        await delay(30);
        task.keep(reply('x'));
        return 'computed';
      }),
    );
    expect(computed).toBe(1);
    expect(answers.filter((answer) => answer === 'x')).toHaveLength(19);
  });

  test('a leader that fails › the next one computes; one that would not wait is told at once', async () => {
    const { version } = await one.look(key(), TAGS);
    const first = await claim(one, version);
    expect((await claim(two, version, false)).kind).toBe('busy');
    const second = claim(two, version);
    if (first.kind === 'lead') first.release();
    expect((await second).kind).toBe('lead');
  });

  test('Redis hangs › it is not asked any more, a write that it did not take is believed by nobody, and made good when it answers', async () => {
    await fill(one, 'old');
    server.pause();
    await expect(one.look(key(), TAGS)).rejects.toThrow();
    await one.invalidate(TAGS);
    for (let count = 0; count < 3; count += 1) await expect(two.look(key(), TAGS)).rejects.toThrow();
    // Its circuit breaker is open by now: nobody waits for it any more.
    expect(redis.redisReady()).toBe(false);
    await expect(two.look(key(), TAGS)).rejects.toThrow('Redis is away');
    expect(errors).toBeGreaterThan(0);
    server.resume();
    await ready();
    // The reply is still there; the write before it makes it void.
    expect([await textOf(one), await textOf(two)]).toEqual([null, null]);
    await fill(two, 'new');
    expect(await textOf(one)).toBe('new');
  });

  test('Redis dies, a write meanwhile, and it is back › no old reply, and it serves again', async () => {
    await fill(one, 'old');
    await server.kill();
    await two.invalidate(TAGS);
    await expect(one.look(key(), TAGS)).rejects.toThrow();
    await server.restart();
    await ready();
    expect([await textOf(one), await textOf(two)]).toEqual([null, null]);
    await fill(one, 'new');
    expect(await textOf(two)).toBe('new');
  });

  test('Redis comes back with what it held before a write › no reply of that time, stored before or after', async () => {
    await fill(one, 'old');
    await redis.redis()?.save();
    const { version } = await two.look(key(), TAGS);
    const begun = await two.claim({ key: `${key()} begun`, tags: TAGS, version, policy: POLICY, wait: false });
    await two.invalidate(TAGS);
    await server.restart();
    await ready();
    expect([await textOf(one), await textOf(two)]).toEqual([null, null]);
    // Rows read before the write, kept only now.
    if (begun.kind === 'lead') begun.keep(reply('old'));
    while (!(await redis.redis()?.exists(`autoshop:reply:${key()} begun`))) await delay(2);
    expect((await one.look(`${key()} begun`, TAGS)).reply).toBeNull();
    await fill(one, 'new');
    expect(await textOf(two)).toBe('new');
  });

  test('who owes a write is gone before Redis can be reached again › its successor trusts no reply that was begun before', async () => {
    await fill(one, 'old');
    // The leader's lock goes last.
    while (((await redis.redis()?.keys('autoshop:reply-lock:*')) ?? []).length > 0) await delay(2);
    const gone = new RedisReplies();
    way.cut();
    while (redis.redisReady()) await delay(2);
    await gone.invalidate(TAGS);
    gone.close();
    const since = Date.now();
    const successor = new RedisReplies({ trustedSince: () => since });
    way.heal();
    await ready();
    expect(await textOf(one)).toBe('old');
    expect(await textOf(successor)).toBeNull();
    const { version } = await successor.look(key(), TAGS);
    // It computes anew instead of taking what it does not trust.
    expect((await claim(successor, version, false)).kind).toBe('lead');
    successor.close();
  });

  test('a connection that is taken and never answered › given up, and Redis is used as soon as it can be reached', async () => {
    way.silence();
    while (redis.redis()?.status !== 'connect') await delay(5);
    way.heal();
    expect(await redis.redisReadyWithin(10_000)).toBe(true);
  });
});
