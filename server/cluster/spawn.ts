/**
 * Forks a child, and makes a failure of the system to do so (no memory, no descriptors, no more processes) look like one that
 * ended at birth: its slot is then tried again after a back-off like any other. Node itself throws, or gives half a child, or reports
 * the failure later, depending on what there was not enough of.
 */
import type { ChildProcess } from 'node:child_process';
import cluster from 'node:cluster';
import { EventEmitter } from 'node:events';

/** @returns the child; one without a pid tells by `error` that there is none */
export function spawnChild(fork: () => ChildProcess): ChildProcess {
  try {
    return fork();
  } catch (error) {
    return stillborn(error as Error);
  }
}

/** A process of the cluster, as a child like any other. */
export function forkWorker(env: Readonly<Record<string, string>>): ChildProcess {
  const worker = cluster.fork(env);
  // The module repeats here what the process tells of; unheard it would end the primary.
  worker.on('error', () => undefined);
  return worker.process;
}

function stillborn(error: Error): ChildProcess {
  const child = Object.assign(new EventEmitter(), { pid: undefined, connected: false, kill: () => false });
  setImmediate(() => child.emit('error', error));
  return child as unknown as ChildProcess;
}
