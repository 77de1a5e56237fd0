/** What happens when two things come together that each are harmless: a scale-down and a start, a death and a replacement. */
import { type FakeChild, running } from './world';

jest.mock('../../../lib/log', () => ({ log: { info: jest.fn(), warn: jest.fn(), error: jest.fn() } }));

test('four workers that are always past their last request › each has its turn', () => {
  const { supervisor, children, pass } = running({ workers: 4, recycleGapMs: 30_000 });
  const replaced: number[] = [];
  for (let second = 0; second < 300; second += 1) {
    for (const worker of supervisor.workers) {
      const child = children.find(({ pid }) => pid === worker.pid) as FakeChild;
      if (!child.connected) continue;
      if (!child.got('grant')) child.becomesReady();
      if (child.got('drain')) {
        replaced.push(worker.slot);
        child.exits(0);
      } else child.reports({ requests_count: 5_000 });
    }
    pass(1_000);
  }
  expect(replaced.length).toBeGreaterThanOrEqual(8);
  expect(new Set(replaced.slice(0, 4))).toEqual(new Set([1, 2, 3, 4]));
  expect(new Set(replaced.slice(4, 8))).toEqual(new Set([1, 2, 3, 4]));
});
