/** How long a process may take for what it is doing; whoever takes longer is killed. */
import type { DeathReason, WorkerHandle } from './worker-handle';

export interface Deadlines {
  bootTimeoutMs: number;
  workerTimeoutMs: number;
  gracefulTimeoutMs: number;
}

export interface Overdue {
  reason: Extract<DeathReason, 'boot_timeout' | 'drain_timeout' | 'stall'>;
  limitMs: number;
}

type Watched = Pick<WorkerHandle, 'state' | 'killReason' | 'forkedAt' | 'grantedAt' | 'drain' | 'helloAt' | 'lastCheckinAt'>;

/** What `worker` has taken too long for, or null. Waiting for a share of the budget is not its fault. */
export function overdue(worker: Watched, now: number, { bootTimeoutMs, workerTimeoutMs, gracefulTimeoutMs }: Deadlines): Overdue | null {
  if (worker.killReason !== null) return null;
  const bootingSince = worker.state === 'forked' ? worker.forkedAt : worker.state === 'granted' ? (worker.grantedAt ?? now) : now;
  if (now - bootingSince > bootTimeoutMs) return { reason: 'boot_timeout', limitMs: bootTimeoutMs };
  if (worker.state === 'draining' && worker.drain && now - worker.drain.since > gracefulTimeoutMs)
    return { reason: 'drain_timeout', limitMs: gracefulTimeoutMs };
  if (worker.helloAt !== null && now - worker.lastCheckinAt > workerTimeoutMs) return { reason: 'stall', limitMs: workerTimeoutMs };
  return null;
}
