/**
 * A worker's own count of its requests against its limit. The worker says itself when it has answered its last one: reports come
 * once a second, and hundreds of requests may pass between two of them.
 */
export interface RequestLimitPort {
  /** The limit is reached. `leaving`: and the worker goes now. At most once with each. */
  reached(answered: number, leaving: boolean): void;
  leave(): void;
}

export class RequestLimit {
  readonly #limit: number;
  readonly #port: RequestLimitPort;
  #answered = 0;
  #mayLeave = false;
  #over = false;
  #left = false;

  /** @param limit 0 = none */
  constructor(limit: number, port: RequestLimitPort) {
    this.#limit = limit;
    this.#port = port;
  }

  onAnswered(answered: number): void {
    this.#answered = answered;
    if (this.#limit === 0 || this.#over || answered < this.#limit) return;
    this.#over = true;
    if (this.#mayLeave) this.#leave();
    else this.#port.reached(answered, false);
  }

  /** Whether a replacement is ready: then leave with the last request, or now when that was answered already. */
  allowLeave(allowed: boolean): void {
    this.#mayLeave = allowed;
    if (allowed && this.#over) this.#leave();
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#port.reached(this.#answered, true);
    this.#port.leave();
  }
}
