/** The reply cache in `/stats`: what the workers counted, and what its store says of itself. */
import type { CacheReport } from '../cluster/messages';
import { ratio, toMs } from './rounding';
import type { StatsSource } from './stats';
import type { Stats } from './stats.schema';
import { combine, percentile, type WindowView } from './windows';

export const CACHE_COUNTERS = {
  requests: 'autoshop_cache_requests_total',
  sets: 'autoshop_cache_sets_total',
  deletes: 'autoshop_cache_invalidations_total',
  errors: 'autoshop_cache_errors_total',
  fallbacks: 'autoshop_cache_fallbacks_total',
  saved: 'autoshop_cache_stampedes_saved_total',
  evictions: 'autoshop_cache_evictions_total',
} as const;

export const CACHE_LOOK_UP = 'autoshop_cache_look_up_seconds';

const PERCENT = 100;
/** A stale reply is one that nobody had to wait for. */
export const isHit = (result: unknown): boolean => result === 'hit' || result === 'stale';

export function cacheStats(
  { store, supervisor, replies }: Pick<StatsSource, 'store' | 'supervisor' | 'replies'>,
  view: WindowView,
): Stats['cache'] {
  const reports = supervisor.workers.flatMap(({ report }) => (report ? [report.cache] : []));
  const hits = store.total(CACHE_COUNTERS.requests, ({ result }) => isHit(result));
  const misses = store.total(CACHE_COUNTERS.requests, ({ result }) => result === 'miss');
  const hitRatio = ratio(hits, hits + misses);
  const backend = reports[0]?.backend ?? 'none';
  const shared = (read: (report: CacheReport) => number | null): number => Math.max(0, ...reports.map((report) => read(report) ?? 0));
  return {
    backend,
    status: statusOf(reports),
    hits,
    misses,
    sets: store.total(CACHE_COUNTERS.sets),
    deletes: store.total(CACHE_COUNTERS.deletes),
    hitRate: Math.round(hitRatio * PERCENT * PERCENT) / PERCENT,
    hit_ratio: hitRatio,
    // Redis is one for all, as each worker saw it last; without it each process has a memory of its own.
    memorySize: backend === 'redis' ? shared(({ bytes }) => bytes) : reports.reduce((sum, { bytes }) => sum + (bytes ?? 0), replies.bytes),
    evictions: backend === 'redis' ? shared(({ evictions }) => evictions) : store.total(CACHE_COUNTERS.evictions) + replies.evictions,
    errors: store.total(CACHE_COUNTERS.errors),
    fallback: store.total(CACHE_COUNTERS.fallbacks),
    latency_p95: toMs(percentile(combine(view.distributions(CACHE_LOOK_UP)), 0.95)),
    stampedes_saved: store.total(CACHE_COUNTERS.saved),
  };
}

function statusOf(reports: readonly CacheReport[]): NonNullable<Stats['cache']>['status'] {
  if (reports.length === 0) return 'unknown';
  if (reports.every(({ backend }) => backend === 'none')) return 'off';
  return reports.every(({ ready }) => ready) ? 'ready' : 'degraded';
}

/** Share of the answers in the window that the cache gave, by endpoint; absent where nothing is cached. */
export function hitRatios(view: WindowView): Map<string, number> {
  const byRoute = new Map<string, { hits: number; all: number }>();
  for (const { labels, value } of view.increases(CACHE_COUNTERS.requests)) {
    const route = String(labels['namespace']);
    const sum = byRoute.get(route) ?? { hits: 0, all: 0 };
    byRoute.set(route, sum);
    sum.all += value;
    if (isHit(labels['result'])) sum.hits += value;
  }
  return new Map([...byRoute].filter(([, { all }]) => all > 0).map(([route, { hits, all }]) => [route, ratio(hits, all)]));
}
