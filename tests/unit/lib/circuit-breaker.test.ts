import { CircuitBreaker } from '../../../lib/circuit-breaker';

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

function make() {
  const changes: boolean[] = [];
  let answers = false;
  let probes = 0;
  const breaker = new CircuitBreaker({
    threshold: 3,
    firstPauseMs: 100,
    longestPauseMs: 300,
    onChange: (open) => changes.push(open),
    probe: async () => {
      probes += 1;
      if (!answers) throw new Error('silent');
    },
  });
  return { breaker, changes, probes: () => probes, heal: () => (answers = true) };
}

test('failures in a row › open at the third; a success between them begins anew', () => {
  const { breaker, changes } = make();
  breaker.failed();
  breaker.failed();
  breaker.succeeded();
  breaker.failed();
  breaker.failed();
  expect(breaker.open).toBe(false);
  breaker.failed();
  expect([breaker.open, changes]).toEqual([true, [true]]);
});

test('open › probed at growing intervals, closed by the first answer', async () => {
  const { breaker, changes, probes, heal } = make();
  for (let count = 0; count < 5; count += 1) breaker.failed();
  await jest.advanceTimersByTimeAsync(100 + 200 + 300);
  expect([probes(), breaker.open]).toEqual([3, true]);
  heal();
  await jest.advanceTimersByTimeAsync(300);
  expect([probes(), breaker.open, changes]).toEqual([4, false, [true, false]]);
  await jest.advanceTimersByTimeAsync(10_000);
  expect(probes()).toBe(4);
});

test('reset from outside › closed, and nobody probes any more', async () => {
  const { breaker, probes } = make();
  for (let count = 0; count < 3; count += 1) breaker.failed();
  breaker.reset();
  await jest.advanceTimersByTimeAsync(10_000);
  expect([breaker.open, probes()]).toEqual([false, 0]);
});
