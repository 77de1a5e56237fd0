import fc from 'fast-check';
import { costsSince, dearest, isRegression, type StatementCounters } from '../../../services/statement-costs';

const counters = (queryid: string, calls: number, totalMs: number, rows = 0): StatementCounters => ({ queryid, calls, totalMs, rows });
const byId = (all: StatementCounters[]) => new Map(all.map((one) => [one.queryid, one]));

test('two readings › what was added; new statements whole; what was reset counts from nought; what stood still is left out', () => {
  const before = [counters('grown', 10, 100, 5), counters('still', 3, 3), counters('reset', 50, 500), counters('gone', 1, 1)];
  const now = [counters('grown', 12, 130, 6), counters('still', 3, 3), counters('reset', 4, 8), counters('new', 1, 9)];
  expect(costsSince(byId(before), now)).toEqual([counters('grown', 2, 30, 1), counters('reset', 4, 8), counters('new', 1, 9)]);
});

test('any run of calls between two readings › the differences are the calls, none negative', () => {
  const cost = fc.record({ calls: fc.nat(1000), ms: fc.nat(100_000), rows: fc.nat(1000) });
  fc.assert(
    fc.property(fc.array(fc.tuple(cost, cost), { maxLength: 30 }), (statements) => {
      const before = byId(statements.map(([{ calls, ms, rows }], id) => counters(String(id), calls, ms, rows)));
      const now = statements.map(([a, b], id) => counters(String(id), a.calls + b.calls, a.ms + b.ms, a.rows + b.rows));
      const expected = statements.flatMap(([, { calls, ms, rows }], id) => (calls > 0 ? [counters(String(id), calls, ms, rows)] : []));
      expect(costsSince(before, now)).toEqual(expected);
      expect(dearest(expected, 20)).toHaveLength(Math.min(20, expected.length));
      const least = Math.min(...dearest(expected, 20).map(({ totalMs }) => totalMs));
      expect(expected.filter(({ totalMs }) => totalMs > least).length).toBeLessThanOrEqual(20);
    }),
  );
});

test.each([
  ['three times the median', counters('a', 20, 20 * 30), { medianMs: 10, samples: 12 }, true],
  ['just below', counters('a', 20, 20 * 29.9), { medianMs: 10, samples: 12 }, false],
  ['too few calls', counters('a', 19, 19 * 300), { medianMs: 10, samples: 12 }, false],
  ['too young', counters('a', 20, 20 * 300), { medianMs: 10, samples: 11 }, false],
  ['never seen', counters('a', 20, 20 * 300), undefined, false],
  ['too quick to matter', counters('a', 20, 20 * 0.9), { medianMs: 0.1, samples: 500 }, false],
])('%s › regression: %#', (_what, cost, baseline, expected) => {
  expect(isRegression(cost, baseline)).toBe(expected);
});
