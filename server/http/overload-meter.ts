/**
 * How overloaded this worker is, at any moment and at next to no cost, and how many requests it refused for it. One for each process,
 * for all three pressures are the process's own: its share of the connections, its event loop, its memory.
 */
import { config } from '../../config';
import { hostLimits } from '../../config/host';
import { expectedPoolWaitMs } from '../../lib/db';
import { log } from '../../lib/log';
import { LoopLag, memoryPressure, type Pressures, type ShedCause, type ShedReport } from '../cluster/shedding';

const PERIOD_MS = 20;
const MEMORY_EVERY_MS = 500;
const SAY_EVERY_MS = 5_000;
const MEBIBYTE = 1024 * 1024;
/** Recycling begins at WORKER_MAX_RSS_MB and needs room to happen: half as much again is the end. */
const OVER_RECYCLING = 1.5;
/** Processes beside the workers: the primary, the job process, one in reserve. */
const OTHER_PROCESSES = 3;

export interface MeterOptions {
  poolWaitLimitMs: number;
  lagLimitMs: number;
  /** Resident memory at which refusing begins, as a share of `memoryLimit`. */
  memoryShare: number;
  memoryLimit: number;
  poolWaitMs?: () => number;
  rss?: () => number;
  now?: () => number;
}

/** What one worker may use. */
export function memoryLimitOf({ WORKER_MAX_RSS_MB: perWorker, WORKERS: workers }: { WORKER_MAX_RSS_MB: number; WORKERS: number }): number {
  return (perWorker > 0 ? perWorker * OVER_RECYCLING : hostLimits().memoryMb / (workers + OTHER_PROCESSES)) * MEBIBYTE;
}

/** A limit of 0 means that this cause is not looked at. */
const over = (value: number, limit: number): number => (limit === 0 ? 0 : value / limit);

export class OverloadMeter {
  readonly #options: Required<MeterOptions>;
  readonly #lag: LoopLag;
  #timer: NodeJS.Timeout | undefined;
  #memory = 0;
  #memoryReadAt = Number.NEGATIVE_INFINITY;
  #offered = 0;
  #shed: ShedReport['shed'] = {};
  #unsaid: ShedReport['shed'] = {};
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(options: MeterOptions) {
    this.#options = { poolWaitMs: expectedPoolWaitMs, rss: process.memoryUsage.rss, now: () => performance.now(), ...options };
    this.#lag = new LoopLag({ periodMs: PERIOD_MS, longMs: options.lagLimitMs / 2, now: this.#options.now() });
  }

  start(): void {
    this.#timer ??= setInterval(() => this.tick(), PERIOD_MS).unref();
  }

  tick(): void {
    const { now, memoryLimit, memoryShare, rss } = this.#options;
    const moment = now();
    this.#lag.tick(moment);
    if (memoryShare > 0 && moment - this.#memoryReadAt >= MEMORY_EVERY_MS) {
      this.#memoryReadAt = moment;
      this.#memory = memoryPressure(rss(), memoryLimit, memoryShare);
    }
    this.#say(moment);
  }

  /** Counts a request that comes to the gate. @returns the pressures under which it comes */
  read(): Pressures {
    this.#offered += 1;
    const { poolWaitLimitMs, poolWaitMs, lagLimitMs, now } = this.#options;
    return {
      pool_wait: poolWaitLimitMs === 0 ? 0 : over(poolWaitMs(), poolWaitLimitMs),
      loop_lag: lagLimitMs === 0 ? 0 : over(this.#lag.standingMs(now()), lagLimitMs),
      memory: this.#memory,
    };
  }

  count(cause: ShedCause): void {
    this.#shed[cause] = (this.#shed[cause] ?? 0) + 1;
    this.#unsaid[cause] = (this.#unsaid[cause] ?? 0) + 1;
  }

  /** What happened since the previous call. */
  take(): ShedReport {
    const report = { offered: this.#offered, shed: this.#shed };
    this.#offered = 0;
    this.#shed = {};
    return report;
  }

  /** One line for many refusals: a line for each would cost more than the refusal does. */
  #say(moment: number): void {
    if (moment - this.#saidAt < SAY_EVERY_MS || Object.keys(this.#unsaid).length === 0) return;
    log.warn('overloaded: requests were refused', { ...this.#unsaid });
    this.#saidAt = moment;
    this.#unsaid = {};
  }
}

/** The one of this process. */
export const overloadMeter = new OverloadMeter({
  poolWaitLimitMs: config.SHED_POOL_WAIT_MS,
  lagLimitMs: config.SHED_LAG_MS,
  memoryShare: config.SHED_MEMORY_PERCENT / 100,
  memoryLimit: memoryLimitOf(config),
});
