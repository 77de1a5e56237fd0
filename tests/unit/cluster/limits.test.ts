import { LeasedLimits, LimitCounters, leaseSize } from '../../../server/cluster/limits';

const clock = (start = 0) => {
  let now = start;
  return { now: () => now, advance: (ms: number) => (now += ms) };
};

describe('cluster-wide counters', () => {
  test('a window › admits exactly the limit, refuses without consuming, begins anew after its end', () => {
    const time = clock();
    const counters = new LimitCounters(time.now);
    const answers = Array.from({ length: 5 }, () => counters.take('k', 3, 1000));
    expect(answers.map(({ allowed }) => allowed)).toEqual([true, true, true, false, false]);
    expect(answers.at(-1)).toMatchObject({ used: 3, remaining: 0, resetMs: 1000, granted: 0 });
    time.advance(999);
    expect(counters.take('k', 3, 1000)).toMatchObject({ allowed: false, resetMs: 1 });
    time.advance(1);
    expect(counters.take('k', 3, 1000)).toMatchObject({ allowed: true, used: 1, remaining: 2, resetMs: 1000 });
    expect(counters.totals).toMatchObject({ allowed: 4, limited: 3 });
  });

  test('keys › do not touch one another, and reset forgets one', () => {
    const counters = new LimitCounters(clock().now);
    counters.take('a', 1, 1000);
    expect(counters.take('b', 1, 1000).allowed).toBe(true);
    expect(counters.take('a', 1, 1000).allowed).toBe(false);
    counters.reset('a');
    expect(counters.take('a', 1, 1000).allowed).toBe(true);
    expect(counters.take('b', 1, 1000).allowed).toBe(false);
  });

  test('a cost above what is left › refused whole', () => {
    const counters = new LimitCounters(clock().now);
    counters.take('k', 10, 1000, 8);
    expect(counters.take('k', 10, 1000, 3)).toMatchObject({ allowed: false, used: 8, granted: 0 });
    expect(counters.take('k', 10, 1000, 2)).toMatchObject({ allowed: true, used: 10 });
  });

  test('a lease › gets what is left when that is less than wanted', () => {
    const counters = new LimitCounters(clock().now);
    counters.take('k', 10, 1000, 7);
    expect(counters.take('k', 10, 1000, 1, 5)).toMatchObject({ allowed: true, granted: 3, remaining: 0 });
  });

  test('keys that somebody invents › memory stays bounded, ended windows go first', () => {
    const time = clock();
    const counters = new LimitCounters(time.now);
    for (let index = 0; index < 100_500; index += 1) counters.take(`k${index}`, 5, 60_000);
    expect(counters.totals.keys).toBeLessThanOrEqual(100_000);
    time.advance(60_000);
    counters.take('late', 5, 60_000);
    expect(counters.totals.keys).toBe(1);
  });
});

describe('leases of four workers', () => {
  const workers = (counters: LimitCounters, now: () => number, calls = { count: 0 }) =>
    Array.from(
      { length: 4 },
      () =>
        new LeasedLimits(async (...args) => {
          calls.count += 1;
          return counters.take(...args);
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
    expect(answers.filter((answer) => answer?.allowed).length).toBeLessThanOrEqual(600);
    let more = 0;
    while ((await worker?.take('k', 600, 60_000))?.allowed) more += 1;
    expect(answers.filter((answer) => answer?.allowed).length + more).toBe(600);
  });

  test('the end of the window › a lease is not carried over', async () => {
    const time = clock();
    const counters = new LimitCounters(time.now);
    const [worker] = workers(counters, time.now);
    await worker?.take('k', 600, 1000);
    time.advance(1000);
    expect(await worker?.take('k', 600, 1000)).toMatchObject({ allowed: true, used: 1, remaining: 599 });
  });

  test('lease size › one up to 100, 2 % above', () => {
    expect([1, 100, 101, 600, 10_000].map(leaseSize)).toEqual([1, 1, 2, 12, 200]);
  });
});
