/**
 * Rate-limit counters of the whole instance, kept by the primary: sliding windows ({@link SlidingWindows}). Up to EXACT_LIMIT
 * every use is asked for, so the count is exact. Above, a worker leases a few tokens and spends them alone for a tenth of the
 * window; they are booked at the end of that time, so no window ever holds more than the limit. What it did not spend it gives
 * back when it asks next.
 */
import type { LimitResult } from '../../lib/cluster-ports';
import { SLICES, SlidingWindows } from '../../lib/sliding-window';

export const EXACT_LIMIT = 100;
const SWEEP_MS = 10_000;
/** A lease ends with this slice after the current one. */
const LEASE_SLICES = SLICES / 10;

/** Tokens fetched at once for a limit: 2 % of it, one at and below EXACT_LIMIT. */
export const leaseSize = (limit: number): number => (limit <= EXACT_LIMIT ? 1 : Math.max(1, Math.floor(limit / 50)));

/** Tokens of a lease that has ended. */
export interface Unspent {
  readonly slice: number;
  readonly tokens: number;
}

export interface TakeQuestion {
  readonly key: string;
  readonly limit: number;
  readonly windowMs: number;
  readonly cost: number;
  readonly want: number;
  readonly unspent: Unspent | null;
}

export interface Take extends LimitResult {
  /** Tokens granted: `cost` up to the lease asked for, or 0 when refused. */
  readonly granted: number;
  /** Where they were booked. */
  readonly slice: number;
  /** For how long they may be spent. */
  readonly leaseMs: number;
}

export class LimitCounters {
  readonly #windows: SlidingWindows;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#windows = new SlidingWindows({ now });
  }

  get keys(): number {
    return this.#windows.size;
  }

  /** At least `cost` tokens, at most `want`; all of `cost` or nothing. A refusal consumes nothing. */
  take({ key, limit, windowMs, cost, want, unspent }: TakeQuestion): Take {
    if (unspent) this.#windows.giveBack(key, unspent.slice, unspent.tokens);
    const ahead = want > cost ? LEASE_SLICES : 0;
    const taken = this.#windows.take(key, limit, windowMs, { cost, want, ahead });
    const leaseMs = ((taken.slice + 1) * windowMs) / SLICES - this.#now();
    // Where only leases count, what is booked ahead would be forgotten later; it may be given back sooner.
    return { ...taken, resetMs: Math.min(taken.resetMs, windowMs), leaseMs };
  }

  reset(key: string): void {
    this.#windows.reset(key);
  }
}

interface Lease {
  left: number;
  used: number;
  readonly limit: number;
  readonly slice: number;
  readonly endsAt: number;
  readonly resetsAt: number;
}

/** Asks the primary. An answer that comes after the promise was rejected goes to `late`, if given. */
export type FetchTokens = (question: TakeQuestion, late?: (answer: Take) => void) => Promise<Take>;

/** The worker's half: spends leases, asks the primary for the next. `reset` forgets what is leased here only. */
export class LeasedLimits {
  readonly #leases = new Map<string, Lease>();
  readonly #fetching = new Map<string, Promise<Take>>();
  readonly #fetch: FetchTokens;
  readonly #now: () => number;
  #sweptAt = 0;

  constructor(fetch: FetchTokens, now: () => number = () => performance.now()) {
    this.#fetch = fetch;
    this.#now = now;
  }

  async take(key: string, limit: number, windowMs: number, cost = 1): Promise<LimitResult> {
    const want = Math.max(cost, leaseSize(limit));
    if (want === cost) return this.#fetch({ key, limit, windowMs, cost, want, unspent: null });
    for (;;) {
      const held = this.#leases.get(key);
      if (held && held.endsAt > this.#now() && held.left >= cost) return this.#spend(held, cost);
      // One question at a time: those who come meanwhile share its answer, as far as it goes.
      const open = this.#fetching.get(key);
      // Who asks is served from the answer, also when it took longer than the lease lasts.
      if (!open) return this.#renew({ key, limit, windowMs, cost, want, unspent: unspentOf(held) });
      const answer = await open;
      if (!answer.allowed) return answer;
    }
  }

  reset(key: string): void {
    this.#leases.delete(key);
  }

  async #renew(question: TakeQuestion): Promise<LimitResult> {
    const { key, limit, cost } = question;
    this.#leases.delete(key);
    const asked = this.#now();
    const fetching = this.#fetch(question, (answer) => this.#giveBack(question, answer));
    this.#fetching.set(key, fetching);
    try {
      const answer = await fetching;
      if (!answer.allowed) return answer;
      const { granted, slice, leaseMs, used, resetMs } = answer;
      // Its end counts from the question: the answer may have waited for this process.
      const lease = { left: granted, used, limit, slice, endsAt: asked + leaseMs, resetsAt: this.#now() + resetMs };
      this.#leases.set(key, lease);
      this.#sweep(this.#now());
      return this.#spend(lease, cost);
    } finally {
      this.#fetching.delete(key);
    }
  }

  /**
   * For an answer that came when its asker had gone on without. Each is 2 % of the limit: were they lost, fifty of them, some seconds of
   * a busy primary, would refuse everybody for the rest of the window.
   */
  #giveBack({ key, limit, windowMs, cost }: TakeQuestion, { granted, slice }: Take): void {
    if (granted <= cost) return;
    const unspent = { slice, tokens: granted - cost };
    this.#fetch({ key, limit, windowMs, cost: 0, want: 0, unspent }).catch(() => undefined);
  }

  #spend(lease: Lease, cost: number): LimitResult {
    lease.left -= cost;
    const used = lease.used - lease.left;
    return { allowed: true, used, remaining: Math.max(0, lease.limit - used), resetMs: Math.max(0, lease.resetsAt - this.#now()) };
  }

  /** Leases long over, whose tokens nobody will give back any more: they have been forgotten by now. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    for (const [key, { resetsAt }] of this.#leases) if (resetsAt <= now) this.#leases.delete(key);
  }
}

const unspentOf = (lease: Lease | undefined): Unspent | null =>
  lease && lease.left > 0 ? { slice: lease.slice, tokens: lease.left } : null;
