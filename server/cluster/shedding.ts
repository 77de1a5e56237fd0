/**
 * The rule by which a worker refuses requests at its door when it is asked for more than it can do: the further the worst of its pressures
 * is over its limit, the larger the share that is refused, the least important first. A share and not all or nothing, because a
 * gate that shuts and opens makes the service swing between idle and drowned. There is no memory in the rule: where the pressure goes,
 * the share goes.
 */

/** What is refused first, and what last. */
export type Importance = 'background' | 'normal' | 'critical';

export const SHED_CAUSES = ['pool_wait', 'loop_lag', 'memory'] as const;
export type ShedCause = (typeof SHED_CAUSES)[number];

/** For each cause how close it is to its limit: 1 = there. */
export type Pressures = Readonly<Record<ShedCause, number>>;

/** What one worker's gate did since its previous report. */
export interface ShedReport {
  /** Requests that came to it; and those of them that were refused, by cause. */
  offered: number;
  shed: Partial<Record<ShedCause, number>>;
}

/** Between which pressures the refused share grows from none to all. One class is gone before the next begins to go. */
const RAMPS: Readonly<Record<Importance, readonly [from: number, to: number]>> = {
  background: [0.5, 1],
  normal: [1, 1.5],
  critical: [1.5, 2],
};

/** Below this pressure nothing is refused, whatever its class. */
export const NO_PRESSURE = RAMPS.background[0];

/** The share of requests of one class that is refused under `pressure`. */
export function shareRefused(pressure: number, importance: Importance): number {
  const [from, to] = RAMPS[importance];
  return Math.min(1, Math.max(0, (pressure - from) / (to - from)));
}

export function worstOf(pressures: Pressures): ShedCause {
  return SHED_CAUSES.reduce((worst, cause) => (pressures[cause] > pressures[worst] ? cause : worst));
}

/** Decides one request: the cause for which it is refused, or null. `dice` is a random number in [0, 1). */
export function judge(pressures: Pressures, importance: Importance, dice: number): ShedCause | null {
  const cause = worstOf(pressures);
  return dice < shareRefused(pressures[cause], importance) ? cause : null;
}

const RETRY_SPREAD_S = 4;

/** Whole seconds; spread, so that those refused together do not come back together, and wider the more are refused. */
export const retryAfter = (pressure: number, dice: number): number =>
  1 + Math.floor(dice * (1 + RETRY_SPREAD_S * shareRefused(pressure, 'normal')));

/**
 * Memory of one process against what it may use: at `start` (a share of `limit`) the pressure is 1, at `limit` it is 2.
 * Below `start` it falls off so fast that only the last tenth before it is felt at all.
 */
export function memoryPressure(rss: number, limit: number, start: number): number {
  const band = Math.max(1, limit * (1 - start));
  return Math.max(0, 1 + (rss - limit * start) / band);
}

/** Passes of the event loop in a row that must have been long before the present one counts: one long pass is a hiccup. */
const LONG_PASSES = 2;

/**
 * How long requests wait for the event loop, from a timer that should fire each `periodMs`. While the processor keeps up, a pass of the
 * loop is short, or long once (a garbage collection, one heavy request) and the next makes up for it. When it does not, each pass
 * collects more work than the one before. So the age of the present pass counts when the passes before it were long too:
 * what is taken up late in a long pass has waited for at least as long.
 */
export class LoopLag {
  readonly #periodMs: number;
  readonly #longMs: number;
  #due: number;
  #longPasses = 0;

  /** @param longMs a pass that ends later than this counts as long */
  constructor({ periodMs, longMs, now }: { periodMs: number; longMs: number; now: number }) {
    this.#periodMs = periodMs;
    this.#longMs = longMs;
    this.#due = now + periodMs;
  }

  /** The timer has fired: a pass of the loop has ended. */
  tick(now: number): void {
    this.#longPasses = now - this.#due >= this.#longMs ? this.#longPasses + 1 : 0;
    this.#due = now + this.#periodMs;
  }

  standingMs(now: number): number {
    return this.#longPasses >= LONG_PASSES ? Math.max(0, now - this.#due) : 0;
  }
}
