import fc from 'fast-check';
import { Caller } from '../../../lib/caller';
import { PoolWait } from '../../../lib/pool-wait';

/** Connections that come back at an even rate, each after `holdMs`. */
function comeBack(wait: PoolWait, { count, holdMs, everyMs, from = 0 }: { count: number; holdMs: number; everyMs: number; from?: number }) {
  for (let index = 1; index <= count; index += 1) wait.onReturn(holdMs, from + index * everyMs);
  return from + count * everyMs;
}
const queue = (waiting: number, heldMs: number[] = []) => ({ waiting, oldestMs: 0, max: 8, heldMs });

describe('the expected wait for a connection', () => {
  test('nobody waits › 0, whatever happened before', () => {
    const wait = new PoolWait();
    comeBack(wait, { count: 50, holdMs: 5_000, everyMs: 10 });
    expect(wait.expectedMs(queue(0, [60_000]))).toBe(0);
  });

  test('a steady rate › those before in the queue, divided by it', () => {
    const wait = new PoolWait();
    comeBack(wait, { count: 100, holdMs: 50, everyMs: 6.25 });
    // Eight connections held 50 ms come back 160 times a second.
    expect(wait.expectedMs(queue(40))).toBeCloseTo(250);
  });

  test('after an hour of nothing › the statements of now decide at once, not those of then', () => {
    const wait = new PoolWait();
    const then = comeBack(wait, { count: 100, holdMs: 1, everyMs: 10 });
    wait.onReturn(50, then + 3_600_000);
    expect(wait.expectedMs(queue(40))).toBeCloseTo(250, 0);
  });

  test('statements that become slow under load › followed within a few of them', () => {
    const wait = new PoolWait();
    const from = comeBack(wait, { count: 500, holdMs: 1, everyMs: 1 });
    comeBack(wait, { count: 40, holdMs: 50, everyMs: 6.25, from });
    expect(wait.expectedMs(queue(40))).toBeGreaterThan(200);
  });

  test('nothing comes back › grows with the age of the connections that are out, and of the first in the queue', () => {
    const wait = new PoolWait();
    comeBack(wait, { count: 50, holdMs: 1, everyMs: 10 });
    expect(wait.expectedMs(queue(8, [2_000, 4_000]))).toBe(3_000);
    expect(wait.expectedMs({ waiting: 1, oldestMs: 900, max: 8, heldMs: [1] })).toBe(900);
  });

  test('any history › never negative, never less than the first in the queue has waited, and longer in a longer queue', () => {
    const returns = fc.array(fc.tuple(fc.double({ min: 0, max: 60_000, noNaN: true }), fc.double({ min: 0, max: 10_000, noNaN: true })));
    const ages = fc.array(fc.double({ min: 0, max: 60_000, noNaN: true }), { maxLength: 20 });
    fc.assert(
      fc.property(
        returns,
        ages,
        fc.nat(500),
        fc.nat(60_000),
        fc.integer({ min: 1, max: 100 }),
        (history, heldMs, waiting, oldestMs, max) => {
          const wait = new PoolWait();
          let now = 0;
          for (const [holdMs, pause] of history) {
            now += pause;
            wait.onReturn(holdMs, now);
          }
          const short = wait.expectedMs({ waiting: waiting + 1, oldestMs, max, heldMs });
          const long = wait.expectedMs({ waiting: waiting + 2, oldestMs, max, heldMs });
          expect(short).toBeGreaterThanOrEqual(oldestMs);
          expect(long).toBeGreaterThanOrEqual(short);
        },
      ),
    );
  });
});

describe('a caller', () => {
  test('leaves › each listener is told once, those that ended before are not', () => {
    const caller = new Caller();
    const told: string[] = [];
    caller.onLeave(() => told.push('stays'));
    caller.onLeave(() => told.push('ended'))();
    caller.leave();
    caller.leave();
    expect(told).toEqual(['stays']);
    expect(caller.gone).toBe(true);
  });

  test('is gone already › a new listener is not called', () => {
    const caller = new Caller();
    caller.leave();
    const listener = jest.fn();
    caller.onLeave(listener)();
    expect(listener).not.toHaveBeenCalled();
  });
});
