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

/** Workers beyond the target, highest slot first: the ones to drain after scaling down. */
export function surplus<T extends Occupant>(target: number, occupants: readonly T[]): T[] {
  return occupants.filter((occupant) => holds(occupant) && occupant.slot > target).sort((a, b) => b.slot - a.slot);
}
