/**
 * The event loop's half of the watchdog: beats into shared memory, starts the thread that looks at it, and tells it when to
 * look away. Without WATCHDOG nothing of it exists; the primary then learns of a blocked process by its silence alone.
 */
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { config } from '../../config';
import { breadcrumbs } from '../../lib/breadcrumbs';
import { currentContext } from '../../lib/context';
import { log } from '../../lib/log';
import { PROJECT_ROOT } from '../../lib/project-root';
import type { Frame, Glance } from './evidence';
import { ARMED, BEAT_MS, evidenceLimits, LEAVING, RUNNING } from './watchdog-limits';
import { WATCHDOG_FD, watchingPrimary } from './watchdog-lines';
import type { ThreadData } from './watchdog-thread';

/** The built file, also under tests: a thread loads no TypeScript. */
const THREAD = resolve(PROJECT_ROOT, 'dist', 'server', 'cluster', 'watchdog-thread.js');
const STDERR = 2;
/** It needs a few megabytes; one that needs more is broken, and must not take memory from the requests. */
const LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };

export interface Watchdog {
  /** The process serves: from now on a blocked loop is a stall. Until then only its parent is watched. */
  arm(): void;
}

const NONE: Watchdog = { arm: () => undefined };

/** Starts it, once in a process and as early as possible: it is also what ends an orphan. */
export function startWatchdog(kind: ThreadData['kind']): Watchdog {
  if (!config.WATCHDOG) return NONE;
  const primary = watchingPrimary(process.argv);
  let flags = 0;
  const set = (flag: number): void => {
    flags |= flag;
    breadcrumbs.flags = flags;
  };
  breadcrumbs.watch();
  setInterval(() => breadcrumbs.beat(), BEAT_MS).unref();
  (globalThis as Record<symbol, unknown>)[Symbol.for(RUNNING)] = glance;
  const data: ThreadData = {
    memory: breadcrumbs.memory,
    fd: primary === null ? STDERR : WATCHDOG_FD,
    kind,
    primary,
    folder: resolve(config.EVIDENCE_DIR),
    limits: evidenceLimits(config),
    projectRoot: PROJECT_ROOT,
    clock: { writer: performance.now(), shared: process.hrtime.bigint() },
    version: config.APP_VERSION,
  };
  const thread = new Worker(THREAD, { workerData: data, resourceLimits: LIMITS, env: {}, execArgv: [] });
  thread.unref();
  // It is a help, not a part: without it the process serves on, and is still watched from outside.
  thread.on('error', (error) => log.error('the watchdog thread has failed; stalls of this process leave no evidence', { error }));
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
