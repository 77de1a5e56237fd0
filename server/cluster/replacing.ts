/**
 * One worker makes way for another in the same slot: the new one is ready first, then the old one is told to go. One at a
 * time, because the connection budget holds one surge share.
 */
import { log } from '../../lib/log';
import type { DrainReason } from './messages';
import type { WorkerHandle } from './worker-handle';
import { isBooting } from './worker-state';

export interface Replacement {
  readonly old: WorkerHandle;
  readonly fresh: WorkerHandle;
  readonly reason: DrainReason;
  /** The old one was told to go when it reaches its last request, and was not there yet. */
  awaitsLimit: boolean;
}

export interface ReplacingPort {
  bringUp(slot: number): WorkerHandle;
  drain(worker: WorkerHandle, reason: DrainReason): void;
}

export class Replacing {
  readonly #port: ReplacingPort;
  #current: Replacement | null = null;

  constructor(port: ReplacingPort) {
    this.#port = port;
  }

  get current(): Replacement | null {
    return this.#current;
  }

  begin(old: WorkerHandle, reason: DrainReason): WorkerHandle {
    log.info('worker is to be replaced', {
      worker: old.id,
      slot: old.slot,
      reason,
      requests: old.report?.requests_count,
      rss: old.report?.rss,
    });
    const fresh = this.#port.bringUp(old.slot);
    this.#current = { old, fresh, reason, awaitsLimit: false };
    return fresh;
  }

  /** The old worker may go, now or with its last request. Say it as often as you like. */
  release(): void {
    const current = this.#current;
    if (current?.fresh.state !== 'ready' || current.old.state !== 'ready' || current.awaitsLimit) return;
    const { old, reason } = current;
    if (reason === 'max_requests' && !old.atLimit) {
      current.awaitsLimit = true;
      old.send({ type: 'limit-leave', allowed: true });
    } else this.#port.drain(old, reason);
  }

  /** A roll begins: a new worker that does not serve yet was loaded before it, and nobody would miss it. */
  cancel(): void {
    if (this.#current && isBooting(this.#current.fresh.state)) this.#current.fresh.kill('roll');
  }

  /** The build is bad: the new worker makes way for the old one, which serves on. */
  abandon(): void {
    if (this.#current?.old.state !== 'ready') return;
    const { fresh } = this.#current;
    this.#current = null;
    if (isBooting(fresh.state)) fresh.kill('roll');
    else this.#port.drain(fresh, 'roll');
  }

  /** Somebody else needs the place: an old worker that was allowed to finish its last requests goes now. */
  hurry(): void {
    if (this.#current?.awaitsLimit && this.#current.old.state === 'ready') this.#port.drain(this.#current.old, this.#current.reason);
  }

  /** A worker is gone, or as good as gone. */
  onGone(gone: WorkerHandle): void {
    const current = this.#current;
    if (gone === current?.old) this.#current = null;
    // Once the old one was told to go it does go; its slot is filled as after any death.
    if (gone !== current?.fresh || current.old.state === 'draining') return;
    this.#current = null;
    if (current.awaitsLimit) current.old.send({ type: 'limit-leave', allowed: false });
    if (gone.killReason === 'roll') return;
    log.error('the replacement died; the old worker serves on', { slot: gone.slot, reason: current.reason });
  }
}
