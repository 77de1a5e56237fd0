/**
 * What a blocked event loop is doing, and for whom, from what its own thread of evidence could see. Pure.
 */
import type { CrumbReading, InHand } from '../../lib/breadcrumbs';

/**
 * `js`: JavaScript (or a wait that V8 itself can interrupt), so there is a stack. `native-cpu`: computing in native code,
 * for example a huge JSON.parse or a key derivation. `native-wait`: the kernel keeps it waiting: a child process, a disk.
 */
export type StallKind = 'js' | 'native-cpu' | 'native-wait';

export interface ThreadObservations {
  /** The inspector got the loop's thread to stop and show its stack. */
  hasStack: boolean;
  /** How often each kernel state (R, S, D …) of that thread was seen; empty where the system does not tell. */
  states: Readonly<Record<string, number>>;
  /** Processor time that it used, and time that passed meanwhile; null where the system does not tell. */
  cpuMs: number | null;
  wallMs: number;
}

/** A runnable thread may get little of a busy machine, and a computing one is sometimes seen asleep: either half is enough. */
const HALF = 0.5;

export function stallKind({ hasStack, states, cpuMs, wallMs }: ThreadObservations): StallKind {
  if (hasStack) return 'js';
  const seen = Object.values(states).reduce((sum, count) => sum + count, 0);
  if (seen > 0 && (states['R'] ?? 0) / seen >= HALF) return 'native-cpu';
  if (cpuMs !== null && wallMs > 0 && cpuMs / wallMs >= HALF) return 'native-cpu';
  return 'native-wait';
}

/**
 * How the culprit is known. `context`: the stopped loop named it. `ran_last`: it ran in the beat in which the loop stopped, or
 * (`ran_earlier`) before that. `only_one`: nothing else was in hand.
 */
export type BlameSource = 'context' | 'ran_last' | 'ran_earlier' | 'only_one';

export interface Blame extends InHand {
  source: BlameSource;
}

/** @param named what the stopped loop itself said about the running context */
export function blame(
  { inHand, last }: Pick<CrumbReading, 'inHand' | 'last'>,
  named: { id: string; operation: string } | null,
): Blame | null {
  if (named) {
    const known = inHand.find(({ id }) => id === named.id);
    return { id: named.id, route: known?.route ?? named.operation, age: known?.age ?? 0, source: 'context' };
  }
  if (last?.fresh) return { id: last.id, route: last.route, age: last.age, source: 'ran_last' };
  const [only, other] = inHand;
  if (only && !other) return { ...only, source: 'only_one' };
  return last ? { id: last.id, route: last.route, age: last.age, source: 'ran_earlier' } : null;
}
