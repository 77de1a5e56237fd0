/**
 * Which worker gets the next connection: the one that holds the fewest. Only a worker that serves, is not stalled and has taken
 * what it was given before is asked; one that is out for a profile, or full, only when there is no better one at all.
 */

/** A worker's event loop that has not turned for this long gets nothing more. */
export const STALLED_MS = 1_000;

export interface Candidate {
  /** Ready, or told to go in a stop of the whole service, where nobody else is left. */
  readonly serving: boolean;
  /** Connections it holds, with the one on its way to it. */
  readonly live: number;
  /** One that it was given is not taken yet: it is busy, or worse. */
  readonly untaken: boolean;
  /** Since when its event loop has stood still; null while it turns. */
  readonly stalledSince: number | null;
  /** Its measurements would be spoilt by new work: a profile is being taken. */
  readonly resting: boolean;
}

export interface Choice {
  now: number;
  /** Where to begin to look: whoever is first among equals gets it, so this moves on with each connection. */
  turn: number;
  /** Connections that one worker holds at most. */
  max: number;
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
    const { serving, live, untaken, stalledSince, resting } = candidates[index] as Candidate;
    if (!serving || (stalledSince !== null && now - stalledSince >= STALLED_MS)) continue;
    if (resting || live >= max) {
      if (untaken || live >= fewestSpare) continue;
      spare = index;
      fewestSpare = live;
      continue;
    }
    // Busy this moment, but the right one to wait for.
    betterExists = true;
    if (untaken || live >= fewest) continue;
    best = index;
    fewest = live;
  }
  return betterExists ? best : spare;
}
