import { drainRecorder, type RequestRecord, recordRequest } from '../../../server/ops/recorder';

const answer = (ms: number, change: Partial<RequestRecord> = {}): void =>
  recordRequest({ route: 'readThing', method: 'GET', status: 200, ms, dbMs: 0, queries: 0, requestId: 'r', isWork: true, ...change });

const times = (count: number, act: () => void): void => {
  for (let each = 0; each < count; each += 1) act();
};

/** Ten minutes in which nothing was asked. */
const forget = (): void => times(600, () => void drainRecorder());

describe('what an answer typically takes', () => {
  beforeEach(forget);

  test('few answers › not known', () => {
    times(7, () => answer(5));
    expect(drainRecorder().typical_ms).toBeNull();
    times(7, () => answer(5));
    expect(drainRecorder().typical_ms).toBe(5);
  });

  test('half of them a hundred times as slow › ten times the quick ones', () => {
    times(50, () => answer(2));
    times(50, () => answer(200));
    expect(drainRecorder().typical_ms).toBe(20);
  });

  test('one export among many › hardly more', () => {
    times(99, () => answer(5));
    answer(20_000);
    expect(drainRecorder().typical_ms).toBeLessThan(5.6);
  });

  test('probes, refusals and failures › say nothing', () => {
    times(20, () => answer(50));
    times(500, () => answer(0.2, { isWork: false }));
    times(500, () => answer(0.2, { status: 429 }));
    times(500, () => answer(0.2, { status: 401 }));
    times(500, () => answer(0.2, { status: 503 }));
    expect(drainRecorder().typical_ms).toBe(50);
  });

  test('a report a second › a minute later only what came since, and with nothing since nothing is known', () => {
    times(300, () => answer(100));
    times(60, () => {
      answer(5);
      drainRecorder();
    });
    expect(drainRecorder().typical_ms).toBeLessThan(10);
    forget();
    expect(drainRecorder().typical_ms).toBeNull();
  });
});
