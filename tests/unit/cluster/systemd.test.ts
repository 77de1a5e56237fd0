import { takeSystemdEnvironment } from '../../../config/systemd';
import { statusLine } from '../../../server/cluster/systemd';

test('environment › taken once and out of the children’s sight; a watchdog meant for another pid is none of ours', () => {
  const environment: NodeJS.ProcessEnv = { NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '20000000', WATCHDOG_PID: '7', HOME: '/' };
  expect(takeSystemdEnvironment({ ...environment }, 7)).toEqual({ notifySocket: '/run/n', watchdogMs: 20_000 });
  expect(takeSystemdEnvironment({ ...environment }, 8)).toEqual({ notifySocket: '/run/n', watchdogMs: null });
  expect(takeSystemdEnvironment({ NOTIFY_SOCKET: '@n' })).toEqual({ notifySocket: '@n', watchdogMs: null });
  expect(takeSystemdEnvironment(environment, 7)).not.toBeNull();
  expect(environment).toEqual({ HOME: '/' });
  expect(takeSystemdEnvironment(environment)).toBeNull();
});

test('status line › the usual, and what is out of the ordinary', () => {
  const idle = { id: 1, state: 'idle', done: 0, total: 0 };
  expect(statusLine({ state: 'ready', ready: 4, target: 4, roll: idle, maintenance: false })).toBe('4 of 4 workers ready');
  expect(
    statusLine({
      state: 'breaker_open',
      ready: 3,
      target: 4,
      roll: { id: 2, state: 'rolling', done: 1, total: 4 },
      maintenance: true,
    }),
  ).toBe('3 of 4 workers ready, breaker open, rolling restart 2: 1 of 4, maintenance');
});
