import fc from 'fast-check';
import { type Candidate, chooseWorker, TRY_EACH_MS } from '../../../server/cluster/dispatch';
import { STUCK_MS } from '../../../server/cluster/watchdog-limits';

const NOW = 100_000;
const MAX = 50;
const worker = (change: Partial<Candidate> = {}): Candidate => ({
  serving: true,
  live: 0,
  untakenSince: null,
  stalledSince: null,
  resting: false,
  weight: 1,
  givenAt: NOW,
  ...change,
});
const choose = (candidates: Candidate[], turn = 0): number => chooseWorker(candidates, { now: NOW, turn, max: MAX });

const anyWorker = fc.record({
  serving: fc.boolean(),
  live: fc.integer({ min: 0, max: MAX + 5 }),
  untakenSince: fc.option(fc.integer({ min: NOW - 200, max: NOW }), { nil: null }),
  stalledSince: fc.option(fc.integer({ min: NOW - 2 * STUCK_MS, max: NOW }), { nil: null }),
  resting: fc.boolean(),
  weight: fc.constant(1),
  givenAt: fc.constant(NOW),
});
const anyWorkers = fc.array(anyWorker, { maxLength: 9 });
const isStalled = ({ stalledSince }: Candidate): boolean => stalledSince !== null && NOW - stalledSince >= STUCK_MS;
const isGood = (each: Candidate): boolean => each.serving && !isStalled(each) && !each.resting && each.live < MAX;

test('three workers › the one with the fewest connections', () => {
  expect(choose([worker({ live: 4 }), worker({ live: 2 }), worker({ live: 3 })])).toBe(1);
});

test.each([
  ['draining', { serving: false }],
  ['stalled for a second', { stalledSince: NOW - STUCK_MS }],
  ['owing an answer for the last one', { untakenSince: NOW }],
  ['out for a profile', { resting: true }],
  ['full', { live: MAX }],
])('the emptiest worker is %s › another one', (_what, change) => {
  expect(choose([worker(change), worker({ live: 30 })])).toBe(1);
});

test.each([
  ['holds none', { live: 0 }, { live: 2 }, 1],
  ['holds one', { live: 1 }, { live: 8 }, 1],
  ['holds none, and the other more than it counts for', { live: 0 }, { live: 5 }, 0],
  ['was not tried for a second', { live: 0, givenAt: NOW - TRY_EACH_MS }, { live: 1 }, 0],
  ['holds a quiet one, was not tried for a second, and the other is empty', { live: 1, givenAt: NOW - TRY_EACH_MS }, { live: 0 }, 0],
])('a worker five times as slow %s › %j beside %j: the next goes to %i', (_what, slow, other, expected) => {
  expect(choose([worker({ weight: 5, ...slow }), worker(other)])).toBe(expected);
});

test('a pause of less than a second › no stall yet', () => {
  expect(choose([worker({ stalledSince: NOW - STUCK_MS + 1 }), worker({ live: 1 })])).toBe(0);
});

test.each([
  ['draining', { serving: false }, -1],
  ['stalled', { stalledSince: NOW - STUCK_MS }, -1],
  ['busy with the last one', { untakenSince: NOW }, -1],
  ['out for a profile', { resting: true }, 0],
  ['full', { live: MAX }, 0],
])('the only worker is %s › %s decides %i', (_what, change, expected) => {
  expect(choose([worker(change)])).toBe(expected);
});

test('a good worker that is busy just now, and one out for a profile › the connection waits for the good one', () => {
  expect(choose([worker({ resting: true }), worker({ untakenSince: NOW })])).toBe(-1);
});

test('any workers › whoever is chosen serves, is not stalled and owes nothing', () => {
  fc.assert(
    fc.property(anyWorkers, fc.nat(), (workers, turn) => {
      const chosen = workers[choose(workers, turn)];
      if (chosen) expect([chosen.serving, isStalled(chosen), chosen.untakenSince]).toEqual([true, false, null]);
    }),
  );
});

test('any workers with a good one that is free › a good one with the fewest connections, and no wait', () => {
  fc.assert(
    fc.property(anyWorkers, fc.nat(), (workers, turn) => {
      const free = workers.filter((each) => isGood(each) && each.untakenSince === null);
      fc.pre(free.length > 0);
      const chosen = workers[choose(workers, turn)] as Candidate;
      expect(isGood(chosen)).toBe(true);
      expect(chosen.live).toBe(Math.min(...free.map(({ live }) => live)));
    }),
  );
});

test('any workers, the chosen one with fewer connections › still the chosen one', () => {
  fc.assert(
    fc.property(anyWorkers, fc.nat(), (workers, turn) => {
      const index = choose(workers, turn);
      const chosen = workers[index];
      fc.pre(chosen !== undefined && chosen.live > 0 && isGood(chosen));
      const lighter = workers.map((each, at) => (at === index ? { ...each, live: each.live - 1 } : each));
      expect(choose(lighter, turn)).toBe(index);
    }),
  );
});

test('connections that stay › shares differ by one at most, and each worker of equal load is chosen in turn', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 200 }), fc.nat(), (count, connections, start) => {
      const live = new Array<number>(count).fill(0);
      let turn = start;
      for (let given = 0; given < connections; given += 1) {
        const index = chooseWorker(
          live.map((each) => worker({ live: each })),
          { now: NOW, turn, max: 1_000 },
        );
        live[index] = (live[index] ?? 0) + 1;
        turn = (index + 1) % count;
      }
      expect(Math.max(...live) - Math.min(...live)).toBeLessThanOrEqual(1);
    }),
  );
});

test('connections that end at once › every worker gets the same number', () => {
  const served = [0, 0, 0, 0];
  let turn = 0;
  for (let given = 0; given < 400; given += 1) {
    const index = choose([worker(), worker(), worker(), worker()], turn);
    served[index] = (served[index] ?? 0) + 1;
    turn = (index + 1) % 4;
  }
  expect(served).toEqual([100, 100, 100, 100]);
});
