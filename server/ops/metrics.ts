/**
 * `/metrics`: everything the workers count, merged over the living and the dead, and what only the primary knows.
 * Gauges of single processes carry a `process` label (slot number, `jobs` or `primary`): a loop lag must not be averaged.
 */
import { Counter, Gauge, Registry, type RegistryContentType } from 'prom-client';
import type { PoolReport } from '../../lib/pool-report';
import { type MetricSnapshot, mergeSnapshots } from '../cluster/snapshots';
import type { WorkerHandle } from '../cluster/worker-handle';
import { replicasOf } from './database-stats';
import { queueStats } from './queue-stats';
import type { StatsSource } from './stats';

export interface MetricsText {
  contentType: string;
  body: string;
}

const nameOf = ({ kind, slot }: WorkerHandle): string => (kind === 'jobs' ? 'jobs' : String(slot));

export async function buildMetrics(source: StatsSource, openMetrics: boolean): Promise<MetricsText> {
  const type = (openMetrics ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE) as RegistryContentType;
  const own = (await primaryMetrics(source).getMetricsAsJSON()) as unknown as MetricSnapshot[];
  const merged = mergeSnapshots([...source.store.all(), own], type);
  return { contentType: type, body: await merged.metrics() };
}

/** The pools of all processes, by the server they lead to. */
const pools = ({ supervisor }: StatsSource): { target: string; pool: PoolReport }[] =>
  supervisor.children.flatMap(({ report }) => [
    ...(report?.pool ? [{ target: 'primary', pool: report.pool }] : []),
    ...(report?.replicas ?? []).map(({ name, pool }) => ({ target: name, pool })),
  ]);

/** A registry made for one scrape: its values are facts that are held elsewhere. */
function primaryMetrics(source: StatsSource): Registry {
  const { supervisor, store, config, load } = source;
  const now = source.now();
  const registers = [new Registry()];
  const gauge = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge<Label>({ name: `autoshop_${name}`, help, labelNames, registers });
  const counter = <Label extends string = never>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter<Label>({ name: `autoshop_${name}`, help, labelNames, registers });

  const build = gauge('build_info', 'Version of the service, value 1', ['version', 'commit', 'node']);
  build.set({ version: config.APP_VERSION, commit: '', node: process.versions.node }, 1);

  const states = gauge('workers', 'HTTP workers by state', ['state']);
  for (const state of ['booting', 'ready', 'draining', 'unresponsive'] as const) states.set({ state }, 0);
  for (const worker of supervisor.workers) {
    const { state } = worker;
    if (state === 'draining' || state === 'gone') states.inc({ state: 'draining' });
    else if (worker.isUnresponsive(now)) states.inc({ state: 'unresponsive' });
    else states.inc({ state: state === 'ready' ? 'ready' : 'booting' });
  }
  gauge('workers_target', 'HTTP workers wanted').set(supervisor.target);

  const restarts = counter('worker_restarts_total', 'Workers that were replaced, by reason', ['reason']);
  for (const reason of ['crash', 'max_requests'] as const) restarts.inc({ reason }, 0);
  for (const [reason, count] of supervisor.restarts) restarts.inc({ reason }, count);
  counter('lost_workers_total', 'Workers that died without their last metrics').inc(store.lostWorkers);
  gauge('maintenance', '1 while the service is closed to everybody but owners').set(source.switches.maintenance ? 1 : 0);
  gauge('breaker_open', '1 while workers die too fast to be replaced at once').set(supervisor.breaker.open ? 1 : 0);

  const { accepted, regiven, refused, waiting } = source.dispatch();
  if (accepted !== null) counter('connections_accepted_total', 'Connections that the primary accepted').inc(accepted);
  if (refused !== null) counter('connections_refused_total', 'Connections that no worker could take in time').inc(refused);
  if (waiting !== null) gauge('connections_waiting', 'Connections that wait for a worker which is free').set(waiting);
  counter('connections_regiven_total', 'Connections given to another worker because the first one did not take them').inc(regiven);

  const oldest = Math.max(0, ...supervisor.children.flatMap(({ report, lastCheckinAt }) => (report ? [now - lastCheckinAt] : [])));
  gauge('metrics_oldest_age_seconds', 'Age of the oldest report of a living process').set(oldest / 1000);
  gauge('db_budget_connections', 'Connections granted to processes').set(supervisor.ledger.granted);
  gauge('db_budget_limit', 'Connections this instance may open').set(supervisor.ledger.limit);

  const connections = gauge('db_pool_connections', 'Connections of the pools, by server', ['target', 'state']);
  const queued = gauge('db_pool_waiting', 'Callers waiting for a connection, by server', ['target']);
  for (const { target, pool } of pools(source)) {
    connections.inc({ target, state: 'idle' }, pool.idle);
    connections.inc({ target, state: 'busy' }, pool.busy);
    queued.inc({ target }, pool.waiting);
  }
  const up = gauge('db_replica_up', '1 while every worker can use the replica', ['target']);
  const replicaLag = gauge(
    'db_replica_lag_seconds',
    'How old the newest data of the replica may be, at most; absent while it is not known',
    ['target'],
  );
  for (const { name, reports } of replicasOf(source)) {
    up.set({ target: name }, reports.length > 0 && reports.every(({ status }) => status === 'up') ? 1 : 0);
    const lags = reports.flatMap(({ lag_s }) => lag_s ?? []);
    if (lags.length > 0) replicaLag.set({ target: name }, Math.max(...lags));
  }

  // Of the whole queue, whichever instance counts it: take the maximum over instances, not the sum. Absent while nobody counts.
  const { jobs, outbox } = queueStats(source);
  const queue = {
    jobs_depth: [jobs.depth, 'Jobs that wait or run'],
    jobs_oldest_seconds: [jobs.oldest_s, 'Age of the oldest job that is due and not done'],
    jobs_retries: [jobs.retries, 'Jobs that have failed and are to be tried again'],
    jobs_dead: [jobs.dead, 'Jobs that have failed for the last time'],
    outbox_pending: [outbox.pending, 'Mail and messages not yet handed over'],
    outbox_oldest_seconds: [outbox.oldest_s, 'Age of the oldest mail or message that is due and not handed over'],
    outbox_failed: [outbox.failed, 'Mail and messages that nobody tries to hand over again'],
  } as const;
  for (const [name, [value, help]] of Object.entries(queue)) if (value !== null) gauge(name, help).set(value);

  const rss = gauge('process_resident_memory_bytes', 'Resident memory', ['process']);
  const heap = gauge('process_heap_used_bytes', 'Used heap', ['process']);
  const fds = gauge('process_open_fds', 'Open file descriptors', ['process']);
  const lag = gauge('nodejs_eventloop_lag_seconds', 'P99 of the delay of the event loop in the last second', ['process']);
  const elu = gauge('nodejs_eventloop_utilization', 'Share of the last second that the event loop was busy', ['process']);
  for (const worker of supervisor.children) {
    const { report } = worker;
    // While two workers share a slot, the one that still serves speaks for it.
    if (!report || (worker.state !== 'ready' && supervisor.children.some((other) => other !== worker && other.slot === worker.slot)))
      continue;
    const labels = { process: nameOf(worker) };
    rss.set(labels, report.rss);
    heap.set(labels, report.heap_used);
    if (report.fds !== null) fds.set(labels, report.fds);
    lag.set(labels, report.lag_p99 / 1000);
    elu.set(labels, report.elu);
  }
  const own = load.read();
  if (source.scope === 'cluster') {
    const self = { process: 'primary' };
    rss.set(self, own.rss);
    heap.set(self, load.heapUsed);
    if (own.fds !== null) fds.set(self, own.fds);
    lag.set(self, own.loop_lag_p99 / 1000);
    elu.set(self, own.elu);
  }
  counter('process_cpu_seconds_total', 'Processor time of all processes, those that have ended included').inc(
    source.childCpuSeconds() + load.cpuSeconds,
  );
  gauge('process_start_time_seconds', 'Start of the primary, Unix time').set(source.startedAt.getTime() / 1000);
  return registers[0] as Registry;
}
