/**
 * Tells when the primary's own event loop is half used: everything that comes in passes through it, so it must not become the
 * bottleneck that no further worker can widen.
 */
import { log } from '../../lib/log';

export const BUSY_ELU = 0.5;

/** Seconds in a row over the limit before it is said, and under it before it is said again. */
const RAISE_AFTER = 3;
const CLEAR_AFTER = 30;

export class BusyPrimary {
  #over = 0;
  #under = 0;
  #raised = false;

  get raised(): boolean {
    return this.#raised;
  }

  /** One reading a second; logs when it begins and when it is over. */
  report(elu: number): void {
    const change = this.read(elu);
    if (change === 'raised') log.warn('the primary is busy: connections may wait for it', { elu, limit: BUSY_ELU });
    else if (change === 'cleared') log.info('the primary is at ease again', { elu });
  }

  /** One reading a second. */
  read(elu: number): 'raised' | 'cleared' | null {
    const over = elu > BUSY_ELU;
    this.#over = over ? this.#over + 1 : 0;
    this.#under = over ? 0 : this.#under + 1;
    if (!this.#raised && this.#over >= RAISE_AFTER) {
      this.#raised = true;
      return 'raised';
    }
    if (this.#raised && this.#under >= CLEAR_AFTER) {
      this.#raised = false;
      return 'cleared';
    }
    return null;
  }
}
