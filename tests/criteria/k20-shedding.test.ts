/**
 * @alone K20. Load is open-loop and comes from a process of its own; capacity is measured in the same run, before and after, because a machine
 * that others use too has another one each minute. Clients give up after two seconds.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Sample } from '../../load/bench/open-loop';
import { call, eventually, type Running, startChaos, stats, sumOf, tally } from '../cluster/support';
import { criterion, isFull, limit, type Measure } from '../support/criterion';
import { load, p99, withResult } from './support';

const OVERLOAD = 3;
const GIVE_UP_MS = 2_000;
const REPORT_MS = 1_000;
const SECONDS = isFull() ? 10 : 6;
/** Short statements on an idle machine; longer ones elsewhere, so that the database and not the processor is what is short. */
const STATEMENT_S = isFull() ? 0.05 : 0.4;
const DATABASE = `/chaos/sleep?s=${STATEMENT_S}`;
const PROCESSOR = '/chaos/block?ms=20';

/** Two workers share eight connections: (12 - no job process) / (2 + one surge share). */
const POOL_OF_EIGHT = { WORKERS: '2', DB_POOL_MAX: '12', DB_POOL_MIN: '8' };
const ONE_WORKER = { WORKERS: '1', DB_POOL_MAX: '4', DB_POOL_MIN: '2' };
const GATE = { SHED_POOL_WAIT_MS: '250', SHED_LAG_MS: '150', SHED_MEMORY_PERCENT: '90' };
/** No recycling in between, and no line for each statement that sleeps. */
const STEADY = { MAX_REQUESTS: '0', LOG_SLOW_QUERY_MS: '60000', LOG_SLOW_REQUEST_MS: '60000' };

/** Answers that came while there was load; those that came after its end are nobody's rate. */
const perSecond = (samples: readonly Sample[]): number =>
  withResult(samples, 200).filter(({ atMs, ms }) => atMs + ms <= SECONDS * 1_000).length / SECONDS;
const percent = (part: number, whole: number): string => `${Math.round((part / whole) * 100)} %`;

/** What it can do when asked for no more: clients that wait for each answer, two for each that can be served at once. */
const capacityOf = async (service: Running, path: string, clients: number): Promise<number> =>
  perSecond(await load({ url: service.url, path, clients, seconds: SECONDS, giveUpMs: 30_000 }));

async function offer(service: Running, path: string, rate: number): Promise<Sample[]> {
  return load({ url: service.url, path, rate, seconds: SECONDS, giveUpMs: limit(GIVE_UP_MS) });
}

/** Open-loop overload between two measurements of the capacity. */
async function overload(
  service: Running,
  path: string,
  { clients, gated = true }: { clients: number; gated?: boolean },
): Promise<{ samples: Sample[]; capacity: number; shed: number }> {
  const before = await capacityOf(service, path, clients);
  // What it was refused is told with the workers' next reports.
  await delay(2 * REPORT_MS);
  const shedBefore = (await stats(service)).requests.shed;
  const samples = await offer(service, path, before * OVERLOAD);
  const shedMeanwhile = async (): Promise<number> => (await stats(service)).requests.shed;
  if (gated)
    await eventually('the refusals are counted', async () => (await shedMeanwhile()) - shedBefore >= withResult(samples, 503).length);
  await eventually('the gate is open again', async () => !(await stats(service)).cluster.shed.active);
  // What clients gave up is still being worked on.
  await eventually('nothing is left of it', async () => (await call(service.url, { path: '/health/live' })).ms < limit(100));
  const shed = (await shedMeanwhile()) - shedBefore;
  const after = await capacityOf(service, path, clients);
  return { shed, samples, capacity: (before + after) / 2 };
}

function measureGoodput(
  compare: Measure,
  { samples, capacity }: { samples: Sample[]; capacity: number },
  least: number,
  what: string,
): void {
  const goodput = perSecond(samples);
  compare(
    `${what}: goodput >= ${least * 100} % of the capacity`,
    `${percent(goodput, capacity)}: ${goodput.toFixed(0)}/s of ${capacity.toFixed(0)}/s (${JSON.stringify(tally(samples))})`,
    goodput >= least * capacity,
  );
}

criterion('K20', 'an overload of the database › what fits is served in time, the rest refused at once', async (measure, compare) => {
  const service = await startChaos({ env: { ...POOL_OF_EIGHT, ...GATE, ...STEADY } });
  const capacity = await capacityOf(service, DATABASE, 10);
  const calm = await offer(service, DATABASE, capacity * 0.7);
  compare(
    'at 70 % of the capacity: 0 shed',
    `${calm.length - withResult(calm, 200).length} of ${calm.length}`,
    withResult(calm, 200).length === calm.length,
  );

  const run = await overload(service, DATABASE, { clients: 10 });
  const { samples } = run;
  const [served, refused] = [withResult(samples, 200), withResult(samples, 503)];
  measureGoodput(compare, run, 0.9, '3 x the database');
  compare(`admitted p99 <= ${limit(500)} ms`, `${p99(served)} ms`, p99(served) <= limit(500));
  compare(`503 p99 <= ${limit(50)} ms`, `${p99(refused)} ms`, p99(refused) <= limit(50));
  measure(
    '0 time-outs, nothing but 200 and 503',
    samples.length - served.length - refused.length,
    served.length + refused.length === samples.length,
  );
  const first = Math.min(...refused.map(({ atMs }) => atMs));
  compare(`the first refusal < ${limit(1000)} ms into the burst`, `${Math.round(first)} ms`, first < limit(1000));
  const polite = refused.filter(({ kept, retryAfter }) => kept && Number(retryAfter) >= 1 && Number(retryAfter) <= 5);
  measure(
    'each 503 keeps its connection and says when to come back',
    `${polite.length} of ${refused.length}`,
    polite.length === refused.length,
  );

  const text = (await service.ops<string>('/metrics')).body;
  const { total_by_cause: byCause } = (await stats(service)).cluster.shed;
  // A client that gave up may have been refused after all.
  const unseen = samples.length - served.length - refused.length;
  const extra = run.shed - refused.length;
  measure('/stats counts the refusals that clients counted', `${run.shed} of ${refused.length}`, extra >= 0 && extra <= unseen);
  expect(sumOf(text, 'autoshop_http_requests_shed_total')).toBe(Object.values(byCause).reduce((sum, count) => sum + count, 0));
  expect(byCause['pool_wait']).toBeGreaterThan(0);
  await service.stop();

  if (!isFull()) return;
  const open = await startChaos({ env: { ...POOL_OF_EIGHT, ...STEADY } });
  const ungated = await overload(open, DATABASE, { clients: 10, gated: false });
  measure(
    'for comparison, without the gate',
    `${percent(perSecond(ungated.samples), ungated.capacity)} (${JSON.stringify(tally(ungated.samples))})`,
    true,
  );
  await open.stop();
});

criterion('K20', 'an overload of the processor › most of the capacity still answers', async (measure, compare) => {
  const service = await startChaos({ env: { ...ONE_WORKER, ...GATE, ...STEADY } });
  const capacity = await capacityOf(service, PROCESSOR, 4);
  const calm = await offer(service, PROCESSOR, capacity * 0.7);
  compare('processor at 70 %: 0 shed', `${withResult(calm, 503).length} of ${calm.length}`, withResult(calm, 503).length === 0);
  const run = await overload(service, PROCESSOR, { clients: 4 });
  measureGoodput(compare, run, 0.8, '3 x the processor');
  const served = withResult(run.samples, 200);
  compare('admitted before clients give up', `p99 ${p99(served)} ms`, p99(served) < limit(GIVE_UP_MS));
  await service.stop();

  if (!isFull()) return;
  const open = await startChaos({ env: { ...ONE_WORKER, ...STEADY } });
  const ungated = await overload(open, PROCESSOR, { clients: 4, gated: false });
  measure(
    'for comparison, without the gate',
    `${percent(perSecond(ungated.samples), ungated.capacity)} (${JSON.stringify(tally(ungated.samples))})`,
    true,
  );
  await open.stop();
});
