/**
 * Which database answers a request. Only reads of endpoints that are marked for it may go to a replica, and only to one that is
 * there, whose data is known to be fresh enough, for a session that wants no write of its own to be seen in it.
 */

/** A replica whose newest data may be older than this is left alone, milliseconds. */
export const MAX_LAG_MS = 2_000;
/** A session that wrote reads the primary for this long, milliseconds: longer than a replica in use may lag, with room for clocks. */
export const PIN_MS = 10_000;

export interface ReplicaState {
  readonly up: boolean;
  /** It shows everything committed before this moment (milliseconds of the caller's clock); null: not known. */
  readonly freshAsOf: number | null;
  /** Share of its connections that are busy or waited for, as this process sees it. */
  readonly load: number;
}

export type Choice =
  | { readonly target: 'replica'; readonly index: number }
  | { readonly target: 'primary'; readonly why: 'unmarked' | 'down' | 'lag' | 'pinned' };

export interface ReadRequest {
  /** The endpoint is marked. */
  readonly marked: boolean;
  /** The session has written a moment ago, or nobody can say that it has not. */
  readonly pinned: boolean;
  readonly now: number;
  /** Counts requests, so that replicas with equal load take turns. */
  readonly turn: number;
}

/** Old data is old however it came about: by lag that was measured, or by nobody having measured since. */
export const isUsable = ({ up, freshAsOf }: ReplicaState, now: number): boolean =>
  up && freshAsOf !== null && now - freshAsOf <= MAX_LAG_MS;

export function chooseDatabase({ marked, pinned, now, turn }: ReadRequest, replicas: readonly ReplicaState[]): Choice {
  if (!marked) return { target: 'primary', why: 'unmarked' };
  if (!replicas.some(({ up }) => up)) return { target: 'primary', why: 'down' };
  const usable = replicas.flatMap((state, index) => (isUsable(state, now) ? [{ index, load: state.load }] : []));
  if (usable.length === 0) return { target: 'primary', why: 'lag' };
  if (pinned) return { target: 'primary', why: 'pinned' };
  const least = Math.min(...usable.map(({ load }) => load));
  const idlest = usable.filter(({ load }) => load === least);
  return { target: 'replica', index: idlest[turn % idlest.length]?.index ?? 0 };
}

/** A position in the write-ahead log, in bytes since its beginning. */
export type WalPosition = number;

/** Where the primary was at a moment of this process's clock, before which the question was sent. */
export interface PrimarySample {
  readonly askedAt: number;
  readonly position: WalPosition;
  /** The primary's own clock when it answered, Unix milliseconds. */
  readonly clock: number;
}

/** Where a replica is. */
export interface ReplicaPosition {
  readonly replayed: WalPosition;
  /** Commit time of the last transaction it has replayed, by the primary's clock, Unix milliseconds; null: none since it started. */
  readonly lastCommit: number | null;
}

const SAMPLES_KEPT = 16;

/**
 * Up to which moment a replica shows everything, from where the primary was at known moments. Two lower bounds, the later counts.
 * A replica that has replayed up to where the primary was when it was asked shows all that was committed before it was asked; so an
 * idle primary makes no lag. One that is always a little behind, because the primary never rests, is fresh up to the last commit it
 * has replayed; that time is the primary's, so it is compared with the primary's clock and never with the replica's.
 */
export class Freshness {
  #samples: PrimarySample[] = [];

  add(sample: PrimarySample): void {
    this.#samples = [...this.#samples.slice(1 - SAMPLES_KEPT), sample];
  }

  /** Milliseconds of the clock of `askedAt`; null while nothing is known. */
  of({ replayed, lastCommit }: ReplicaPosition): number | null {
    const newest = this.#samples.at(-1);
    if (!newest) return null;
    const byPosition = this.#samples.findLast(({ position }) => position <= replayed)?.askedAt ?? null;
    // The clock was read after the question was sent, so the moment is made earlier than it was, never later.
    const byCommit = lastCommit === null ? null : newest.askedAt + lastCommit - newest.clock;
    if (byPosition === null || byCommit === null) return byPosition ?? byCommit;
    return Math.max(byPosition, byCommit);
  }
}
