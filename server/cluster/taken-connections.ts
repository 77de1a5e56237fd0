/**
 * The worker's end of the handover: takes connections from the primary and feeds them to the HTTP server. The server also listens
 * on a Unix socket that nobody can reach, because only a listening server enforces its limits against slow clients.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { log } from '../../lib/log';
import { type FromTaker, isToTaker, monotonicMs, TAKE_WITHIN_MS } from './handover';
import { HANDOVER_MS } from './stop-times';

interface TcpHandle {
  close(): void;
}

export class TakenConnections {
  readonly #server: Server;
  readonly #release: (count: number) => void;
  #closed: number[] = [];
  #telling: NodeJS.Immediate | undefined;
  #refusing = false;
  #isLast = false;
  #onLast: (() => void) | undefined;

  /** @param release called when so many connections are to be let go */
  constructor(server: Server, release: (count: number) => void) {
    this.#server = server;
    this.#release = release;
  }

  /** Resolves when connections can be taken. */
  async start(): Promise<void> {
    await this.#listenPrivately();
    process.on('message', (message: unknown, handle: unknown) => {
      if (!isToTaker(message)) return;
      if ('give' in message) {
        this.#take(message.give, message.at, handle as TcpHandle | undefined);
        return;
      }
      if ('release' in message) {
        this.#release(message.release);
        return;
      }
      this.#isLast = true;
      this.#onLast?.();
    });
  }

  /** From now on everything goes back to the primary, which has other workers. */
  refuse(): void {
    this.#refusing = true;
  }

  /** Resolves when the primary has given its last connection; it says so, and has no longer than this for it. */
  last(): Promise<void> {
    if (this.#isLast) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, HANDOVER_MS);
      this.#onLast = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take(number: number, at: number, handle: TcpHandle | undefined): void {
    if (!handle || this.#refusing || monotonicMs() - at > TAKE_WITHIN_MS) {
      // Only this process's copy, of which nothing was read: the primary has its own.
      handle?.close();
      this.#send({ refused: number });
      return;
    }
    // As a socket that the server accepts itself; what is set on the connection was set by the primary.
    const options = { handle, readable: true, writable: true, allowHalfOpen: true };
    const socket = new Socket(options as ConstructorParameters<typeof Socket>[0]);
    socket.once('close', () => this.#onClosed(number));
    this.#send({ took: number });
    this.#server.emit('connection', socket);
  }

  #onClosed(number: number): void {
    this.#closed.push(number);
    // All that end in one turn of the event loop are told together, and with the next answer if one is sent before. No later: as
    // long as the primary takes them for open, the others look as laden as a worker that really is.
    this.#telling ??= setImmediate(() => this.#send({})).unref();
  }

  #send(answer: Omit<FromTaker, 'closed'>): void {
    clearImmediate(this.#telling);
    this.#telling = undefined;
    const closed = this.#closed;
    this.#closed = [];
    // A closed channel means that the primary is gone, and then this process goes too (link.ts).
    if (process.connected) process.send?.({ ...answer, closed } satisfies FromTaker, undefined, undefined, () => undefined);
  }

  /** In a folder for this user alone, which is gone as soon as the socket is bound: there is nothing to leave behind. */
  #listenPrivately(): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'autoshop-limits-'));
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const finish = (act: () => void) => {
        rmSync(folder, { recursive: true, force: true });
        act();
      };
      const fail = (error: Error) => finish(() => reject(error));
      server.once('error', fail);
      // `exclusive`: of this process, not shared by way of the primary.
      server.listen({ path: join(folder, 'limits'), exclusive: true }, () => {
        server.off('error', fail);
        server.on('error', (error) => log.error('the private listener failed', { error }));
        finish(resolve);
      });
    });
  }
}
