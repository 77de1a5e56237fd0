/**
 * How much the profile pages save by answering 304. The counts are those of the request metric, so nothing is counted twice:
 * of the whole cluster through its primary, or of this process when it serves alone.
 */
import { Unavailable } from '../lib/errors';
import { registry } from '../lib/metrics';
import { opsSource } from '../lib/ops-source';
import type { CacheEfficiency } from '../schemas/analytics.schema';

/** The names that the page shows, and the endpoints behind them. */
const ROUTES = { '/api/customer/profile': 'getCustomerProfile', '/api/vehicle/profile': 'getVehicleProfile' } as const;
const METRIC = 'autoshop_http_requests_total';
const SAMPLE = new RegExp(`^${METRIC}\\{([^}]*)\\} (\\S+)`, 'gm');
const PERCENT = 100;

/** @throws Unavailable when the primary does not answer in time */
export async function cacheEfficiency(): Promise<CacheEfficiency> {
  const text = await metricsText();
  const routes = Object.fromEntries(Object.entries(ROUTES).map(([path, route]) => [path, efficiencyOf(text, route)]));
  return { routes: routes as CacheEfficiency['routes'] };
}

async function metricsText(): Promise<string> {
  const source = opsSource();
  if (!source) return registry.getSingleMetricAsString(METRIC);
  const document = await source.get('metrics').catch((error: unknown) => {
    throw new Unavailable('primary', { cause: error });
  });
  return document.body;
}

function efficiencyOf(text: string, route: string): CacheEfficiency['routes']['/api/customer/profile'] {
  const [fresh, unchanged] = [count(text, route, '200'), count(text, route, '304')];
  const total = fresh + unchanged;
  return { total, hits_304: unchanged, efficiency_pct: total === 0 ? null : Number(((unchanged / total) * PERCENT).toFixed(2)) };
}

/** Sum of the samples of GET requests to a route with one status. */
function count(text: string, route: string, status: string): number {
  let sum = 0;
  for (const [, labels = '', value = '0'] of text.matchAll(SAMPLE)) {
    const has = (name: string, wanted: string) => labels.split(',').includes(`${name}="${wanted}"`);
    if (has('method', 'GET') && has('route', route) && has('status', status)) sum += Number(value);
  }
  return sum;
}
