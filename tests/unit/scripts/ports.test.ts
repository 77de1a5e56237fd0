/** Ports for what tests and commands start: nobody else may get them in between. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { freePort } from '../../../scripts/ports';

/** Where Linux takes the ports of outgoing connections from. */
const OUTGOING_FROM = 32_768;

test('many free ports › all different, none of those that an outgoing connection may take', async () => {
  const ports = await Promise.all(Array.from({ length: 50 }, freePort));
  expect(new Set(ports).size).toBe(50);
  expect(Math.max(...ports)).toBeLessThan(OUTGOING_FROM);
  expect(Math.min(...ports)).toBeGreaterThan(1_023);
});

test('a free port › can be listened on', async () => {
  const server = createServer().listen(await freePort(), '127.0.0.1');
  await once(server, 'listening');
  server.close();
});
