/**
 * One worker makes way for another in the same slot: the new one is ready first, then the old one is told to go. One at a
 * time, because the connection budget holds one surge share.
 */
import { log } from '../../lib/log';
import type { DrainReason } from './messages';
import { RECYCLE_GAP_MS } from './recycling';
import type { WorkerHandle } from './worker-handle';
import { isBooting } from './worker-state';

export interface Replacement {
  readonly old: WorkerHandle;
  readonly fresh: WorkerHandle;
  readonly reason: DrainReason;
  /** Since when the old one may go with its last request, which it had not reached then. */
  awaitsLimitSince: number | null;
}

/**
 * Longest wait for that last request. Where traffic stops it never comes, and meanwhile the two of them hold the place in which others are
 * replaced, and one share of the connections more. As long as the pause between two recycles: until then nobody else's turn would come.
 */
const LAST_REQUEST_MS = RECYCLE_GAP_MS;

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
    this.#current = { old, fresh, reason, awaitsLimitSince: null };
    return fresh;
  }

  /** The old worker may go, now or with its last request. Say it as often as you like. */
  release(now: number): void {
    const current = this.#current;
    if (current?.fresh.state !== 'ready' || current.old.state !== 'ready' || current.awaitsLimitSince !== null) return;
    const { old, reason } = current;
    if (reason === 'max_requests' && !old.atLimit) {
      current.awaitsLimitSince = now;
      current.fresh.standsBehind = old;
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
    const current = this.#current;
    if (current && current.awaitsLimitSince !== null && current.old.state === 'ready') this.#port.drain(current.old, current.reason);
  }

  /** The old worker goes now as well when its last request does not come. */
  hurryWhenLate(now: number): void {
    if (now - (this.#current?.awaitsLimitSince ?? now) >= LAST_REQUEST_MS) this.hurry();
  }

  /** The new worker goes for another reason than its old one's: that one serves on, and no longer leaves with its last request. */
  onLeaving(worker: WorkerHandle): void {
    if (worker === this.#current?.fresh && this.#current.old.state === 'ready') this.#giveUp(this.#current);
  }

  /** A worker is gone, or as good as gone. */
  onGone(gone: WorkerHandle): void {
    const current = this.#current;
    if (gone === current?.old) {
      current.fresh.standsBehind = null;
      this.#current = null;
    }
    // Once the old one was told to go it does go; its slot is filled as after any death.
    if (gone !== current?.fresh || current.old.state === 'draining') return;
    this.#giveUp(current);
    if (gone.killReason !== null && ['roll', 'scale', 'stop'].includes(gone.killReason)) return;
    log.error('the replacement died; the old worker serves on', { slot: gone.slot, reason: current.reason });
  }

  #giveUp({ old, awaitsLimitSince }: Replacement): void {
    this.#current = null;
    if (awaitsLimitSince !== null) old.send({ type: 'limit-leave', allowed: false });
  }
}
