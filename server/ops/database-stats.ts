/** The blocks `db.primary` and `db.replicas` of `/stats`: pools as the processes last reported them, and what the metrics say of each server. */
import type { Config } from '../../config';
import type { PoolReport, ReplicaReport } from '../../lib/pool-report';
import type { Report } from '../cluster/messages';
import type { SnapshotStore } from '../cluster/snapshots';
import { ratio, toMs } from './rounding';
import type { Stats } from './stats.schema';
import { combine, percentile, type WindowView } from './windows';

export const ACQUIRE_HISTOGRAM = 'autoshop_db_pool_acquire_seconds';
const CONNECTS = 'autoshop_db_connects_total';
const TIMEOUTS = 'autoshop_db_pool_timeouts_total';

type Database = Stats['db']['primary'];
type Child = { readonly report: Pick<Report, 'pool' | 'db' | 'replicas'> | null };

export interface DatabaseSource {
  config: Pick<Config, 'DATABASE_REPLICA_URLS'>;
  store: Pick<SnapshotStore, 'values'>;
  supervisor: { readonly children: readonly Child[] };
}

const most = (values: readonly (number | null)[]): number | null =>
  values.reduce<number | null>((max, value) => (value === null ? max : Math.max(max ?? 0, value)), null);

export function primaryStats(source: DatabaseSource, view: Pick<WindowView, 'distributions'>): Database {
  const reports = source.supervisor.children.flatMap(({ report }) => report ?? []);
  const states = reports.flatMap(({ db }) => db ?? []);
  return {
    status: states.length === 0 ? 'unknown' : states.some(({ status }) => status === 'up') ? 'up' : 'down',
    role: 'primary',
    latency: most(states.map(({ latency }) => latency)),
    pool: poolStats(reports.flatMap(({ pool }) => pool ?? [])),
    ...connectionStats(source.store, view, 'primary'),
    lag_s: null,
  };
}

/** In the order of DATABASE_REPLICA_URLS. One that a process cannot use is down: its requests are the primary's. */
export function replicaStats(source: DatabaseSource, view: Pick<WindowView, 'distributions'>): Database[] {
  return replicasOf(source).map(({ name, reports }) => ({
    status: reports.length === 0 ? 'unknown' : reports.every(({ status }) => status === 'up') ? 'up' : 'down',
    role: 'replica',
    latency: most(reports.map(({ latency }) => latency)),
    pool: poolStats(reports.map(({ pool }) => pool)),
    ...connectionStats(source.store, view, name),
    lag_s: most(reports.map(({ lag_s }) => lag_s)),
  }));
}

/** What the processes say of each replica. */
export function replicasOf({ config, supervisor }: Omit<DatabaseSource, 'store'>): { name: string; reports: ReplicaReport[] }[] {
  return (config.DATABASE_REPLICA_URLS ?? []).map((_url, index) => ({
    name: `replica-${index + 1}`,
    reports: supervisor.children.flatMap(({ report }) => report?.replicas[index] ?? []),
  }));
}

function poolStats(pools: readonly PoolReport[]): Database['pool'] {
  const sum = (read: (pool: PoolReport) => number): number => pools.reduce((total, pool) => total + read(pool), 0);
  const max = sum((pool) => pool.max);
  const busy = sum((pool) => pool.busy);
  return {
    min: sum((pool) => pool.min),
    max,
    size: sum((pool) => pool.size),
    idle: sum((pool) => pool.idle),
    busy,
    waiting: sum((pool) => pool.waiting),
    waiting_max: most(pools.map(({ waiting }) => waiting)) ?? 0,
    utilization: ratio(busy, max),
  };
}

function connectionStats(
  store: DatabaseSource['store'],
  view: Pick<WindowView, 'distributions'>,
  target: string,
): Pick<Database, 'acquire' | 'reuse_ratio' | 'connects'> {
  const acquire = combine(view.distributions(ACQUIRE_HISTOGRAM).filter(({ labels }) => labels['target'] === target));
  const total = (metric: string, part?: string): number => {
    let sum = 0;
    for (const { labels, value, metricName } of store.values(metric))
      if (labels['target'] === target && (part === undefined || metricName?.endsWith(part))) sum += value;
    return sum;
  };
  const acquired = total(ACQUIRE_HISTOGRAM, '_count');
  const connects = total(CONNECTS);
  return {
    acquire: {
      p50: toMs(percentile(acquire, 0.5)),
      p95: toMs(percentile(acquire, 0.95)),
      max: toMs(percentile(acquire, 1)),
      timeouts: total(TIMEOUTS),
    },
    reuse_ratio: acquired === 0 ? null : ratio(Math.max(0, acquired - connects), acquired),
    connects,
  };
}
