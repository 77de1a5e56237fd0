/**
 * The way of one request to its data: a replica, until that is lost, then the primary. Each read is sent once more at most, and
 * only there; what the primary refuses is refused.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { withTakeover } from './db-cursor';
import { isPoolExhausted, isRefusedWrite, isRetryable, isServerLost } from './db-errors';
import type { DatabaseInstance } from './db-instance';
import { Unavailable } from './errors';

const routes = new AsyncLocalStorage<ReadRoute>();

/** The way of the present request; undefined: to the primary. */
export const currentReadRoute = (): ReadRoute | undefined => routes.getStore();

/** Runs `work`, a whole request with its stream, on this way. */
export const onReadRoute = <T>(route: ReadRoute | undefined, work: () => T): T => (route ? routes.run(route, work) : work());

/** A replica, as far as a request is concerned. */
export interface RouteReplica {
  readonly instance: DatabaseInstance;
  /** A request has lost it. */
  suspect(error: unknown): void;
}

/** Whoever waited for a connection to a replica that was found to be down. */
export const replicaDown = (): Unavailable => new Unavailable('replica_down');

/**
 * True when the primary may answer what the replica could not: it is gone, all our connections to it are at work, or it cancelled the
 * statement because it could not replay the log with it running (SQLSTATE 40001 on a standby: PostgreSQL documentation, "Handling Query Conflicts").
 */
const isLost = (error: unknown): boolean =>
  // Sent to a replica by a defect of ours: it must not be made good on the primary, out of sight.
  !isRefusedWrite(error) &&
  (isServerLost(error) ||
    isRetryable(error) ||
    isPoolExhausted(error) ||
    (error instanceof Unavailable && error.reason === 'replica_down'));

export class ReadRoute {
  #replica: RouteReplica | null;
  readonly #onFallback: () => void;

  constructor(replica: RouteReplica, onFallback: () => void) {
    this.#replica = replica;
    this.#onFallback = onFallback;
  }

  async run<T>(primary: DatabaseInstance, read: (instance: DatabaseInstance) => Promise<T>): Promise<T> {
    const replica = this.#replica;
    if (!replica) return read(primary);
    try {
      return await read(replica.instance);
    } catch (error) {
      if (!isLost(error)) throw error;
      this.#leave(replica, error);
      return read(primary);
    }
  }

  stream<Row extends object>(primary: DatabaseInstance, rows: (instance: DatabaseInstance) => AsyncIterable<Row[]>): AsyncIterable<Row[]> {
    const replica = this.#replica;
    if (!replica) return rows(primary);
    return withTakeover({
      first: rows(replica.instance),
      second: (error) => {
        this.#leave(replica, error);
        return rows(primary);
      },
      isLost,
    });
  }

  /** For the rest of the request, so that it does not run into the same wall again. */
  #leave(replica: RouteReplica, error: unknown): void {
    this.#replica = null;
    this.#onFallback();
    // A conflict with replay and a busy pool say nothing against it.
    if (!isRetryable(error) && !isPoolExhausted(error)) replica.suspect(error);
  }
}
