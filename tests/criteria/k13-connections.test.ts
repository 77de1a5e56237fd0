/** K13. The connections of one instance, as the database server sees them, every 50 ms through all that moves them. */
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { eventually, Load, type Running, reserveOf, startChaos, stats, tally } from '../cluster/support';
import { closeLater } from '../support/closers';
import { AS_SHIPPED } from '../support/cluster';
import { criterion, limit } from '../support/criterion';
import { withClient } from '../support/test-cluster';

const BUDGET = 20;
const EVERY_MS = 50;
/** Of the check that a roll begins with, beside the budget: the migrator's own connection and two of the job library. */
const CHECK_CONNECTIONS = 3;
/** Ours, by name: `autoshop:<primary>:w<slot>:<pid>`, `autoshop:<primary>:jobs:<pid>`, `autoshop-jobs`, `autoshop-migrate`. */
const OURS = `SELECT application_name AS name, count(*)::int AS n FROM pg_stat_activity
  WHERE datname = current_database() AND application_name LIKE 'autoshop%' GROUP BY 1`;
const CHECK = 'autoshop-migrate';

class Sampler {
  readonly samples: { serving: number; checking: number; names: string[] }[] = [];
  #running = true;
  readonly #done: Promise<void>;

  constructor(url: string) {
    this.#done = withClient(url, (client) => this.#run(client));
    closeLater(() => this.stop());
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  async #run(client: pg.Client): Promise<void> {
    while (this.#running) {
      const { rows } = await client.query<{ name: string; n: number }>(OURS);
      const total = rows.reduce((sum, { n }) => sum + n, 0);
      const checking = rows.find(({ name }) => name === CHECK)?.n ?? 0;
      this.samples.push({ serving: total - checking, checking, names: rows.map(({ name }) => name) });
      await delay(EVERY_MS);
    }
  }
}

/** What is granted to each worker that serves, beside the number of those. */
async function grants(service: Running): Promise<{ serving: number; least: number; granted: number }> {
  const { workers, db } = await stats(service);
  const held = workers
    .filter(({ kind, state }) => kind === 'http' && state === 'ready')
    .flatMap(({ pool }) => (pool ? [pool.granted] : []));
  return { serving: held.length, least: Math.min(...held), granted: db.budget.granted };
}

async function scaleTo(service: Running, from: number, to: number): Promise<number> {
  for (let step = 0; step < Math.abs(to - from); step += 1) {
    service.kill(to > from ? 'SIGTTIN' : 'SIGTTOU');
    await eventually(
      `the target ${from + Math.sign(to - from) * (step + 1)}`,
      async () => (await stats(service)).cluster.workers.target === from + Math.sign(to - from) * (step + 1),
    );
  }
  const { least } = await eventually(
    `${to} workers`,
    async () => {
      const now = await grants(service);
      return now.serving === to && (await stats(service)).cluster.draining === 0 && now;
    },
    120_000,
  );
  return least;
}

criterion('K13', 'scaling, a roll and a kill under load › the server never sees more connections than the budget', async (measure) => {
  const service = await startChaos({
    env: {
      ...AS_SHIPPED,
      WORKERS: '2',
      DB_POOL_MAX: String(BUDGET),
      DB_POOL_MIN: String(BUDGET / 2),
      MAX_REQUESTS: '0',
      LOG_SLOW_QUERY_MS: '60000',
    },
  });
  const sampler = new Sampler(service.database?.migrationUrl ?? '');
  const load = new Load(service.url, { clients: 24, limitMs: 400_000, request: () => ({ path: '/chaos/sleep?s=0.05' }) });

  const leastOf8 = await scaleTo(service, 2, 8);
  const leastOf2 = await scaleTo(service, 8, 2);
  service.kill('SIGHUP');
  await eventually('the roll', async () => (await stats(service)).cluster.roll.last?.result === 'completed', 120_000);
  await eventually('two workers', async () => (await grants(service)).serving === 2);

  // As in a service that has been running for a while: the roll has used up the worker in reserve.
  await reserveOf(service, 120_000);
  const before = await grants(service);
  const victim = (await stats(service)).workers.find(({ kind }) => kind === 'http');
  const killedAt = performance.now();
  process.kill(victim?.pid ?? 0, 'SIGKILL');
  await eventually('the kill is seen', async () => !(await stats(service)).workers.some(({ pid }) => pid === victim?.pid));
  const seenAt = performance.now();
  await eventually('the share is granted again', async () => (await grants(service)).granted >= before.granted);
  const regrantedMs = Math.round(performance.now() - killedAt);
  await eventually('two workers again', async () => (await grants(service)).serving === 2);

  const outcomes = await load.stop();
  await sampler.stop();
  const mostOf = (read: (sample: Sampler['samples'][number]) => number): number => Math.max(...sampler.samples.map(read));
  const most = mostOf(({ serving }) => serving);
  measure(
    `never more than ${BUDGET} connections, sampled each ${EVERY_MS} ms`,
    `${most} at most in ${sampler.samples.length} samples`,
    most <= BUDGET,
  );
  const checking = mostOf((sample) => sample.checking);
  const seen = sampler.samples.filter((sample) => sample.checking > 0).length;
  const together = mostOf((sample) => sample.serving + sample.checking);
  measure(
    `the check of a roll, from DB_RESERVE: never more than ${CHECK_CONNECTIONS}`,
    `${checking} at most in ${seen} samples that saw it, ${together} with all others`,
    checking <= CHECK_CONNECTIONS,
  );
  const refused = (service.output.match(/too many clients|remaining connection slots/g) ?? []).length;
  measure('0 "too many clients"', refused, refused === 0);
  measure('every worker has at least 2', `${leastOf8} of each of 8, ${leastOf2} of each of 2`, Math.min(leastOf8, leastOf2) >= 2);
  measure(`a freed share is granted again < ${limit(2_000)} ms`, `${regrantedMs} ms`, regrantedMs < limit(2_000));
  const processes = new Set(sampler.samples.flatMap(({ names }) => names));
  measure(
    'each connection names its process',
    `${processes.size} names`,
    [...processes].every((name) => /^autoshop(:\d+:(w\d+|jobs):\d+|-jobs|-migrate)$/.test(name)),
  );
  const failed = outcomes.filter(({ result }) => result !== 200);
  const inHand = outcomes.filter(({ startedAt, ms }) => startedAt <= killedAt && startedAt + ms >= killedAt).length;
  // What the killed worker had in hand, and what was on its way to it.
  const lost = failed.filter(({ startedAt, ms }) => startedAt <= seenAt && startedAt + ms >= killedAt);
  const elsewhere = failed.filter((outcome) => !lost.includes(outcome));
  measure(
    'scaling and roll: no request fails',
    `${elsewhere.length} of ${outcomes.length} ${JSON.stringify(tally(elsewhere))}`,
    elsewhere.length === 0,
  );
  measure(
    'the kill: no more than were in hand at that moment',
    `${lost.length} of ${inHand} ${JSON.stringify(tally(lost))}`,
    lost.length <= inHand,
  );
  await service.stop();
});
