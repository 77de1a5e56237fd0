/** Which worker has served enough: by its requests, or by memory over the limit in several readings. One at a time, with a pause. */
import type { DrainReason } from './messages';
import type { WorkerHandle } from './worker-handle';

export interface RecyclingOptions {
  maxRequests: number;
  maxRequestsJitter: number;
  maxRssBytes: number;
  /** Least time between the starts of two recycles. */
  recycleGapMs: number;
  rssReadingMs: number;
  random: () => number;
}

export const RECYCLE_GAP_MS = 30_000;
export const RSS_READING_MS = 5_000;
const RSS_READINGS = 3;

export class Recycling {
  readonly #options: RecyclingOptions;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(options: RecyclingOptions) {
    this.#options = options;
  }

  /** Requests after which a new worker is recycled; 0 = never. */
  drawRequestLimit(): number {
    const { maxRequests, maxRequestsJitter, random } = this.#options;
    return maxRequests === 0 ? 0 : maxRequests + Math.floor(random() * (maxRequestsJitter + 1));
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

  /** The worker to replace now, or null. Naming one begins the pause. */
  next(workers: readonly WorkerHandle[], now: number): { worker: WorkerHandle; reason: DrainReason } | null {
    if (now - this.#lastAt < this.#options.recycleGapMs) return null;
    for (const worker of workers) {
      const reason = this.#reasonFor(worker);
      if (!reason) continue;
      this.#lastAt = now;
      return { worker, reason };
    }
    return null;
  }

  #reasonFor({ state, report, requestLimit, rss }: WorkerHandle): DrainReason | null {
    if (state !== 'ready' || !report) return null;
    if (requestLimit > 0 && report.requests_count >= requestLimit) return 'max_requests';
    return rss.over >= RSS_READINGS ? 'max_rss' : null;
  }
}
