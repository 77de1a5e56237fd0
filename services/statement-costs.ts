/** What became dearer: the arithmetic of the statement profile, apart from the database. */

/** Counters of one statement since it was first counted; times in milliseconds. `queryid` is text: it has 64 bits. */
export interface StatementCounters {
  queryid: string;
  calls: number;
  totalMs: number;
  rows: number;
}

/**
 * What was added between two readings. A statement that is new, or whose counters went back (reset, evicted and counted anew, server
 * restarted), has all of its count from the stretch. Without calls there is nothing to say.
 */
export function costsSince(before: ReadonlyMap<string, StatementCounters>, now: readonly StatementCounters[]): StatementCounters[] {
  return now.flatMap((counters) => {
    const earlier = before.get(counters.queryid);
    const continues = earlier && earlier.calls <= counters.calls && earlier.totalMs <= counters.totalMs && earlier.rows <= counters.rows;
    const delta = continues
      ? {
          queryid: counters.queryid,
          calls: counters.calls - earlier.calls,
          totalMs: counters.totalMs - earlier.totalMs,
          rows: counters.rows - earlier.rows,
        }
      : counters;
    return delta.calls > 0 ? [delta] : [];
  });
}

/** The `count` statements that took the most time, the dearest first. */
export const dearest = (costs: readonly StatementCounters[], count: number): StatementCounters[] =>
  [...costs].sort((a, b) => b.totalMs - a.totalMs).slice(0, count);

export interface Baseline {
  /** Of the means of earlier samples. */
  medianMs: number;
  samples: number;
}

const FACTOR = 3;
/** A handful of calls says more about the moment than about the statement. */
const MIN_CALLS = 20;
/** An hour of samples. */
export const MIN_SAMPLES = 12;
/** Below this a threefold mean is noise of the machine. */
const MIN_MEAN_MS = 1;

/** Whether a statement takes three times as long as it used to. */
export function isRegression({ calls, totalMs }: StatementCounters, baseline: Baseline | undefined): boolean {
  if (!baseline || baseline.samples < MIN_SAMPLES || calls < MIN_CALLS) return false;
  const meanMs = totalMs / calls;
  return meanMs >= MIN_MEAN_MS && meanMs >= FACTOR * baseline.medianMs;
}
