/**
 * A rolling restart, as a state machine without a clock or processes of its own: idle → checking → canary → rolling → idle.
 *
 * Every worker born before the roll is replaced. The first replacement is the canary: its old worker serves on beside it until
 * it has been ready for the canary time, so a build that dies after some seconds costs no capacity. The later ones follow at
 * once; but any fresh worker that dies before it is ready, or within the canary time after it, condemns the build: hence a roll is over
 * when no new worker boots and the last one has lived for that time as well.
 */
import { isBooting, type WorkerState } from './worker-state';

export type RollState = 'idle' | 'checking' | 'canary' | 'rolling';

export interface RollEnd {
  result: 'completed' | 'aborted';
  /** Why it was aborted, in the words of what failed. */
  reason: string | null;
  ms: number;
}

export interface RollStatus {
  id: number;
  state: RollState;
  done: number;
  total: number;
  last: RollEnd | null;
}

export interface Rolled {
  readonly state: WorkerState;
  /** When it was forked: what a process loads it loads then. */
  readonly bornAt: number;
  readonly readyAt: number | null;
}

const holds = ({ state }: Rolled): boolean => state !== 'draining' && state !== 'gone';

export class Roll<W extends Rolled> {
  readonly #canaryMs: number;
  readonly #fresh = new Set<W>();
  readonly #waiting: ((end: RollEnd) => void)[] = [];
  #canary: W | null = null;
  #condemned = false;
  /** When the last of those that took over has lived for the canary time; null while old ones are left, or new ones boot. */
  #provenAt: number | null = null;
  #startedAt = 0;
  /** Who was born until then is to be replaced. */
  #oldUntil = 0;
  #status: RollStatus = { id: 0, state: 'idle', done: 0, total: 0, last: null };

  constructor(canaryMs: number) {
    this.#canaryMs = canaryMs;
  }

  get status(): RollStatus {
    return this.#status;
  }

  get underWay(): boolean {
    return this.#status.state !== 'idle';
  }

  /** `workers`: all that live. @returns the number of this roll */
  begin(workers: readonly W[], now: number): number {
    this.#startedAt = now;
    this.#oldUntil = now;
    this.#canary = null;
    this.#condemned = false;
    this.#provenAt = null;
    this.#fresh.clear();
    this.#status = { ...this.#status, id: this.#status.id + 1, state: 'checking', done: 0, total: workers.filter(holds).length };
    return this.#status.id;
  }

  /**
   * What a new worker would load is sound as far as can be seen without one. Those that were forked meanwhile may have loaded it
   * before the schema fitted, so they are replaced as well. @returns false when the roll is over already
   */
  checked(workers: readonly W[], now: number): boolean {
    if (this.#status.state !== 'checking') return false;
    this.#oldUntil = now;
    this.#status = { ...this.#status, state: 'canary', total: workers.filter(holds).length };
    return true;
  }

  /**
   * The next to replace; null when there is none, or when it is not time yet. Ask only while no replacement is under way. `wanted`: as many
   * are there in the end; whoever goes because somebody has scaled down meanwhile is not replaced.
   */
  next(workers: readonly W[], wanted: number, now: number): W | null {
    const old = this.#old(workers);
    const total = Math.min(this.#status.total, wanted);
    this.#status = { ...this.#status, total, done: Math.max(0, total - old.length) };
    if (this.#condemned) return null;
    const canary = this.#canaryOf();
    if (this.#status.state === 'canary' && canary && !this.#proven(canary, now)) return null;
    if (this.#status.state !== 'canary' && this.#status.state !== 'rolling') return null;
    return old.find(({ state }) => state === 'ready') ?? null;
  }

  /** `worker` is on its way to replace one of those, or to fill an empty slot. */
  replacing(worker: W): void {
    this.#fresh.add(worker);
  }

  /** May the worker that `fresh` replaces be told to go? */
  mayRelease(fresh: W, now: number): boolean {
    return !this.#condemned && fresh.state === 'ready' && (this.#status.state === 'rolling' || this.#proven(fresh, now));
  }

  /** Nobody had asked `worker` to die. @returns true when that condemns the build: no further worker is replaced, and the roll is to be ended */
  onDeath(worker: W, now: number): boolean {
    if (!this.underWay || this.#condemned || !this.#fresh.has(worker)) return false;
    this.#condemned = worker.readyAt === null || now - worker.readyAt < this.#canaryMs;
    return this.#condemned;
  }

  /** Ask only while every slot holds a worker that serves. */
  isComplete(workers: readonly W[], now: number): boolean {
    if (this.#condemned || this.#old(workers).length > 0 || workers.some(({ state }) => isBooting(state))) return false;
    if (this.#status.state === 'canary') {
      const canary = this.#canaryOf();
      // Without one, no worker has shown anything yet: it comes when the empty slots are filled.
      if (canary === null || !this.#proven(canary, now)) return false;
    }
    if (this.#status.state !== 'rolling') return false;
    // Fixed once: workers that die later than that and are replaced say nothing about the build, and do not keep the roll from its end.
    this.#provenAt ??= Math.max(now, ...[...this.#fresh].map(({ readyAt }) => (readyAt ?? 0) + this.#canaryMs));
    return now >= this.#provenAt;
  }

  /** @returns null when none was under way */
  end(result: RollEnd['result'], reason: string | null, now: number): RollEnd | null {
    if (!this.underWay) return null;
    const last: RollEnd = { result, reason, ms: Math.round(now - this.#startedAt) };
    const done = result === 'completed' ? this.#status.total : this.#status.done;
    this.#status = { ...this.#status, state: 'idle', done, last };
    this.#canary = null;
    this.#fresh.clear();
    for (const tell of this.#waiting.splice(0)) tell(last);
    return last;
  }

  /** How roll `id` ends, or ended. @throws RangeError when it is neither the present nor the last one */
  ended(id: number): Promise<RollEnd> {
    if (id !== this.#status.id || id === 0) throw new RangeError(`roll ${id} is not known; the last one is ${this.#status.id}`);
    if (!this.underWay && this.#status.last) return Promise.resolve(this.#status.last);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #old(workers: readonly W[]): W[] {
    return workers.filter((worker) => holds(worker) && worker.bornAt <= this.#oldUntil && !this.#fresh.has(worker));
  }

  /** The first new worker that is there; the next one when it was told to go for another reason. */
  #canaryOf(): W | null {
    if (!this.#canary || !holds(this.#canary)) this.#canary = [...this.#fresh].find(holds) ?? null;
    return this.#canary;
  }

  /** It has lived long enough; the first time anybody sees it, the canary time is over for good. */
  #proven(worker: W, now: number): boolean {
    if (worker.state !== 'ready' || worker.readyAt === null || now - worker.readyAt < this.#canaryMs) return false;
    if (this.#status.state === 'canary') this.#status = { ...this.#status, state: 'rolling' };
    return true;
  }
}
