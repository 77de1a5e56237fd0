/** What becomes of connections that node's round robin has sent to a worker, when it dies or refuses them. */
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Listeners, regive } from '../../../server/cluster/regive';

interface Told {
  ack?: number;
  accepted?: boolean;
}

const KEY = '0.0.0.0:3001:4::0';

/** A worker's process as the primary holds it, and what node's module is told in its name. */
function workerOf(listeners: Listeners) {
  const told: Told[] = [];
  const regiven: number[] = [];
  const child = Object.assign(new EventEmitter(), { send: () => true });
  child.on('internalMessage', (message: Told) => told.push(message));
  regive(child as unknown as ChildProcess, { onRegiven: (count) => regiven.push(count), listeners });
  const send = child.send as unknown as (message: object, handle?: object) => boolean;
  const give = (seq: number) => {
    const handle = { close: jest.fn() };
    send({ cmd: 'NODE_CLUSTER', act: 'newconn', key: KEY, seq }, handle);
    return handle;
  };
  /** What the module answers when it asks to listen. */
  const listens = (errno: number | null = null) => send({ cmd: 'NODE_CLUSTER', ack: 1, key: KEY, errno });
  const closes = () => child.emit('internalMessage', { act: 'close', key: KEY });
  return { child, told, regiven, give, listens, closes };
}

/** One that listens, beside one that does or does not. */
function followed({ othersListen }: { othersListen: boolean }) {
  const listeners = new Listeners();
  const other = workerOf(listeners);
  other.listens(othersListen ? 0 : -98);
  const one = workerOf(listeners);
  one.listens();
  return { ...one, other };
}

const PAUSE_MS = 100;

/** It was given two connections, had taken the first, and died. */
async function killed(others: { othersListen: boolean }) {
  const { child, give, ...seen } = followed(others);
  const [taken, untaken] = [give(1), give(2)];
  child.emit('internalMessage', { ack: 1, accepted: true });
  child.emit('exit', null, 'SIGKILL');
  await delay(PAUSE_MS);
  return { ...seen, taken, untaken };
}

test('it dies while others listen › what it had not taken is refused in its name, and nothing is closed', async () => {
  const { told, regiven, taken, untaken } = await killed({ othersListen: true });
  expect(told.slice(1)).toEqual([{ cmd: 'NODE_CLUSTER', ack: 2, accepted: false }]);
  expect(regiven).toEqual([1]);
  for (const { close } of [taken, untaken]) expect(close).not.toHaveBeenCalled();
});

test('it dies and was the last that listened › what it had not taken is closed, and the module hears nothing of it', async () => {
  const { told, regiven, taken, untaken } = await killed({ othersListen: false });
  expect(told).toHaveLength(1);
  expect(regiven).toEqual([]);
  expect(taken.close).not.toHaveBeenCalled();
  expect(untaken.close).toHaveBeenCalledTimes(1);
});

test.each([
  [true, 0],
  [false, 1],
])('it refuses one because it leaves, others listen: %s › closed %d times', (othersListen, times) => {
  const { child, give, closes } = followed({ othersListen });
  const handle = give(1);
  closes();
  child.emit('internalMessage', { ack: 1, accepted: false });
  expect(handle.close).toHaveBeenCalledTimes(times);
});

test('it refuses one while it still listens and nobody else does › nothing is closed: its turn comes again', () => {
  const { child, give } = followed({ othersListen: false });
  const handle = give(1);
  child.emit('internalMessage', { ack: 1, accepted: false });
  expect(handle.close).not.toHaveBeenCalled();
});

test.each(['exit', 'disconnect'])('the only other one listens no more since its %s › what is refused is closed', (event) => {
  const { child, give, closes, other } = followed({ othersListen: true });
  const handle = give(1);
  other.child.emit(event);
  closes();
  child.emit('internalMessage', { ack: 1, accepted: false });
  expect(handle.close).toHaveBeenCalledTimes(1);
});
