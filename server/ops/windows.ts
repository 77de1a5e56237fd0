/**
 * Rates and percentiles over the last minute, five or fifteen, from cumulative histograms: every five seconds the merged
 * totals are remembered, and a window is the difference between now and then. Distributions are merged bucket by bucket
 * before a percentile is read from them; percentiles are never averaged.
 */
import type { MetricValue, SnapshotStore } from '../cluster/snapshots';

export interface Distribution {
  readonly labels: Readonly<Record<string, string | number>>;
  /** Upper bounds of the buckets; the last is infinite. */
  readonly bounds: readonly number[];
  /** Observations in each bucket alone, not cumulative. */
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

type Series = Map<string, Distribution>;

const FRAME_MS = 5_000;
const KEPT_MS = 15 * 60_000 + FRAME_MS;

/** The value below which `share` of the observations lie, interpolated in its bucket; null without observations. */
export function percentile({ bounds, counts, count }: Distribution, share: number): number | null {
  if (count === 0) return null;
  const rank = share * count;
  let below = 0;
  for (const [index, inBucket] of counts.entries()) {
    if (inBucket > 0 && below + inBucket >= rank) {
      const low = index === 0 ? 0 : (bounds[index - 1] ?? 0);
      const high = bounds[index] ?? Number.POSITIVE_INFINITY;
      // Above the last bound nothing is known but that it was more.
      return Number.isFinite(high) ? low + ((high - low) * (rank - below)) / inBucket : low;
    }
    below += inBucket;
  }
  return bounds.at(-2) ?? null;
}

/** All observations of several distributions with the same buckets. */
export function combine(distributions: Iterable<Distribution>): Distribution {
  let bounds: readonly number[] = [];
  let counts: number[] = [];
  let sum = 0;
  let count = 0;
  for (const distribution of distributions) {
    if (bounds.length === 0) {
      bounds = distribution.bounds;
      counts = distribution.counts.map(() => 0);
    }
    for (const [index, inBucket] of distribution.counts.entries()) counts[index] = (counts[index] ?? 0) + inBucket;
    sum += distribution.sum;
    count += distribution.count;
  }
  return { labels: {}, bounds, counts, sum, count };
}

/** Observations above `bound`, which should be a bucket edge. */
export function above({ bounds, counts }: Distribution, bound: number): number {
  return counts.reduce((total, inBucket, index) => ((bounds[index] ?? Number.POSITIVE_INFINITY) > bound ? total + inBucket : total), 0);
}

/** prom-client's flat values of one histogram, of several processes, to one distribution for each set of labels. */
export function distributionsOf(values: Iterable<MetricValue>): Series {
  const building = new Map<
    string,
    { labels: Record<string, string | number>; cumulative: Map<number, number>; sum: number; count: number }
  >();
  for (const { labels: all, value, metricName = '' } of values) {
    const { le, ...labels } = all;
    const key = Object.keys(labels)
      .sort()
      .map((name) => labels[name])
      .join('|');
    const entry = building.get(key) ?? { labels, cumulative: new Map<number, number>(), sum: 0, count: 0 };
    building.set(key, entry);
    if (le !== undefined) {
      const bound = le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le);
      entry.cumulative.set(bound, (entry.cumulative.get(bound) ?? 0) + value);
    } else if (metricName.endsWith('_sum')) entry.sum += value;
    else if (metricName.endsWith('_count')) entry.count += value;
  }
  const series: Series = new Map();
  for (const [key, { labels, cumulative, sum, count }] of building) {
    const bounds = [...cumulative.keys()].sort((a, b) => a - b);
    const counts = bounds.map(
      (bound, index) => (cumulative.get(bound) ?? 0) - (index === 0 ? 0 : (cumulative.get(bounds[index - 1] ?? 0) ?? 0)),
    );
    series.set(key, { labels, bounds, counts, sum, count });
  }
  return series;
}

/** What was observed after `before`. */
function since(now: Distribution, before: Distribution | undefined): Distribution {
  if (!before) return now;
  return {
    labels: now.labels,
    bounds: now.bounds,
    counts: now.counts.map((count, index) => Math.max(0, count - (before.counts[index] ?? 0))),
    sum: Math.max(0, now.sum - before.sum),
    count: Math.max(0, now.count - before.count),
  };
}

function byLabels(values: Iterable<MetricValue>): LabelledCount {
  const counts: LabelledCount = new Map();
  for (const { labels, value } of values) {
    const key = JSON.stringify(Object.entries(labels).sort());
    counts.set(key, { labels, value: value + (counts.get(key)?.value ?? 0) });
  }
  return counts;
}

interface Frame {
  at: number;
  histograms: Map<string, Series>;
  counters: Map<string, number>;
  /** Of counters whose labels matter. */
  labelled: Map<string, LabelledCount>;
}

type LabelledCount = Map<string, Pick<MetricValue, 'labels' | 'value'>>;

export interface WindowView {
  /** Seconds that the window really covers: less than asked for in a young cluster. */
  readonly seconds: number;
  distributions(metric: string): Distribution[];
  increase(counter: string): number;
  /** The same for each set of labels, of counters that are kept by their labels. */
  increases(counter: string): Pick<MetricValue, 'labels' | 'value'>[];
}

export class Windows {
  readonly #store: SnapshotStore;
  readonly #histograms: readonly string[];
  readonly #counters: readonly string[];
  readonly #labelled: readonly string[];
  readonly #now: () => number;
  #frames: Frame[];
  #current: { version: number; frame: Frame } | undefined;

  constructor(
    store: SnapshotStore,
    { histograms, counters, labelled = [] }: { histograms: readonly string[]; counters: readonly string[]; labelled?: readonly string[] },
    now = () => performance.now(),
  ) {
    this.#store = store;
    this.#histograms = histograms;
    this.#counters = counters;
    this.#labelled = labelled;
    this.#now = now;
    this.#frames = [{ at: now(), histograms: new Map(), counters: new Map(), labelled: new Map() }];
  }

  /** To be called about once a second. */
  tick(): void {
    const now = this.#now();
    if (now - (this.#frames.at(-1)?.at ?? Number.NEGATIVE_INFINITY) < FRAME_MS) return;
    this.#frames.push(this.#share(this.#take(now)));
    while ((this.#frames[1]?.at ?? Number.POSITIVE_INFINITY) <= now - KEPT_MS) this.#frames.shift();
  }

  view(seconds: number): WindowView {
    const now = this.#now();
    // Computed anew only when a worker has pushed, however often it is asked for.
    if (this.#current?.version !== this.#store.version) this.#current = { version: this.#store.version, frame: this.#take(now) };
    const current = { ...this.#current.frame, at: now };
    const wanted = now - seconds * 1000;
    // The youngest frame that is old enough; in a young cluster, the first one, which is empty.
    let then = this.#frames[0];
    for (const frame of this.#frames) if (frame.at <= wanted) then = frame;
    return {
      seconds: Math.max(0.001, (current.at - (then?.at ?? current.at)) / 1000),
      distributions: (metric) => {
        const before = then?.histograms.get(metric);
        return [...(current.histograms.get(metric) ?? [])].map(([key, distribution]) => since(distribution, before?.get(key)));
      },
      increases: (counter) => {
        const before = then?.labelled.get(counter);
        return [...(current.labelled.get(counter) ?? [])].map(([key, { labels, value }]) => ({
          labels,
          value: Math.max(0, value - (before?.get(key)?.value ?? 0)),
        }));
      },
      increase: (counter) => Math.max(0, (current.counters.get(counter) ?? 0) - (then?.counters.get(counter) ?? 0)),
    };
  }

  #take(at: number): Frame {
    return {
      at,
      histograms: new Map(this.#histograms.map((name) => [name, distributionsOf(this.#store.values(name))])),
      counters: new Map(this.#counters.map((name) => [name, this.#store.total(name)])),
      labelled: new Map(this.#labelled.map((name) => [name, byLabels(this.#store.values(name))])),
    };
  }

  /** Series that did not move since the previous frame are the same object there: an idle route costs one frame, not 180. */
  #share(frame: Frame): Frame {
    const previous = this.#frames.at(-1);
    for (const [name, series] of frame.histograms)
      for (const [key, distribution] of series) {
        const before = previous?.histograms.get(name)?.get(key);
        if (before && before.count === distribution.count && before.sum === distribution.sum) series.set(key, before);
      }
    return frame;
  }
}
