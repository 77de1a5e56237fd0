import fc from 'fast-check';
import { chooseDatabase, Freshness, MAX_LAG_MS, type ReplicaState } from '../../../lib/replica-choice';

const NOW = 100_000;
const fresh = (load = 0): ReplicaState => ({ up: true, freshAsOf: NOW - 10, load });
const late: ReplicaState = { up: true, freshAsOf: NOW - MAX_LAG_MS - 1, load: 0 };
const unknown: ReplicaState = { up: true, freshAsOf: null, load: 0 };
const down: ReplicaState = { up: false, freshAsOf: NOW, load: 0 };
const request = { marked: true, pinned: false, now: NOW, turn: 0 };

describe('which database answers', () => {
  test.each([
    ['no mark', { ...request, marked: false }, [fresh()], { target: 'primary', why: 'unmarked' }],
    ['no replica', request, [], { target: 'primary', why: 'down' }],
    ['all down', request, [down, down], { target: 'primary', why: 'down' }],
    ['all late', request, [late, unknown], { target: 'primary', why: 'lag' }],
    ['one down, one late', request, [down, late], { target: 'primary', why: 'lag' }],
    ['a session that wrote', { ...request, pinned: true }, [fresh()], { target: 'primary', why: 'pinned' }],
    ['a fresh one among others', request, [down, late, fresh()], { target: 'replica', index: 2 }],
    ['exactly at the limit', request, [{ up: true, freshAsOf: NOW - MAX_LAG_MS, load: 0 }], { target: 'replica', index: 0 }],
    ['one busier than the other', request, [fresh(0.5), fresh(0.25)], { target: 'replica', index: 1 }],
  ] as const)('%s › %j %j › %j', (_name, asked, replicas, choice) => {
    expect(chooseDatabase(asked, replicas)).toEqual(choice);
  });

  test('replicas with equal load › take turns', () => {
    const chosen = [0, 1, 2, 3].map((turn) => chooseDatabase({ ...request, turn }, [fresh(), down, fresh()]));
    expect(chosen).toEqual([0, 2, 0, 2].map((index) => ({ target: 'replica', index })));
  });

  test('whatever is known of them › a replica is chosen only for a marked read of a session that did not write, and only one that is up and fresh', () => {
    const state = fc.record({
      up: fc.boolean(),
      freshAsOf: fc.option(fc.integer({ min: NOW - 3 * MAX_LAG_MS, max: NOW + 500 })),
      load: fc.double({ min: 0, max: 3, noNaN: true }),
    });
    const asked = fc.record({ marked: fc.boolean(), pinned: fc.boolean(), now: fc.constant(NOW), turn: fc.nat() });
    fc.assert(
      fc.property(asked, fc.array(state, { maxLength: 4 }), (wanted, replicas) => {
        const choice = chooseDatabase(wanted, replicas);
        const usable = replicas.filter(({ up, freshAsOf }) => up && freshAsOf !== null && NOW - freshAsOf <= MAX_LAG_MS);
        expect(choice.target === 'replica').toBe(wanted.marked && !wanted.pinned && usable.length > 0);
        if (choice.target === 'replica') expect(usable).toContain(replicas[choice.index]);
      }),
    );
  });
});

describe('how fresh a replica is', () => {
  const sample = (askedAt: number, position: number, clock = 1_000_000 + askedAt) => ({ askedAt, position, clock });
  const of = (samples: ReturnType<typeof sample>[], replayed: number, lastCommit: number | null = null): number | null => {
    const freshness = new Freshness();
    for (const one of samples) freshness.add(one);
    return freshness.of({ replayed, lastCommit });
  };

  test('nothing known of the primary › not known', () => {
    expect(of([], 500, 1_000_000)).toBeNull();
  });

  test('behind everything that is known, and no commit replayed since its start › not known', () => {
    expect(of([sample(0, 100)], 50)).toBeNull();
  });

  test('as far as the primary was › fresh up to that moment, however old its last commit is', () => {
    expect(of([sample(0, 100), sample(500, 100), sample(1_000, 100)], 100, 1_000_000 - 3_600_000)).toBe(1_000);
  });

  test('between two samples › fresh up to the earlier one', () => {
    expect(of([sample(0, 100), sample(500, 200), sample(1_000, 300)], 250)).toBe(500);
  });

  test('a primary that never rests › fresh up to the last commit replayed, by the clock of the primary', () => {
    // The primary's clock is ahead of ours by 1,000,000 ms.
    expect(of([sample(0, 100), sample(500, 200)], 199, 1_000_480)).toBe(480);
  });

  test('a commit after the last sample, because the primary is too busy to give another › fresh up to it', () => {
    expect(of([sample(500, 200)], 900, 1_003_000)).toBe(3_000);
  });

  test('any history › never later than the truth: all that was committed before that moment is there', () => {
    const step = fc.record({
      gap: fc.integer({ min: 1, max: 900 }),
      bytes: fc.integer({ min: 0, max: 50 }),
      trip: fc.integer({ min: 0, max: 300 }),
    });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 12 }),
        fc.nat(600),
        fc.integer({ min: -5_000, max: 5_000 }),
        (steps, seen, skew) => {
          // Commits at known moments; each sample is asked for before it is answered.
          const commits: { at: number; position: number }[] = [];
          const freshness = new Freshness();
          let [now, position] = [0, 0];
          for (const { gap, bytes, trip } of steps) {
            now += gap;
            if (bytes > 0) {
              position += bytes;
              commits.push({ at: now, position });
            }
            freshness.add({ askedAt: now, position, clock: now + trip + skew });
            now += trip;
          }
          const replayed = Math.min(seen, position);
          const last = commits.findLast((commit) => commit.position <= replayed);
          const moment = freshness.of({ replayed, lastCommit: last ? last.at + skew : null });
          const missing = commits.find((commit) => commit.position > replayed);
          if (moment !== null && missing) expect(moment).toBeLessThanOrEqual(missing.at);
        },
      ),
    );
  });
});
