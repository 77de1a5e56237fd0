/**
 * Stops asking somebody who does not answer. After some failures in a row it is open: callers are told so at once, instead of
 * each waiting for its own timeout. While it is open only a probe asks, at growing intervals, so no caller pays for the trial;
 * the first answer closes it.
 */
export interface BreakerOptions {
  /** Failures in a row that open it. */
  threshold: number;
  /** Resolves when the other side answers again. */
  probe: () => Promise<unknown>;
  /** Pause before the first probe; doubled after each failed one. */
  firstPauseMs: number;
  longestPauseMs: number;
  onChange?: (open: boolean) => void;
}

export class CircuitBreaker {
  readonly #options: BreakerOptions;
  #failures = 0;
  #open = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get open(): boolean {
    return this.#open;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  failed(): void {
    this.#failures += 1;
    if (this.#open || this.#failures < this.#options.threshold) return;
    this.#change(true);
    this.#probeAfter(this.#options.firstPauseMs);
  }

  /** Closes it from outside: there is a new connection, or an end. */
  reset(): void {
    clearTimeout(this.#timer);
    this.#failures = 0;
    this.#change(false);
  }

  #change(open: boolean): void {
    if (this.#open === open) return;
    this.#open = open;
    this.#options.onChange?.(open);
  }

  #probeAfter(pauseMs: number): void {
    this.#timer = setTimeout(() => {
      this.#options.probe().then(
        () => this.reset(),
        () => {
          // Reset meanwhile, by a new connection: that one has its own history.
          if (this.#open) this.#probeAfter(Math.min(pauseMs * 2, this.#options.longestPauseMs));
        },
      );
    }, pauseMs);
    this.#timer.unref();
  }
}
