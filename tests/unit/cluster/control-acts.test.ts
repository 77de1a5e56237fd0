/** What a command answers, over a supervisor of the test's own. */
import { setTimeout as delay } from 'node:timers/promises';
import { type ActsOptions, actsOf } from '../../../server/cluster/control-acts';
import type { Command } from '../../../server/cluster/control-commands';
import { running } from './world';

jest.mock('../../../lib/log', () => ({ log: { info: jest.fn(), warn: jest.fn(), error: jest.fn() } }));

const asked = (command: Command, options: Partial<ActsOptions>): Promise<unknown> =>
  actsOf({ bootTimeoutMs: 0, gracefulTimeoutMs: 0, ...options } as ActsOptions)(command, () => undefined);

test('scale › while a worker finishes its last requests beside its replacement › done: as many as are wanted serve', async () => {
  const { supervisor, first, latest, pass } = running();
  first.reports({ requests_count: 0 });
  pass(1_000);
  first.reports({ requests_count: 600 });
  pass(100);
  latest().becomesReady();
  expect(supervisor.ready).toBe(3);
  await expect(asked({ command: 'scale', workers: 2 }, { supervisor })).resolves.toEqual({ from: 2, to: 2 });
});

test('recycle › behind another, while the worker that left the slot before finishes its last requests › waits its turn', async () => {
  const { supervisor, first, second, latest, pass } = running();
  supervisor.recycle(2);
  const other = latest();
  supervisor.drain(1);
  pass(100);
  const serving = latest();
  serving.becomesReady();
  pass(100);
  const recycled = asked({ command: 'recycle', slot: 1 }, { supervisor, bootTimeoutMs: 5_000, drainLimitMs: 5_000 });
  await delay(300);
  first.exits(0);
  await delay(300);
  other.becomesReady();
  pass(100);
  second.exits(0);
  pass(100);
  const renewed = latest();
  expect(renewed).not.toBe(serving);
  renewed.becomesReady();
  pass(100);
  serving.exits(0);
  await expect(recycled).resolves.toEqual({ slot: 1, old_pid: serving.pid, new_pid: renewed.pid });
});

describe('stop', () => {
  test('everything has ended well › done, with the exit code', async () => {
    await expect(asked({ command: 'stop' }, { stop: async () => 0 })).resolves.toEqual({ exit_code: 0 });
  });

  test('work was cut off, or the service failed meanwhile › refused as failed, with the exit code', async () => {
    await expect(asked({ command: 'stop' }, { stop: async () => 1 })).rejects.toMatchObject({
      kind: 'failed',
      message: 'the service has stopped, but by force: what was not finished is cut off',
      facts: { exit_code: 1 },
    });
    await expect(asked({ command: 'stop' }, { stop: async () => 70 })).rejects.toMatchObject({
      kind: 'failed',
      message: 'the service has stopped, with exit code 70',
      facts: { exit_code: 70 },
    });
  });
});
