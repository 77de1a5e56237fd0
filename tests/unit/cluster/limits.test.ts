import fc from 'fast-check';
import { LeasedLimits, LimitCounters, leaseSize, type TakeQuestion } from '../../../server/cluster/limits';

const clock = (start = 0) => {
  let now = start;
  return { now: () => now, advance: (ms: number) => (now += ms) };
};
const question = (key: string, limit: number, windowMs: number, over: Partial<TakeQuestion> = {}): TakeQuestion => ({
  key,
  limit,
  windowMs,
  cost: 1,
  want: over.cost ?? 1,
  unspent: null,
  ...over,
});

describe('cluster-wide counters', () => {
  test('a window › admits exactly the limit, refuses without consuming, has room again when the first uses lie behind it', () => {
    const time = clock();
    const counters = new LimitCounters(time.now);
    const answers = Array.from({ length: 5 }, () => counters.take(question('k', 3, 60_000)));
    expect(answers.map(({ allowed }) => allowed)).toEqual([true, true, true, false, false]);
    expect(answers.at(-1)).toMatchObject({ used: 3, remaining: 0, resetMs: 60_000, granted: 0 });
    time.advance(59_999);
    expect(counters.take(question('k', 3, 60_000))).toMatchObject({ allowed: false, resetMs: 1 });
    time.advance(1);
    expect(counters.take(question('k', 3, 60_000))).toMatchObject({ allowed: true, used: 1, remaining: 2 });
  });

  test('keys › do not touch one another, and reset forgets one', () => {
    const counters = new LimitCounters(clock().now);
    counters.take(question('a', 1, 1000));
    expect(counters.take(question('b', 1, 1000)).allowed).toBe(true);
    expect(counters.take(question('a', 1, 1000)).allowed).toBe(false);
    counters.reset('a');
    expect(counters.take(question('a', 1, 1000)).allowed).toBe(true);
    expect(counters.take(question('b', 1, 1000)).allowed).toBe(false);
  });

  test('a cost above what is left › refused whole', () => {
    const counters = new LimitCounters(clock().now);
    counters.take(question('k', 10, 1000, { cost: 8, want: 8 }));
    expect(counters.take(question('k', 10, 1000, { cost: 3, want: 3 }))).toMatchObject({ allowed: false, used: 8, granted: 0 });
    expect(counters.take(question('k', 10, 1000, { cost: 2, want: 2 }))).toMatchObject({ allowed: true, used: 10 });
  });

  test('a lease › gets what is left when that is less than wanted, and gives back what it did not spend', () => {
    const counters = new LimitCounters(clock().now);
    counters.take(question('k', 10, 60_000, { cost: 7, want: 7 }));
    const lease = counters.take(question('k', 10, 60_000, { want: 5 }));
    expect(lease).toMatchObject({ allowed: true, granted: 3, remaining: 0, leaseMs: 7_000 });
    expect(counters.take(question('k', 10, 60_000)).allowed).toBe(false);
    expect(counters.take(question('k', 10, 60_000, { unspent: { slice: lease.slice, tokens: 2 } }))).toMatchObject({
      allowed: true,
      used: 9,
    });
  });

  test('keys that somebody invents › memory stays bounded, ended windows go first', () => {
    const time = clock();
    const counters = new LimitCounters(time.now);
    for (let index = 0; index < 100_500; index += 1) counters.take(question(`k${index}`, 5, 60_000));
    expect(counters.keys).toBeLessThanOrEqual(100_000);
    time.advance(61_000);
    counters.take(question('late', 5, 60_000));
    expect(counters.keys).toBe(1);
  });
});

describe('leases of four workers', () => {
  const workers = (counters: LimitCounters, now: () => number, calls = { count: 0 }) =>
    Array.from(
      { length: 4 },
      () =>
        new LeasedLimits(async (asked) => {
          calls.count += 1;
          return counters.take(asked);
        }, now),
    );

  const drive = async (limit: number, takes: number) => {
    const time = clock();
    const calls = { count: 0 };
    const four = workers(new LimitCounters(time.now), time.now, calls);
    let admitted = 0;
    for (let index = 0; index < takes; index += 1) if ((await four[index % 4]?.take('k', limit, 60_000))?.allowed) admitted += 1;
    return { admitted, calls: calls.count };
  };

  test('limit 100 › exactly 100 are admitted, each asked for', async () => {
    expect(await drive(100, 400)).toEqual({ admitted: 100, calls: 400 });
  });

  test('limit 600 › never more, and a tenth of the questions', async () => {
    const { admitted, calls } = await drive(600, 600);
    expect(admitted).toBeLessThanOrEqual(600);
    // What three neighbours may hold unspent, 2 % each.
    expect(admitted).toBeGreaterThanOrEqual(564);
    expect(calls).toBeLessThanOrEqual(100);
    expect((await drive(600, 2400)).admitted).toBe(600);
  });

  test('takes at the same time › no token is spent twice or lost', async () => {
    const time = clock();
    const [worker] = workers(new LimitCounters(time.now), time.now);
    const answers = await Promise.all(Array.from({ length: 700 }, () => worker!.take('k', 600, 60_000)));
    expect(answers.filter((answer) => answer?.allowed).length).toBe(600);
    expect((await worker?.take('k', 600, 60_000))?.allowed).toBe(false);
  });

  test('a lease that has ended › its tokens are given back, not spent later', async () => {
    const time = clock();
    const counters = new LimitCounters(time.now);
    const [worker] = workers(counters, time.now);
    await worker?.take('k', 600, 60_000);
    time.advance(10_000);
    // 1 spent, 11 given back, 12 leased anew, of which this is the first.
    expect(await worker?.take('k', 600, 60_000)).toMatchObject({ allowed: true, used: 2, remaining: 598 });
  });

  test('the primary answers late › who asked is served all the same', async () => {
    const time = clock();
    const counters = new LimitCounters(time.now);
    const slow = new LeasedLimits(async (asked) => {
      const answer = counters.take(asked);
      time.advance(30_000);
      return answer;
    }, time.now);
    const answers = await Promise.all([slow.take('k', 600, 60_000), slow.take('k', 600, 60_000)]);
    expect(answers.map(({ allowed }) => allowed)).toEqual([true, true]);
  });

  test('the primary answers when everybody has gone on, a hundred times › what it granted is given back, the next are admitted', async () => {
    const counters = new LimitCounters(clock().now);
    let busy = true;
    const worker = new LeasedLimits(async (asked, late) => {
      const answer = counters.take(asked);
      if (!busy || asked.cost === 0) return answer;
      setImmediate(() => late?.(answer));
      throw new Error('No answer');
    }, clock().now);
    for (let round = 0; round < 100; round += 1) {
      await expect(worker.take('k', 600, 60_000)).rejects.toThrow('No answer');
      await new Promise(setImmediate);
    }
    busy = false;
    // Those who went on without an answer count: they have been served.
    expect(await worker.take('k', 600, 60_000)).toMatchObject({ allowed: true, used: 101 });
  });

  test('lease size › one up to 100, 2 % above', () => {
    expect([1, 100, 101, 600, 10_000].map(leaseSize)).toEqual([1, 1, 2, 12, 200]);
  });

  test('any pattern of uses › no window of the length, wherever it begins, holds more than the limit', async () => {
    const step = fc.record({
      pause: fc.oneof(fc.nat(50), fc.nat(5_000), fc.nat(70_000)),
      worker: fc.nat(3),
      uses: fc.integer({ min: 1, max: 80 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(3, 100, 101, 150), fc.array(step, { minLength: 1, maxLength: 40 }), async (limit, steps) => {
        const time = clock(1_000_000_007);
        const four = workers(new LimitCounters(time.now), time.now);
        const admitted: number[] = [];
        for (const { pause, worker, uses } of steps) {
          time.advance(pause);
          for (let use = 0; use < uses; use += 1) if ((await four[worker]!.take('k', limit, 60_000)).allowed) admitted.push(time.now());
        }
        // The use `limit` places further on lies outside the window that this one opens.
        const distances = admitted.slice(limit).map((later, index) => later - (admitted[index] ?? 0));
        expect(Math.min(60_000, ...distances)).toBe(60_000);
      }),
      { numRuns: 100 },
    );
  });
});
