import fc from 'fast-check';
import { SlidingWindows } from '../../../lib/sliding-window';

test('any pattern of uses › never more than the limit in a window; a use counts for the window and a sixtieth at most', () => {
  const step = fc.record({ pause: fc.oneof(fc.nat(20), fc.nat(2_000), fc.nat(120_000)), cost: fc.integer({ min: 1, max: 3 }) });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1_000, max: 60_000 }),
      fc.array(step, { maxLength: 80 }),
      (limit, windowMs, steps) => {
        let now = 1_700_000_000_123;
        const windows = new SlidingWindows({ now: () => now });
        const uses: { at: number; cost: number }[] = [];
        const within = (ms: number) => uses.filter(({ at }) => at > now - ms).reduce((sum, { cost }) => sum + cost, 0);
        for (const { pause, cost } of steps) {
          now += pause;
          const { allowed, used, remaining, resetMs } = windows.take('k', limit, windowMs, { cost });
          if (allowed) uses.push({ at: now, cost });
          // The rounding of fractional slices may move a border by a millisecond.
          else expect(within((windowMs * 61) / 60 + 1) + cost).toBeGreaterThan(limit);
          expect(within(windowMs - 1)).toBeLessThanOrEqual(limit);
          expect(used).toBeGreaterThanOrEqual(within(windowMs));
          expect(remaining).toBe(Math.max(0, limit - used));
          expect(resetMs).toBeGreaterThan(0);
          expect(resetMs).toBeLessThanOrEqual(windowMs);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('refused › after as long as it says there is room', () => {
  let now = 5_000;
  const windows = new SlidingWindows({ now: () => now });
  for (let use = 0; use < 3; use += 1) {
    windows.take('k', 3, 60_000);
    now += 10_000;
  }
  const { allowed, resetMs } = windows.take('k', 3, 60_000);
  expect(allowed).toBe(false);
  now += resetMs - 1;
  expect(windows.take('k', 3, 60_000).allowed).toBe(false);
  now += 1;
  expect(windows.take('k', 3, 60_000).allowed).toBe(true);
});

test('another length of window for a key › counted anew', () => {
  const windows = new SlidingWindows({ now: () => 0 });
  windows.take('k', 1, 60_000);
  expect(windows.take('k', 1, 30_000).allowed).toBe(true);
});
