import { OWED_TOPIC } from '../../../lib/cache/backend';
import { Switchboard } from '../../../server/cluster/switchboard';
import type { WorkerHandle } from '../../../server/cluster/worker-handle';

test('a write that could not be announced to Redis › whoever starts later is told since when replies can be trusted, before its caller is answered', () => {
  const told: string[] = [];
  const worker = { id: 'w1', state: 'ready', send: ({ type }: { type: string }) => told.push(type) } as unknown as WorkerHandle;
  const board = new Switchboard({
    children: () => [worker],
    store: undefined as never,
    recent: undefined as never,
    documents: undefined as never,
    onOwed: () => told.push('owed'),
  });
  const before = board.repliesSince;
  const now = Date.now();
  board.onMessage(worker, { type: 'bus-publish', call: 1, topic: 'revocation', payload: {} });
  expect([board.repliesSince, told]).toEqual([before, ['bus-done']]);
  board.onMessage(worker, { type: 'bus-publish', call: 2, topic: OWED_TOPIC, payload: ['t:appointments'] });
  expect(board.repliesSince).toBeGreaterThanOrEqual(now);
  expect(told).toEqual(['bus-done', 'owed', 'bus-done']);
});
