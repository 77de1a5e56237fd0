/**
 * What sequelize-pool lacks, added in one place to a pool of Sequelize: a share that can change while the service runs, a bounded queue
 * with a measure of the wait in it, callers that leave the queue when nobody waits for them any more, and a size that counts a
 * connection until the server has let go of it, because the share of the next process begins where this one ends.
 */
import type pg from 'pg';
import { currentContext } from './context';
import { Unavailable } from './errors';
import { log } from './log';
import { metrics } from './metrics';
import type { PoolReport } from './pool-report';
import { PoolWait } from './pool-wait';

/** A connection that does not say good-bye in this time is counted as closed. */
const CLOSE_LIMIT_MS = 2_000;

interface Deferred {
  promise(): Promise<unknown>;
  reject(error: Error): void;
}

/** sequelize-pool's fields that it offers no method for; the version is pinned and a contract test holds them. */
interface PoolInternals {
  readonly size: number;
  readonly available: number;
  readonly using: number;
  readonly waiting: number;
  _count: number;
  _factory: { min: number; max: number; create(): Promise<object> };
  _availableObjects: { resource: unknown }[];
  _pendingAcquires: Deferred[];
  _dispense(): void;
  _ensureMinimum(): void;
  acquire(...options: unknown[]): Promise<unknown>;
  release(resource: unknown): void;
  destroy(resource: unknown): Promise<void>;
}

/** Sequelize's connection manager, as far as it is used here. */
export interface ConnectionManager {
  pool: PoolInternals;
  getConnection(options?: object): Promise<unknown>;
  releaseConnection(connection: unknown): void;
  destroyConnection(connection: unknown): Promise<void>;
  close(): Promise<void>;
  _connect(settings: object): Promise<pg.Client>;
}

export class ManagedPool {
  readonly #pool: PoolInternals;
  readonly #wait = new PoolWait();
  /** Connections that are out, and since when. */
  readonly #heldSince = new Map<unknown, number>();
  readonly #openedAt = new WeakMap<object, number>();
  /** Connections that are being closed. They count until the server has let go of them, but no others must go in their place. */
  #closing = 0;
  /** When each caller in the queue began to wait, the first one first. */
  readonly #waitingSince = new Map<Deferred, number>();

  /** Takes over `manager`: all connections, Sequelize's own included, go through here from now on. */
  constructor(manager: ConnectionManager, { maxWaiting, target }: { maxWaiting: number; target: string }) {
    const { pool } = manager;
    this.#pool = pool;
    this.#boundQueue(manager, maxWaiting, target);
    this.#watchOpening(pool);
    this.#watchAcquire(pool);
    this.#watchReturn(pool);
  }

  /** Sets this process's share of the connection budget; idle connections above it are closed at once, others as they come back. */
  resize({ min, max }: { min: number; max: number }): void {
    const pool = this.#pool;
    pool._factory.min = Math.min(min, max);
    pool._factory.max = max;
    for (const { resource } of pool._availableObjects.slice(0, Math.max(0, this.#staying - max))) this.destroyQuietly(resource);
    pool._dispense();
  }

  /**
   * Closes idle connections that were opened before `moment` (`performance.now()`): one of their age has just turned out to be dead,
   * and a server that ended one has most likely ended all. Younger ones have been made since.
   */
  discardIdle(moment: number): void {
    for (const { resource } of [...this.#pool._availableObjects]) {
      if ((this.#openedAt.get(resource as object) ?? 0) < moment) this.destroyQuietly(resource);
    }
  }

  /** Closes every idle connection; resolves when they are closed. */
  async closeIdle(): Promise<void> {
    for (const { resource } of [...this.#pool._availableObjects]) await this.#pool.destroy(resource);
  }

  /**
   * For a server that does not answer any more: cuts every connection, so that statements in flight fail now instead of at their
   * limit, and turns away who waits for one.
   */
  sever(reason: Error): void {
    for (const place of this.#pool._pendingAcquires.splice(0)) place.reject(reason);
    const idle = this.#pool._availableObjects.map(({ resource }) => resource);
    for (const resource of [...this.#heldSince.keys(), ...idle]) (resource as pg.Client).connection.stream.destroy();
  }

  get #staying(): number {
    return this.#pool.size - this.#closing;
  }

  destroyQuietly(resource: unknown): void {
    this.#pool.destroy(resource).catch((error: unknown) => log.warn('closing a connection failed', { error }));
  }

  get status(): PoolReport {
    const { _factory, size, available, using, waiting } = this.#pool;
    return { min: _factory.min, max: _factory.max, size, idle: available, busy: using, waiting };
  }

  /** How long a caller that asks for a connection now would wait, as far as can be foreseen. */
  get expectedWaitMs(): number {
    const { waiting, _factory } = this.#pool;
    if (waiting === 0) return 0;
    const now = performance.now();
    const [oldest = now] = this.#waitingSince.values();
    return this.#wait.expectedMs({ waiting, oldestMs: now - oldest, max: _factory.max, heldMs: agesOf(this.#heldSince, now) });
  }

  /** Sequelize's transactions and our reads both come through here. @throws Unavailable `pool_queue_full` at once when too many wait */
  #boundQueue(manager: ConnectionManager, maxWaiting: number, target: string): void {
    metrics.poolTimeouts.inc({ target }, 0);
    const acquire = manager.getConnection.bind(manager);
    manager.getConnection = async (options) => {
      if (this.#pool.waiting >= maxWaiting) throw new Unavailable('pool_queue_full');
      const started = performance.now();
      try {
        return await acquire(options);
      } catch (error) {
        if (error instanceof Error && error.name === 'SequelizeConnectionAcquireTimeoutError') metrics.poolTimeouts.inc({ target });
        throw error;
      } finally {
        metrics.poolAcquireSeconds.observe({ target }, (performance.now() - started) / 1000);
      }
    };
  }

  #watchOpening({ _factory }: PoolInternals): void {
    const create = _factory.create.bind(_factory);
    _factory.create = async () => {
      const resource = await create();
      this.#openedAt.set(resource, performance.now());
      return resource;
    };
  }

  #watchAcquire(pool: PoolInternals): void {
    const acquire = pool.acquire.bind(pool);
    pool.acquire = (...options) => {
      const last = pool._pendingAcquires.at(-1);
      const acquired = acquire(...options).then((resource) => {
        this.#heldSince.set(resource, performance.now());
        return resource;
      });
      const own = pool._pendingAcquires.at(-1);
      return own && own !== last ? this.#inQueue(own, acquired) : acquired;
    };
  }

  /** @throws Unavailable `client_gone` when the caller leaves first: a connection must not be spent on an answer for nobody */
  async #inQueue(place: Deferred, acquired: Promise<unknown>): Promise<unknown> {
    const caller = currentContext()?.caller;
    const leave = (): void => {
      this.#pool._pendingAcquires = this.#pool._pendingAcquires.filter((other) => other !== place);
      place.reject(new Unavailable('client_gone'));
    };
    this.#waitingSince.set(place, performance.now());
    const stopListening = caller?.onLeave(leave);
    if (caller?.gone) leave();
    try {
      return await acquired;
    } finally {
      stopListening?.();
      this.#waitingSince.delete(place);
    }
  }

  #watchReturn(pool: PoolInternals): void {
    const release = pool.release.bind(pool);
    const destroy = pool.destroy.bind(pool);
    pool.release = (resource) => {
      this.#returned(resource);
      if (this.#staying > pool._factory.max) this.destroyQuietly(resource);
      else release(resource);
    };
    pool.destroy = async (resource) => {
      this.#returned(resource);
      const before = pool._count;
      const closing = destroy(resource);
      if (pool._count === before) return closing;
      // The pool has forgotten it; the server has not.
      pool._count = before;
      this.#closing += 1;
      try {
        await withLimit(closing, CLOSE_LIMIT_MS);
      } finally {
        this.#closing -= 1;
        pool._count -= 1;
        pool._ensureMinimum();
        pool._dispense();
      }
    };
  }

  #returned(resource: unknown): void {
    const since = this.#heldSince.get(resource);
    if (since === undefined) return;
    this.#heldSince.delete(resource);
    const now = performance.now();
    this.#wait.onReturn(now - since, now);
  }
}

function* agesOf(since: ReadonlyMap<unknown, number>, now: number): Generator<number> {
  for (const at of since.values()) yield now - at;
}

async function withLimit(work: Promise<void>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
