/**
 * The protocol between the primary and its children (workers and the job process), both directions, over the IPC channel.
 * Types only: this file has no run-time content but one guard, so the light primary may read it.
 *
 *   child            primary
 *   hello      ─────►        alive, modules loaded
 *              ◄─────  grant a share of the connection budget
 *   ready      ─────►        database open, listening
 *   report     ─────►        each second: also the heartbeat
 *              ◄─────  drain stop accepting, finish, leave
 *   final      ─────►        last report and snapshot
 *              ◄─────  final-ack, then the child exits
 */
import type { StoredReply } from '../../lib/cache/versioned-replies';
import type { ClusterFacts, OpsDocument, ReplyClaim, ReplyQuestion } from '../../lib/cluster-ports';
import type { PoolReport, ReplicaReport } from '../../lib/pool-report';
import type { FiguresReport } from '../ops/figures-report';
import type { RecentEntries } from '../ops/recorder';
import type { Take, TakeQuestion } from './limits';
import type { ShedReport } from './shedding';
import type { MetricSnapshot } from './snapshots';

export interface InFlightRequest {
  id: string | null;
  route: string | null;
  ms: number;
}

export interface DatabaseReport {
  status: 'up' | 'down';
  /** Milliseconds of the last ping, null before the first. */
  latency: number | null;
  checked_at: string | null;
  /** `max_connections` of the server. */
  server_max: number | null;
  pending_migrations: number | null;
}

/** The job queue, as the job process counted it last. Ages in seconds, of what is due and not yet done. */
export interface QueueReport {
  read_at: string;
  /** Jobs that wait or run, those for later included. */
  depth: number;
  oldest_s: number;
  /** Of the depth: what has failed before. */
  retries: number;
  /** Failed for the last time; nobody tries again. */
  dead: number;
  /** The same of the jobs that hand something to the outside: mail and messages. */
  outbox_pending: number;
  outbox_oldest_s: number;
  outbox_failed: number;
}

/** PgBouncer's pools for our database, added up over its users; in PgBouncer's own words. */
export interface PoolerReport {
  read_at: string;
  cl_active: number;
  cl_waiting: number;
  sv_active: number;
  sv_idle: number;
  /** How long the first client in the queue has waited. */
  maxwait_s: number;
}

/** The store of kept replies, as this process sees it. `bytes` and `evictions`: of its own memory, or of the Redis server; null before they are known. */
export interface CacheReport {
  backend: 'memory' | 'redis' | 'none';
  ready: boolean;
  bytes: number | null;
  evictions: number | null;
}

/** What a child says about itself each second. Latencies in milliseconds, memory in bytes, times since its start. */
export interface Report {
  requests_count: number;
  errors_5xx: number;
  in_flight: number;
  in_flight_max: number;
  oldest_request: InFlightRequest | null;
  /** The longest running requests; evidence when the process has to be killed. */
  hanging: InFlightRequest[];
  live_connections: number;
  idle_connections: number;
  /** Longest request since the previous report. */
  max_ms: number;
  /** What its answers lately took, as their geometric mean; null while there are too few to say. */
  typical_ms: number | null;
  elu: number;
  lag_p50: number;
  lag_p99: number;
  lag_max: number;
  cpu_s: number;
  rss: number;
  heap_used: number;
  heap_total: number;
  heap_limit: number;
  fds: number | null;
  gc: { pauses: number; total_ms: number; pause_p99: number };
  pool: PoolReport | null;
  db: DatabaseReport | null;
  /** In the order of the configuration; empty where there are none, and in processes that read no replica. */
  replicas: ReplicaReport[];
  /** Null in every process but the job process. */
  queue: QueueReport | null;
  /** Null in every process but the one that watches the pooler. */
  pooler: PoolerReport | null;
  /** Null in every process but one worker of the instance. */
  figures: FiguresReport | null;
  shed: ShedReport;
  cache: CacheReport;
  recent: RecentEntries;
}

export type DrainReason = 'stop' | 'max_requests' | 'max_rss' | 'max_age' | 'roll' | 'scale' | 'manual';

export type FromChild =
  | { type: 'hello'; pid: number; version: string }
  | { type: 'ready'; host: string; port: number }
  | { type: 'report'; report: Report; metrics: MetricSnapshot[] }
  | { type: 'final'; report: Report; metrics: MetricSnapshot[] }
  | { type: 'failed'; code: number; message: string }
  | { type: 'crashing'; message: string; requestId: string | null }
  /** It has answered its last request. `leaving`: it goes now, since it was allowed to. */
  | { type: 'limit-reached'; answered: number; leaving: boolean }
  | { type: 'resized'; max: number }
  | { type: 'limit-take'; call: number; question: TakeQuestion }
  | { type: 'limit-reset'; call: number; key: string }
  | { type: 'reply-claim'; call: number; question: ReplyQuestion }
  | { type: 'reply-settle'; flight: number; reply: StoredReply | null }
  /** A session wrote. */
  | { type: 'pin'; call: number; session: string }
  | { type: 'pin-ask'; call: number; session: string }
  | { type: 'bus-publish'; call: number; topic: string; payload: unknown }
  | { type: 'bus-ack'; delivery: number }
  | { type: 'profiled'; call: number; path: string | null; problem: string | null }
  | { type: 'ops-get'; call: number; what: 'stats' | 'metrics'; windowSeconds: number; openMetrics: boolean };

export type ToChild =
  /** `requestLimit`: answers after which the worker says `limit-reached`; 0 = none. */
  | { type: 'grant'; poolMin: number; poolMax: number; slot: number; requestLimit: number }
  /** The replacement is ready: leave with the last request. Not allowed any more when the replacement has died. */
  | { type: 'limit-leave'; allowed: boolean }
  | { type: 'resize'; poolMin: number; poolMax: number }
  | { type: 'facts'; facts: ClusterFacts }
  /** `whole`: the service stops, nobody takes over; idle sockets need not wait for a replacement to be found. */
  | { type: 'drain'; reason: DrainReason; whole: boolean }
  | { type: 'final-ack' }
  | { type: 'limit-answer'; call: number; take: Take }
  | { type: 'limit-reset-done'; call: number }
  | { type: 'limit-forget'; key: string }
  | { type: 'reply-answer'; call: number; claim: ReplyClaim }
  | { type: 'pin-answer'; call: number; pinned: boolean }
  | { type: 'bus-message'; delivery: number; topic: string; payload: unknown }
  | { type: 'bus-done'; call: number }
  | { type: 'ops-answer'; call: number; document: OpsDocument }
  | { type: 'profile'; call: number; name: string; seconds: number }
  | { type: 'reopen-logs' }
  | { type: 'dump' };

/** Other libraries use the same channel (prom-client, PM2): only objects with a string `type` can be ours. */
export function isMessage(value: unknown): value is { type: string } {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}
