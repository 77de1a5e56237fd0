/**
 * What a watchdog thread tells the primary, one JSON object a line, over a pipe of its own: the channel of the process itself
 * belongs to the event loop, and that is what stands still. Types, the names of the arguments, and a guard.
 */
import type { Blame, StallKind } from './stall-kind';

export type WatchdogLine =
  /** The loop stands still for `ms` by now. `stall` numbers the stalls of one process. */
  | { type: 'blocked' | 'stuck'; stall: number; ms: number; request: Blame | null; in_flight: number }
  /** A first glance at a blocked loop; then what is written down of a stuck one, the last time with everything (`complete`). */
  | {
      type: 'evidence';
      stall: number;
      /** Null when it could not be found out. */
      kind: StallKind | null;
      request: Blame | null;
      /** Innermost first, `function (file:line)`. */
      stack: string[];
      artefact: string | null;
      /** Why there is no artefact. */
      problem: string | null;
      complete: boolean;
    }
  | { type: 'freed'; stall: number; ms: number };

const TYPES: ReadonlySet<unknown> = new Set(['blocked', 'stuck', 'evidence', 'freed']);

/** Undefined for anything else that found its way into the pipe. */
export function parseLine(text: string): WatchdogLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && TYPES.has((value as { type?: unknown }).type)) return value as WatchdogLine;
  } catch {
    // Half a line of a process that was killed while it wrote.
  }
  return undefined;
}

/** Index of the pipe in the `stdio` of a child; 3 is the channel. */
export const WATCHDOG_FD = 4;

/** The `stdio` of a child with a watchdog. */
export const CHILD_STDIO: ('ignore' | 'pipe' | 'ipc')[] = ['ignore', 'pipe', 'pipe', 'ipc', 'pipe'];

const FLAG = '--watched-by=';
const AT_ONCE = '--watched-at-once';

/**
 * Arguments for a child, so that it knows that the pipe is there (a primary of an older build opens none) and who its parent
 * is. Arguments rather than environment: what the child starts itself must not inherit them.
 * @param atOnce its thread starts before anything is loaded; false where WATCHDOG is off, as far as the primary knows
 */
export const watchdogArguments = (primaryPid: number, atOnce: boolean): string[] => [`${FLAG}${primaryPid}`, ...(atOnce ? [AT_ONCE] : [])];

export interface Watching {
  /** The pid of the primary that watches this process; null when it has none. */
  primary: number | null;
  atOnce: boolean;
}

/** Takes them out of `argv`: the rest belongs to the script, which may refuse what it does not know. */
export function takeWatchdogArguments(argv: string[]): Watching {
  const flag = argv.find((argument) => argument.startsWith(FLAG));
  const atOnce = argv.includes(AT_ONCE);
  argv.splice(0, argv.length, ...argv.filter((argument) => argument !== flag && argument !== AT_ONCE));
  const pid = Number(flag?.slice(FLAG.length));
  const primary = Number.isSafeInteger(pid) && pid > 0 ? pid : null;
  return { primary, atOnce: atOnce && primary !== null };
}
