/**
 * The metrics of this process (prom-client). Workers push cumulative snapshots to the primary, which merges them;
 * labels are bounded (endpoint ids, status classes), never ids, paths or tenants.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export const registry = new Registry();
const registers = [registry];

/** The two service-level limits, 0.3 s and 0.8 s, are bucket edges, so the indicator is exact. */
const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1, 2.5, 5, 10, 30];

export const metrics = {
  requests: new Counter({
    name: 'autoshop_http_requests_total',
    help: 'Requests answered',
    labelNames: ['method', 'route', 'status'],
    registers,
  }),
  requestSeconds: new Histogram({
    name: 'autoshop_http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its answer',
    labelNames: ['method', 'route', 'status_class'],
    buckets: LATENCY_BUCKETS,
    registers,
  }),
  inFlight: new Gauge({ name: 'autoshop_http_requests_in_flight', help: 'Requests being worked on', registers }),
  timeouts: new Counter({
    name: 'autoshop_http_request_timeouts_total',
    help: 'Requests answered 503 because they took too long',
    registers,
  }),
  shed: new Counter({ name: 'autoshop_http_requests_shed_total', help: 'Requests refused at the door', labelNames: ['reason'], registers }),
  aborted: new Counter({
    name: 'autoshop_http_requests_aborted_total',
    help: 'Requests whose client went away before the answer',
    registers,
  }),
  clientErrors: new Counter({
    name: 'autoshop_http_client_errors_total',
    help: 'Connections and requests refused before the application saw them',
    labelNames: ['status'],
    registers,
  }),
  slowRequests: new Counter({
    name: 'autoshop_http_slow_requests_total',
    help: 'Requests slower than LOG_SLOW_REQUEST_MS',
    labelNames: ['route'],
    registers,
  }),
  requestQueries: new Histogram({
    name: 'autoshop_http_request_db_queries',
    help: 'Statements of one request',
    labelNames: ['route'],
    buckets: [1, 2, 4, 8, 16, 32, 64],
    registers,
  }),
  queryBudgetExceeded: new Counter({
    name: 'autoshop_http_query_budget_exceeded_total',
    help: 'Requests whose handler sent more statements than its endpoint declares',
    labelNames: ['route'],
    registers,
  }),
  unusedIncludes: new Counter({
    name: 'autoshop_db_unused_includes_total',
    help: 'Associations that a request loaded with its rows and never read',
    labelNames: ['route'],
    registers,
  }),
  requestDbSeconds: new Histogram({
    name: 'autoshop_http_request_db_seconds',
    help: 'Database time of one request',
    labelNames: ['route'],
    buckets: LATENCY_BUCKETS,
    registers,
  }),
  poolAcquireSeconds: new Histogram({
    name: 'autoshop_db_pool_acquire_seconds',
    help: 'Time to get a connection',
    labelNames: ['target'],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
    registers,
  }),
  poolTimeouts: new Counter({
    name: 'autoshop_db_pool_timeouts_total',
    help: 'Callers that gave up waiting for a connection',
    labelNames: ['target'],
    registers,
  }),
  connects: new Counter({ name: 'autoshop_db_connects_total', help: 'Connections opened', labelNames: ['target'], registers }),
  readChoices: new Counter({
    name: 'autoshop_db_replica_choices_total',
    help: 'Requests that may read from a replica, by what was chosen: the replica, or the primary and why; fallback: a replica was lost on the way',
    labelNames: ['choice'],
    registers,
  }),
  querySeconds: new Histogram({
    name: 'autoshop_db_query_duration_seconds',
    help: 'Time of one statement',
    labelNames: ['target', 'kind'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
    registers,
  }),
  routeQueries: new Counter({
    name: 'autoshop_db_route_queries_total',
    help: 'Statements by the endpoint or job that sent them',
    labelNames: ['route', 'kind'],
    registers,
  }),
  routeQuerySeconds: new Counter({
    name: 'autoshop_db_route_query_seconds_total',
    help: 'Time of those statements',
    labelNames: ['route', 'kind'],
    registers,
  }),
  queryErrors: new Counter({ name: 'autoshop_db_query_errors_total', help: 'Statements that failed', registers }),
  repeatedReads: new Counter({
    name: 'autoshop_n_plus_one_detected_total',
    help: 'Statements that one request sent N_PLUS_ONE_REPEATS times or more',
    labelNames: ['route'],
    registers,
  }),
  slowQueries: new Counter({ name: 'autoshop_db_slow_queries_total', help: 'Statements slower than LOG_SLOW_QUERY_MS', registers }),
  telemetryEvents: new Counter({
    name: 'autoshop_telemetry_events_total',
    help: 'Events that browsers reported; none is kept',
    labelNames: ['outcome'],
    registers,
  }),
  cacheRequests: new Counter({
    name: 'autoshop_cache_requests_total',
    help: 'Questions that the reply cache may answer, by endpoint',
    labelNames: ['namespace', 'result'],
    registers,
  }),
  cacheErrors: new Counter({ name: 'autoshop_cache_errors_total', help: 'Failures of the store behind the reply cache', registers }),
  cacheSets: new Counter({ name: 'autoshop_cache_sets_total', help: 'Replies stored', registers }),
  cacheInvalidations: new Counter({
    name: 'autoshop_cache_invalidations_total',
    help: 'Tags whose replies a write has made void',
    registers,
  }),
  cacheEvictions: new Counter({
    name: 'autoshop_cache_evictions_total',
    help: 'Replies that a worker dropped from its own memory to make room',
    registers,
  }),
  cacheFallbacks: new Counter({
    name: 'autoshop_cache_fallbacks_total',
    help: 'Replies computed because the cache could not be asked',
    registers,
  }),
  cacheStampedesSaved: new Counter({
    name: 'autoshop_cache_stampedes_saved_total',
    help: 'Requests that waited for the computation of another one',
    registers,
  }),
  cacheLookUpSeconds: new Histogram({
    name: 'autoshop_cache_look_up_seconds',
    help: 'Time to ask the cache for one reply',
    buckets: [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers,
  }),
  rateAllowed: new Counter({
    name: 'autoshop_rate_allowed_total',
    help: 'Requests that a rate limit admitted, by where they were counted',
    labelNames: ['counter'],
    registers,
  }),
  rateFailedOpen: new Counter({
    name: 'autoshop_rate_limit_failed_open_total',
    help: 'Requests admitted because nobody could count them',
    labelNames: ['limiter'],
    registers,
  }),
  rateLimited: new Counter({
    name: 'autoshop_rate_limited_total',
    help: 'Requests refused by a rate limit',
    labelNames: ['limiter'],
    registers,
  }),
} as const;
