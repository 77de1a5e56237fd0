/**
 * The one database connection of the job library, in the shape of the pool it expects. The library keeps a connection for
 * LISTEN and asks for others now and then; all its statements stand alone (no transactions), so one connection can carry them
 * one after another and the job process stays within its two of the budget. Lost, it is opened anew on the next use.
 */
import { EventEmitter } from 'node:events';
import type pg from 'pg';
import { connectTo } from '../../lib/db-hosts';

const CONNECT_TIMEOUT_MS = 5_000;
/** The library's statements take milliseconds; one that takes this long means that the server is gone without a word. */
const STATEMENT_TIMEOUT_MS = 30_000;

type Shared = pg.Client & { release: () => void };
type ConnectCallback = (error: Error | undefined, client?: Shared, release?: () => void) => void;

export class QueueConnection extends EventEmitter {
  readonly options = { max: 1 };
  readonly #url: string;
  readonly #config: pg.ClientConfig;
  #client: Promise<Shared> | undefined;
  #ended = false;

  constructor(url: string, config: pg.ClientConfig = {}) {
    super();
    this.#url = url;
    this.#config = config;
  }

  connect(): Promise<Shared>;
  connect(callback: ConnectCallback): void;
  connect(callback?: ConnectCallback): Promise<Shared> | undefined {
    const client = this.#open();
    if (!callback) return client;
    client.then(
      (shared) => callback(undefined, shared, shared.release),
      (error: Error) => callback(error),
    );
    return undefined;
  }

  async query(...args: [text: string | pg.QueryConfig, values?: unknown[]]): Promise<pg.QueryResult> {
    const client = await this.#open();
    return client.query(...(args as [string, unknown[]]));
  }

  async end(): Promise<void> {
    this.#ended = true;
    const open = this.#client;
    this.#client = undefined;
    if (open) await (await open).end();
  }

  #open(): Promise<Shared> {
    if (this.#ended) return Promise.reject(new Error('The connection of the job queue is closed'));
    if (this.#client) return this.#client;
    const opening = this.#dial((): void => {
      // A lost connection is heard of twice, and the second time may come when the next one is open already.
      if (this.#client === opening) this.#client = undefined;
    });
    this.#client = opening;
    return opening;
  }

  async #dial(lost: () => void): Promise<Shared> {
    const limits = {
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: STATEMENT_TIMEOUT_MS + CONNECT_TIMEOUT_MS,
      keepAlive: true,
      application_name: 'autoshop-jobs',
    };
    let client: Shared;
    try {
      // Without a listener a host that breaks off would end the process; that it is of no use is said by the promise.
      const ignore = (opening: pg.Client) => opening.on('error', () => undefined);
      client = (await connectTo(this.#url, { ...limits, ...this.#config }, ignore)) as Shared;
    } catch (error) {
      lost();
      throw error;
    }
    client.on('error', lost);
    client.on('end', lost);
    // Nobody owns the connection alone, so giving it back means nothing.
    client.release = () => undefined;
    serialise(client);
    this.emit('connect', client);
    return client;
  }
}

/** One statement at a time: pg is to refuse overlapping ones in its next major version. */
function serialise(client: pg.Client): void {
  const send = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
  let last: Promise<unknown> = Promise.resolve();
  client.query = ((...args: unknown[]) => {
    const answer = last.then(() => send(...args));
    last = answer.catch(() => undefined);
    return answer;
  }) as pg.Client['query'];
}
