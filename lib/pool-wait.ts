/**
 * How long a caller that asks for a connection now would wait for one: the callers before it, divided by the rate at which
 * connections come back. The rate follows from how long a connection is held (Little's law): measured over the last
 * connections that came back, and no shorter than those out at this moment have been out already, so that it is right within a few
 * statements after an hour without any, and when nothing comes back at all.
 */

/** One connection that comes back weighs at least this much in the mean; about the last eight decide. */
const LEAST_WEIGHT = 1 / 8;
/** After a pause of this length what was measured before it hardly counts. */
const MEMORY_MS = 1_000;

export interface PoolQueue {
  /** Callers that wait already. */
  waiting: number;
  /** How long the first of them has waited. */
  oldestMs: number;
  /** Connections that can be out at once. */
  max: number;
  /** For each connection that is out: since when, milliseconds. */
  heldMs: Iterable<number>;
}

export class PoolWait {
  #holdMs = 0;
  #at = Number.NEGATIVE_INFINITY;

  /** A connection came back at `now`, after `holdMs`. */
  onReturn(holdMs: number, now: number): void {
    const weight = Math.max(LEAST_WEIGHT, 1 - Math.exp(-(now - this.#at) / MEMORY_MS));
    this.#holdMs += (holdMs - this.#holdMs) * weight;
    this.#at = now;
  }

  /** 0 while nobody waits. */
  expectedMs({ waiting, oldestMs, max, heldMs }: PoolQueue): number {
    if (waiting === 0) return 0;
    let sum = 0;
    let count = 0;
    for (const ms of heldMs) {
      sum += ms;
      count += 1;
    }
    const hold = Math.max(this.#holdMs, count === 0 ? 0 : sum / count);
    // The first in the queue is a witness: who comes now will not wait for less than it has.
    return Math.max(oldestMs, (waiting * hold) / Math.max(1, max));
  }
}
