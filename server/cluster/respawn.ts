/** When a place that lost its process may get the next one: a back-off for each slot, and the breaker over all of them. */
import { log } from '../../lib/log';
import { BackOff } from './back-off';
import { Breaker, type BreakerOptions } from './breaker';
import { emptySlots } from './slots';
import type { WorkerHandle } from './worker-handle';

export class Respawn {
  readonly breaker: Breaker;
  readonly #random: () => number;
  readonly #backOffs = new Map<number, BackOff>();
  /** Time before which a slot is not filled again. */
  readonly #notBefore = new Map<number, number>();

  constructor({ breaker, random }: { breaker: Partial<BreakerOptions>; random: () => number }) {
    this.breaker = new Breaker(breaker);
    this.#random = random;
  }

  /** Nobody had asked for this death. `counts`: it says something about the build, so the breaker hears of it. */
  onDeath({ slot, forkedAt, readyAt }: Pick<WorkerHandle, 'slot' | 'forkedAt' | 'readyAt'>, now: number, counts: boolean): void {
    this.delay(slot, now, readyAt === null ? 0 : now - readyAt);
    // One that was never ready died at birth, however long the birth took on a busy machine.
    if (counts && this.breaker.onDeath(now, readyAt === null ? 0 : now - forkedAt, readyAt === null))
      log.error('breaker open: workers die young; one is tried every 30 s', { deaths: this.breaker.deathsInWindow(now) });
  }

  /** The next process of `slot` waits, longer each time, after one that served for `readyMs`. */
  delay(slot: number, now: number, readyMs: number): void {
    const backOff = this.#backOffs.get(slot) ?? new BackOff({ random: this.#random });
    this.#backOffs.set(slot, backOff);
    this.#notBefore.set(slot, now + backOff.onDeath(readyMs));
  }

  isDue(slot: number, now: number): boolean {
    return now >= (this.#notBefore.get(slot) ?? Number.NEGATIVE_INFINITY);
  }

  /** Closes the breaker when one of `workers` has shown that the trouble is over, or all of the `target` serve and nobody needs a new one. */
  observe(target: number, workers: readonly WorkerHandle[], now: number): void {
    if (!this.breaker.open) return;
    for (const { state, readyAt, slot } of workers)
      if (state === 'ready' && readyAt !== null && this.breaker.onHealthy(now, readyAt))
        log.info('breaker closed: a worker has lived long enough', { slot });
    const staying = workers.filter(({ state }) => state !== 'draining');
    if (emptySlots(target, staying).length > 0 || !staying.every(({ state }) => state === 'ready')) return;
    if (this.breaker.onWhole(now, Math.max(...staying.map(({ readyAt }) => readyAt ?? now))))
      log.info('breaker closed: every slot holds a worker that serves', { target });
  }

  /** Every place may be filled at once. */
  reset(): void {
    this.breaker.reset();
    this.#notBefore.clear();
  }
}
