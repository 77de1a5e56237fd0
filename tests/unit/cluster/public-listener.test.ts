/** The end of the public port: who is still waited for when the service stops. */
import type { Dispatcher } from '../../../server/cluster/dispatcher';
import { PublicListener } from '../../../server/cluster/public-listener';

jest.mock('../../../server/cluster/stop-times', () => ({ LAST_CALL_MS: 60, HANDOVER_MS: 300 }));

/** Stands for a dispatcher of one worker, which takes what it was given when the test says so. */
function handingOver() {
  const numbers = { accepted: 1, waiting: 0, unacked: 1 };
  const dispatcher = { numbers, shares: [1], tick: jest.fn(), end: jest.fn() };
  return { numbers, dispatcher, listener: new PublicListener(dispatcher as unknown as Dispatcher, { countsAddresses: false }) };
}

test('a busy worker takes what it was given while the service stops › the end is told after that', async () => {
  const { numbers, dispatcher, listener } = handingOver();
  const closed = listener.close();
  expect(dispatcher.end).not.toHaveBeenCalled();
  numbers.unacked = 0;
  await closed;
  expect(dispatcher.end).toHaveBeenCalledTimes(1);
});

test('a worker that stands still never takes what it was given › the end is told all the same, or no other could leave in time', async () => {
  const { dispatcher, listener } = handingOver();
  await listener.close();
  expect(dispatcher.tick).toHaveBeenCalled();
  expect(dispatcher.end).toHaveBeenCalledTimes(1);
});
