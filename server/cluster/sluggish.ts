/**
 * Which worker is slower than the others. Connections say little of it: a worker that is slow for a reason of its own (a starved or
 * swapping process, a heap near its limit, a bad path to the database) holds no more of short ones than the rest, and is given as many.
 * What tells is how long its answers take beside those of the others, who do the same work.
 *
 * The idea of weighing open connections by the time of the answers is that of nginx's `least_time` and of Finagle's "peak EWMA"; only
 * an outlier is weighed here, so that equal workers stay exactly even.
 */

/** So many times as slow as the others: less is the difference between busy and idle, or between routes. */
export const SLUGGISH_FACTOR = 3;
/** And by so much slower, so that a cache that one of them filled first makes no difference. */
export const SLUGGISH_MS = 10;
/** A very slow worker counts no more than this, and gets some when all others are laden. */
export const MOST_WEIGHT = 10;

const middleOf = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
};

/**
 * How many connections each connection of a worker counts for: 1 for an ordinary one.
 * @param typicalMs of each worker, what its answers lately took; null where too few are known
 */
export function weightsOf(typicalMs: readonly (number | null)[]): number[] {
  return typicalMs.map((own, index) => {
    if (own === null) return 1;
    const others = typicalMs.filter((other, at): other is number => at !== index && other !== null);
    if (others.length === 0) return 1;
    const usual = middleOf(others);
    if (own - usual < SLUGGISH_MS || own < usual * SLUGGISH_FACTOR) return 1;
    return Math.min(MOST_WEIGHT, own / Math.max(usual, 1));
  });
}
