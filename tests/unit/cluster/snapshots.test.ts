import fc from 'fast-check';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { type MetricSnapshot, mergeSnapshots, SnapshotStore } from '../../../server/cluster/snapshots';
import { above, combine, distributionsOf, percentile, Windows } from '../../../server/ops/windows';

const NAME = 'autoshop_http_request_duration_seconds';

class FakeWorker {
  readonly registry = new Registry();
  readonly requests = new Counter({ name: 'requests_total', help: 'h', labelNames: ['status'], registers: [this.registry] });
  readonly seconds = new Histogram({ name: NAME, help: 'h', labelNames: ['route'], buckets: [0.1, 0.3, 0.8], registers: [this.registry] });
  readonly inFlight = new Gauge({ name: 'in_flight', help: 'h', registers: [this.registry] });

  serve(count: number, seconds: number, route = 'a'): void {
    for (let index = 0; index < count; index += 1) {
      this.requests.inc({ status: '200' });
      this.seconds.observe({ route }, seconds);
    }
  }

  /** As it arrives at the primary: through JSON. */
  async snapshot(): Promise<MetricSnapshot[]> {
    return JSON.parse(JSON.stringify(await this.registry.getMetricsAsJSON())) as MetricSnapshot[];
  }
}

describe('metrics of a cluster', () => {
  test('two workers › counters and buckets are summed, gauges of the dead are gone, counts of the dead are kept', async () => {
    const store = new SnapshotStore();
    const [one, two] = [new FakeWorker(), new FakeWorker()];
    one.serve(30, 0.05);
    one.inFlight.set(7);
    two.serve(12, 0.5);
    two.inFlight.set(2);
    store.push('w1', await one.snapshot());
    store.push('w2', await two.snapshot());
    expect(store.total('requests_total')).toBe(42);
    expect(store.total('in_flight')).toBe(9);
    await store.retire('w1', true);
    expect(store.total('requests_total')).toBe(42);
    expect(store.total('in_flight')).toBe(2);
    expect(store.lostWorkers).toBe(0);
    const text = await mergeSnapshots(store.all()).metrics();
    expect(text).toContain('requests_total{status="200"} 42');
    expect(text).toContain(`${NAME}_bucket{le="0.1",route="a"} 30`);
    expect(text).toContain(`${NAME}_bucket{le="+Inf",route="a"} 42`);
    expect(text).toContain(`${NAME}_count{route="a"} 42`);
  });

  test('workers that retire in any order › no sum of seconds falls, not even by its last bit', async () => {
    const Seconds = fc.array(fc.double({ min: 0, max: 1e5, noNaN: true }), { minLength: 2, maxLength: 8 });
    const total = async (store: SnapshotStore): Promise<number> =>
      Number(/_sum\{route="a"\} (.*)/.exec(await mergeSnapshots(store.all()).metrics())?.[1]);
    await fc.assert(
      fc.asyncProperty(Seconds, fc.infiniteStream(fc.nat()), async (seconds, order) => {
        const store = new SnapshotStore();
        const alive: string[] = [];
        for (const [index, one] of seconds.entries()) {
          const worker = new FakeWorker();
          worker.serve(1, one);
          alive.push(`w${index}`);
          store.push(`w${index}`, await worker.snapshot());
        }
        const before = await total(store);
        while (alive.length > 0) {
          const [gone] = alive.splice((order.next().value as number) % alive.length, 1);
          await store.retire(gone as string, true);
          expect(await total(store)).toBe(before);
        }
      }),
    );
  });

  test('a hundred replaced workers › the total is exact, and never falls on the way', async () => {
    const store = new SnapshotStore();
    let before = 0;
    for (let life = 0; life < 100; life += 1) {
      const worker = new FakeWorker();
      worker.serve(7, 0.05, `r${life % 3}`);
      store.push(`w${life}`, await worker.snapshot());
      const retiring = store.retire(`w${life}`, true);
      expect(store.total('requests_total')).toBeGreaterThanOrEqual(before);
      before = store.total('requests_total');
      if (life % 2 === 0) await retiring;
    }
    await store.retire('nobody', true);
    expect(store.total('requests_total')).toBe(700);
    expect(store.live()).toEqual([]);
  });

  test('counts that cannot be added up › refused, and those of later workers are kept all the same', async () => {
    const store = new SnapshotStore();
    const worker = new FakeWorker();
    worker.serve(3, 0.05);
    store.push('w1', [
      { name: 'odd', help: 'h', type: 'counter', aggregator: 'nonsense', values: [{ value: 1, labels: {} }] },
      { name: 'busy', help: 'h', type: 'gauge', aggregator: 'sum', values: [{ value: 1, labels: {} }] },
    ]);
    store.push('w2', await worker.snapshot());
    await expect(store.retire('w1', true)).rejects.toThrow('nonsense');
    await store.retire('w2', true);
    expect(store.total('requests_total')).toBe(3);
    expect(store.of('w2')).toEqual([]);
    expect(store.of('w1').map(({ name }) => name)).toEqual(['odd']);
  });

  test('a worker that died without its last words › is counted as lost, once', async () => {
    const store = new SnapshotStore();
    const worker = new FakeWorker();
    worker.serve(3, 0.05);
    store.push('w1', await worker.snapshot());
    await store.retire('w1', false);
    expect(store.lostWorkers).toBe(1);
    expect(store.total('requests_total')).toBe(3);
  });

  test('only changed metrics pushed › the others stay as they were', async () => {
    const store = new SnapshotStore();
    const worker = new FakeWorker();
    worker.serve(3, 0.05);
    worker.inFlight.set(1);
    store.push('w1', await worker.snapshot());
    worker.inFlight.set(5);
    store.push(
      'w1',
      (await worker.snapshot()).filter(({ name }) => name === 'in_flight'),
    );
    expect(store.total('requests_total')).toBe(3);
    expect(store.total('in_flight')).toBe(5);
  });
});

describe('percentiles', () => {
  const distribution = (counts: number[]) => ({
    labels: {},
    bounds: [0.1, 0.3, 0.8, Number.POSITIVE_INFINITY],
    counts,
    sum: 0,
    count: counts.reduce((a, b) => a + b, 0),
  });

  test('merged from buckets › lies in the bucket that holds the rank, not between the percentiles of the parts', () => {
    const fast = distribution([99, 0, 0, 0]);
    const slow = distribution([0, 0, 99, 0]);
    expect(percentile(combine([fast, slow]), 0.99)).toBeCloseTo(0.79, 5);
    expect(percentile(combine([fast, slow]), 0.25)).toBeLessThanOrEqual(0.1);
  });

  test('nothing observed › null; beyond the last bucket › the last bound, since no more is known', () => {
    expect(percentile(distribution([0, 0, 0, 0]), 0.95)).toBeNull();
    expect(percentile(distribution([0, 0, 0, 5]), 0.5)).toBe(0.8);
  });

  test('above a bucket edge › exact', () => {
    expect(above(distribution([5, 4, 3, 2]), 0.3)).toBe(5);
  });
});

describe('windows', () => {
  test('a minute later › only what happened since, and rates over the real span', async () => {
    let now = 0;
    const store = new SnapshotStore();
    const windows = new Windows(store, { histograms: [NAME], counters: ['requests_total'] }, () => now);
    const worker = new FakeWorker();
    worker.serve(100, 0.05);
    store.push('w1', await worker.snapshot());
    now = 10_000;
    windows.tick();
    expect(windows.view(60).seconds).toBe(10);
    expect(windows.view(60).increase('requests_total')).toBe(100);
    for (; now <= 80_000; now += 1_000) windows.tick();
    worker.serve(6, 0.5, 'b');
    store.push('w1', await worker.snapshot());
    const view = windows.view(60);
    expect(view.increase('requests_total')).toBe(6);
    expect(view.seconds).toBeGreaterThanOrEqual(60);
    expect(view.seconds).toBeLessThan(66);
    const moved = view.distributions(NAME).filter(({ count }) => count > 0);
    expect(moved).toHaveLength(1);
    expect(moved[0]).toMatchObject({ labels: { route: 'b' }, count: 6, counts: [0, 0, 6, 0] });
    expect(windows.view(900).increase('requests_total')).toBe(106);
  });

  test('a worker that retires inside the window › changes nothing', async () => {
    let now = 0;
    const store = new SnapshotStore();
    const windows = new Windows(store, { histograms: [NAME], counters: ['requests_total'] }, () => now);
    const worker = new FakeWorker();
    worker.serve(10, 0.05);
    store.push('w1', await worker.snapshot());
    now = 6_000;
    windows.tick();
    await store.retire('w1', true);
    now = 70_000;
    expect(windows.view(60).increase('requests_total')).toBe(0);
    expect(combine(windows.view(60).distributions(NAME)).count).toBe(0);
  });

  test('values of several processes › one distribution for each set of labels, whatever the order of labels', () => {
    const value = (le: string | number | undefined, count: number, labels: object, suffix: string) => ({
      value: count,
      labels: { ...(le === undefined ? {} : { le }), ...labels } as Record<string, string | number>,
      metricName: `x_${suffix}`,
    });
    const series = distributionsOf([
      value(0.1, 1, { a: '1', b: '2' }, 'bucket'),
      value('+Inf', 3, { a: '1', b: '2' }, 'bucket'),
      value(undefined, 3, { a: '1', b: '2' }, 'count'),
      value(0.1, 2, { b: '2', a: '1' }, 'bucket'),
      value('+Inf', 2, { b: '2', a: '1' }, 'bucket'),
      value(undefined, 2, { b: '2', a: '1' }, 'count'),
    ]);
    expect([...series.values()]).toMatchObject([{ counts: [3, 2], count: 5 }]);
  });
});
