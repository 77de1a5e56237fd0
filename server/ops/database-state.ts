/**
 * Whether the database answers, for the probes: one shared result at most a second old, else one ping of at most 250 ms.
 * However many probes come, at most one ping is under way. A pool whose connections are all busy but whose statements
 * finish counts as up (`lib/db.ts` knows), so load does not look like an outage.
 */
import { ping, serverInfo } from '../../lib/db';

export const FRESH_MS = 1_000;
export const PING_MS = 250;

export interface DatabaseState {
  readonly status: 'up' | 'down';
  readonly latencyMs: number | null;
  readonly checkedAt: Date | null;
  /** Migrations the code brings and the database lacks; null before the first look. */
  readonly pendingMigrations: number | null;
}

export interface Checker {
  ping: (timeoutMs: number) => Promise<void>;
  pendingMigrations: () => Promise<number>;
  now: () => number;
}

export class DatabaseWatch {
  readonly #checker: Checker;
  #state: DatabaseState = { status: 'down', latencyMs: null, checkedAt: null, pendingMigrations: null };
  #checkedAt = Number.NEGATIVE_INFINITY;
  #underWay: Promise<DatabaseState> | undefined;

  constructor(checker: Checker) {
    this.#checker = checker;
  }

  /** The last result, without asking. */
  get state(): DatabaseState {
    return this.#state;
  }

  /** A result at most {@link FRESH_MS} old; takes at most {@link PING_MS}. Never rejects. */
  check(): Promise<DatabaseState> {
    if (this.#checker.now() - this.#checkedAt < FRESH_MS) return Promise.resolve(this.#state);
    this.#underWay ??= this.#look().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #look(): Promise<DatabaseState> {
    const { ping: ask, pendingMigrations, now } = this.#checker;
    const started = now();
    let status: DatabaseState['status'] = 'up';
    let pending = this.#state.pendingMigrations;
    try {
      await ask(PING_MS);
    } catch {
      // Down is the answer, not a fault of this code; the driver's words are logged where the statement failed.
      status = 'down';
    }
    this.#checkedAt = now();
    // Applied migrations do not go away under a running worker: once none is pending the question is settled.
    if (status === 'up' && pending !== 0) pending = await pendingMigrations().catch(() => null);
    this.#state = {
      status,
      latencyMs: Math.round((this.#checkedAt - started) * 10) / 10,
      checkedAt: new Date(),
      pendingMigrations: pending,
    };
    return this.#state;
  }
}

let countPending: () => Promise<number> = () => Promise.reject(new Error('Nobody has said how to count migrations'));

/** The process composition says how pending migrations are counted. */
export function setMigrationCounter(count: () => Promise<number>): void {
  countPending = count;
}

const watch = new DatabaseWatch({ ping, pendingMigrations: () => countPending(), now: () => performance.now() });

/** The last result, without asking. Before the first look: up, when the pool has been opened, for that took an answer. */
export function databaseState(): DatabaseState {
  if (watch.state.checkedAt === null && serverInfo()) return { ...watch.state, status: 'up' };
  return watch.state;
}
export const checkDatabase = (): Promise<DatabaseState> => watch.check();

/** Asks when the last result is stale, without waiting for the answer. */
export function refreshDatabaseState(): void {
  void watch.check();
}
