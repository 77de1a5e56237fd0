import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Bus } from '../../../server/cluster/bus';
import { PendingCalls } from '../../../server/cluster/calls';
import { Tail } from '../../../server/cluster/tail';
import { mayReadOps, tokenOf } from '../../../server/ops/access';
import { DatabaseWatch } from '../../../server/ops/database-state';
import { windowSeconds } from '../../../server/ops/window-parameter';

describe('message bus', () => {
  const bus = (children: string[]) => {
    const delivered: string[] = [];
    const done: string[] = [];
    let now = 0;
    const made = new Bus(
      {
        receivers: () => children,
        deliver: (receiver, delivery, topic) => delivered.push(`${receiver}#${delivery} ${topic}`),
        done: (publisher, call) => done.push(`${publisher}#${call}`),
      },
      () => now,
    );
    return { bus: made, delivered, done, pass: (ms: number) => (now += ms) };
  };

  test('three workers › the other two get it, done after both acknowledged, once', () => {
    const { bus: it, delivered, done } = bus(['a', 'b', 'c']);
    it.publish('a', 7, 'revocation', {});
    expect(delivered).toEqual(['b#1 revocation', 'c#1 revocation']);
    it.acknowledge('b', 1);
    it.acknowledge('b', 1);
    expect(done).toEqual([]);
    it.acknowledge('c', 1);
    it.acknowledge('c', 1);
    expect(done).toEqual(['a#7']);
  });

  test('nobody else › done at once', () => {
    const { bus: it, done } = bus(['a']);
    it.publish('a', 1, 't', null);
    expect(done).toEqual(['a#1']);
  });

  test('a receiver that dies › is not waited for; a publisher that dies › is forgotten', () => {
    const { bus: it, done } = bus(['a', 'b', 'c']);
    it.publish('a', 1, 't', null);
    it.publish('b', 2, 't', null);
    it.acknowledge('b', 1);
    it.forget('c');
    expect(done).toEqual(['a#1']);
    it.forget('b');
    it.acknowledge('a', 2);
    expect(done).toEqual(['a#1']);
    expect(it.open).toBe(0);
  });

  test('a receiver that is stuck › its message does not stay in memory', () => {
    const { bus: it, pass } = bus(['a', 'b']);
    it.publish('a', 1, 't', null);
    pass(5_001);
    it.sweep();
    expect(it.open).toBe(0);
  });
});

describe('pending calls', () => {
  test('an answer › resolves its own call only', async () => {
    const calls = new PendingCalls<string>();
    const asked: number[] = [];
    const first = calls.start(1_000, (call) => asked.push(call));
    const second = calls.start(1_000, (call) => asked.push(call));
    calls.finish(asked[1] as number, 'two');
    calls.finish(asked[0] as number, 'one');
    calls.finish(99, 'nobody');
    expect(await Promise.all([first, second])).toEqual(['one', 'two']);
    expect(calls.size).toBe(0);
  });

  test('silence › rejects after its time and forgets the call', async () => {
    const calls = new PendingCalls<string>();
    await expect(calls.start(5, () => undefined)).rejects.toThrow('within 5 ms');
    expect(calls.size).toBe(0);
  });

  test('an answer after its time › goes to whoever wants it, once', async () => {
    const calls = new PendingCalls<string>();
    const late: string[] = [];
    const asked: number[] = [];
    await expect(
      calls.start(
        5,
        (call) => asked.push(call),
        (answer) => late.push(answer),
      ),
    ).rejects.toThrow('within 5 ms');
    for (const call of [...asked, ...asked]) calls.finish(call, 'late');
    expect([late, calls.size]).toEqual([['late'], 0]);
  });
});

describe('last words', () => {
  const follow = async (chunks: string[]) => {
    const written: string[] = [];
    const tail = new Tail((line) => written.push(line));
    const stream = new PassThrough();
    tail.follow(stream);
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
    await new Promise((resolve) => stream.once('end', resolve));
    return { written, kept: tail.lines };
  };

  test('chunks that cut lines › whole lines, the last one without its newline as well', async () => {
    expect((await follow(['a\nb', 'c\n\nd'])).written).toEqual(['a', 'bc', '', 'd']);
  });

  test('many lines › the last twenty are kept, all are passed on', async () => {
    const { written, kept } = await follow(Array.from({ length: 50 }, (_, index) => `line ${index}\n`));
    expect(written).toHaveLength(50);
    expect(kept).toHaveLength(20);
    expect(kept.at(-1)).toBe('line 49');
  });

  test('a line that never ends › does not fill the memory', async () => {
    const { written } = await follow(Array.from({ length: 40 }, () => 'x'.repeat(8 * 1024)));
    expect(Math.max(...written.map((line) => line.length))).toBeLessThanOrEqual(80 * 1024);
    expect(written.join('')).toHaveLength(40 * 8 * 1024);
  });
});

describe('who may read operations documents on the public port', () => {
  const token = 'a-token-of-some-length';
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

  test.each([
    ['the token as Bearer', `Bearer ${token}`, true],
    ['the token as Basic password', basic(`ops:${token}`), true],
    ['the token as Basic user', basic(`${token}:`), false],
    ['another token', 'Bearer another-token-of-some-length', false],
    ['a prefix of the token', `Bearer ${token.slice(0, -1)}`, false],
    ['nothing', undefined, false],
    ['another scheme', `Digest ${token}`, false],
    ['an empty Bearer', 'Bearer ', false],
  ])('production, %s › %s', (_name, header, allowed) => {
    expect(mayReadOps({ token, environment: 'production' }, header, '127.0.0.1')).toBe(allowed);
  });

  test('no token configured › nobody in production, loopback in development', () => {
    const open = (environment: 'development' | 'test' | 'production', peer: string | undefined) =>
      mayReadOps({ token: undefined, environment }, 'Bearer undefined', peer);
    expect(open('production', '127.0.0.1')).toBe(false);
    expect(open('test', '127.0.0.1')).toBe(false);
    expect(open('development', '127.0.0.1')).toBe(true);
    expect(open('development', '::1')).toBe(true);
    expect(open('development', '::ffff:127.0.0.1')).toBe(true);
    expect(open('development', '192.0.2.7')).toBe(false);
    expect(open('development', '::ffff:10.0.0.1')).toBe(false);
    expect(open('development', undefined)).toBe(false);
  });

  test('credentials with a colon in the password › everything after the first colon', () => {
    expect(tokenOf(basic('u:a:b'))).toBe('a:b');
    expect(tokenOf('Basic !!!')).toBeUndefined();
  });
});

describe('database watch', () => {
  test('many probes at once, then within a second › one ping; later another', async () => {
    let now = 0;
    let pings = 0;
    const watch = new DatabaseWatch({
      ping: async () => {
        pings += 1;
        await delay(5);
      },
      pendingMigrations: async () => 0,
      now: () => now,
    });
    await Promise.all([watch.check(), watch.check(), watch.check()]);
    now = 999;
    expect(await watch.check()).toMatchObject({ status: 'up', pendingMigrations: 0 });
    expect(pings).toBe(1);
    now = 1_001;
    await watch.check();
    expect(pings).toBe(2);
  });

  test('the database goes and comes back › down without an error, then up', async () => {
    let now = 0;
    let broken = true;
    const watch = new DatabaseWatch({
      ping: async () => {
        if (broken) throw new Error('refused');
      },
      pendingMigrations: async () => 2,
      now: () => now,
    });
    expect((await watch.check()).status).toBe('down');
    broken = false;
    now = 2_000;
    expect(await watch.check()).toMatchObject({ status: 'up', pendingMigrations: 2 });
  });
});

test('window parameter › three lengths, anything else is a minute', () => {
  expect(['60', '300', '900', '15', '', undefined, null, ['900']].map(windowSeconds)).toEqual([60, 300, 900, 60, 60, 60, 60, 60]);
});
