import fc from 'fast-check';
import { MOST_WEIGHT, RECOVERED_FACTOR, SLUGGISH_MS, weightsOf } from '../../../server/cluster/sluggish';

const paces = (typical: readonly (number | null)[], weight = 1) => typical.map((typicalMs) => ({ typicalMs, weight }));

test.each([
  ['four alike', [5, 6, 4, 5], [1, 1, 1, 1]],
  ['one ten times as slow', [20, 2, 2, 2], [10, 1, 1, 1]],
  ['one four times as slow', [5, 5, 20, 5], [1, 1, 4, 1]],
  ['one a hundred times as slow', [5, 500, 5, 5], [1, MOST_WEIGHT, 1, 1]],
  ['one just under three times as slow', [100, 299, 100, 100], [1, 1, 1, 1]],
  ['one many times as slow, but by a few milliseconds', [1, 10, 1, 1], [1, 1, 1, 1]],
  ['two of four', [90, 90, 10, 10], [9, 9, 1, 1]],
  ['one of two, where the other may do lighter work', [100, 10], [1, 1]],
  ['nothing known of one', [null, 50, 5, 5], [1, 10, 1, 1]],
  ['nothing known of the others', [500, null, null], [1, 1, 1]],
  ['a single worker', [500], [1]],
  ['no worker', [], []],
])('%s › %j weigh %j', (_what, typical, expected) => {
  expect(weightsOf(paces(typical))).toEqual(expected);
});

test('one was slow and is between twice and three times as slow now › still slow; under twice › no more', () => {
  expect(weightsOf(paces([50, 20, 20, 20], 2.6))[0]).toBe(2.5);
  expect(weightsOf(paces([39, 20, 20, 20], 2.5))[0]).toBe(1);
});

const anyPaces = fc.array(
  fc.record({
    typicalMs: fc.option(fc.double({ min: 0, max: 10_000, noNaN: true }), { nil: null }),
    weight: fc.constantFrom(1, 4),
  }),
  { maxLength: 12 },
);

test('any workers › weights from 1 to the most, and over 1 only for whoever is much slower than half of the others', () => {
  fc.assert(
    fc.property(anyPaces, (all) => {
      for (const [index, weight] of weightsOf(all).entries()) {
        expect(weight).toBeGreaterThanOrEqual(1);
        expect(weight).toBeLessThanOrEqual(MOST_WEIGHT);
        if (weight === 1) continue;
        const own = all[index]?.typicalMs as number;
        const others = all.flatMap(({ typicalMs }, at) => (at !== index && typicalMs !== null ? [typicalMs] : []));
        const muchFaster = others.filter((other) => other * RECOVERED_FACTOR <= own && own - other >= SLUGGISH_MS);
        expect(muchFaster.length * 2).toBeGreaterThanOrEqual(others.length);
      }
    }),
  );
});

test('any workers › never are all of them slow', () => {
  fc.assert(
    fc.property(anyPaces, (all) => {
      fc.pre(all.length > 0);
      expect(Math.min(...weightsOf(all))).toBe(1);
    }),
  );
});

test.each([0.1, 0.3, 0.5, 0.7, 0.9])(
  'four workers, a share of %d of whose work is a hundred times as slow as the rest › hardly ever is one taken for slow',
  (share) => {
    const TIMES = 1_000;
    // Lehmer's generator, with the constants of MINSTD: the same draws in each run.
    let state = 20_261_128;
    const draw = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    // As many answers as ten seconds of a calm shop remember.
    const typical = () =>
      Math.exp(Array.from({ length: 100 }, () => Math.log((draw() < share ? 100 : 1) * (1 + draw()))).reduce((a, b) => a + b) / 100);
    const taken = Array.from({ length: TIMES }, () => weightsOf(paces([typical(), typical(), typical(), typical()]))).filter((weights) =>
      weights.some((weight) => weight > 1),
    );
    expect(taken.length).toBeLessThanOrEqual(TIMES / 100);
  },
);
