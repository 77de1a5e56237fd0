/**
 * The shape of `/stats`, published as JSON Schema at `/stats/schema`. Additive changes only: dashboards read it.
 * Times in `…_s` and ages are seconds, latencies milliseconds, memory bytes. `null` means "not known" or "no such part here".
 */
import { z } from 'zod';

const nullable = <T extends z.ZodType>(type: T) => type.nullable();
const number = z.number();
const word = z.string();
const at = z.iso.datetime();

const percentiles = { p50: nullable(number), p95: nullable(number), p99: nullable(number) };
const pool = z.object({
  min: number,
  max: number,
  size: number,
  idle: number,
  busy: number,
  waiting: number,
  waiting_max: number,
  utilization: number,
});
const lastExit = z.object({
  pid: number,
  slot: number,
  code: nullable(number),
  signal: nullable(word),
  reason: word,
  at,
  stderr_tail: z.array(word),
});
const inFlight = z.object({ id: nullable(word), route: nullable(word), ms: number });

const database = z.object({
  status: z.enum(['up', 'down', 'unknown']),
  role: z.enum(['primary', 'replica']),
  latency: nullable(number),
  pool,
  acquire: z.object({ p50: nullable(number), p95: nullable(number), max: nullable(number), timeouts: number }),
  reuse_ratio: nullable(number),
  connects: number,
  lag_s: nullable(number),
});

export const WorkerStats = z.object({
  slot: number,
  id: word,
  kind: z.enum(['http', 'jobs']),
  pid: number,
  phase: number,
  state: z.enum(['forked', 'hello', 'granted', 'ready', 'draining', 'unresponsive']),
  build: nullable(word),
  started_at: at,
  boot_ms: nullable(number),
  last_checkin: number.describe('seconds since the last report'),
  requests_count: number,
  requests_left: nullable(number),
  in_flight: number,
  in_flight_max: number,
  oldest_request: nullable(inFlight),
  live_connections: number,
  idle_connections: number,
  latency: z.object({ p50: nullable(number), p99: nullable(number) }),
  errors_5xx: number,
  elu: nullable(number),
  lag_p99: nullable(number),
  stalls: nullable(
    z.object({
      count: number,
      last: nullable(
        z.object({
          at,
          ms: number.describe('how long it lasted, or has lasted so far'),
          kind: nullable(z.enum(['js', 'native-cpu', 'native-wait'])),
          route: nullable(word),
          request_id: nullable(word),
          source: nullable(z.enum(['context', 'ran_last', 'ran_earlier', 'only_one'])).describe('how the request is known'),
          stack: z.array(word).describe('innermost first; empty for native code'),
          artefact: nullable(word).describe('file in EVIDENCE_DIR'),
        }),
      ),
    }),
  ),
  rss: nullable(number),
  heapUsed: nullable(number),
  heap_limit: nullable(number),
  fds: nullable(number),
  pool: nullable(z.object({ granted: number, total: number, idle: number, waiting: number, wait_p99: nullable(number) })),
  drain: nullable(z.object({ reason: word, since_s: number })),
  last_exit: nullable(lastExit),
});

export const Stats = z
  .object({
    schema: z.literal(1),
    generated_at: at,
    window_s: number,
    scope: z.enum(['cluster', 'worker']),
    service: z.object({
      name: word,
      version: word,
      commit: nullable(word),
      node: word,
      environment: word,
      instance_id: word,
      host: word,
      started_at: at,
      uptime: number,
    }),
    summary: z
      .object({
        requests: number,
        errors: number,
        averageResponseTime: number,
        errorRate: number,
        slowRequests: number,
        slowRequestRate: number,
        statusCounts: z.object({ '2xx': number, '3xx': number, '4xx': number, '5xx': number }),
        memory: z.object({ rss: number, heapUsed: number, heapTotal: number }),
        cpu: z.object({ percent: nullable(number) }),
        load: z.array(number),
        uptime: number,
      })
      .describe('Since the start of the primary, replaced workers included'),
    cluster: z.object({
      state: z.enum(['starting', 'ready', 'degraded', 'draining', 'breaker_open']),
      mode: z.enum(['cluster', 'worker']),
      phase: number.describe('Completed and aborted rolls'),
      workers: z.object({ target: number, max: nullable(number), source: word }),
      booted_workers: number,
      old_workers: number,
      draining: number,
      standby: nullable(z.object({ pid: number, state: word })).describe('the loaded worker in reserve'),
      stalled: nullable(number).describe('workers whose event loop stands still now'),
      unresponsive: number,
      restarts: z.object({ total: number, by_reason: z.record(word, number) }),
      breaker: z.object({ open: z.boolean(), deaths_30s: number, next_fork_at: nullable(at) }),
      roll: z.object({
        id: number,
        state: word,
        done: number,
        total: number,
        last: nullable(z.object({ result: word, reason: nullable(word), ms: number })),
      }),
      dispatch: z.object({
        policy: word,
        accepted_total: nullable(number),
        live: number,
        unacked: nullable(number),
        regiven_total: nullable(number),
        skew_max_min: nullable(number),
        slow_pids: nullable(z.array(number)).describe('workers much slower than the others, which get fewer connections'),
      }),
      maintenance: nullable(z.object({ reason: nullable(word), since: at })).describe('closed to everybody but owners'),
      log_level: z.object({ level: word, until: nullable(at).describe('when it goes back to LOG_LEVEL') }),
      shed: z
        .object({ active: z.boolean(), fraction: number, cause: nullable(word), total_by_cause: z.record(word, number) })
        .describe('requests refused under overload: of the last second, and in all'),
      config_hash: word,
      last_exit: nullable(lastExit),
    }),
    primary: z.object({
      pid: number,
      elu: number,
      loop_lag_p99: number,
      rss: number,
      fds: nullable(number),
      timers: number.describe('open timers'),
      listeners: number.describe('listeners on the process and on the cluster'),
    }),
    metrics: z.object({ oldest_age_ms: nullable(number), lost_workers_total: number }),
    requests: z.object({
      total: number,
      in_flight: number,
      in_flight_max: number,
      rps: z.object({ '1m': number, '5m': number, '15m': number }),
      latency: z.object({ ...percentiles, max: nullable(number), mean: nullable(number) }),
      error_ratio: z.object({ '4xx': number, '5xx': number }),
      slow: z.object({ threshold: number, total: number }),
      timeouts: number,
      aborted: number,
      shed: number,
      limited: number,
    }),
    routes: z.array(
      z.object({
        method: word,
        route: word,
        count: number,
        rps: number,
        ...percentiles,
        '4xx': number,
        '5xx': number,
        slow: number,
        db_ms_p95: nullable(number),
        queries_p95: nullable(number),
        cache_hit_ratio: nullable(number),
        slo: nullable(z.object({ p95: number, p99: number, ok: z.boolean() })),
      }),
    ),
    db: z.object({
      budget: z.object({
        limit: number,
        server_max: nullable(number),
        granted: number,
        used: number,
        idle: number,
        waiting: number,
        surge_reserved: number,
        grants_changed_total: number,
      }),
      primary: database,
      replicas: z.array(database),
      pgbouncer: nullable(
        z.object({ cl_active: number, cl_waiting: number, sv_active: number, sv_idle: number, maxwait_s: number }),
      ).describe('SHOW POOLS for our database, all users together; null: no PGBOUNCER_ADMIN_URL, or no answer for five seconds'),
      server: nullable(
        z.object({ max_connections: number, used: number, idle_in_transaction: number, longest_transaction_s: number }),
      ).describe("idle_in_transaction and longest_transaction_s: of the service's own role"),
      queries: z.object({
        total: number,
        ...percentiles,
        errors: number,
        slow: z.object({ threshold: number, total: number }),
        over_budget: number.describe('requests that sent more statements than their endpoint declares'),
        unused_includes: number,
      }),
      top: nullable(
        z.array(z.object({ queryid: word, fingerprint: word, calls: number, mean: number, total: number, rows: number })),
      ).describe('by total time, in the five minutes before profiler.sampled_at; milliseconds'),
      profiler: z
        .object({
          status: z.enum(['up', 'absent', 'not_loaded', 'unknown']),
          sampled_at: nullable(at),
          regressions: z.array(z.object({ queryid: word, fingerprint: word, mean: number, baseline: number })),
        })
        .describe(
          'absent: the database has no extension pg_stat_statements; not_loaded: the server does not load it; unknown: not asked yet',
        ),
      n_plus_one: z.object({
        mode: z.enum(['off', 'count', 'warn', 'raise']),
        detected: number,
        top: z.array(
          z.object({ route: word, fingerprint: word, call_site: nullable(word), repeats_max: number, requests: number, wasted_ms: number }),
        ),
      }),
    }),
    cache: z
      .object({
        backend: z.enum(['memory', 'redis', 'none']),
        status: z.enum(['ready', 'degraded', 'off', 'unknown']),
        hits: number,
        misses: number,
        sets: number,
        deletes: number,
        hitRate: number.describe('Percent'),
        hit_ratio: number,
        memorySize: number.describe('Bytes: of the processes together, or of the Redis server'),
        evictions: number,
        errors: number,
        fallback: number,
        latency_p95: nullable(number),
        stampedes_saved: number,
      })
      .describe('Kept replies. deletes: tags made void by writes; fallback: computed because the store could not be asked'),
    rate_limit: z.object({
      backend: word,
      allowed: number,
      limited: number,
      fail_open: nullable(number),
      top: z.array(z.object({ limiter: word, limited: number })),
    }),
    jobs: z
      .object({
        name: word,
        status: z.enum(['up', 'stale', 'down', 'off']),
        depth: nullable(number),
        oldest_s: nullable(number),
        retries: nullable(number),
        dead: nullable(number),
      })
      .describe('The job queue, shared by all instances. stale: not counted for 10 s; down: no job process; off: JOBS=0 here'),
    outbox: z
      .object({ pending: nullable(number), oldest_s: nullable(number), failed: nullable(number) })
      .describe('Of the queue: mail and messages. oldest_s: since it was first due'),
    resources: z.object({
      cpu: z.object({ percent: nullable(number), cores: number, quota: nullable(number) }),
      memory: z.object({ rss: number, heapUsed: number, heapTotal: number, limit: number, utilization: number }),
      event_loop: z.object({ lag_p50: nullable(number), lag_p99: nullable(number), max: nullable(number), utilization: nullable(number) }),
      gc: z.object({ pauses: number, pause_p99: nullable(number), total: number }),
      disk: z.object({ free: nullable(number), used_ratio: nullable(number), read_bytes: nullable(number), write_bytes: nullable(number) }),
      fds: z.object({ open: nullable(number), max: nullable(number) }),
    }),
    workers: z.array(WorkerStats),
    slo: nullable(z.unknown()),
    alerts: z.array(
      z.object({
        name: word,
        severity: word,
        state: word,
        value: nullable(number),
        threshold: nullable(number),
        since: at,
        runbook: nullable(word),
        sample_request_ids: z.array(word),
      }),
    ),
    recent: z.object({
      slow_requests: z.array(z.object({ request_id: word, route: word, ms: number, db_ms: number, queries: number, at })),
      slow_queries: z
        .array(z.object({ fingerprint: word, ms: number, route: nullable(word), at, plan: nullable(z.array(word)) }))
        .describe('plan: of the worst, as EXPLAIN sees it'),
      errors: z.array(z.object({ request_id: nullable(word), route: nullable(word), code: word, fingerprint: word, at })),
    }),
    counts: nullable(z.unknown()),
  })
  .describe('Live state of the whole cluster');
export type Stats = z.infer<typeof Stats>;
