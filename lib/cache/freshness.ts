/** What a kept reply is still good for. Pure. */

/** Milliseconds. */
export interface Policy {
  /** Answered from the cache as it is. */
  freshMs: number;
  /** After that: answered from the cache while somebody computes it anew. 0: never. */
  staleMs: number;
}

export type Freshness = 'fresh' | 'stale' | 'gone';

/**
 * By age alone: whether a write has made the reply void is decided before, by the versions of its tags. A reply from the
 * future (clocks of two machines, a clock set back) counts as fresh for a little, then not at all.
 */
export function freshnessOf(storedAt: number, now: number, { freshMs, staleMs }: Policy): Freshness {
  const age = now - storedAt;
  if (age < -freshMs) return 'gone';
  if (age < freshMs) return 'fresh';
  return age < freshMs + staleMs ? 'stale' : 'gone';
}
