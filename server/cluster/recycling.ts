/**
 * Which worker has served enough: by its requests, by its age, or by memory over the limit in several readings. One at a time,
 * with a pause in between.
 *
 * A replacement takes time to get ready, so for a worker that nears its last request it is brought up before that: the worker
 * then leaves with exactly this request. Only one that has to wait for another's recycling answers more.
 */
import type { DrainReason } from './messages';
import type { WorkerHandle } from './worker-handle';

export interface RecyclingOptions {
  maxRequests: number;
  maxRequestsJitter: number;
  maxRssBytes: number;
  /** 0 = never. A random tenth is added. */
  maxAgeMs: number;
  /** Least time between the starts of two recycles. */
  recycleGapMs: number;
  rssReadingMs: number;
  random: () => number;
}

export interface Due {
  worker: WorkerHandle;
  reason: DrainReason;
  /** It should be gone already; without it the worker has still something to do. */
  overdue: boolean;
  /** Time until its last request, as far as can be told; 0 for the other reasons. */
  leftMs: number;
}

export const RECYCLE_GAP_MS = 30_000;
export const RSS_READING_MS = 5_000;
const RSS_READINGS = 3;
const AGE_JITTER = 0.1;
/** Until a start was measured. */
const FIRST_BOOT_MS = 3_000;
/** A replacement that is ready too early costs a share of the machine; one that is late, requests over the limit. */
const BOOT_MARGIN = 2;
/** The rate is as old as the reports that tell it. */
const LEAST_LEAD_MS = 1_000;

interface Pace {
  at: number;
  count: number;
  /** Answers in a millisecond, in the last two intervals between reports. */
  rates: [number, number];
}

export class Recycling {
  readonly #options: RecyclingOptions;
  readonly #paces = new WeakMap<WorkerHandle, Pace>();
  /** Since when a worker should have been gone. */
  readonly #overdueSince = new WeakMap<WorkerHandle, number>();
  #bootMs = FIRST_BOOT_MS;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(options: RecyclingOptions) {
    this.#options = options;
  }

  /** The limits of a new worker, each with its random part; 0 = none. */
  drawLimits(): { requestLimit: number; maxAgeMs: number } {
    const { maxRequests, maxRequestsJitter, maxAgeMs, random } = this.#options;
    return {
      requestLimit: maxRequests === 0 ? 0 : maxRequests + Math.floor(random() * (maxRequestsJitter + 1)),
      maxAgeMs: Math.round(maxAgeMs * (1 + AGE_JITTER * random())),
    };
  }

  /** A worker was ready so long after it was called for. */
  onBoot(ms: number): void {
    this.#bootMs = this.#bootMs === FIRST_BOOT_MS ? ms : (this.#bootMs + ms) / 2;
  }

  onReport(worker: WorkerHandle, now: number): void {
    const count = worker.report?.requests_count ?? 0;
    const last = this.#paces.get(worker);
    if (last && now <= last.at) return;
    const rate = last ? Math.max(0, count - last.count) / (now - last.at) : 0;
    this.#paces.set(worker, { at: now, count, rates: [rate, last?.rates[0] ?? 0] });
  }

  /** Reads the memory of those whose last reading is old enough. */
  readMemory(workers: readonly WorkerHandle[], now: number): void {
    const { maxRssBytes, rssReadingMs } = this.#options;
    if (maxRssBytes === 0) return;
    for (const worker of workers) {
      if (!worker.report || now - worker.rss.readAt < rssReadingMs) continue;
      worker.rss = { over: worker.report.rss > maxRssBytes ? worker.rss.over + 1 : 0, readAt: now };
    }
  }

  /**
   * The one that has waited longest for its replacement, else the one that needs it first, or null; nobody within the pause after
   * another.
   */
  next(workers: readonly WorkerHandle[], now: number): Due | null {
    const due = workers.flatMap((worker) => this.#due(worker, now) ?? []);
    const since = ({ worker }: Due): number => this.#overdueSince.get(worker) ?? now;
    for (const one of due) if (one.overdue) this.#overdueSince.set(one.worker, since(one));
    if (now - this.#lastAt < this.#options.recycleGapMs) return null;
    const waiting = due.filter(({ overdue }) => overdue).sort((a, b) => since(a) - since(b));
    return waiting[0] ?? due.sort((a, b) => a.leftMs - b.leftMs)[0] ?? null;
  }

  begun(now: number): void {
    this.#lastAt = now;
  }

  #due(worker: WorkerHandle, now: number): Due | null {
    if (worker.state !== 'ready') return null;
    const overdue = (reason: DrainReason): Due => ({ worker, reason, overdue: true, leftMs: 0 });
    if (worker.atLimit) return overdue('max_requests');
    if (worker.rss.over >= RSS_READINGS) return overdue('max_rss');
    if (worker.maxAgeMs > 0 && worker.readyAt !== null && now - worker.readyAt >= worker.maxAgeMs) return overdue('max_age');
    const leftMs = this.#leftMs(worker, now);
    return leftMs <= Math.max(LEAST_LEAD_MS, this.#bootMs * BOOT_MARGIN)
      ? { worker, reason: 'max_requests', overdue: false, leftMs }
      : null;
  }

  /** Until the last request of a worker, at the rate of its last reports. */
  #leftMs(worker: WorkerHandle, now: number): number {
    const pace = this.#paces.get(worker);
    if (worker.requestLimit === 0 || !pace) return Number.POSITIVE_INFINITY;
    const left = worker.requestLimit - pace.count;
    return left / Math.max(...pace.rates) - (now - pace.at);
  }
}
