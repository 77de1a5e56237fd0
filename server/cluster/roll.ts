/** Where a rolling restart stands: whom it still has to replace, and how it ended. */
import { log } from '../../lib/log';
import type { WorkerHandle } from './worker-handle';

export interface RollStatus {
  id: number;
  state: 'idle' | 'rolling';
  done: number;
  total: number;
  last: { result: 'completed' | 'aborted'; reason: string | null; ms: number } | null;
}

export class Roll {
  #queue: WorkerHandle[] = [];
  #startedAt = 0;
  #status: RollStatus = { id: 0, state: 'idle', done: 0, total: 0, last: null };

  get status(): RollStatus {
    return this.#status;
  }

  get underWay(): boolean {
    return this.#status.state === 'rolling';
  }

  begin(workers: readonly WorkerHandle[], now: number): void {
    this.#queue = [...workers];
    this.#startedAt = now;
    this.#status = { ...this.#status, id: this.#status.id + 1, state: 'rolling', done: 0, total: workers.length };
    log.info('rolling restart begins', { roll: this.#status.id, workers: workers.length });
  }

  /** One was replaced. */
  advance(): void {
    this.#status = { ...this.#status, done: this.#status.done + 1 };
  }

  /** The next to replace; those that died meanwhile were replaced by their death. */
  next(): WorkerHandle | null {
    for (;;) {
      const worker = this.#queue.shift();
      if (!worker || worker.state === 'ready') return worker ?? null;
      this.advance();
    }
  }

  end(result: 'completed' | 'aborted', reason: string | null, now: number): void {
    if (!this.underWay) return;
    const ms = Math.round(now - this.#startedAt);
    this.#queue = [];
    this.#status = { ...this.#status, state: 'idle', last: { result, reason, ms } };
    if (result === 'completed') log.info('rolling restart completed', { roll: this.#status.id, ms });
    else log.error('rolling restart aborted', { roll: this.#status.id, ms, reason });
  }
}
