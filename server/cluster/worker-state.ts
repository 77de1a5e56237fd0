/**
 * The life of a worker as the primary sees it: forked → hello → granted → ready → draining → gone.
 * A worker may die in any state; nothing else may happen out of order, so a transition that is not listed is a defect.
 */
export type WorkerState = 'forked' | 'hello' | 'granted' | 'ready' | 'draining' | 'gone';

const NEXT: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  forked: ['hello', 'draining', 'gone'],
  hello: ['granted', 'draining', 'gone'],
  granted: ['ready', 'draining', 'gone'],
  ready: ['draining', 'gone'],
  draining: ['gone'],
  gone: [],
};

export const canMove = (from: WorkerState, to: WorkerState): boolean => NEXT[from].includes(to);

/** @throws Error on a transition that cannot happen. */
export function move(from: WorkerState, to: WorkerState): WorkerState {
  if (!canMove(from, to)) throw new Error(`A worker cannot go from ${from} to ${to}`);
  return to;
}

export const isBooting = (state: WorkerState): boolean => state === 'forked' || state === 'hello' || state === 'granted';
