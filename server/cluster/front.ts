/**
 * How connections reach workers, by DISPATCH: through our own dispatcher on a port that the primary opens when the first worker
 * is ready (`least`), or through node:cluster's round robin on a port that the workers open (`rr`).
 */
import type { ChildProcess } from 'node:child_process';
import type { Config } from '../../config';
import { log } from '../../lib/log';
import { addressFailure, type BootFailure } from './boot';
import { Dispatcher, type TakingChild } from './dispatcher';
import { PublicListener } from './public-listener';
import { Listeners, regive } from './regive';
import type { WorkerHandle } from './worker-handle';

export interface Address {
  host: string;
  port: number;
}

/** Null where node's round robin does not tell. */
export interface DispatchFacts {
  policy: Config['DISPATCH'];
  accepted: number | null;
  live: number | null;
  unacked: number | null;
  waiting: number | null;
  regiven: number;
  refused: number | null;
  /** Connections of each worker that serves. */
  shares: number[] | null;
  /** Process ids of workers that are slower than the others. */
  slow: number[] | null;
}

export interface Front {
  /** A worker process, right after its fork. */
  follow(child: ChildProcess): void;
  /** Workers or their states have changed. */
  update(workers: readonly WorkerHandle[]): void;
  tick(): void;
  /** The address that the primary listens on, once it does; null when the workers do. */
  readonly address: Promise<Address | null>;
  /** A stop of the whole service has begun: takes those who had connected, then no more. */
  close(): Promise<void>;
  readonly facts: DispatchFacts;
}

type Settings = Pick<Config, 'DISPATCH' | 'HOST' | 'PORT' | 'MAX_CONNECTIONS' | 'MAX_CONNECTIONS_PER_IP'>;

/** @param onFailure the port cannot be listened on */
export const createFront = (settings: Settings, onFailure: (failure: BootFailure) => void): Front =>
  settings.DISPATCH === 'least' ? new OwnFront(settings, onFailure) : new RoundRobinFront();

class OwnFront implements Front {
  readonly #settings: Settings;
  readonly #onFailure: (failure: BootFailure) => void;
  readonly #dispatcher: Dispatcher;
  readonly #listener: PublicListener;
  readonly address: Promise<Address | null>;
  #resolveAddress: (address: Address) => void = () => undefined;
  #opened = false;

  constructor(settings: Settings, onFailure: (failure: BootFailure) => void) {
    this.#settings = settings;
    this.#onFailure = onFailure;
    const { MAX_CONNECTIONS: maxConnections, MAX_CONNECTIONS_PER_IP: maxPerAddress } = settings;
    this.#dispatcher = new Dispatcher({ maxConnections, maxPerAddress });
    this.#listener = new PublicListener(this.#dispatcher, { countsAddresses: maxPerAddress > 0 });
    this.address = new Promise((resolve) => {
      this.#resolveAddress = resolve;
    });
  }

  get facts(): DispatchFacts {
    return { policy: 'least', ...this.#dispatcher.numbers, shares: this.#dispatcher.shares, slow: this.#dispatcher.slow };
  }

  follow(child: ChildProcess): void {
    this.#dispatcher.follow(child as TakingChild);
  }

  update(workers: readonly WorkerHandle[]): void {
    this.#dispatcher.update(workers);
    if (!this.#opened && workers.some(({ state }) => state === 'ready')) void this.#open();
  }

  tick(): void {
    this.#dispatcher.tick();
  }

  close(): Promise<void> {
    this.#opened = true;
    return this.#listener.close();
  }

  async #open(): Promise<void> {
    this.#opened = true;
    const { HOST, PORT } = this.#settings;
    try {
      const { address, port } = await this.#listener.open(HOST, PORT);
      this.#resolveAddress({ host: address, port });
    } catch (error) {
      this.#onFailure(addressFailure(error as NodeJS.ErrnoException, HOST, PORT, 'public'));
    }
  }
}

class RoundRobinFront implements Front {
  readonly address = Promise.resolve(null);
  readonly #listeners = new Listeners();
  #regiven = 0;
  #workers: readonly WorkerHandle[] = [];

  get facts(): DispatchFacts {
    const unknown = { accepted: null, live: null, unacked: null, waiting: null, refused: null, shares: null, slow: null };
    return { policy: 'rr', regiven: this.#regiven, ...unknown };
  }

  follow(child: ChildProcess): void {
    regive(child, {
      onRegiven: (count) => {
        this.#regiven += count;
        log.info('connections of a dead worker went to another one', { count });
      },
      avoid: () => this.#isAvoided(child.pid),
      listeners: this.#listeners,
    });
  }

  update(workers: readonly WorkerHandle[]): void {
    this.#workers = workers;
  }

  /** No new connection for a worker that stands still or rests, as long as another one takes them. */
  #isAvoided(pid: number | undefined): boolean {
    const now = performance.now();
    const worker = this.#workers.find((one) => one.pid === pid);
    if (worker?.state !== 'ready' || worker.takesConnections(now)) return false;
    return this.#workers.some((other) => other.takesConnections(now));
  }

  tick(): void {}
  async close(): Promise<void> {}
}
