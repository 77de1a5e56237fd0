/** A time limit of another process's answer does not count what this process slept through. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { whenLate } from '../../../lib/late';

const LIMIT_MS = 120;

/** Echoes from a thread of its own, which goes on while this one is held up. */
async function startEcho(): Promise<{ socket: Socket; stop: () => Promise<number> }> {
  const thread = new Worker(
    `const { createServer } = require('node:net');
     const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1', () =>
       require('node:worker_threads').parentPort.postMessage(server.address().port));`,
    { eval: true },
  );
  const [port] = (await once(thread, 'message')) as [number];
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return { socket, stop: () => thread.terminate() };
}

function holdUp(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('held up for three times the limit, while an answer that takes four exchanges › not late', async () => {
  const { socket, stop } = await startEcho();
  let late = false;
  const cancel = whenLate(LIMIT_MS, () => {
    late = true;
  });
  for (let exchange = 0; exchange < 4; exchange += 1) {
    socket.write('x');
    if (exchange === 0) holdUp(3 * LIMIT_MS);
    await once(socket, 'data');
  }
  cancel();
  expect(late).toBe(false);
  socket.destroy();
  await stop();
});

test('nobody answers › late, once', async () => {
  let times = 0;
  const began = performance.now();
  await new Promise<void>((resolve) => {
    whenLate(LIMIT_MS, () => {
      times += 1;
      resolve();
    });
  });
  // Each of the slices' timers may fire up to a millisecond early.
  expect(performance.now() - began).toBeGreaterThan(LIMIT_MS - 5);
  // Long enough for a second verdict, which must not come: there is nothing to wait for.
  await new Promise((resolve) => setTimeout(resolve, LIMIT_MS));
  expect(times).toBe(1);
});

test('cancelled, also after the limit while sockets are read once more › never late', async () => {
  let late = false;
  const act = (): void => {
    late = true;
  };
  whenLate(LIMIT_MS, act)();
  const cancel = whenLate(1, act);
  setTimeout(cancel, 1);
  // Both timers are due in the same turn of the loop, the limit's first.
  holdUp(20);
  // Longer than both limits: nothing must happen meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 2 * LIMIT_MS));
  expect(late).toBe(false);
});
