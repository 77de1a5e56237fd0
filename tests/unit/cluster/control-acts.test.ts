/** What a command answers, over a supervisor of the test's own. */
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
