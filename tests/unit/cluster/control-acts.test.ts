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
