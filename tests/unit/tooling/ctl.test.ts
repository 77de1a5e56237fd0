import { readArguments } from '../../../scripts/ctl/arguments';
import { duration, renderer, statusText } from '../../../scripts/ctl/render';
import type { ControlStatus } from '../../../server/cluster/control-status';

const requestOf = (...argv: string[]): unknown => {
  const asked = readArguments(argv);
  return asked === 'help' ? asked : asked.request;
};

describe('command line', () => {
  test.each([
    [['status', '--json'], { command: 'status' }],
    [['roll', '--wait'], { command: 'roll', wait: true }],
    [['roll', '--no-wait'], { command: 'roll', wait: false }],
    [['scale', '3'], { command: 'scale', workers: 3 }],
    [['profile', '2', '5'], { command: 'profile', slot: 2, seconds: 5 }],
    [['log-level', 'warn'], { command: 'log-level', level: 'warn', minutes: 10 }],
    [['maintenance', 'on', '--reason', 'new disk'], { command: 'maintenance', state: 'on', reason: 'new disk' }],
    [['log-level', 'debug', '3'], { command: 'log-level', level: 'debug', minutes: 3 }],
    [['scale', '--help'], 'help'],
  ])('%j › understood', (argv, request) => {
    expect(requestOf(...argv)).toEqual(request);
  });

  test.each([
    [[], /which command\? known: status, roll/],
    [['dance'], /unknown command dance/],
    [['scale'], /workers is missing/],
    [['scale', 'x'], /workers must be a whole number/],
    [['scale', '3', '4'], /scale does not take "4"; usage: scale <workers>/],
    [['status', '--reason', 'x'], /reason/],
  ])('%j › refused', (argv, message) => {
    expect(() => readArguments(argv)).toThrow(message);
  });

  test('--socket › another place than the environment says', () => {
    expect(readArguments(['status', '--socket', '/run/x.sock'])).toMatchObject({ socket: '/run/x.sock', json: false });
  });
});

const worker = {
  slot: 1,
  id: 'w1',
  kind: 'http' as const,
  pid: 4242,
  state: 'ready',
  age_s: 3_700,
  requests: 12_345,
  in_flight: 3,
  connections: 17,
  rss_mb: 101,
  lag_p99_ms: 2.5,
  pool: '1/6',
  drain: null,
};
const status: ControlStatus = {
  pid: 4000,
  version: '1.2.3',
  uptime_s: 90_000,
  state: 'ready',
  workers: { ready: 1, target: 1 },
  roll: { id: 2, state: 'idle', done: 1, total: 1, last: { result: 'aborted', reason: 'boot_timeout', ms: 5 } },
  breaker_open: true,
  maintenance: { since: '2026-01-01T00:00:00.000Z', reason: 'new disk' },
  log_level: { level: 'debug', until: '2026-01-01T00:10:00.000Z' },
  processes: [worker, { ...worker, slot: 0, kind: 'jobs', requests: null, pool: null, state: 'draining', drain: 'stop' }],
};

test('status › a heading, what is out of the ordinary, and one aligned row for each process', () => {
  const lines = statusText(status).split('\n');
  expect(lines.slice(0, 5)).toEqual([
    'autoshop 1.2.3, pid 4000, up 1 d 1 h: ready, 1 of 1 workers ready',
    'rolling restarts: 2, the last one aborted (boot_timeout)',
    'breaker OPEN: workers die young, one is tried every 30 s',
    'MAINTENANCE since 2026-01-01T00:00:00.000Z: new disk',
    'log level debug until 2026-01-01T00:10:00.000Z',
  ]);
  const [heading = '', first = '', second = ''] = lines.slice(6);
  expect(heading).toMatch(/^slot +pid +state +age +requests/);
  expect(first.indexOf('12345') + 5).toBe(heading.indexOf('requests') + 8);
  expect(second).toMatch(/^jobs +4242 +draining \(stop\) +1 h 1 min +- /);
});

test('answers › sentences for people, lines of JSON for programs, a refusal left to stderr', () => {
  const shown = (json: boolean): string => {
    let text = '';
    const show = renderer({ command: 'roll', json, out: { write: (part: string) => (text += part) } });
    show({ event: 'progress', roll: 3, replaced: 1, of: 4 });
    show({ event: 'done', result: { roll: 3, result: 'completed', ms: 900 } });
    show({ event: 'refused', kind: 'busy', message: 'no' });
    return text;
  };
  expect(shown(false)).toBe('rolling restart 3: 1 of 4 workers replaced\ndone: roll 3, result completed, ms 900\n');
  expect(
    shown(true)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event),
  ).toEqual(['progress', 'done', 'refused']);
});

test.each([
  [59, '59 s'],
  [61, '1 min'],
  [7_500, '2 h 5 min'],
  [180_000, '2 d 2 h'],
])('duration › %d seconds › %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});
