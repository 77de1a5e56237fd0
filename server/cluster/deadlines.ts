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

/** Time that the worker itself has spent on becoming ready: loading, and all that follows the grant. Waiting for its share is not its fault. */
function bootingFor({ state, forkedAt, helloAt, grantedAt }: Watched, now: number): number {
  if (state === 'forked') return now - forkedAt;
  if (state !== 'granted') return 0;
  // One from the reserve had loaded before it was called for.
  const loading = Math.max(0, (helloAt ?? forkedAt) - forkedAt);
  return loading + now - (grantedAt ?? now);
}

/** What `worker` has taken too long for, or null. */
export function overdue(worker: Watched, now: number, { bootTimeoutMs, workerTimeoutMs, gracefulTimeoutMs }: Deadlines): Overdue | null {
  if (worker.killReason !== null) return null;
  if (bootingFor(worker, now) > bootTimeoutMs) return { reason: 'boot_timeout', limitMs: bootTimeoutMs };
  if (worker.state === 'draining' && worker.drain && now - worker.drain.since > gracefulTimeoutMs)
    return { reason: 'drain_timeout', limitMs: gracefulTimeoutMs };
  if (worker.helloAt !== null && now - worker.lastCheckinAt > workerTimeoutMs) return { reason: 'stall', limitMs: workerTimeoutMs };
  return null;
}
