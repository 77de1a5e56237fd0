/**
 * Metrics of the cluster from the cumulative snapshots that workers push each second. What a dead worker counted is kept
 * in a retired total, so counters never fall when a worker is replaced; its gauges are not, since they described the living.
 * A worker that died without its last snapshot loses at most what it counted after its last push, and is counted as lost.
 */
import { AggregatorRegistry, type Registry, type RegistryContentType } from 'prom-client';

export type MetricValue = { value: number; labels: Record<string, string | number>; metricName?: string; exemplar?: unknown };

/** One metric as `registry.getMetricsAsJSON()` gives it, after a journey through JSON. */
export interface MetricSnapshot {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram' | 'summary';
  aggregator: string;
  values: MetricValue[];
}

/**
 * Seconds are added up in another order once a worker has retired, and sums of doubles depend on the order: a counter would fall by its
 * last bit, which a scraper takes for a restart. Multiples of 2^-20 (about a microsecond) below 2^33 have exact sums in any order.
 */
const GRAIN = 2 ** 20;
const onGrid = (value: number): number => Math.round(value * GRAIN) / GRAIN;

const isCumulative = ({ type }: MetricSnapshot): boolean => type === 'counter' || type === 'histogram';

const rounded = (metric: MetricSnapshot): MetricSnapshot => ({
  ...metric,
  values: metric.values.map((one) => ({ ...one, value: onGrid(one.value) })),
});

/** Sums counters and histogram buckets series by series. Gauges are summed too where their aggregator says so. */
export function mergeSnapshots(snapshots: readonly (readonly MetricSnapshot[])[], type?: RegistryContentType): Registry {
  // The library takes the content type as a second argument; its type declarations do not know that.
  const aggregate = AggregatorRegistry.aggregate as (metrics: unknown, contentType?: string) => Registry;
  return aggregate(snapshots, type);
}

const toSnapshot = async (registry: Registry): Promise<MetricSnapshot[]> =>
  (await registry.getMetricsAsJSON()) as unknown as MetricSnapshot[];

export class SnapshotStore {
  readonly #live = new Map<string, Map<string, MetricSnapshot>>();
  #retired: MetricSnapshot[] = [];
  #lost = 0;
  #version = 0;
  /** Retirements are asynchronous in prom-client; they are chained so that none is computed from a stale total. */
  #retiring: Promise<void> = Promise.resolve();

  /** Workers that died without having sent their last snapshot. */
  get lostWorkers(): number {
    return this.#lost;
  }

  /** Changes whenever a count may have changed, so that what is computed from them can be kept until then. */
  get version(): number {
    return this.#version;
  }

  /** `changed` holds the metrics that changed since the worker's last push, each one whole and cumulative. */
  push(worker: string, changed: readonly MetricSnapshot[]): void {
    const held = this.#live.get(worker) ?? new Map<string, MetricSnapshot>();
    this.#live.set(worker, held);
    for (const metric of changed) held.set(metric.name, isCumulative(metric) ? rounded(metric) : metric);
    this.#version += 1;
  }

  /**
   * The worker is gone: its counts join the retired total. `complete` = it sent its last snapshot. Resolves when they have; rejects when
   * they could not be added up, and then they stay where they were, and hold up nobody else's. What it told of itself is void in any case.
   */
  retire(worker: string, complete: boolean): Promise<void> {
    if (!complete) this.#lost += 1;
    const before = this.#retiring.catch(() => undefined);
    this.#retiring = before.then(async () => {
      const held = this.#live.get(worker);
      if (!held) return;
      for (const [name, metric] of held) if (!isCumulative(metric)) held.delete(name);
      const counted = [...held.values()];
      const merged = counted.length > 0 ? await toSnapshot(mergeSnapshots([this.#retired, counted])) : this.#retired;
      // One step, so that no reader sees the counts twice or not at all.
      this.#retired = merged;
      this.#live.delete(worker);
      this.#version += 1;
    });
    return this.#retiring;
  }

  /** Live and retired, ready to merge. */
  all(): MetricSnapshot[][] {
    return [this.#retired, ...this.live()];
  }

  live(): MetricSnapshot[][] {
    return [...this.#live.values()].map((metrics) => [...metrics.values()]);
  }

  of(worker: string): MetricSnapshot[] {
    return [...(this.#live.get(worker)?.values() ?? [])];
  }

  /** All values of one metric over the cluster, not yet summed. */
  *values(name: string): Generator<MetricValue> {
    for (const metric of this.#retired) if (metric.name === name) yield* metric.values;
    for (const held of this.#live.values()) yield* held.get(name)?.values ?? [];
  }

  total(name: string, matches: (labels: MetricValue['labels']) => boolean = () => true): number {
    let sum = 0;
    for (const { value, labels } of this.values(name)) if (matches(labels)) sum += value;
    return sum;
  }
}
