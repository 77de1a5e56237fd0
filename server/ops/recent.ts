/** The cluster's last slow requests, slow statements and errors, and the longest request of each second, from the workers' reports. */
import type { Report } from '../cluster/messages';
import { addRepeatedReads, addSlowPlans, type RecentEntries } from './recorder';

const KEPT = 20;
const KEPT_MAXIMA_MS = 15 * 60_000;

const latest = <T extends { at: string }>(entries: readonly T[]): T[] => [...entries].sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, KEPT);

export class Recent {
  readonly #now: () => number;
  #entries: RecentEntries = { slow_requests: [], slow_queries: [], slow_plans: [], errors: [], repeated_reads: [] };
  #maxima: { at: number; ms: number }[] = [];

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  add({ recent, max_ms }: Report): void {
    const now = this.#now();
    if (Object.values(recent).some((entries: readonly unknown[]) => entries.length > 0))
      this.#entries = {
        slow_requests: latest([...this.#entries.slow_requests, ...recent.slow_requests]),
        slow_queries: latest([...this.#entries.slow_queries, ...recent.slow_queries]),
        slow_plans: addSlowPlans(this.#entries.slow_plans, recent.slow_plans),
        errors: latest([...this.#entries.errors, ...recent.errors]),
        repeated_reads: addRepeatedReads(this.#entries.repeated_reads, recent.repeated_reads),
      };
    if (max_ms > 0) this.#maxima.push({ at: now, ms: max_ms });
    if ((this.#maxima[0]?.at ?? now) < now - KEPT_MAXIMA_MS) this.#maxima = this.#maxima.filter(({ at }) => at >= now - KEPT_MAXIMA_MS);
  }

  /** Newest first. */
  read(): RecentEntries {
    return this.#entries;
  }

  /** The longest request of the last `seconds`; null when there was none. */
  maxMs(seconds: number): number | null {
    const since = this.#now() - seconds * 1000;
    return this.#maxima.reduce<number | null>((max, { at, ms }) => (at >= since ? Math.max(max ?? 0, ms) : max), null);
  }
}
