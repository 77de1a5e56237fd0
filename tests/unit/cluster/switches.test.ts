import { Switches } from '../../../server/cluster/switches';

const switches = (maintenance = false) => {
  const changes: unknown[] = [];
  let at = Date.parse('2026-03-01T12:00:00Z');
  const made: Switches = new Switches({
    maintenance,
    onChange: () => changes.push([made.maintenance?.reason, made.logLevel]),
    now: () => new Date(at),
  });
  return { made, changes, pass: (ms: number) => (at += ms) };
};

test('maintenance › on, on again with another reason, off › the first time stays until it ends', () => {
  const { made, changes, pass } = switches();
  expect(made.maintenance).toBeNull();
  made.startMaintenance('new disk');
  pass(60_000);
  made.startMaintenance(null);
  expect(made.maintenance).toEqual({ reason: null, since: '2026-03-01T12:00:00.000Z' });
  made.endMaintenance();
  expect(made.maintenance).toBeNull();
  expect(changes).toEqual([
    ['new disk', null],
    [null, null],
    [undefined, null],
  ]);
});

test('maintenance › configured › on from the start', () => {
  expect(switches(true).made.maintenance).toEqual({ reason: null, since: '2026-03-01T12:00:00.000Z' });
});

test('log level › reverts by itself after its minutes; a second one counts anew', () => {
  jest.useFakeTimers();
  try {
    const { made, changes } = switches();
    made.setLogLevel('debug', 2);
    expect(made.logLevelUntil).toBe('2026-03-01T12:02:00.000Z');
    jest.advanceTimersByTime(100_000);
    made.setLogLevel('error', 1);
    jest.advanceTimersByTime(59_000);
    expect(made.logLevel).toBe('error');
    jest.advanceTimersByTime(1_000);
    expect([made.logLevel, made.logLevelUntil]).toEqual([null, null]);
    expect(changes).toEqual([
      [undefined, 'debug'],
      [undefined, 'error'],
      [undefined, null],
    ]);
  } finally {
    jest.useRealTimers();
  }
});
