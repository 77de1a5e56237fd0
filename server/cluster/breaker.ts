/**
 * Stops the cluster from forking itself to death. Five deaths within 30 s of workers younger than 10 s open it; while open
 * one worker may be tried each 30 s, and the first of these that lives for 10 s closes it; so does a trial that nobody needs, because
 * every slot holds a worker that serves. Healthy workers serve on meanwhile.
 */
export interface BreakerOptions {
  deaths: number;
  windowMs: number;
  /** A worker that lived at least this long did not die young. */
  youngMs: number;
  /** Time between trials while open. */
  trialMs: number;
}

/** Whoever has lived for so long does not die young any more. */
export const YOUNG_MS = 10_000;

const DEFAULTS: BreakerOptions = { deaths: 5, windowMs: 30_000, youngMs: YOUNG_MS, trialMs: 30_000 };

export class Breaker {
  readonly #options: BreakerOptions;
  #young: number[] = [];
  #unborn = 0;
  #open = false;
  #openedAt = 0;
  #nextTrialAt = 0;

  constructor(options: Partial<BreakerOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  get open(): boolean {
    return this.#open;
  }

  /** Time of the next allowed fork while open, else null. */
  get nextForkAt(): number | null {
    return this.#open ? this.#nextTrialAt : null;
  }

  deathsInWindow(now: number): number {
    this.#young = this.#young.filter((at) => now - at < this.#options.windowMs);
    return this.#young.length;
  }

  /**
   * Records an unplanned death; `unborn`: it was never ready. As many of these in a row count as well, however long they take: where
   * a start takes a quarter of a minute there are never five in the window. Returns true when this one opened the breaker.
   */
  onDeath(now: number, ageMs: number, unborn = false): boolean {
    if (unborn) this.#unborn += 1;
    if (ageMs >= this.#options.youngMs) return false;
    this.#young.push(now);
    if (this.#open || (this.deathsInWindow(now) < this.#options.deaths && this.#unborn < this.#options.deaths)) return false;
    this.#open = true;
    this.#openedAt = now;
    this.#nextTrialAt = now + this.#options.trialMs;
    return true;
  }

  /** A worker became ready: the build can. */
  onReady(): void {
    this.#unborn = 0;
  }

  /** May a worker be forked now? While open, saying yes spends the trial. */
  allowFork(now: number): boolean {
    if (!this.#open) return true;
    if (now < this.#nextTrialAt) return false;
    this.#nextTrialAt = now + this.#options.trialMs;
    return true;
  }

  /**
   * A worker is ready since `readyAt`. Returns true when it closed the breaker: only one that came after the breaker opened
   * can show that the trouble is over.
   */
  onHealthy(now: number, readyAt: number): boolean {
    if (!this.#open || readyAt < this.#openedAt || now - readyAt < this.#options.youngMs) return false;
    this.reset();
    return true;
  }

  /**
   * Every slot holds a worker that serves, the newest since `readyAt`. Returns true when it closed the breaker: a trial was to be had for
   * as long as lies between two, and nobody has needed one. Those who died have no slot any more, or were to replace workers that serve on.
   */
  onWhole(now: number, readyAt: number): boolean {
    const { youngMs, trialMs } = this.#options;
    if (!this.#open || now - readyAt < youngMs || now - this.#nextTrialAt < trialMs) return false;
    this.reset();
    return true;
  }

  reset(): void {
    this.#open = false;
    this.#young = [];
    this.#unborn = 0;
  }
}
