/**
 * One line, one set of counters and one record for each request, when its answer has ended or its client has gone.
 * Never a query string, body, header or token.
 */
import type { NextFunction, Request, Response } from 'express';
import { config } from '../../../config';
import { withContext } from '../../../lib/context';
import { log } from '../../../lib/log';
import { metrics } from '../../../lib/metrics';
import { recordRepeatedRead, recordRequest } from '../../ops/recorder';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const CLASSES = ['0xx', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

export function observe(req: Request, res: Response, next: NextFunction): void {
  if (config.PERFORMANCE_MONITORING) metrics.inFlight.inc();
  // The path as it came: later middlewares may rewrite it for routing.
  const path = req.path;
  res.once('close', () => report(req, res, path));
  next();
}

function report(req: Request, res: Response, path: string): void {
  const { state } = req;
  const ms = performance.now() - state.startedAt;
  const { queries, dbMs, reads } = state.stats;
  const status = res.statusCode;
  const method = METHODS.has(req.method) ? req.method : 'OTHER';
  const route = routeOf(req);
  const aborted = !res.writableFinished;
  if (config.PERFORMANCE_MONITORING) {
    metrics.inFlight.dec();
    metrics.requests.inc({ method, route, status });
    metrics.requestSeconds.observe({ method, route, status_class: CLASSES[Math.floor(status / 100)] ?? '0xx' }, ms / 1000);
    if (queries > 0) {
      metrics.requestQueries.observe({ route }, queries);
      metrics.requestDbSeconds.observe({ route }, dbMs / 1000);
    }
    if (aborted) metrics.aborted.inc();
  }
  recordRequest({ route, method, status, ms, dbMs, queries, requestId: state.id, code: state.code, isWork: !state.isPlain && !aborted });
  for (const read of reads?.repeated() ?? []) {
    metrics.repeatedReads.inc({ route });
    recordRepeatedRead(`${method} ${route}`, read);
  }
  for (const include of reads?.unusedIncludes() ?? []) {
    metrics.unusedIncludes.inc({ route });
    if (config.N_PLUS_ONE !== 'count') withContext(state.context, () => log.warn('loaded with its rows and never read', { include }));
  }
  const { handlerQueries, queryBudget } = state;
  const overBudget = queryBudget !== undefined && handlerQueries !== null && handlerQueries > queryBudget;
  if (overBudget) metrics.queryBudgetExceeded.inc({ route });
  const slow = ms > config.LOG_SLOW_REQUEST_MS;
  if (slow) metrics.slowRequests.inc({ route });
  const line = {
    method: req.method,
    path: withoutNames(path, state.params),
    route,
    status,
    ms: round(ms),
    bytes: Math.max(0, req.socket.bytesWritten - state.bytesBefore),
    queries,
    db_ms: round(dbMs),
    ...(overBudget ? { query_budget: queryBudget } : {}),
    ...(slow ? { slow } : {}),
    ...(aborted ? { aborted } : {}),
    ...(state.code ? { code: state.code } : {}),
  };
  withContext(state.context, () => (slow ? log.warn('request', line) : log.info('request', line)));
}

const ID = /^(?:\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

/** The path with ids, but without a parameter that says something of its own: a license plate is a person's. */
export function withoutNames(path: string, params: Readonly<Record<string, string>>): string {
  let shown = path;
  for (const name in params) {
    const value = params[name] ?? '';
    if (!ID.test(value))
      shown = shown
        .split('/')
        .map((segment) => (decoded(segment) === value ? `:${name}` : segment))
        .join('/');
  }
  return shown;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** Endpoint id, else the pattern that Express matched, else one word for everything unknown. */
function routeOf(req: Request): string {
  const pattern: unknown = req.state.route ?? req.route?.path;
  return typeof pattern === 'string' ? pattern : 'unmatched';
}

const round = (ms: number): number => Math.round(ms * 10) / 10;
