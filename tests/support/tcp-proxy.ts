/** A way to a server that a test can cut: connections break and new ones are refused, or are taken and lead nowhere. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { closeLater } from './closers';

export interface TcpProxy {
  readonly port: number;
  /** Breaks all connections, and each new one at once. */
  cut(): void;
  /** Breaks all connections, and takes new ones without ever answering. */
  silence(): void;
  /** New connections lead to the server only after `ms`. */
  delay(ms: number): void;
  /** New connections lead to the server again. Those that were taken in silence stay silent. */
  heal(): void;
}

/** To a port of this machine, closed with the test file. */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  let way: 'open' | 'cut' | 'silent' = 'open';
  let delayMs = 0;
  const sockets = new Set<Socket>();
  const hold = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    hold(client);
    if (way === 'cut') client.destroy();
    if (way !== 'open') return;
    if (delayMs > 0) setTimeout(() => lead(client), delayMs);
    else lead(client);
  });
  const lead = (client: Socket): void => {
    if (client.destroyed) return;
    const behind = connect(target, '127.0.0.1');
    hold(behind);
    client.pipe(behind).pipe(client);
    client.on('close', () => behind.destroy());
    behind.on('close', () => client.destroy());
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  closeLater(async () => {
    breakAll();
    server.close();
  });
  const turn = (next: typeof way): void => {
    way = next;
    if (next !== 'open') breakAll();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => turn('cut'),
    silence: () => turn('silent'),
    delay: (ms) => {
      delayMs = ms;
    },
    heal: () => turn('open'),
  };
}
