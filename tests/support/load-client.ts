/**
 * A cheap client, run as a process of its own: raw sockets, a fixed pace, no retry. Half of the clients keep their connection, half
 * take a new one for each request. Told to stop it sends what became of every request. See `tests/support/paced-load.ts`.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { LoadOptions, PacedOutcome } from './paced-load';

const options = JSON.parse(process.argv[2] ?? '{}') as LoadOptions;
const ANSWER_MS = 20_000;
const outcomes: PacedOutcome[] = [];
let running = true;

const request = (keep: boolean): Buffer =>
  Buffer.concat([
    Buffer.from(
      `POST ${options.path} HTTP/1.1\r\nHost: shop\r\nContent-Type: application/octet-stream\r\nContent-Length: ${options.bytes}\r\nConnection: ${keep ? 'keep-alive' : 'close'}\r\n\r\n`,
    ),
    Buffer.alloc(options.bytes, 'x'),
  ]);
const KEEP = request(true);
const CLOSE = request(false);

/** A connection that the server has ended, or said it would have ended by now, is not used again: that much every client does. */
class Connection {
  readonly socket: Socket;
  #ended = false;
  /** Until when the server has promised to keep it, counted from the last request on: this client may itself be held up. */
  #keptUntil = Number.POSITIVE_INFINITY;
  #sentAt = 0;
  #text = '';
  #done: ((result: number | string) => void) | null = null;

  constructor() {
    this.socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => this.#read(text));
    this.socket.on('error', (error: NodeJS.ErrnoException) => this.#finish(error.code ?? error.message));
    this.socket.on('close', () => this.#finish('closed without an answer'));
    this.socket.on('end', () => {
      this.#ended = true;
    });
  }

  get usable(): boolean {
    return !this.#ended && performance.now() < this.#keptUntil;
  }

  send(bytes: Buffer): Promise<number | string> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#finish('timeout'), ANSWER_MS);
      this.#text = '';
      this.#sentAt = performance.now();
      this.#done = (result) => {
        clearTimeout(timer);
        resolve(result);
      };
      this.socket.write(bytes);
    });
  }

  #read(text: string): void {
    this.#text += text;
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.#text.slice(0, end).toLowerCase();
    const length = Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? Number.NaN);
    if (!(this.#text.length - end - 4 >= length)) return;
    if (/\r\nconnection: close/.test(head)) {
      this.#ended = true;
      this.socket.end();
    }
    const seconds = /\r\nkeep-alive: timeout=(\d+)/.exec(head)?.[1];
    if (seconds !== undefined) this.#keptUntil = this.#sentAt + Number(seconds) * 1_000;
    this.#finish(Number(head.slice(9, 12)));
  }

  #finish(result: number | string): void {
    if (typeof result === 'string') {
      this.#ended = true;
      this.socket.destroy();
    }
    this.#done?.(result);
    this.#done = null;
  }
}

async function client(number: number): Promise<void> {
  const keep = number % 2 === 0;
  const pauseMs = (options.clients * 1_000) / options.perSecond;
  let connection: Connection | null = null;
  // Spread over one pause, so that they do not come together.
  let next = performance.now() + (number / options.clients) * pauseMs;
  while (running) {
    await delay(Math.max(0, next - performance.now()));
    next = Math.max(next + pauseMs, performance.now());
    if (!running) break;
    const fresh: boolean = !connection?.usable;
    if (!connection || fresh) {
      connection?.socket.destroy();
      connection = new Connection();
    }
    const at = Date.now();
    const since = performance.now();
    const result = await connection.send(keep ? KEEP : CLOSE);
    outcomes.push([at, Math.round((performance.now() - since) * 10) / 10, result, fresh]);
    if (!keep) connection = null;
  }
  connection?.socket.destroy();
}

process.on('message', () => {
  running = false;
});
// Nobody would stop it.
process.on('disconnect', () => process.exit(1));
const progress = setInterval(() => process.send?.({ count: outcomes.length }), 250);

void Promise.all(Array.from({ length: options.clients }, (_, number) => client(number))).then(() => {
  clearInterval(progress);
  process.send?.({ outcomes }, () => process.exit(0));
});
