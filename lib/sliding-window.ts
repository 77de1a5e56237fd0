/**
 * Counts over a sliding window, exactly enough for a limit: time is cut into slices of a sixtieth of the window, and the uses of a
 * slice are forgotten together, when the last of them lies further back than the window. So in no window of that length, wherever it begins, more
 * than the limit is admitted (a fixed window admits twice as much around its border), and a use counts for a sixtieth longer at
 * most. Memory for one key: 61 counts, however high the limit. The same rule runs in Redis (`lib/redis-limits.ts`).
 */
import type { LimitResult } from './cluster-ports';

export const SLICES = 60;
const SWEEP_MS = 10_000;

export interface Taken extends LimitResult {
  /** Tokens granted: `cost` up to what was wanted, or 0 when refused. */
  readonly granted: number;
  /** Where they were booked. */
  readonly slice: number;
}

export interface TakeOptions {
  readonly cost?: number;
  /** Tokens to be had at once, when there are as many; default `cost`. */
  readonly want?: number;
  /** Books this many slices ahead: for tokens that are used later. */
  readonly ahead?: number;
}

interface Slice {
  used: number;
  /** Of its last use. */
  last: number;
}

interface Counts {
  readonly windowMs: number;
  readonly bySlice: Map<number, Slice>;
}

export class SlidingWindows {
  readonly #keys = new Map<string, Counts>();
  readonly #maxKeys: number;
  readonly #now: () => number;
  #sweptAt = 0;

  constructor({ maxKeys = 100_000, now = () => performance.now() }: { maxKeys?: number; now?: () => number } = {}) {
    this.#maxKeys = maxKeys;
    this.#now = now;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** All of `cost` or nothing; a refusal consumes nothing. `resetMs`: until something that counts now is forgotten. */
  take(key: string, limit: number, windowMs: number, { cost = 1, want = cost, ahead = 0 }: TakeOptions = {}): Taken {
    const now = this.#now();
    this.#sweep(now);
    const sliceMs = windowMs / SLICES;
    const held = this.#keys.get(key);
    // Another length of window (a new configuration): the old counts mean nothing in it.
    const counts = held?.windowMs === windowMs ? held : { windowMs, bySlice: new Map<number, Slice>() };
    const { used, first } = forget(counts, now);
    const allowed = cost <= limit - used;
    const granted = allowed ? Math.min(limit - used, Math.max(cost, want)) : 0;
    const slice = Math.floor(now / sliceMs) + ahead;
    const last = ahead === 0 ? now : (slice + 1) * sliceMs;
    if (granted > 0) {
      // To the end of the insertion order, which is the order in which keys go when there are too many.
      this.#keys.delete(key);
      this.#keys.set(key, counts);
      const booked = counts.bySlice.get(slice);
      counts.bySlice.set(slice, { used: (booked?.used ?? 0) + granted, last: Math.max(booked?.last ?? 0, last) });
    }
    return {
      allowed,
      granted,
      slice,
      used: used + granted,
      remaining: Math.max(0, limit - used - granted),
      // Its own slice may have been the first, and has its last use now.
      resetMs: (first === undefined || (granted > 0 && first.slice === slice) ? last : first.last) + windowMs - now,
    };
  }

  /** Gives back tokens that were taken and will not be used. */
  giveBack(key: string, slice: number, tokens: number): void {
    const booked = this.#keys.get(key)?.bySlice.get(slice);
    if (booked) booked.used = Math.max(0, booked.used - tokens);
  }

  reset(key: string): void {
    this.#keys.delete(key);
  }

  #sweep(now: number): void {
    if (now - this.#sweptAt >= SWEEP_MS) {
      this.#sweptAt = now;
      for (const [key, counts] of this.#keys) if (forget(counts, now).used === 0) this.#keys.delete(key);
    }
    // Full: somebody invents keys. Those not used for longest go, so memory stays bounded.
    for (const key of this.#keys.keys()) {
      if (this.#keys.size < this.#maxKeys) break;
      this.#keys.delete(key);
    }
  }
}

/** Drops what lies back too far. @returns what is left, and what of it is forgotten first */
function forget({ windowMs, bySlice }: Counts, now: number): { used: number; first: { slice: number; last: number } | undefined } {
  let used = 0;
  let first: { slice: number; last: number } | undefined;
  for (const [slice, { used: inSlice, last }] of bySlice) {
    if (last <= now - windowMs || inSlice === 0) {
      bySlice.delete(slice);
      continue;
    }
    used += inSlice;
    if (!first || last < first.last) first = { slice, last };
  }
  return { used, first };
}
