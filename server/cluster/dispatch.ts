/**
 * Which worker gets the next connection: the one that holds the fewest. Only a worker that serves, is not stalled and has taken
 * what it was given before is asked; one that rests, or is full, only when there is no better one at all.
 *
 * The connections of a worker that is slower than the others (sluggish.ts) count for more, so it gets the few that it can serve as
 * soon as anybody; and one in a while, whatever it and the others hold, to learn whether it still is.
 *
 * Nobody waits for a worker that has not taken its last one while another is free. So one that comes back empty, and takes one connection
 * after another, gets fewer than belong to it; what clients keep is evened out afterwards (rebalance.ts).
 */
import { STUCK_MS } from './watchdog-limits';

/** A slow worker is tried so often. */
export const TRY_EACH_MS = 1_000;

export interface Candidate {
  /** Ready, or told to go in a stop of the whole service, where nobody else is left. */
  readonly serving: boolean;
  /** Connections it holds, with the one on its way to it. */
  readonly live: number;
  /** When it was given one that it has not taken yet: it is busy, or worse. Null when it owes nothing. */
  readonly untakenSince: number | null;
  /** Since when its event loop has stood still; null while it turns. */
  readonly stalledSince: number | null;
  /** Others are to take new work where they can: a profile is being taken, or it waits until the one that it replaces has gone. */
  readonly resting: boolean;
  /** How many each of its connections counts for: 1, or more when it is slower than the others. */
  readonly weight: number;
  /** When it was last given one. */
  readonly givenAt: number;
}

export interface Choice {
  now: number;
  /** Where to begin to look: whoever is first among equals gets it, so this moves on with each connection. */
  turn: number;
  /** Connections that one worker holds at most. */
  max: number;
}

/** What it would hold if it got this one, in connections of an ordinary worker, less the one; -1: it is to be tried. */
function weighed({ live, weight, givenAt }: Candidate, now: number): number {
  if (weight === 1) return live;
  return now - givenAt >= TRY_EACH_MS ? -1 : (live + 1) * weight - 1;
}

/** The index of the worker to ask, or -1: let the connection wait. */
export function chooseWorker(candidates: readonly Candidate[], { now, turn, max }: Choice): number {
  let best = -1;
  let fewest = Number.POSITIVE_INFINITY;
  let spare = -1;
  let fewestSpare = Number.POSITIVE_INFINITY;
  let betterExists = false;
  for (let step = 0; step < candidates.length; step += 1) {
    const index = (turn + step) % candidates.length;
    const candidate = candidates[index] as Candidate;
    const { serving, live, untakenSince, stalledSince, resting } = candidate;
    if (!serving || (stalledSince !== null && now - stalledSince >= STUCK_MS)) continue;
    if (resting || live >= max) {
      if (untakenSince !== null || live >= fewestSpare) continue;
      spare = index;
      fewestSpare = live;
      continue;
    }
    // Busy this moment, but the right one to wait for when there is no other.
    betterExists = true;
    if (untakenSince !== null) continue;
    const load = weighed(candidate, now);
    if (load >= fewest) continue;
    best = index;
    fewest = load;
  }
  return betterExists ? best : spare;
}
