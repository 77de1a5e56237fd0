import fc from 'fast-check';
import { excesses } from '../../../server/cluster/rebalance';

test.each([
  ['one worker', [200], [0]],
  ['about even', [51, 49, 50, 50], [0, 0, 0, 0]],
  ['a few connections that come and go', [3, 0, 1, 0], [0, 0, 0, 0]],
  ['a worker that came back empty', [50, 50, 50, 0], [12, 12, 12, 0]],
  ['what a roll may leave', [67, 60, 43, 30], [17, 10, 0, 0]],
  ['a tenth more than the emptiest', [55, 50, 50, 50], [3, 0, 0, 0]],
])('%s › %j let go %j', (_what, lives, expected) => {
  expect(excesses(lives)).toEqual(expected);
});

const anyLives = fc.array(fc.nat(500), { minLength: 1, maxLength: 9 });

test('any shares › nobody lets go more than it holds above its fair part, and the emptiest nothing', () => {
  fc.assert(
    fc.property(anyLives, (lives) => {
      const fair = lives.reduce((sum, live) => sum + live, 0) / lives.length;
      const found = excesses(lives);
      for (const [index, excess] of found.entries()) {
        expect(excess).toBeGreaterThanOrEqual(0);
        if (excess > 0) expect((lives[index] as number) - excess).toBeGreaterThanOrEqual(fair);
      }
      expect(found[lives.indexOf(Math.min(...lives))]).toBe(0);
    }),
  );
});

test('any shares, what is let go comes back to whoever holds the fewest › even, and nothing more is let go', () => {
  fc.assert(
    fc.property(anyLives, (lives) => {
      const found = excesses(lives);
      const after = lives.map((live, index) => live - (found[index] as number));
      for (let moved = found.reduce((sum, excess) => sum + excess, 0); moved > 0; moved -= 1) {
        const emptiest = after.indexOf(Math.min(...after));
        after[emptiest] = (after[emptiest] as number) + 1;
      }
      expect(excesses(after)).toEqual(lives.map(() => 0));
      if (found.some((excess) => excess > 0)) expect(Math.max(...after) - Math.min(...after)).toBeLessThanOrEqual(lives.length);
    }),
  );
});
