/**
 * The public port when the primary itself gives connections to workers. It accepts and reads nothing.
 *
 * It takes the bare handle of a connection, as node's own round robin does, by putting its own function in the place of the
 * server's: a `net.Socket` for each connection doubles what the primary spends on it (docs/adr, "own dispatcher"). The names used
 * are the ones that node:cluster uses; a test notices when they change, and `DISPATCH=rr` does without them.
 */
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { log } from '../../lib/log';
import { NO_ROOM, refuseConnection } from '../http/raw-answer';
import type { Accepted, Dispatcher } from './dispatcher';
import { HANDOVER_MS, LAST_CALL_MS } from './stop-times';

/** The part of node's TCP handle that is used. */
interface TcpHandle {
  close(): void;
  setNoDelay(on: boolean): void;
  getpeername(out: { address?: string }): number;
}

interface ServerHandle {
  onconnection: (error: number | undefined, handle: TcpHandle | undefined) => void;
}

const BACKLOG = 1_024;
const POLL_MS = 50;
const QUIET_POLLS = 3;
const ACCEPT_ERROR_LOG_MS = 60_000;

export class PublicListener {
  readonly #dispatcher: Dispatcher;
  readonly #countsAddresses: boolean;
  #server: Server | null = null;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(dispatcher: Dispatcher, { countsAddresses }: { countsAddresses: boolean }) {
    this.#dispatcher = dispatcher;
    this.#countsAddresses = countsAddresses;
  }

  /** @throws the listen error (EADDRINUSE and the like) */
  open(host: string, port: number): Promise<AddressInfo> {
    const server = createServer();
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, backlog: BACKLOG }, () => {
        server.off('error', reject);
        server.on('error', (error) => log.error('the public listener failed', { error }));
        const { _handle: handle } = server as unknown as { _handle: ServerHandle };
        handle.onconnection = (error, connection) => this.#onConnection(error, connection);
        resolve(server.address() as AddressInfo);
      });
    });
  }

  /** Takes those who have connected already, until none has come for a moment; then closes the port and lets the workers know. */
  async close(): Promise<void> {
    const since = performance.now();
    let quiet = 0;
    while (this.#server && quiet < QUIET_POLLS && performance.now() - since < LAST_CALL_MS) {
      const before = this.#dispatcher.numbers.accepted;
      await delay(POLL_MS);
      quiet = this.#dispatcher.numbers.accepted === before ? quiet + 1 : 0;
    }
    this.#server?.close();
    // Accepted is accepted: what waits for a worker that is busy just now is still given.
    for (let numbers = this.#dispatcher.numbers; numbers.waiting + numbers.unacked > 0; numbers = this.#dispatcher.numbers) {
      if (this.#dispatcher.shares.length === 0 || performance.now() - since >= HANDOVER_MS) break;
      await delay(POLL_MS);
      this.#dispatcher.tick();
    }
    this.#dispatcher.end();
  }

  #onConnection(error: number | undefined, handle: TcpHandle | undefined): void {
    if (error || !handle) {
      const now = performance.now();
      if (now - this.#loggedAt < ACCEPT_ERROR_LOG_MS) return;
      this.#loggedAt = now;
      log.error('a connection could not be accepted', { errno: error ?? null });
      return;
    }
    // What an http.Server sets on a connection that it accepts itself; it belongs to the socket, so the worker need not.
    handle.setNoDelay(true);
    this.#dispatcher.accept(new Connection(handle, this.#countsAddresses ? addressOf(handle) : null));
  }
}

class Connection implements Accepted {
  readonly handle: TcpHandle;
  readonly address: string | null;

  constructor(handle: TcpHandle, address: string | null) {
    this.handle = handle;
    this.address = address;
  }

  close(): void {
    this.handle.close();
  }

  refuse(): void {
    const options = { handle: this.handle, readable: true, writable: true };
    refuseConnection(new Socket(options as ConstructorParameters<typeof Socket>[0]), NO_ROOM);
  }
}

function addressOf(handle: TcpHandle): string | null {
  const peer: { address?: string } = {};
  return handle.getpeername(peer) === 0 ? (peer.address ?? null) : null;
}
