/**
 * How long a slot waits before its next worker after a death: 0.1 s, doubled with each death up to 30 s, with 20 % jitter
 * so that slots which died together do not return together. A worker that was healthy for 60 s wipes the slate.
 */
export interface BackOffOptions {
  baseMs: number;
  maxMs: number;
  /** Share of the delay by which it may be longer or shorter. */
  jitter: number;
  healthyMs: number;
  random: () => number;
}

const DEFAULTS: BackOffOptions = { baseMs: 100, maxMs: 30_000, jitter: 0.2, healthyMs: 60_000, random: Math.random };

export class BackOff {
  readonly #options: BackOffOptions;
  #deaths = 0;

  constructor(options: Partial<BackOffOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Deaths in a row, for the stats. */
  get deaths(): number {
    return this.#deaths;
  }

  /** A worker of this slot died after serving (being ready) for `readyMs`; returns the wait before the next, in milliseconds. */
  onDeath(readyMs: number): number {
    const { baseMs, maxMs, jitter, healthyMs, random } = this.#options;
    if (readyMs >= healthyMs) this.#deaths = 0;
    const delay = Math.min(maxMs, baseMs * 2 ** Math.min(this.#deaths, 30));
    this.#deaths += 1;
    return Math.round(delay * (1 - jitter + 2 * jitter * random()));
  }
}
