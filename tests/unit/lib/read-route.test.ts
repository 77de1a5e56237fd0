import { ConnectionAcquireTimeoutError } from 'sequelize';
import type { DatabaseInstance } from '../../../lib/db-instance';
import { Unavailable } from '../../../lib/errors';
import { ReadRoute } from '../../../lib/read-route';

const [primary, instance] = [{ target: 'primary' }, { target: 'replica-1' }] as [DatabaseInstance, DatabaseInstance];

/** A request whose replica fails with this. */
function routeThatFails(error: Error) {
  const asked: string[] = [];
  const [suspect, onFallback] = [jest.fn(), jest.fn()];
  const route = new ReadRoute({ instance, suspect }, onFallback);
  const read = () =>
    route.run(primary, async ({ target }) => {
      asked.push(target);
      if (target !== 'primary') throw error;
      return target;
    });
  return { asked, read, counts: () => [onFallback.mock.calls.length, suspect.mock.calls.length] };
}

test.each<[string, Error, number]>([
  ['too many wait for a connection to it', new Unavailable('pool_queue_full'), 0],
  ['no connection to it came free in time', new ConnectionAcquireTimeoutError(new Error('late')), 0],
  ['it was found to be down', new Unavailable('replica_down'), 1],
])('%s › the primary answers this read and the next; suspected only when it is down', async (_what, error, suspected) => {
  const { asked, read, counts } = routeThatFails(error);
  expect([await read(), await read()]).toEqual(['primary', 'primary']);
  expect(asked).toEqual(['replica-1', 'primary', 'primary']);
  expect(counts()).toEqual([1, suspected]);
});

test('the statement is wrong › its own error, and no second try', async () => {
  const { asked, read } = routeThatFails(new Error('syntax'));
  await expect(read()).rejects.toThrow('syntax');
  expect(asked).toEqual(['replica-1']);
});
