/**
 * Moves the connection budget to where the workers are: a share for each process that says hello, and, after the number of
 * workers has changed, from those that hold too much to those that hold too little.
 */
import { type Division, divideBudget, Ledger, type Share } from './budget';
import type { Roster } from './roster';
import { emptySlots } from './slots';
import type { WorkerHandle } from './worker-handle';
import { isBooting } from './worker-state';

export interface SharesOptions {
  workers: number;
  poolMin: number;
  poolMax: number;
  jobs: boolean;
}

export class Shares {
  readonly ledger: Ledger;
  readonly #options: SharesOptions;
  readonly #roster: Roster;
  #division: Division;

  constructor(options: SharesOptions, roster: Roster) {
    this.#options = options;
    this.#roster = roster;
    this.#division = divideBudget(options);
    this.ledger = new Ledger(options.poolMax);
  }

  get division(): Division {
    return this.#division;
  }

  /** Divides the budget anew. @throws RangeError when it is too small for so many workers; then nothing has changed */
  divide(workers: number): void {
    this.#division = divideBudget({ ...this.#options, workers });
  }

  /** Shares go to those who said hello, as soon as the budget has room for them. */
  grantWaiting(now: number): void {
    for (const worker of this.#roster.children) {
      if (worker.state !== 'hello') continue;
      const share = this.#shareOf(worker);
      if (!this.ledger.grant(worker.id, share)) continue;
      worker.moveTo('granted');
      worker.grantedAt = now;
      worker.send({ type: 'grant', poolMin: share.min, poolMax: share.max, slot: worker.slot, requestLimit: worker.requestLimit });
    }
  }

  /** The worker holds no connection above `max` any more: what it gave back may go to others. */
  returned(worker: WorkerHandle, max: number): void {
    // Whatever else it speaks of is over, and it may hold more by now.
    if (max !== worker.resizingTo) return;
    worker.resizingTo = null;
    this.ledger.resize(worker.id, { min: Math.min(this.ledger.grantOf(worker.id)?.min ?? 1, max), max });
  }

  /**
   * Moves shares towards the division: those that hold too much give back first, then the others grow. A worker is told one size at a
   * time, so that its answer speaks of that one.
   */
  rebalance({ target, replacing }: { target: number; replacing: boolean }): void {
    const serving = this.#roster.workers.filter(({ state, resizingTo }) => state === 'ready' && resizingTo === null);
    for (const worker of serving) {
      const held = this.ledger.grantOf(worker.id);
      const share = this.#shareOf(worker);
      if (!held || held.max === share.max) continue;
      if (held.max > share.max) this.#tell(worker, share);
      else if (!replacing && this.#hasRoomToGrow(share.max - held.max, target) && this.ledger.resize(worker.id, share))
        this.#tell(worker, share);
    }
  }

  #tell(worker: WorkerHandle, { min, max }: Share): void {
    worker.resizingTo = max;
    worker.send({ type: 'resize', poolMin: min, poolMax: max });
  }

  #shareOf({ kind, slot }: WorkerHandle): Share {
    if (kind === 'jobs') return this.#division.jobs ?? { min: 1, max: 2 };
    return this.#division.slots[slot - 1] ?? this.#division.surge;
  }

  /** Growing must leave room for the surge share and for the job process. */
  #hasRoomToGrow(by: number, target: number): boolean {
    const { jobProcess, workers } = this.#roster;
    const jobs = jobProcess && this.ledger.grantOf(jobProcess.id) ? 0 : (this.#division.jobs?.max ?? 0);
    const waiting = emptySlots(target, workers).length > 0 || workers.some(({ state }) => isBooting(state));
    return !waiting && this.ledger.granted + by + this.#division.surge.max + jobs <= this.ledger.limit;
  }
}
