/** The routes that took the most time in a window, each with its rate, percentiles and cost in statements. */
import { hitRatios } from './cache-stats';
import { toMs } from './rounding';
import type { Stats } from './stats.schema';
import { above, combine, type Distribution, percentile, type WindowView } from './windows';

const SHOWN = 50;
/** Service levels of any route, seconds; both are bucket edges. */
const SLO_P95 = 0.3;
const SLO_P99 = 0.8;

export function routeStats(view: WindowView): Stats['routes'] {
  const byRoute = new Map<string, Distribution[]>();
  for (const distribution of view.distributions('autoshop_http_request_duration_seconds')) {
    const key = `${distribution.labels['method']} ${distribution.labels['route']}`;
    const held = byRoute.get(key);
    if (held) held.push(distribution);
    else byRoute.set(key, [distribution]);
  }
  const costs = (metric: string) => new Map(view.distributions(metric).map((one) => [String(one.labels['route']), one]));
  const dbSeconds = costs('autoshop_http_request_db_seconds');
  const queries = costs('autoshop_http_request_db_queries');
  const cached = hitRatios(view);
  const rows = [...byRoute.values()].flatMap((distributions) => {
    const all = combine(distributions);
    if (all.count === 0) return [];
    const labels: Distribution['labels'] = distributions[0]?.labels ?? {};
    const route = String(labels['route']);
    const inClass = (word: string) => combine(distributions.filter((one) => one.labels['status_class'] === word)).count;
    const p95 = percentile(all, 0.95);
    const p99 = percentile(all, 0.99);
    const db = dbSeconds.get(route);
    const statements = queries.get(route);
    return {
      time: all.sum,
      row: {
        method: String(labels['method']),
        route,
        count: all.count,
        rps: Math.round((all.count / view.seconds) * 100) / 100,
        p50: toMs(percentile(all, 0.5)),
        p95: toMs(p95),
        p99: toMs(p99),
        '4xx': inClass('4xx'),
        '5xx': inClass('5xx'),
        slow: above(all, 1),
        db_ms_p95: db ? toMs(percentile(db, 0.95)) : null,
        queries_p95: statements ? percentile(statements, 0.95) : null,
        cache_hit_ratio: cached.get(route) ?? null,
        slo: { p95: SLO_P95 * 1000, p99: SLO_P99 * 1000, ok: (p95 ?? 0) <= SLO_P95 && (p99 ?? 0) <= SLO_P99 },
      },
    };
  });
  return rows
    .sort((a, b) => b.time - a.time)
    .slice(0, SHOWN)
    .map(({ row }) => row);
}
