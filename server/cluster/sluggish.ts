/**
 * Which worker is slower than the others. Connections say little of it: a worker that is slow for a reason of its own (a starved or
 * swapping process, a heap near its limit, a bad path to the database) holds no more of short ones than the rest, and is given as many.
 * What tells is how long its answers take beside those of the others, who do the same work.
 *
 * The idea of weighing open connections by the time of the answers is that of nginx's `least_time` and of Finagle's "peak EWMA"; only
 * an outlier is weighed here, so that workers which are about as fast stay even to the connection.
 */

/** So many times as slow as the others: less is the difference between busy and idle, or between routes. */
export const SLUGGISH_FACTOR = 3;
/** And by so much slower, so that a cache that one of them filled first makes no difference. */
export const SLUGGISH_MS = 10;
/** One that was slow is so until it is closer to the others than that. */
export const RECOVERED_FACTOR = 2;
/** A very slow worker counts no more than this, and gets some when all others are laden. */
export const MOST_WEIGHT = 10;
/** Of two, nobody knows which is the odd one: the other may only do lighter work. */
const LEAST_OTHERS = 2;

const middleOf = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
};

export interface Pace {
  /** What its answers lately took; null where too few are known. */
  readonly typicalMs: number | null;
  /** How many each of its connections counts for so far. */
  readonly weight: number;
}

/** How many connections each connection of a worker counts for from now on: 1 for an ordinary one. */
export function weightsOf(paces: readonly Pace[]): number[] {
  return paces.map(({ typicalMs: own, weight }, index) => {
    if (own === null) return 1;
    const others = paces.flatMap(({ typicalMs }, at) => (at !== index && typicalMs !== null ? [typicalMs] : []));
    if (others.length < LEAST_OTHERS) return 1;
    const usual = middleOf(others);
    const factor = weight > 1 ? RECOVERED_FACTOR : SLUGGISH_FACTOR;
    if (own - usual < SLUGGISH_MS || own < usual * factor) return 1;
    return Math.min(MOST_WEIGHT, own / Math.max(usual, 1));
  });
}
