/**
 * What this process tells the primary about itself each second: load of its event loop, memory, requests in flight, pool,
 * and the metrics that changed. Everything is read from counters that exist anyway; nothing here waits for anything.
 */
import { readdir } from 'node:fs';
import { type EventLoopUtilization, monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { replyBackend } from '../../lib/cache/replies';
import { poolStatus, serverInfo } from '../../lib/db';
import { registry } from '../../lib/metrics';
import { replicaReports } from '../../lib/replicas';
import { overloadMeter } from '../http/overload-meter';
import { lifecycle } from '../lifecycle';
import { databaseState, refreshDatabaseState } from '../ops/database-state';
import { figuresReport } from '../ops/figures-report';
import { poolerReport } from '../ops/pooler-watch';
import { drainRecorder } from '../ops/recorder';
import type { CacheReport, DatabaseReport, Report } from './messages';
import { queueReport } from './queue-watch';
import type { MetricSnapshot } from './snapshots';

const NS_PER_MS = 1e6;
const HANGING_SHOWN = 5;
const FD_EVERY_MS = 5_000;

const ms = (nanoseconds: number): number => (Number.isFinite(nanoseconds) ? Math.round(nanoseconds / 1e4) / 100 : 0);

export class SelfReport {
  readonly #loop = monitorEventLoopDelay({ resolution: 10 });
  readonly #gc: PerformanceObserver;
  readonly #sent = new Map<string, string>();
  readonly #watchesDatabase: boolean;
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  #gcPauses: number[] = [];
  #gcCount = 0;
  #gcTotalMs = 0;
  #fds: number | null = null;
  #latest: Report | null = null;
  #fdsReadAt = Number.NEGATIVE_INFINITY;

  constructor({ watchesDatabase }: { watchesDatabase: boolean }) {
    this.#watchesDatabase = watchesDatabase;
    this.#loop.enable();
    this.#gc = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) {
        this.#gcCount += 1;
        this.#gcTotalMs += duration;
        this.#gcPauses.push(duration);
      }
    });
    this.#gc.observe({ entryTypes: ['gc'] });
  }

  stop(): void {
    this.#loop.disable();
    this.#gc.disconnect();
  }

  /** What {@link collect} gave last: whoever only wants to look takes nothing from the next report. */
  get latest(): Report | null {
    return this.#latest;
  }

  collect(): Report {
    const utilization = performance.eventLoopUtilization();
    const elu = performance.eventLoopUtilization(utilization, this.#utilization).utilization;
    this.#utilization = utilization;
    const heap = getHeapStatistics();
    const { answered, errors_5xx, max_ms, typical_ms, recent } = drainRecorder();
    const hanging = lifecycle.longest(HANGING_SHOWN);
    const connections = lifecycle.connections;
    const cpu = process.cpuUsage();
    this.#gcPauses.sort((a, b) => a - b);
    const pauseP99 = this.#gcPauses[Math.floor(this.#gcPauses.length * 0.99)] ?? 0;
    const report: Report = {
      // The recorder counts what the metrics count; without an HTTP chain that feeds it, the answers on the socket do.
      requests_count: Math.max(answered, lifecycle.finished),
      errors_5xx,
      in_flight: lifecycle.inFlight,
      in_flight_max: lifecycle.takeInFlightMax(),
      oldest_request: hanging[0] ?? null,
      hanging,
      live_connections: connections.live,
      idle_connections: connections.idle,
      max_ms,
      typical_ms,
      elu: Math.round(elu * 1000) / 1000,
      // The monitor reports the timer's own period as well: subtract it, so that an idle loop has a lag near 0.
      lag_p50: Math.max(0, ms(this.#loop.percentile(50) - 10 * NS_PER_MS)),
      lag_p99: Math.max(0, ms(this.#loop.percentile(99) - 10 * NS_PER_MS)),
      lag_max: Math.max(0, ms(this.#loop.max - 10 * NS_PER_MS)),
      cpu_s: (cpu.user + cpu.system) / 1e6,
      rss: process.memoryUsage.rss(),
      heap_used: heap.used_heap_size,
      heap_total: heap.total_heap_size,
      heap_limit: heap.heap_size_limit,
      fds: this.#fds,
      gc: { pauses: this.#gcCount, total_ms: Math.round(this.#gcTotalMs), pause_p99: Math.round(pauseP99 * 100) / 100 },
      pool: this.#watchesDatabase ? poolStatus() : null,
      db: this.#watchesDatabase ? databaseReport() : null,
      replicas: replicaReports(),
      queue: queueReport(),
      pooler: poolerReport(),
      figures: figuresReport(),
      shed: overloadMeter.take(),
      cache: cacheReport(),
      recent,
    };
    this.#loop.reset();
    this.#gcPauses = [];
    this.#countFds();
    this.#latest = report;
    return report;
  }

  /** The metrics whose values changed since the previous call, each one whole; `all` for the last snapshot of a life. */
  async changedMetrics(all = false): Promise<MetricSnapshot[]> {
    const snapshot = (await registry.getMetricsAsJSON()) as unknown as MetricSnapshot[];
    return snapshot.filter((metric) => {
      if (metric.values.length === 0) return false;
      const print = fingerprint(metric);
      if (!all && this.#sent.get(metric.name) === print) return false;
      this.#sent.set(metric.name, print);
      return true;
    });
  }

  #countFds(): void {
    const now = performance.now();
    if (now - this.#fdsReadAt < FD_EVERY_MS) return;
    this.#fdsReadAt = now;
    readdir('/proc/self/fd', (error, entries) => {
      this.#fds = error ? null : entries.length;
    });
  }
}

/** Changes whenever a counter or gauge does. A histogram's sum or count moves with every observation. */
function fingerprint({ type, values }: MetricSnapshot): string {
  let sum = 0;
  let count = 0;
  for (const { value, metricName } of values) {
    if (type === 'histogram' && metricName?.endsWith('_bucket')) continue;
    sum += value;
    if (type === 'gauge') count = (count * 31 + value) % 1e9;
  }
  return `${values.length}:${sum}:${count}`;
}

function cacheReport(): CacheReport {
  const backend = replyBackend();
  return backend
    ? { backend: backend.name, ready: backend.ready, ...backend.usage() }
    : { backend: 'none', ready: true, bytes: 0, evictions: 0 };
}

function databaseReport(): DatabaseReport {
  refreshDatabaseState();
  const { status, latencyMs, checkedAt, pendingMigrations } = databaseState();
  return {
    status,
    latency: latencyMs,
    checked_at: checkedAt?.toISOString() ?? null,
    server_max: serverInfo()?.maxConnections ?? null,
    pending_migrations: pendingMigrations,
  };
}
