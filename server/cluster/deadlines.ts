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

/**
 * A primary that was not run for a while (stopped, suspended, no processor for it) finds that its clock went on: it has heard nothing
 * from its children, and that says nothing about them. This much of each such gap counts all the same, so that a primary that is
 * always late still ends a worker that hangs.
 */
const GAP_MS = 1_000;

/** Notices gaps between the looks of whoever enforces the deadlines. */
export class Attendance {
  #lookedAt: number | null = null;

  /** One look. @returns the time before it that counts for nobody */
  look(now: number): number {
    const gap = now - (this.#lookedAt ?? now);
    this.#lookedAt = now;
    return Math.max(0, gap - GAP_MS);
  }
}

type Timed = Pick<WorkerHandle, 'forkedAt' | 'grantedAt' | 'drain' | 'helloAt' | 'lastCheckinAt'>;

/** Moves all that is timed of `worker` on by `ms`, in which nobody looked; never into the future. */
export function excuse(worker: Timed, ms: number, now: number): void {
  const later = (at: number): number => Math.min(now, at + ms);
  worker.forkedAt = later(worker.forkedAt);
  worker.lastCheckinAt = later(worker.lastCheckinAt);
  if (worker.helloAt !== null) worker.helloAt = later(worker.helloAt);
  if (worker.grantedAt !== null) worker.grantedAt = later(worker.grantedAt);
  if (worker.drain) worker.drain = { ...worker.drain, since: later(worker.drain.since) };
}
