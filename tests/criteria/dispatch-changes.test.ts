/** @alone K6: what the dispatcher of the primary does with connections when workers are replaced, added or die. */
import { setTimeout as delay } from 'node:timers/promises';
import { call, eventually, KeepingClient, type Outcome, type Running, stats, tally } from '../cluster/support';
import { counts, criterion, isFull, limit, type Measure } from '../support/criterion';
import { load, ms, startDispatching, withResult } from './support';

/** Clients that keep their connection and ask again after a pause, until stopped. */
function keptClients(url: string, count: number, pauseMs = 400): { outcomes: Outcome[]; stop: () => Promise<void> } {
  const outcomes: Outcome[] = [];
  let running = true;
  const clients = Array.from({ length: count }, async () => {
    const client = new KeepingClient();
    while (running) {
      outcomes.push(await client.call(url, { path: '/chaos/wait?ms=1' }));
      await delay(pauseMs);
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

/** How long it takes until shares are even, as given and as reported. */
async function evenAfter(service: Running, clients: number): Promise<number> {
  const since = performance.now();
  await eventually('even shares', async () => {
    const { live, counted, reported } = await skews(service);
    return live >= clients && counted <= 1.2 && reported <= 1.2;
  });
  return performance.now() - since;
}

/** Shares stay even, and then clients keep their connections. */
async function measureCalm(service: Running, { outcomes }: { outcomes: Outcome[] }, clients: number, measure: Measure): Promise<void> {
  const before = outcomes.length;
  await delay(5_000);
  const moved = outcomes.slice(before).filter(({ fresh }) => fresh).length;
  const { counted, reported } = await skews(service);
  measure(
    'least: 5 s later most / fewest connections <= 1.2',
    `${counted} as given, ${reported.toFixed(2)} as reported`,
    Math.max(counted, reported) <= 1.2,
  );
  measure('least: meanwhile <= a tenth of the clients on a new connection', `${moved} of ${clients}`, moved <= clients / 10);
}

const EVEN_MS = limit(15_000);

criterion('K6', '200 kept connections after a rolling restart of 4 workers', async (measure, compare) => {
  const service = await startDispatching('least', { KEEP_ALIVE_TIMEOUT: '3', MAX_REQUESTS_PER_CONNECTION: '0' });
  const clients = keptClients(service.url, 200);
  await eventually('all connected', async () => (await stats(service)).cluster.dispatch.live >= 200);
  service.kill('SIGHUP');
  await eventually('the end of the roll', async () => (await stats(service)).cluster.roll.last?.result === 'completed', 300_000);
  const took = await evenAfter(service, 200);
  compare(`least: most / fewest connections <= 1.2 within ${EVEN_MS} ms`, ms(took), took <= EVEN_MS);
  await measureCalm(service, clients, 200, measure);
  await clients.stop();
  await service.stop();
  const failed = clients.outcomes.filter(({ result }) => result !== 200).length;
  measure('least: no failed request', `${failed} failed: ${JSON.stringify(tally(clients.outcomes))}`, failed === 0);
});

criterion('K6', 'kept connections and short ones after scaling up', async (measure, compare) => {
  const service = await startDispatching('least', { KEEP_ALIVE_TIMEOUT: '300', WORKERS: '3', MAX_REQUESTS_PER_CONNECTION: '0' });
  const clients = keptClients(service.url, 120, 1_000);
  await eventually('all connected', async () => (await stats(service)).cluster.dispatch.live >= 120);
  service.kill('SIGTTIN');
  await eventually('four workers', async () => (await stats(service)).cluster.booted_workers === 4);
  const before = clients.outcomes.length;
  // Half as much again as one worker can do: all of it would come to the new one, which holds the fewest, and wait there for longer and
  // longer. (Not so much longer than what the others do that the new one would count as slow.)
  const plan = { path: '/chaos/work?ms=9', rate: 150, random: true, fresh: true, seconds: isFull() ? 30 : 10, giveUpMs: 4_000 };
  const samples = await load({ url: service.url, ...plan });
  const answered = withResult(samples, 200);
  measure('least: no short connection refused or given up', JSON.stringify(tally(samples)), answered.length === samples.length);
  // Short ones fill the new worker at first, so that some kept ones move more than once.
  const took = await evenAfter(service, 120);
  compare(`least: most / fewest connections <= 1.2 within ${EVEN_MS} ms after that`, ms(took), took <= EVEN_MS);
  const moved = clients.outcomes.slice(before).filter(({ fresh }) => fresh).length;
  measure(
    'least: on the way no more than one new connection for each client',
    `${moved} of 120, of which 30 belong to the new worker`,
    moved <= 120,
  );
  await measureCalm(service, clients, 120, measure);
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
