/**
 * Rate-limit counters of the whole instance, kept by the primary: fixed windows that begin with the first hit of a key.
 * Up to EXACT_LIMIT every hit is asked for, so the count is exact. Above, a worker takes a lease of a few tokens and spends
 * it alone until the window ends: never more than the limit is admitted, at most the unspent leases less.
 */
import type { LimitResult } from '../../lib/cluster-ports';

export const EXACT_LIMIT = 100;
const MAX_KEYS = 100_000;
const SWEEP_MS = 10_000;

/** Tokens fetched at once for a limit: 2 % of it, one at and below EXACT_LIMIT. */
export const leaseSize = (limit: number): number => (limit <= EXACT_LIMIT ? 1 : Math.max(1, Math.floor(limit / 50)));

interface Window {
  used: number;
  endsAt: number;
}

export interface Take extends LimitResult {
  /** Tokens granted: `cost` up to the lease asked for, or 0 when refused. */
  granted: number;
}

export class LimitCounters {
  readonly #windows = new Map<string, Window>();
  readonly #now: () => number;
  #sweptAt = 0;
  #allowed = 0;
  #limited = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  get totals(): { allowed: number; limited: number; keys: number } {
    return { allowed: this.#allowed, limited: this.#limited, keys: this.#windows.size };
  }

  /** At least `cost` tokens, at most `want`; all of `cost` or nothing. A refusal consumes nothing. */
  take(key: string, limit: number, windowMs: number, cost = 1, want = cost): Take {
    const now = this.#now();
    this.#sweep(now);
    let window = this.#windows.get(key);
    if (!window || window.endsAt <= now) {
      window = { used: 0, endsAt: now + windowMs };
      this.#windows.delete(key); // to the end of the insertion order, which is the order of eviction
      this.#windows.set(key, window);
    }
    const free = Math.max(0, limit - window.used);
    const allowed = cost <= free;
    const granted = allowed ? Math.min(free, Math.max(cost, want)) : 0;
    window.used += granted;
    if (allowed) this.#allowed += 1;
    else this.#limited += 1;
    return { allowed, granted, used: window.used, remaining: Math.max(0, limit - window.used), resetMs: window.endsAt - now };
  }

  reset(key: string): void {
    this.#windows.delete(key);
  }

  #sweep(now: number): void {
    if (now - this.#sweptAt < SWEEP_MS && this.#windows.size < MAX_KEYS) return;
    this.#sweptAt = now;
    for (const [key, { endsAt }] of this.#windows) if (endsAt <= now) this.#windows.delete(key);
    // Still full of open windows: somebody invents keys. The oldest go, so memory stays bounded.
    for (const key of this.#windows.keys()) {
      if (this.#windows.size < MAX_KEYS) break;
      this.#windows.delete(key);
    }
  }
}

interface Lease {
  left: number;
  used: number;
  limit: number;
  endsAt: number;
}

export type FetchTokens = (key: string, limit: number, windowMs: number, cost: number, want: number) => Promise<Take>;

/** The worker's half: spends leases, asks the primary for the next. `reset` forgets what is leased here only. */
export class LeasedLimits {
  readonly #leases = new Map<string, Lease>();
  readonly #fetch: FetchTokens;
  readonly #now: () => number;
  #sweptAt = 0;

  constructor(fetch: FetchTokens, now: () => number = Date.now) {
    this.#fetch = fetch;
    this.#now = now;
  }

  async take(key: string, limit: number, windowMs: number, cost = 1): Promise<LimitResult> {
    const want = Math.max(cost, leaseSize(limit));
    const held = this.#leases.get(key);
    if (held && held.endsAt > this.#now() && held.left >= cost) return this.#spend(held, cost);
    const { granted, ...answer } = await this.#fetch(key, limit, windowMs, cost, want);
    if (!answer.allowed || granted <= cost) return answer;
    const now = this.#now();
    this.#sweep(now);
    // Another take of the same key may have stored a lease meanwhile: what it left is not lost.
    const other = this.#leases.get(key);
    const left = other && other.endsAt > now ? other.left : 0;
    const lease = { left: left + granted, used: answer.used, limit, endsAt: now + answer.resetMs };
    this.#leases.set(key, lease);
    return this.#spend(lease, cost);
  }

  reset(key: string): void {
    this.#leases.delete(key);
  }

  #spend(lease: Lease, cost: number): LimitResult {
    lease.left -= cost;
    const used = lease.used - lease.left;
    return { allowed: true, used, remaining: Math.max(0, lease.limit - used), resetMs: Math.max(0, lease.endsAt - this.#now()) };
  }

  #sweep(now: number): void {
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    for (const [key, { endsAt }] of this.#leases) if (endsAt <= now) this.#leases.delete(key);
  }
}
