/**
 * Builds `/stats` from what the primary already has: supervisor, reports, merged metrics and windows. Nothing here waits;
 * a worker that is silent is shown as such, with its last numbers and their age.
 */
import { createHash } from 'node:crypto';
import { loadavg } from 'node:os';
import type { z } from 'zod';
import type { Config } from '../../config';
import { hostLimits } from '../../config/host';
import type { DispatchFacts } from '../cluster/front';
import type { Report } from '../cluster/messages';
import type { SnapshotStore } from '../cluster/snapshots';
import type { Supervisor } from '../cluster/supervisor';
import type { Switches } from '../cluster/switches';
import type { LastExit, WorkerHandle } from '../cluster/worker-handle';
import { CACHE_LOOK_UP, cacheStats } from './cache-stats';
import { ACQUIRE_HISTOGRAM, primaryStats, replicaStats } from './database-stats';
import { poolerStats } from './pooler-stats';
import type { PrimaryLoad } from './primary-load';
import { queueStats } from './queue-stats';
import type { Recent } from './recent';
import type { RecentEntries } from './recorder';
import { ratio, rounded, toMs } from './rounding';
import { routeStats } from './route-stats';
import { serverStats } from './server-stats';
import { shedStats } from './shed-stats';
import type { Stats, WorkerStats } from './stats.schema';
import { combine, type Distribution, distributionsOf, percentile, type Windows, type WindowView } from './windows';

export const HISTOGRAMS = {
  requests: 'autoshop_http_request_duration_seconds',
  requestDb: 'autoshop_http_request_db_seconds',
  requestQueries: 'autoshop_http_request_db_queries',
  queries: 'autoshop_db_query_duration_seconds',
  acquire: ACQUIRE_HISTOGRAM,
  cacheLookUp: CACHE_LOOK_UP,
} as const;

export const COUNTERS = {
  requests: 'autoshop_http_requests_total',
  timeouts: 'autoshop_http_request_timeouts_total',
  aborted: 'autoshop_http_requests_aborted_total',
  shed: 'autoshop_http_requests_shed_total',
  limited: 'autoshop_rate_limited_total',
  rateAllowed: 'autoshop_rate_allowed_total',
  failedOpen: 'autoshop_rate_limit_failed_open_total',
  slow: 'autoshop_http_slow_requests_total',
  queryErrors: 'autoshop_db_query_errors_total',
  slowQueries: 'autoshop_db_slow_queries_total',
  repeatedReads: 'autoshop_n_plus_one_detected_total',
  overBudget: 'autoshop_http_query_budget_exceeded_total',
  unusedIncludes: 'autoshop_db_unused_includes_total',
} as const;

const HOST = hostLimits();

/** What the documents read of the supervisor. */
export type SupervisorView = Pick<
  Supervisor,
  | 'phase'
  | 'ready'
  | 'isWhole'
  | 'target'
  | 'workers'
  | 'children'
  | 'jobProcess'
  | 'standby'
  | 'breaker'
  | 'ledger'
  | 'division'
  | 'lastExit'
  | 'lastExitOf'
  | 'restarts'
  | 'rollStatus'
>;

export interface StatsSource {
  /** Of the whole cluster, or of one process that serves alone. */
  scope: Stats['scope'];
  config: Config;
  supervisor: SupervisorView;
  store: SnapshotStore;
  windows: Windows;
  recent: Recent;
  /** What the primary itself keeps of the reply cache. */
  replies: { readonly bytes: number; readonly evictions: number };
  load: Pick<PrimaryLoad, 'read' | 'cpuPercent' | 'cpuSeconds' | 'heapUsed' | 'heapTotal' | 'disk' | 'maxFds'>;
  switches: Pick<Switches, 'maintenance' | 'logLevel' | 'logLevelUntil'>;
  startedAt: Date;
  instanceId: string;
  host: string;
  now: () => number;
  /** Processor seconds of all children, those that have ended included. */
  childCpuSeconds: () => number;
  dispatch: () => DispatchFacts;
  /** The stop has begun, though workers may serve on for PRESTOP_DELAY. */
  stopping: () => boolean;
}

const isoAt = (source: StatsSource, moment: number): string => new Date(Date.now() - (source.now() - moment)).toISOString();

export type ClusterState = Stats['cluster']['state'];

/** One word for the whole: what a balancer or a person wants to know first. Not whole while one stands in for a slot without a worker. */
export function clusterState({ supervisor }: { supervisor: Pick<Supervisor, 'phase' | 'breaker' | 'isWhole'> }): ClusterState {
  if (supervisor.phase === 'starting') return 'starting';
  if (supervisor.phase === 'stopping' || supervisor.phase === 'stopped') return 'draining';
  if (supervisor.breaker.open) return 'breaker_open';
  return supervisor.isWhole ? 'ready' : 'degraded';
}

const sumOver = (workers: readonly WorkerHandle[], read: (report: Report) => number): number =>
  workers.reduce((sum, { report }) => sum + (report ? read(report) : 0), 0);
const maxOver = (workers: readonly WorkerHandle[], read: (report: Report) => number): number | null =>
  workers.reduce<number | null>((max, { report }) => (report ? Math.max(max ?? 0, read(report)) : max), null);

const quantiles = (distribution: Distribution) => ({
  p50: toMs(percentile(distribution, 0.5)),
  p95: toMs(percentile(distribution, 0.95)),
  p99: toMs(percentile(distribution, 0.99)),
});

export function buildStats(source: StatsSource, windowSeconds: number): Stats {
  const { config, supervisor, windows, recent } = source;
  const now = source.now();
  const view = windows.view(windowSeconds);
  const children = supervisor.children;
  return {
    schema: 1,
    generated_at: new Date().toISOString(),
    window_s: windowSeconds,
    scope: source.scope,
    service: {
      name: 'autoshop',
      version: config.APP_VERSION,
      commit: null,
      node: process.versions.node,
      environment: config.NODE_ENV,
      instance_id: source.instanceId,
      host: source.host,
      started_at: source.startedAt.toISOString(),
      uptime: rounded((Date.now() - source.startedAt.getTime()) / 1000, 1),
    },
    summary: summary(source),
    cluster: cluster(source, now),
    primary: source.load.read(),
    metrics: {
      oldest_age_ms: children.reduce<number | null>(
        (oldest, { report, lastCheckinAt }) => (report ? Math.max(oldest ?? 0, Math.round(now - lastCheckinAt)) : oldest),
        null,
      ),
      lost_workers_total: source.store.lostWorkers,
    },
    requests: requests(source, view),
    routes: routeStats(view),
    db: db(source, view),
    cache: cacheStats(source, view),
    rate_limit: rateLimit(source),
    ...queueStats(source),
    resources: resources(source),
    workers: children.map((worker) => workerStats(source, worker, now)),
    slo: null,
    alerts: alerts(source),
    recent: recentStats(recent.read()),
    counts: null,
  };
}

const statusClass = (status: unknown): string => `${String(status).charAt(0)}xx`;

function summary(source: StatsSource): Stats['summary'] {
  const { store } = source;
  const statusCounts = { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0 };
  let total = 0;
  for (const { value, labels } of store.values(COUNTERS.requests)) {
    total += value;
    const word = statusClass(labels['status']);
    if (word in statusCounts) statusCounts[word as keyof typeof statusCounts] += value;
  }
  let seconds = 0;
  let count = 0;
  for (const { metricName, value } of store.values(HISTOGRAMS.requests)) {
    if (metricName?.endsWith('_sum')) seconds += value;
    else if (metricName?.endsWith('_count')) count += value;
  }
  const slow = store.total(COUNTERS.slow);
  const { memory, cpu } = resources(source);
  return {
    requests: total,
    errors: statusCounts['5xx'],
    averageResponseTime: rounded(count === 0 ? 0 : (seconds / count) * 1000),
    errorRate: ratio(statusCounts['5xx'], total),
    slowRequests: slow,
    slowRequestRate: ratio(slow, total),
    statusCounts,
    memory: { rss: memory.rss, heapUsed: memory.heapUsed, heapTotal: memory.heapTotal },
    cpu: { percent: cpu.percent },
    load: loadavg().map((value) => rounded(value)),
    uptime: rounded((Date.now() - source.startedAt.getTime()) / 1000, 1),
  };
}

function cluster(source: StatsSource, now: number): Stats['cluster'] {
  const { supervisor, config, switches } = source;
  const workers = supervisor.workers;
  const { breaker, rollStatus } = supervisor;
  const byReason = Object.fromEntries(supervisor.restarts);
  const given = source.dispatch();
  // Exact where the primary gives the connections; else what the workers reported last.
  const live = given.shares ?? workers.map(({ report }) => report?.live_connections ?? 0);
  const [least, most] = [Math.min(...live), Math.max(...live)];
  return {
    state: clusterState(source),
    mode: source.scope,
    phase: rollStatus.id,
    workers: { target: supervisor.target, max: null, source: config.workersSource },
    booted_workers: supervisor.ready,
    old_workers: workers.filter(({ state, drain }) => state === 'draining' && drain?.reason === 'roll').length,
    draining: workers.filter(({ state }) => state === 'draining').length,
    standby: supervisor.standby ? { pid: supervisor.standby.pid, state: supervisor.standby.state } : null,
    stalled: workers.filter(({ stalledSince }) => stalledSince !== null).length,
    unresponsive: workers.filter((worker) => worker.isUnresponsive(now)).length,
    restarts: { total: Object.values(byReason).reduce((sum, count) => sum + count, 0), by_reason: byReason },
    breaker: {
      open: breaker.open,
      deaths_30s: breaker.deathsInWindow(now),
      next_fork_at: breaker.nextForkAt === null ? null : isoAt(source, breaker.nextForkAt),
    },
    roll: rollStatus,
    dispatch: {
      policy: given.policy,
      accepted_total: given.accepted,
      live: given.live ?? live.reduce((sum, count) => sum + count, 0),
      unacked: given.unacked,
      regiven_total: given.regiven,
      skew_max_min: live.length > 1 && least > 0 ? rounded(most / least) : null,
      slow_pids: given.slow,
    },
    maintenance: switches.maintenance,
    log_level: { level: switches.logLevel ?? config.LOG_LEVEL, until: switches.logLevelUntil },
    shed: shedStats(workers, source.store),
    config_hash: configHash(config),
    last_exit: exitOf(supervisor.lastExit),
  };
}

/** Tells two configurations apart without showing one; secrets take no part. */
function configHash(config: Config): string {
  const shown = Object.entries(config).filter(([name]) => !/SECRET|TOKEN|PASSWORD|URL|DSN/.test(name));
  return createHash('sha256').update(JSON.stringify(shown.sort())).digest('hex').slice(0, 12);
}

const exitOf = (exit: LastExit | null): Stats['cluster']['last_exit'] => (exit ? { ...exit, stderr_tail: [...exit.stderr_tail] } : null);

function requests({ config, store, supervisor, windows, recent }: StatsSource, view: WindowView): Stats['requests'] {
  const distributions = view.distributions(HISTOGRAMS.requests);
  const all = combine(distributions);
  const inClass = (word: string) => combine(distributions.filter(({ labels }) => labels['status_class'] === word)).count;
  const workers = supervisor.workers;
  const rps = (seconds: number) => {
    const span = windows.view(seconds);
    return rounded(combine(span.distributions(HISTOGRAMS.requests)).count / span.seconds);
  };
  return {
    total: store.total(COUNTERS.requests),
    in_flight: sumOver(workers, ({ in_flight }) => in_flight),
    in_flight_max: sumOver(workers, ({ in_flight_max }) => in_flight_max),
    rps: { '1m': rps(60), '5m': rps(300), '15m': rps(900) },
    latency: {
      ...quantiles(all),
      max: recent.maxMs(view.seconds),
      mean: all.count === 0 ? null : toMs(all.sum / all.count),
    },
    error_ratio: { '4xx': ratio(inClass('4xx'), all.count), '5xx': ratio(inClass('5xx'), all.count) },
    slow: { threshold: config.LOG_SLOW_REQUEST_MS, total: store.total(COUNTERS.slow) },
    timeouts: store.total(COUNTERS.timeouts),
    aborted: store.total(COUNTERS.aborted),
    shed: store.total(COUNTERS.shed),
    limited: store.total(COUNTERS.limited),
  };
}

/** Plans stand beside their statements, repeated reads at the database's figures. */
function recentStats({ slow_requests, slow_queries, slow_plans, errors }: RecentEntries): Stats['recent'] {
  const plans = new Map(slow_plans.map(({ fingerprint, plan }) => [fingerprint, plan]));
  return { slow_requests, slow_queries: slow_queries.map((one) => ({ ...one, plan: plans.get(one.fingerprint) ?? null })), errors };
}

function db(source: StatsSource, view: WindowView): Stats['db'] {
  const { config, store, supervisor, recent } = source;
  const children = supervisor.children;
  const pool = (read: (pool: NonNullable<Report['pool']>) => number) =>
    sumOver(children, (report) => (report.pool ? read(report.pool) : 0));
  const states = children.flatMap(({ report }) => (report?.db ? [report.db] : []));
  const serverMax = states.find(({ server_max }) => server_max !== null)?.server_max ?? null;
  const statements = combine(view.distributions(HISTOGRAMS.queries));
  return {
    budget: {
      limit: supervisor.ledger.limit,
      server_max: serverMax,
      granted: supervisor.ledger.granted,
      used: pool((one) => one.size),
      idle: pool((one) => one.idle),
      waiting: pool((one) => one.waiting),
      surge_reserved: supervisor.division.surge.max,
      grants_changed_total: supervisor.ledger.changes,
    },
    primary: primaryStats(source, view),
    replicas: replicaStats(source, view),
    pgbouncer: poolerStats(children),
    ...serverStats(children),
    queries: {
      total: countOf(store, HISTOGRAMS.queries),
      ...quantiles(statements),
      errors: store.total(COUNTERS.queryErrors),
      slow: { threshold: config.LOG_SLOW_QUERY_MS, total: store.total(COUNTERS.slowQueries) },
      over_budget: store.total(COUNTERS.overBudget),
      unused_includes: store.total(COUNTERS.unusedIncludes),
    },
    n_plus_one: { mode: config.N_PLUS_ONE, detected: store.total(COUNTERS.repeatedReads), top: recent.read().repeated_reads },
  };
}

/** Latencies of one worker since its start. */
const lifetimeOf = (store: SnapshotStore, worker: string): Iterable<Distribution> =>
  distributionsOf(store.of(worker).find(({ name }) => name === HISTOGRAMS.requests)?.values ?? []).values();

function countOf(store: SnapshotStore, histogram: string): number {
  let count = 0;
  for (const { metricName, value } of store.values(histogram)) if (metricName?.endsWith('_count')) count += value;
  return count;
}

function rateLimit({ scope, store, config }: StatsSource): Stats['rate_limit'] {
  const limited = new Map<string, number>();
  for (const { labels, value } of store.values(COUNTERS.limited)) {
    const limiter = String(labels['limiter']);
    limited.set(limiter, (limited.get(limiter) ?? 0) + value);
  }
  const top = [...limited].filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  return {
    backend: config.REDIS_URL !== undefined ? 'redis' : scope === 'cluster' ? 'primary' : 'process',
    allowed: store.total(COUNTERS.rateAllowed),
    limited: store.total(COUNTERS.limited),
    fail_open: store.total(COUNTERS.failedOpen),
    top: top.slice(0, 10).map(([limiter, count]) => ({ limiter, limited: count })),
  };
}

function resources({ supervisor, load }: StatsSource): Stats['resources'] {
  const children = supervisor.children;
  const own = load.read();
  const rss = own.rss + sumOver(children, (report) => report.rss);
  const limit = HOST.memoryMb * 1024 * 1024;
  const openFds =
    children.every(({ report }) => report?.fds != null) && own.fds !== null
      ? own.fds + sumOver(children, (report) => report.fds ?? 0)
      : null;
  return {
    cpu: { percent: load.cpuPercent, cores: HOST.processors, quota: HOST.cpuQuota ?? null },
    memory: {
      rss,
      heapUsed: load.heapUsed + sumOver(children, (report) => report.heap_used),
      heapTotal: load.heapTotal + sumOver(children, (report) => report.heap_total),
      limit,
      utilization: ratio(rss, limit),
    },
    // Of the worst worker: an average would hide the one that hangs.
    event_loop: {
      lag_p50: maxOver(children, (report) => report.lag_p50),
      lag_p99: maxOver(children, (report) => report.lag_p99),
      max: maxOver(children, (report) => report.lag_max),
      utilization: maxOver(children, (report) => report.elu),
    },
    gc: {
      pauses: sumOver(children, (report) => report.gc.pauses),
      pause_p99: maxOver(children, (report) => report.gc.pause_p99),
      total: sumOver(children, (report) => report.gc.total_ms),
    },
    disk: load.disk,
    fds: { open: openFds, max: load.maxFds },
  };
}

function workerStats(source: StatsSource, worker: WorkerHandle, now: number): z.infer<typeof WorkerStats> {
  const { store, supervisor } = source;
  const { report, state, drain } = worker;
  const own = combine(lifetimeOf(store, worker.id));
  const granted = supervisor.ledger.grantOf(worker.id);
  return {
    slot: worker.slot,
    id: worker.id,
    kind: worker.kind,
    pid: worker.pid,
    phase: supervisor.rollStatus.id,
    state: state !== 'draining' && worker.isUnresponsive(now) ? 'unresponsive' : state === 'gone' ? 'draining' : state,
    build: worker.version,
    started_at: isoAt(source, worker.forkedAt),
    boot_ms: worker.readyAt === null ? null : Math.round(worker.readyAt - worker.forkedAt),
    last_checkin: rounded((now - worker.lastCheckinAt) / 1000),
    requests_count: report?.requests_count ?? 0,
    requests_left: worker.requestLimit === 0 ? null : Math.max(0, worker.requestLimit - (report?.requests_count ?? 0)),
    in_flight: report?.in_flight ?? 0,
    in_flight_max: report?.in_flight_max ?? 0,
    oldest_request: report?.oldest_request ?? null,
    live_connections: report?.live_connections ?? 0,
    idle_connections: report?.idle_connections ?? 0,
    latency: { p50: toMs(percentile(own, 0.5)), p99: toMs(percentile(own, 0.99)) },
    errors_5xx: report?.errors_5xx ?? 0,
    elu: report?.elu ?? null,
    lag_p99: report?.lag_p99 ?? null,
    stalls: { count: worker.stalls.count, last: worker.stalls.last },
    rss: report?.rss ?? null,
    heapUsed: report?.heap_used ?? null,
    heap_limit: report?.heap_limit ?? null,
    fds: report?.fds ?? null,
    pool:
      report?.pool && granted
        ? { granted: granted.max, total: report.pool.size, idle: report.pool.idle, waiting: report.pool.waiting, wait_p99: null }
        : null,
    drain: drain ? { reason: worker.crashing ? 'crash' : drain.reason, since_s: rounded((now - drain.since) / 1000, 1) } : null,
    last_exit: exitOf(supervisor.lastExitOf(worker.slot)),
  };
}

/** The one rule that needs no evaluation: it always fires, and its absence proves that the pipe is broken. */
export function alerts({ startedAt }: Pick<StatsSource, 'startedAt'>): Stats['alerts'] {
  return [
    {
      name: 'Watchdog',
      severity: 'none',
      state: 'firing',
      value: 1,
      threshold: null,
      since: startedAt.toISOString(),
      runbook: null,
      sample_request_ids: [],
    },
  ];
}
