import type { PoolReport, ReplicaReport } from '../../../lib/pool-report';
import type { MetricValue } from '../../../server/cluster/snapshots';
import { ACQUIRE_HISTOGRAM, type DatabaseSource, primaryStats, replicaStats } from '../../../server/ops/database-stats';
import type { Distribution } from '../../../server/ops/windows';

const pool = (busy: number, waiting = 0): PoolReport => ({ min: 1, max: 4, size: busy + 1, idle: 1, busy, waiting });
const there = (over: Partial<ReplicaReport> = {}): ReplicaReport => ({
  name: 'replica-1',
  status: 'up',
  latency: 1.5,
  lag_s: 0.25,
  pool: { ...pool(1), min: 0 },
  ...over,
});
const worker = (replicas: ReplicaReport[], busy = 1) => ({
  report: {
    pool: pool(busy),
    db: { status: 'up' as const, latency: 2, checked_at: null, server_max: 100, pending_migrations: 0 },
    replicas,
  },
});

/** 10 acquisitions of the primary in the first bucket, 4 of the replica in the second. */
const acquire = (target: string, counts: number[]): Distribution => ({
  labels: { target },
  bounds: [0.01, 0.1, Number.POSITIVE_INFINITY],
  counts,
  sum: 1,
  count: counts.reduce((sum, count) => sum + count, 0),
});
const view = { distributions: () => [acquire('primary', [10, 0, 0]), acquire('replica-1', [0, 4, 0])] };
const values: Record<string, MetricValue[]> = {
  [ACQUIRE_HISTOGRAM]: [
    { metricName: `${ACQUIRE_HISTOGRAM}_count`, labels: { target: 'primary' }, value: 1_000 },
    { metricName: `${ACQUIRE_HISTOGRAM}_count`, labels: { target: 'replica-1' }, value: 40 },
    { metricName: `${ACQUIRE_HISTOGRAM}_sum`, labels: { target: 'replica-1' }, value: 7 },
  ],
  autoshop_db_connects_total: [
    { labels: { target: 'primary' }, value: 1 },
    { labels: { target: 'replica-1' }, value: 4 },
  ],
  autoshop_db_pool_timeouts_total: [{ labels: { target: 'replica-1' }, value: 2 }],
};
const source = (children: DatabaseSource['supervisor']['children'], urls = ['postgres://r/shop']): DatabaseSource => ({
  config: { DATABASE_REPLICA_URLS: urls },
  store: {
    values: function* (name) {
      yield* values[name] ?? [];
    },
  },
  supervisor: { children },
});

describe('/stats db.primary and db.replicas', () => {
  test('two workers and a job process › pools added up, each server by its own metrics, the job process reads no replica', () => {
    const children = [worker([there()], 1), worker([there({ lag_s: 0.75, latency: 3 })], 3), worker([], 0), { report: null }];
    expect(primaryStats(source(children), view)).toEqual({
      status: 'up',
      role: 'primary',
      latency: 2,
      pool: { min: 3, max: 12, size: 7, idle: 3, busy: 4, waiting: 0, waiting_max: 0, utilization: 0.33333 },
      acquire: { p50: 5, p95: 9.5, max: 10, timeouts: 0 },
      reuse_ratio: 0.999,
      connects: 1,
      lag_s: null,
    });
    expect(replicaStats(source(children), view)).toEqual([
      {
        status: 'up',
        role: 'replica',
        latency: 3,
        pool: { min: 0, max: 8, size: 4, idle: 2, busy: 2, waiting: 0, waiting_max: 0, utilization: 0.25 },
        acquire: { p50: 55, p95: 95.5, max: 100, timeouts: 2 },
        reuse_ratio: 0.9,
        connects: 4,
        lag_s: 0.75,
      },
    ]);
  });

  test('one worker cannot use it › down, with the lag that the other knows', () => {
    const lost = there({ status: 'down', lag_s: null, latency: null });
    expect(replicaStats(source([worker([there()]), worker([lost])]), view)).toMatchObject([{ status: 'down', lag_s: 0.25 }]);
  });

  test('nobody has reported yet › unknown, one entry for each that is configured', () => {
    expect(replicaStats(source([{ report: null }], ['postgres://a/x', 'postgres://b/x']), view)).toMatchObject([
      { status: 'unknown', lag_s: null },
      { status: 'unknown', acquire: { p50: null, timeouts: 0 }, reuse_ratio: null },
    ]);
  });

  test('none configured › none', () => {
    expect(replicaStats(source([worker([])], []), view)).toEqual([]);
  });
});
