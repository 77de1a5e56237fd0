import fc from 'fast-check';
import { MOST_WEIGHT, SLUGGISH_FACTOR, SLUGGISH_MS, weightsOf } from '../../../server/cluster/sluggish';

test.each([
  ['four alike', [5, 6, 4, 5], [1, 1, 1, 1]],
  ['one ten times as slow', [20, 2, 2, 2], [10, 1, 1, 1]],
  ['one four times as slow', [5, 5, 20, 5], [1, 1, 4, 1]],
  ['one a hundred times as slow', [5, 500, 5, 5], [1, MOST_WEIGHT, 1, 1]],
  ['one just under three times as slow', [100, 299, 100, 100], [1, 1, 1, 1]],
  ['one many times as slow, but by a few milliseconds', [1, 10, 1, 1], [1, 1, 1, 1]],
  ['one of two', [100, 10], [10, 1]],
  ['two of four', [90, 90, 10, 10], [9, 9, 1, 1]],
  ['nothing known of one', [null, 50, 5, 5], [1, 10, 1, 1]],
  ['nothing known of the others', [500, null, null], [1, 1, 1]],
  ['a single worker', [500], [1]],
  ['no worker', [], []],
])('%s › %j weigh %j', (_what, typical, expected) => {
  expect(weightsOf(typical)).toEqual(expected);
});

const typicals = fc.array(fc.option(fc.double({ min: 0, max: 10_000, noNaN: true }), { nil: null }), { maxLength: 12 });

test('any workers › weights from 1 to the most, and over 1 only for whoever is much slower than half of the others', () => {
  fc.assert(
    fc.property(typicals, (typical) => {
      for (const [index, weight] of weightsOf(typical).entries()) {
        expect(weight).toBeGreaterThanOrEqual(1);
        expect(weight).toBeLessThanOrEqual(MOST_WEIGHT);
        if (weight === 1) continue;
        const own = typical[index] as number;
        const others = typical.filter((_, at) => at !== index).filter((other) => other !== null);
        const muchFaster = others.filter((other) => other * SLUGGISH_FACTOR <= own && own - other >= SLUGGISH_MS);
        expect(muchFaster.length * 2).toBeGreaterThanOrEqual(others.length);
      }
    }),
  );
});

test('any workers › never are all of them slow', () => {
  fc.assert(
    fc.property(typicals, (typical) => {
      fc.pre(typical.length > 0);
      expect(Math.min(...weightsOf(typical))).toBe(1);
    }),
  );
});
