import fc from 'fast-check';
import { BackOff } from '../../../server/cluster/back-off';
import { Breaker } from '../../../server/cluster/breaker';
import { divideBudget, Ledger } from '../../../server/cluster/budget';
import { bootExitCode, EXIT, exitCodeOf } from '../../../server/cluster/exit-codes';
import { emptySlots, surplus, unserved } from '../../../server/cluster/slots';
import { canMove, move, type WorkerState } from '../../../server/cluster/worker-state';

interface Slotted {
  slot: number;
  state: WorkerState;
}

describe('slots', () => {
  const serves = ({ state }: { state: WorkerState }): boolean => state === 'ready';
  const judgement = { isSound: serves, mayServe: serves, isProven: serves };

  test('a new cluster › fills every slot, lowest first', () => {
    expect(emptySlots(3, [])).toEqual([1, 2, 3]);
  });

  test('a slot whose worker is leaving › is empty, one whose worker is booting is not', () => {
    const occupants = [
      { slot: 1, state: 'draining' as const },
      { slot: 2, state: 'forked' as const },
      { slot: 3, state: 'gone' as const },
    ];
    expect(emptySlots(3, occupants)).toEqual([1, 3]);
  });

  test('two workers in one slot during a replacement › the slot counts once', () => {
    const occupants = [
      { slot: 1, state: 'ready' as const },
      { slot: 1, state: 'forked' as const },
    ];
    expect(emptySlots(2, occupants)).toEqual([2]);
  });

  test('after scaling down › the highest slots are surplus, those already leaving are not told twice', () => {
    const occupants = [1, 2, 3, 4].map((slot) => ({ slot, state: slot === 4 ? ('draining' as const) : ('ready' as const) }));
    expect(surplus(1, occupants, judgement).map(({ slot }) => slot)).toEqual([3, 2]);
  });

  test('scaled down while a slot that stays is empty › the lowest of the others stands in until somebody serves there', () => {
    const beyond = [2, 3, 4].map((slot) => ({ slot, state: 'ready' as const }));
    expect(surplus(1, beyond, judgement).map(({ slot }) => slot)).toEqual([4, 3]);
    expect(surplus(1, [{ slot: 1, state: 'granted' as const }, ...beyond], judgement).map(({ slot }) => slot)).toEqual([4, 3]);
    expect(surplus(1, [{ slot: 1, state: 'ready' as const }, ...beyond], judgement).map(({ slot }) => slot)).toEqual([4, 3, 2]);
  });

  test('the only one that stands in stands still for a moment › it stays; where another does not, that one stays', () => {
    const still = { slot: 2, state: 'ready' as const, isStill: true };
    const awake = { slot: 3, state: 'ready' as const, isStill: false };
    const both = { isSound: (one: typeof still) => !one.isStill, mayServe: () => true, isProven: () => true };
    expect(surplus(1, [still], both)).toEqual([]);
    expect(surplus(1, [still, awake], both)).toEqual([still]);
  });

  test('whoever serves in the slot is new › one that is proven stays beside it; another new one would be no surer', () => {
    const [fresh, proven, young] = [1, 2, 3].map((slot) => ({ slot, state: 'ready' as const })) as [Slotted, Slotted, Slotted];
    const provenOnly = { ...judgement, isProven: (one: Slotted) => one === proven };
    expect(surplus(1, [fresh, proven, young], provenOnly)).toEqual([young]);
    expect(surplus(1, [fresh, young], provenOnly)).toEqual([young]);
    expect(surplus(1, [fresh, proven, young], judgement)).toEqual([young, proven]);
  });

  test('two in one slot beyond the target › the one that was forked later stands in', () => {
    const [older, later] = [
      { slot: 2, state: 'ready' as const },
      { slot: 2, state: 'ready' as const },
    ];
    expect(surplus(1, [older, later], judgement)[0]).toBe(older);
  });

  test('whatever the state of the workers › scaling down leaves as many that serve as are wanted and there, and no others beyond the target', () => {
    const occupant = fc.record({
      slot: fc.integer({ min: 1, max: 8 }),
      state: fc.constantFrom<WorkerState>('forked', 'hello', 'granted', 'ready', 'draining', 'gone'),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(occupant, { maxLength: 12 }), (target, occupants) => {
        const go = new Set(surplus(target, occupants, judgement));
        const stay = occupants.filter((one) => !go.has(one));
        /** Places of 1..target that are served: in their slot, or by one that stands in. */
        const standIns = (those: typeof occupants) => those.filter((one) => serves(one) && one.slot > target).length;
        const served = (those: typeof occupants) => target - unserved(target, those, serves) + standIns(those);
        expect(served(stay)).toBe(Math.max(served(stay) - standIns(stay), Math.min(served(occupants), target)));
        for (const one of go) expect(one.slot).toBeGreaterThan(target);
        for (const { slot, state } of stay) if (slot > target) expect(['ready', 'draining', 'gone']).toContain(state);
      }),
    );
  });
});

describe('back-off', () => {
  const still = { random: () => 0.5 };

  test('deaths in a row › 0.1 s doubled to at most 30 s', () => {
    const backOff = new BackOff(still);
    expect(Array.from({ length: 11 }, () => backOff.onDeath(0))).toEqual([
      100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000,
    ]);
  });

  test('a worker that was healthy for a minute › wipes the slate', () => {
    const backOff = new BackOff(still);
    backOff.onDeath(0);
    backOff.onDeath(59_999);
    expect(backOff.onDeath(60_000)).toBe(100);
  });

  test('jitter › never more than a fifth away', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (random) => {
        const wait = new BackOff({ random: () => random }).onDeath(0);
        return wait >= 80 && wait <= 120;
      }),
    );
  });
});

describe('breaker', () => {
  test('five young deaths in 30 s › opens at the fifth, then one fork each 30 s', () => {
    const breaker = new Breaker();
    expect([0, 1000, 2000, 3000].map((at) => breaker.onDeath(at, 500))).toEqual([false, false, false, false]);
    expect(breaker.onDeath(4000, 500)).toBe(true);
    expect(breaker.allowFork(5000)).toBe(false);
    expect(breaker.nextForkAt).toBe(34_000);
    expect(breaker.allowFork(34_000)).toBe(true);
    expect(breaker.allowFork(34_001)).toBe(false);
    expect(breaker.allowFork(64_000)).toBe(true);
  });

  test('deaths of workers that had lived, or spread out in time › stays closed', () => {
    const breaker = new Breaker();
    for (let at = 0; at < 10; at += 1) expect(breaker.onDeath(at, 10_000)).toBe(false);
    for (let at = 0; at < 10; at += 1) expect(breaker.onDeath(at * 7_600, 10)).toBe(false);
    expect(breaker.open).toBe(false);
  });

  test('a trial that lives for 10 s › closes; a worker from before does not', () => {
    const breaker = new Breaker();
    for (let at = 0; at < 5; at += 1) breaker.onDeath(at, 1);
    expect(breaker.onHealthy(90_000, 3)).toBe(false);
    expect(breaker.onHealthy(10_099, 100)).toBe(false);
    expect(breaker.onHealthy(10_100, 100)).toBe(true);
    expect(breaker.allowFork(20_000)).toBe(true);
    expect(breaker.deathsInWindow(20)).toBe(0);
  });

  test('every slot serves › closes when nobody has wanted the trial for 30 s; a trial that was taken starts that time anew', () => {
    const opened = (): Breaker => {
      const breaker = new Breaker();
      for (let at = 0; at < 5; at += 1) breaker.onDeath(at, 1);
      return breaker;
    };
    const unwanted = opened();
    expect(unwanted.onWhole(60_003, 0)).toBe(false);
    expect(unwanted.onWhole(60_004, 50_005)).toBe(false);
    expect(unwanted.onWhole(60_004, 0)).toBe(true);
    expect(unwanted.open).toBe(false);
    expect(unwanted.onWhole(60_004, 0)).toBe(false);
    const wanted = opened();
    expect(wanted.allowFork(50_000)).toBe(true);
    expect(wanted.onWhole(109_999, 0)).toBe(false);
    expect(wanted.onWhole(110_000, 0)).toBe(true);
  });
});

describe('connection budget', () => {
  test('20 connections, 4 workers, jobs › all of it, with a surge share as large as the largest', () => {
    const { slots, surge, jobs } = divideBudget({ poolMin: 5, poolMax: 20, workers: 4, jobs: true });
    expect(slots.map(({ max }) => max)).toEqual([4, 4, 3, 3]);
    expect(slots.map(({ min }) => min)).toEqual([2, 1, 1, 1]);
    expect(surge.max).toBe(4);
    expect(jobs?.max).toBe(2);
  });

  test('too many workers › refused with the arithmetic', () => {
    expect(() => divideBudget({ poolMin: 5, poolMax: 20, workers: 9, jobs: true })).toThrow(
      '9 workers x 2 + 2 for a replacement + 2 for jobs = 22 connections, but DB_POOL_MAX is 20',
    );
  });

  test('any division › never over the limit with one replacement and the job process, at least two for each, min within max', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 4, max: 400 }),
        fc.integer({ min: 1, max: 400 }),
        fc.boolean(),
        (workers, poolMax, least, jobs) => {
          const poolMin = Math.min(least, poolMax);
          const tooMany = 2 * (workers + 1) + (jobs ? 2 : 0) > poolMax;
          if (tooMany) {
            expect(() => divideBudget({ poolMin, poolMax, workers, jobs })).toThrow(RangeError);
            return;
          }
          const division = divideBudget({ poolMin, poolMax, workers, jobs });
          const sum = division.slots.reduce((total, { max }) => total + max, 0);
          expect(sum + division.surge.max + (division.jobs?.max ?? 0)).toBeLessThanOrEqual(poolMax);
          expect(division.surge.max).toBe(Math.max(...division.slots.map(({ max }) => max)));
          for (const { min, max } of division.slots) {
            expect(max).toBeGreaterThanOrEqual(2);
            expect(min).toBeGreaterThanOrEqual(1);
            expect(min).toBeLessThanOrEqual(max);
          }
        },
      ),
    );
  });

  test('ledger › refuses what would exceed the limit until somebody has gone', () => {
    const ledger = new Ledger(6);
    expect(ledger.grant('a', { min: 1, max: 3 })).toBe(true);
    expect(ledger.grant('b', { min: 1, max: 3 })).toBe(true);
    expect(ledger.grant('c', { min: 1, max: 2 })).toBe(false);
    ledger.release('a');
    expect(ledger.grant('c', { min: 1, max: 2 })).toBe(true);
    expect(ledger.granted).toBe(5);
    expect(ledger.resize('c', { min: 1, max: 4 })).toBe(false);
    expect(ledger.resize('c', { min: 1, max: 3 })).toBe(true);
    expect(ledger.resize('gone', { min: 1, max: 1 })).toBe(false);
    expect(() => ledger.grant('b', { min: 1, max: 1 })).toThrow('already holds');
  });
});

describe('worker state', () => {
  const order: WorkerState[] = ['forked', 'hello', 'granted', 'ready', 'draining', 'gone'];

  test('the ordinary life › one step after the other', () => {
    expect(order.reduce((state, next) => (state === next ? state : move(state, next)))).toBe('gone');
  });

  test('any state › may die, none goes back', () => {
    for (const [index, state] of order.entries()) {
      expect(canMove(state, 'gone')).toBe(state !== 'gone');
      for (const earlier of order.slice(0, index + 1)) expect(canMove(state, earlier)).toBe(false);
    }
  });

  test('a leap › is refused by name', () => {
    expect(() => move('forked', 'ready')).toThrow('A worker cannot go from forked to ready');
  });
});

describe('exit codes', () => {
  const withCode = (code: string, more: object = {}) => Object.assign(new Error('x'), { code, ...more });

  test.each([
    ['a refused connection', withCode('ECONNREFUSED', { syscall: 'connect' }), EXIT.databaseDown],
    ['a server that is starting', withCode('57P03'), EXIT.databaseDown],
    ['too many clients', withCode('53300'), EXIT.databaseDown],
    ['an error of the database library', Object.assign(new Error('x'), { name: 'SequelizeConnectionRefusedError' }), EXIT.databaseDown],
    ['a port in use', withCode('EADDRINUSE', { syscall: 'listen' }), EXIT.portInUse],
    ['a privileged port', withCode('EACCES', { syscall: 'listen' }), EXIT.portInUse],
    ['a file that may not be read', withCode('EACCES', { syscall: 'open' }), EXIT.loadError],
    ['a missing file', withCode('ENOENT', { syscall: 'open' }), EXIT.loadError],
    ['a cause below', new Error('outer', { cause: withCode('ECONNRESET') }), EXIT.databaseDown],
    ['a defect', new TypeError('x is not a function'), EXIT.loadError],
  ])('%s › its code', (_name, error, code) => {
    expect(exitCodeOf(error)).toBe(code);
  });

  test('several children › the most telling code wins, an unknown one is a load error', () => {
    expect(bootExitCode([1, 75, null])).toBe(EXIT.databaseDown);
    expect(bootExitCode([75, 71])).toBe(EXIT.portInUse);
    expect(bootExitCode([75, 78])).toBe(EXIT.config);
    expect(bootExitCode([null, 1])).toBe(EXIT.loadError);
    expect(bootExitCode([])).toBe(EXIT.loadError);
  });
});
