/**
 * How often each row is called in a run of a given length: at a multiple of its target peak, and rare rows often enough that a P99
 * means something. Pure, so that it can be tested without k6.
 */

const SECONDS_PER_HOUR = 3600;
/** The spread of draws is even to within a few; so many more make sure that a row with the least number has it. */
const SPARE = 5;
/** Multiples of the golden ratio fill [0, 1) more evenly than chance, without a table that every virtual user would have to hold. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** `90`, `90s` or `10m` in seconds */
export function seconds(text) {
  const [, figure, unit] = /^(\d+(?:\.\d+)?)(s|m|)$/.exec(String(text)) ?? [];
  if (!(Number(figure) > 0)) throw new Error(`not a duration: ${text}`);
  return Number(figure) * (unit === 'm' ? 60 : 1);
}

/** Each row with `calls`, its number of calls in the run. `weight` is its target peak per hour. */
export function planned(rows, { duration, samples, times }) {
  return rows.map((row) => ({ ...row, calls: Math.max(Math.ceil((times * row.weight * duration) / SECONDS_PER_HOUR), samples + SPARE) }));
}

/** The point of [0, 1) for call `n` of a run. */
export const spread = (n) => (n * GOLDEN) % 1;
