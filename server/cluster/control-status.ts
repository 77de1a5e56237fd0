/** What `npm run ctl -- status` shows: the few facts of `/stats` that a person at a terminal asks for first. */
import { clusterState } from '../ops/stats';
import type { Supervisor } from './supervisor';
import type { Switches } from './switches';

export interface WorkerLine {
  slot: number;
  id: string;
  kind: 'http' | 'jobs' | 'standby';
  pid: number;
  state: string;
  /** Seconds since it was forked, or left the reserve. */
  age_s: number;
  requests: number | null;
  in_flight: number | null;
  connections: number | null;
  rss_mb: number | null;
  lag_p99_ms: number | null;
  pool: string | null;
  /** Why it leaves. */
  drain: string | null;
}

export interface ControlStatus {
  pid: number;
  version: string;
  uptime_s: number;
  state: string;
  workers: { ready: number; target: number };
  roll: Supervisor['rollStatus'];
  breaker_open: boolean;
  maintenance: Switches['maintenance'];
  log_level: { level: string; until: string } | null;
  processes: WorkerLine[];
}

export interface StatusSource {
  supervisor: Supervisor;
  switches: Switches;
  version: string;
  startedAt: Date;
  now: () => number;
}

const MB = 1024 * 1024;

export function statusOf({ supervisor, switches, version, startedAt, now }: StatusSource): ControlStatus {
  const moment = now();
  const { logLevel, logLevelUntil } = switches;
  return {
    pid: process.pid,
    version,
    uptime_s: Math.round((Date.now() - startedAt.getTime()) / 1000),
    state: clusterState({ supervisor }),
    workers: { ready: supervisor.ready, target: supervisor.target },
    roll: supervisor.rollStatus,
    breaker_open: supervisor.breaker.open,
    maintenance: switches.maintenance,
    log_level: logLevel && logLevelUntil ? { level: logLevel, until: logLevelUntil } : null,
    processes: [...supervisor.children, ...(supervisor.standby ? [supervisor.standby] : [])].map((worker) => {
      const { report } = worker;
      return {
        slot: worker.slot,
        id: worker.id,
        kind: worker === supervisor.standby ? 'standby' : worker.kind,
        pid: worker.pid,
        state: worker.state === 'ready' && worker.isUnresponsive(moment) ? 'unresponsive' : worker.state,
        age_s: Math.round((moment - worker.forkedAt) / 1000),
        requests: report?.requests_count ?? null,
        in_flight: report?.in_flight ?? null,
        connections: report?.live_connections ?? null,
        rss_mb: report ? Math.round(report.rss / MB) : null,
        lag_p99_ms: report?.lag_p99 ?? null,
        pool: report?.pool ? `${report.pool.busy}/${report.pool.max}` : null,
        drain: worker.drain?.reason ?? null,
      };
    }),
  };
}
