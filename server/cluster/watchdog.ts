/**
 * The event loop's half of the watchdog: beats into shared memory, starts the thread that looks at it, and tells it when to
 * look away. Without WATCHDOG nothing of it exists; the primary then learns of a blocked process by its silence alone.
 */
import { resolve } from 'node:path';
import { config } from '../../config';
import { breadcrumbs } from '../../lib/breadcrumbs';
import { currentContext } from '../../lib/context';
import { log } from '../../lib/log';
import type { Frame, Glance } from './evidence';
import { endWatchdogThread, watchdogThread } from './parent-watch';
import { ARMED, BEAT_MS, evidenceLimits, LEAVING, RUNNING } from './watchdog-limits';
import type { Equipment } from './watchdog-thread';

export interface Watchdog {
  /** The process serves: from now on a blocked loop is a stall. Until then only its parent is watched. */
  arm(): void;
}

const NONE: Watchdog = { arm: () => undefined };

let started: Watchdog | undefined;

/** Starts it, or gives the one that is there. What watches the parent has begun before; see `parent-watch.ts`. */
export function startWatchdog(kind: Equipment['kind']): Watchdog {
  started ??= config.WATCHDOG ? start(kind) : NONE;
  if (started === NONE) endWatchdogThread();
  return started;
}

function start(kind: Equipment['kind']): Watchdog {
  let flags = 0;
  const set = (flag: number): void => {
    flags |= flag;
    breadcrumbs.flags = flags;
  };
  breadcrumbs.watch();
  setInterval(() => breadcrumbs.beat(), BEAT_MS).unref();
  (globalThis as Record<symbol, unknown>)[Symbol.for(RUNNING)] = glance;
  const equipment: Equipment = {
    kind,
    folder: resolve(config.EVIDENCE_DIR),
    limits: evidenceLimits(config),
    version: config.APP_VERSION,
  };
  watchdogThread((error) => log.error('the watchdog thread has failed; stalls of this process leave no evidence', { error })).postMessage(
    equipment,
  );
  process.once('exit', () => set(LEAVING));
  return { arm: () => set(ARMED) };
}

const FRAMES = 50;

/** Called by the inspector, on top of whatever runs. */
function glance(): Glance {
  const { stackTraceLimit, prepareStackTrace } = Error;
  const holder: { stack?: unknown } = {};
  try {
    Error.stackTraceLimit = FRAMES;
    Error.prepareStackTrace = (_error, sites) => sites.map(frameOf);
    Error.captureStackTrace(holder, glance);
    // Written out when it is first read: the inspector's own frame is on top.
    const [, ...stack] = holder.stack as Frame[];
    const current = currentContext();
    return { stack, running: current ? { id: current.requestId, operation: current.operation } : null };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Error.prepareStackTrace = prepareStackTrace;
  }
}

const frameOf = (site: NodeJS.CallSite): Frame => ({
  function: site.getFunctionName() ?? '(anonymous)',
  file: site.getFileName() ?? '(native)',
  line: site.getLineNumber() ?? 0,
});
