import { Recycling, type RecyclingOptions } from '../../../server/cluster/recycling';
import type { WorkerHandle } from '../../../server/cluster/worker-handle';

const rules = (change: Partial<RecyclingOptions> = {}): Recycling =>
  new Recycling({
    maxRequests: 500,
    maxRequestsJitter: 50,
    maxRssBytes: 0,
    maxAgeMs: 0,
    recycleGapMs: 0,
    rssReadingMs: 5_000,
    random: () => 0,
    ...change,
  });

type Worker = Pick<WorkerHandle, 'slot' | 'state' | 'requestLimit' | 'maxAgeMs' | 'readyAt' | 'rss' | 'atLimit'> & {
  report: { requests_count: number; rss: number };
};

const worker = (slot: number, count: number, change: Partial<Worker> = {}): Worker => ({
  slot,
  state: 'ready',
  requestLimit: 500,
  maxAgeMs: 0,
  readyAt: 0,
  rss: { over: 0, readAt: 0 },
  report: { requests_count: count, rss: 0 },
  get atLimit() {
    return this.report.requests_count >= 500;
  },
  ...change,
});

/** Two reports of each, a second apart; `rates` in answers a second. @returns whoever is next at the second one */
function nextOf(recycling: Recycling, workers: Worker[], rates: number[], now = 10_000) {
  const handles = workers as unknown as WorkerHandle[];
  for (const [index, { report }] of workers.entries()) {
    const count = report.requests_count;
    report.requests_count = count - (rates[index] as number);
    recycling.onReport(handles[index] as WorkerHandle, now - 1_000);
    report.requests_count = count;
    recycling.onReport(handles[index] as WorkerHandle, now);
  }
  return recycling.next(handles, now);
}

test('several near their last request › the one that needs its replacement first, wherever it stands', () => {
  // A start takes 3 s until one was measured, and twice that is allowed for it: these have 5 s, 2 s and 4 s left.
  const due = nextOf(rules(), [worker(1, 450), worker(2, 480), worker(3, 460)], [10, 10, 10]);
  expect(due).toMatchObject({ worker: { slot: 2 }, reason: 'max_requests', overdue: false, leftMs: 2_000 });
});

test('one is at its last request › before those that only come near it', () => {
  expect(nextOf(rules(), [worker(1, 495), worker(2, 500)], [10, 10])).toMatchObject({ worker: { slot: 2 }, overdue: true });
});

test('far from the last request, or nothing to do › nobody', () => {
  expect(nextOf(rules(), [worker(1, 300), worker(2, 499)], [10, 0])).toBeNull();
});

test('a start was measured › called for only that much ahead', () => {
  const recycling = rules();
  recycling.onBoot(1_000);
  expect(nextOf(recycling, [worker(1, 470)], [10])).toBeNull();
  expect(nextOf(recycling, [worker(1, 480)], [10], 20_000)).toMatchObject({ leftMs: 2_000 });
});

test('within the pause after another › nobody; whoever waited longest is next', () => {
  const recycling = rules({ recycleGapMs: 30_000 });
  recycling.begun(10_000);
  const [first, second] = [worker(1, 400), worker(2, 500)];
  expect(nextOf(recycling, [first, second], [10, 10], 20_000)).toBeNull();
  first.report.requests_count = 500;
  expect(nextOf(recycling, [first, second], [10, 10], 40_000)).toMatchObject({ worker: { slot: 2 } });
});

test('limits › from the configured number to it and the jitter, both included', () => {
  expect(rules({ random: () => 0 }).drawLimits()).toEqual({ requestLimit: 500, maxAgeMs: 0 });
  expect(rules({ random: () => 0.999, maxAgeMs: 1_000 }).drawLimits()).toEqual({ requestLimit: 550, maxAgeMs: 1_100 });
  expect(rules({ maxRequests: 0 }).drawLimits()).toEqual({ requestLimit: 0, maxAgeMs: 0 });
});
