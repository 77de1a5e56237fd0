/**
 * The first import of everything that the primary starts. While a process loads its modules its event loop stands still, so it
 * would not notice that its primary was killed, and the next one might find its port or its database in use: hence the thread of
 * the watchdog begins here, before them, and at first only watches the parent. Imports next to nothing itself.
 */
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { breadcrumbs } from '../../lib/breadcrumbs';
import { PROJECT_ROOT } from '../../lib/project-root';
import { takeWatchdogArguments, WATCHDOG_FD } from './watchdog-lines';
import type { ThreadData } from './watchdog-thread';

/** The built file, also under tests: a thread loads no TypeScript. */
const THREAD = resolve(PROJECT_ROOT, 'dist', 'server', 'cluster', 'watchdog-thread.js');
const STDERR = 2;
/** It needs a few megabytes; one that needs more is broken, and must not take memory from the requests. */
const LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };

const { primary, atOnce } = takeWatchdogArguments(process.argv);
// It was killed before this line: nothing has begun that could be ended in better order.
if (primary !== null && process.ppid !== primary) process.kill(process.pid, 'SIGKILL');

let onFailure = (error: Error): void => void process.stderr.write(`the watchdog thread has failed: ${error.message}\n`);
let thread = atOnce ? begin() : null;

function begin(): Worker {
  const data: ThreadData = {
    memory: breadcrumbs.memory,
    fd: primary === null ? STDERR : WATCHDOG_FD,
    primary,
    projectRoot: PROJECT_ROOT,
    clock: { writer: performance.now(), shared: process.hrtime.bigint() },
  };
  const worker = new Worker(THREAD, { workerData: data, resourceLimits: LIMITS, env: {}, execArgv: [] });
  worker.unref();
  // It is a help, not a part: without it the process serves on, and is still watched from outside.
  worker.on('error', (error) => onFailure(error));
  return worker;
}

/** The thread of this process, which begins now if it has not yet. @param failed told when it does not live on */
export function watchdogThread(failed: (error: Error) => void): Worker {
  onFailure = failed;
  thread ??= begin();
  return thread;
}

/** The configuration, read meanwhile, wants none. */
export function endWatchdogThread(): void {
  void thread?.terminate();
  thread = null;
}
