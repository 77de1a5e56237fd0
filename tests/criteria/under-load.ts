/** Load over a running service, and what is seen of it meanwhile: for the criteria of rolls, recycling, life and stop. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Stats } from '../../server/ops/stats.schema';
import { eventually, type Running, stats } from '../cluster/support';
import { counts, isFull, type Measure } from '../support/criterion';
import { failureLine, failures, keptShare, PacedLoad, type PacedOutcome } from '../support/paced-load';

/** 16 KB POSTs over 150 connections, half of them kept. */
export const postLoad = (service: Running, perSecond = isFull() ? 100 : 50): PacedLoad =>
  new PacedLoad({
    port: Number(new URL(service.url).port),
    path: '/chaos/swallow',
    bytes: 16_384,
    clients: isFull() ? 150 : 50,
    perSecond,
  });

export const pidsOf = ({ workers }: Stats): number[] =>
  workers.flatMap(({ kind, state, pid }) => (kind === 'http' && state === 'ready' ? [pid] : [])).sort((a, b) => a - b);

/** Reads `/stats` again and again, five times a second, until stopped. */
export class Watch {
  leastReady = Number.POSITIVE_INFINITY;
  mostRecycling = 0;
  samples = 0;
  readonly #done: Promise<void>;
  #running = true;

  constructor(service: Running) {
    this.#done = this.#run(service);
  }

  async stop(): Promise<this> {
    this.#running = false;
    await this.#done;
    return this;
  }

  async #run(service: Running): Promise<void> {
    while (this.#running) {
      const now = await stats(service);
      this.samples += 1;
      this.leastReady = Math.min(this.leastReady, now.cluster.booted_workers);
      this.mostRecycling = Math.max(
        this.mostRecycling,
        now.workers.filter(({ kind, state }) => kind === 'http' && state === 'draining').length,
      );
      await delay(200);
    }
  }
}

/** Rows for a load in which nothing may fail, neither on new connections nor on kept ones. */
export function measureLossless(measure: Measure, outcomes: readonly PacedOutcome[], atLeast: number, what = ''): void {
  const kept = keptShare(outcomes);
  measure(`0 failed of >= ${atLeast}${what}`, failureLine(outcomes), failures(outcomes).length === 0 && outcomes.length >= atLeast);
  measure('a quarter of them and more on kept connections', `${Math.round(kept * 100)} %`, kept >= 0.25);
}

/** Waits until `load` has had `requests` answers (a tenth of them in a short run). */
export async function answered(load: PacedLoad, requests: number, limitMs = 600_000): Promise<void> {
  const until = performance.now() + limitMs;
  while (load.count < counts(requests)) {
    if (performance.now() > until) throw new Error(`only ${load.count} answers within ${limitMs} ms`);
    await delay(100);
  }
}

const ROLL_LIMIT_MS = 240_000;

/** How roll `id` of the service ended, once it has. */
export async function rollOver(service: Running, id: number) {
  const { roll } = await eventually(
    `the end of roll ${id}`,
    async () => {
      const { cluster } = await stats(service);
      return cluster.roll.id === id && cluster.roll.state === 'idle' && cluster;
    },
    ROLL_LIMIT_MS,
  );
  return roll.last;
}
