/** K6: what the dispatcher of the primary does with connections when workers are replaced or die. */
import { setTimeout as delay } from 'node:timers/promises';
import { call, eventually, KeepingClient, type Outcome, type Running, stats, tally } from '../cluster/support';
import { counts, criterion, isFull, limit, type Measure } from '../support/criterion';
import { load, ms, startDispatching, withResult } from './support';

/** Clients that keep their connection and ask a few times a second, until stopped. */
function keptClients(url: string, count: number): { outcomes: Outcome[]; stop: () => Promise<void> } {
  const outcomes: Outcome[] = [];
  let running = true;
  const clients = Array.from({ length: count }, async () => {
    const client = new KeepingClient();
    while (running) {
      outcomes.push(await client.call(url, { path: '/chaos/wait?ms=1' }));
      await delay(400);
    }
    client.destroy();
  });
  return {
    outcomes,
    stop: async () => {
      running = false;
      await Promise.all(clients);
    },
  };
}

/** Most to fewest connections, as the dispatcher counts them and as the workers do (once a second). */
async function skews(service: Running): Promise<{ counted: number; reported: number; live: number }> {
  const { cluster, workers } = await stats(service);
  const own = workers.filter(({ kind, state }) => kind === 'http' && state === 'ready').map(({ live_connections: live }) => live);
  return {
    counted: cluster.dispatch.skew_max_min ?? Number.POSITIVE_INFINITY,
    reported: Math.max(...own) / Math.min(...own),
    live: Math.min(
      cluster.dispatch.live,
      own.reduce((sum, each) => sum + each, 0),
    ),
  };
}

/** Connections that are let go when there is no more reason to: this part of the requests of clients that keep theirs, at most. */
const MOST_NEW = 0.02;

/** Waits for even shares; then they stay even, and clients keep their connections. */
async function measureEven(service: Running, { outcomes }: { outcomes: Outcome[] }, clients: number, [measure, compare]: Measure[]) {
  const since = performance.now();
  await eventually('even shares', async () => {
    const { live, counted, reported } = await skews(service);
    return live >= clients && counted <= 1.2 && reported <= 1.2;
  });
  const took = performance.now() - since;
  compare?.(`least: even after ${limit(10_000)} ms`, ms(took), took <= limit(10_000));
  const before = outcomes.length;
  await delay(5_000);
  const later = outcomes.slice(before);
  const { counted, reported } = await skews(service);
  const required = 'least: most / fewest connections <= 1.2, and 5 s later';
  measure?.(required, `${counted} as given, ${reported.toFixed(2)} as reported`, Math.max(counted, reported) <= 1.2);
  const fresh = later.filter((outcome) => outcome.fresh).length / later.length;
  measure?.(`least: then <= ${MOST_NEW * 100} % of requests on new connections`, `${(fresh * 100).toFixed(1)} %`, fresh <= MOST_NEW);
}

criterion('K6', '200 kept connections after a rolling restart of 4 workers', async (measure, compare) => {
  const service = await startDispatching('least', { KEEP_ALIVE_TIMEOUT: '3', MAX_REQUESTS_PER_CONNECTION: '0' });
  const clients = keptClients(service.url, 200);
  await eventually('all connected', async () => (await stats(service)).cluster.dispatch.live >= 200);
  service.kill('SIGHUP');
  await eventually('the end of the roll', async () => (await stats(service)).cluster.roll.last?.result === 'completed', 300_000);
  await measureEven(service, clients, 200, [measure, compare]);
  await clients.stop();
  await service.stop();
  const failed = clients.outcomes.filter(({ result }) => result !== 200).length;
  measure('least: no failed request', `${failed} failed: ${JSON.stringify(tally(clients.outcomes))}`, failed === 0);
});

criterion('K6', 'kept connections and short ones after scaling up', async (measure, compare) => {
  const service = await startDispatching('least', { KEEP_ALIVE_TIMEOUT: '30', WORKERS: '3', MAX_REQUESTS_PER_CONNECTION: '0' });
  const clients = keptClients(service.url, 120);
  await eventually('all connected', async () => (await stats(service)).cluster.dispatch.live >= 120);
  service.kill('SIGTTIN');
  await eventually('four workers', async () => (await stats(service)).cluster.booted_workers === 4);
  // Half as much again as one worker can do: all of it would come to the new one, which holds the fewest.
  const samples = await load({
    url: service.url,
    path: '/chaos/work?ms=10',
    rate: 150,
    random: true,
    fresh: true,
    seconds: isFull() ? 30 : 8,
  });
  const answered = withResult(samples, 200);
  measure('least: no short connection refused or given up', JSON.stringify(tally(samples)), answered.length === samples.length);
  await measureEven(service, clients, 120, [measure, compare]);
  await clients.stop();
  const failed = clients.outcomes.filter(({ result }) => result !== 200).length;
  measure('least: no failed request on a kept connection', `${failed} of ${clients.outcomes.length}`, failed === 0);
  await service.stop();
});

criterion('K6', 'a stuck worker is killed', async (measure, compare) => {
  const times: number[] = [];
  const outcomes: Outcome[] = [];
  const rounds = counts(10);
  let regiven = 0;
  const service = await startDispatching('least', { WORKER_STANDBY: 'true' });
  for (let round = 0; round < rounds; round += 1) {
    const { workers } = await eventually('four workers', async () => {
      const now = await stats(service);
      return now.cluster.booted_workers === 4 && now;
    });
    const victim = workers.find(({ kind, state }) => kind === 'http' && state === 'ready')?.pid as number;
    process.kill(victim, 'SIGSTOP');
    const calls = Array.from({ length: 40 }, () => call(service.url, { path: '/chaos/wait?ms=1' }));
    const before = regiven;
    await eventually('one untaken', async () => {
      const { dispatch } = (await stats(service)).cluster;
      regiven = dispatch.regiven_total ?? 0;
      return dispatch.unacked === 1 || regiven > before;
    });
    const killedAt = performance.now();
    process.kill(victim, 'SIGKILL');
    const answered = await Promise.all(calls);
    outcomes.push(...answered);
    times.push(Math.max(...answered.map(({ startedAt, ms: took }) => startedAt + took)) - killedAt);
  }
  const lost = outcomes.filter(({ result }) => result !== 200).length;
  measure('least: no connection lost', `${lost} of ${outcomes.length} in ${rounds} kills`, lost === 0);
  compare(`least: all answered ${limit(500)} ms after the kill`, ms(Math.max(...times)), Math.max(...times) < limit(500));
  await service.stop();
});
