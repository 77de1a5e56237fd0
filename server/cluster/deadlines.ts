/** How long a process may take for what it is doing; whoever takes longer is killed. */
import type { DrainReason } from './messages';
import type { DeathReason, Drain, WorkerHandle } from './worker-handle';

export interface DrainTimes {
  gracefulTimeoutMs: number;
  /** How long a worker that others take over from leaves its silent connections alone: a request may still begin on one of them. */
  idleGraceMs: number;
}

export interface Deadlines extends DrainTimes {
  bootTimeoutMs: number;
  workerTimeoutMs: number;
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

/** How long a worker may take to go while others serve: a request that begins at the last moment has GRACEFUL_TIMEOUT as well. */
export const drainLimitMs = ({ gracefulTimeoutMs, idleGraceMs }: DrainTimes): number => idleGraceMs + gracefulTimeoutMs;

/**
 * A child begins to leave. Silent connections are waited for where others take over: not when the whole service stops, not by a worker that
 * crashes and goes soon by itself, and nobody holds one to the job process.
 */
export function beginDrain(
  { kind, crashing }: Pick<WorkerHandle, 'kind' | 'crashing'>,
  reason: DrainReason,
  now: number,
  times: DrainTimes,
): Drain {
  const waits = reason !== 'stop' && kind === 'http' && !crashing;
  return { reason, since: now, limitMs: waits ? drainLimitMs(times) : times.gracefulTimeoutMs };
}

/** The whole service stops while `worker` leaves for another reason: it may take as long as all the others from now on, and no longer. */
export function hurry(
  worker: Pick<WorkerHandle, 'drain'>,
  now: number,
  { gracefulTimeoutMs }: Pick<DrainTimes, 'gracefulTimeoutMs'>,
): void {
  const { drain } = worker;
  if (drain) worker.drain = { ...drain, limitMs: Math.min(drain.limitMs, now - drain.since + gracefulTimeoutMs) };
}

/** What `worker` has taken too long for, or null. */
export function overdue(
  worker: Watched,
  now: number,
  { bootTimeoutMs, workerTimeoutMs }: Pick<Deadlines, 'bootTimeoutMs' | 'workerTimeoutMs'>,
): Overdue | null {
  if (worker.killReason !== null) return null;
  if (bootingFor(worker, now) > bootTimeoutMs) return { reason: 'boot_timeout', limitMs: bootTimeoutMs };
  if (worker.state === 'draining' && worker.drain && now - worker.drain.since > worker.drain.limitMs)
    return { reason: 'drain_timeout', limitMs: worker.drain.limitMs };
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
