/**
 * Which slots need a worker. A slot is a numbered place (1..target) with its own share of the connection budget and its
 * own back-off; worker processes come and go in it. During a replacement two workers live in one slot: the old one that
 * still serves and the new one that is getting ready.
 */
import type { WorkerState } from './worker-state';

export interface Occupant {
  readonly slot: number;
  readonly state: WorkerState;
}

/** A worker that serves or will: one that is leaving does not hold its slot. */
const holds = ({ state }: Occupant): boolean => state !== 'draining' && state !== 'gone';

/** Slots in 1..target that nobody holds, lowest first. */
export function emptySlots(target: number, occupants: readonly Occupant[]): number[] {
  const held = new Set(occupants.filter(holds).map(({ slot }) => slot));
  return Array.from({ length: target }, (_, index) => index + 1).filter((slot) => !held.has(slot));
}

/** How many of the slots 1..target hold nobody who serves. */
export function unserved<T extends Occupant>(target: number, occupants: readonly T[], serves: (occupant: T) => boolean): number {
  return target - new Set(occupants.filter((occupant) => occupant.slot <= target && serves(occupant)).map(({ slot }) => slot)).size;
}

export interface Judgement<T> {
  /** It serves now. */
  isSound: (occupant: T) => boolean;
  /** It serves now or will again: a moment in which it stands still is no reason to let it go. */
  mayServe: (occupant: T) => boolean;
  /** It has served for so long that it will not die young any more. */
  isProven: (occupant: T) => boolean;
}

/**
 * Workers beyond the target that may go after scaling down, highest slot first. For each slot of 1..target in which nobody serves yet
 * one that does serve stays until somebody does there: otherwise the only healthy workers would go for the sake of an empty slot. One that
 * is proven also stays while whoever serves there is not. Of two in one slot the one that was forked later stays; `occupants` come in the
 * order in which they were forked.
 */
export function surplus<T extends Occupant>(target: number, occupants: readonly T[], { isSound, mayServe, isProven }: Judgement<T>): T[] {
  const beyond = occupants
    .filter((occupant) => holds(occupant) && occupant.slot > target)
    .reverse()
    .sort((a, b) => a.slot - b.slot);
  const isReliable = (occupant: T): boolean => isSound(occupant) && isProven(occupant);
  const worth = (occupant: T): number => Number(isSound(occupant)) + Number(isReliable(occupant));
  const candidates = beyond.filter(mayServe).sort((a, b) => worth(b) - worth(a));
  const empty = unserved(target, occupants, isSound);
  const onTrial = unserved(target, occupants, isReliable) - empty;
  const standIns = new Set([...candidates.slice(0, empty), ...candidates.slice(empty, empty + onTrial).filter(isReliable)]);
  return beyond.filter((occupant) => !standIns.has(occupant)).reverse();
}
