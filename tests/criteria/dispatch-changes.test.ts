/** K6: what the dispatcher of the primary does with connections when workers are replaced or die. */
import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { call, eventually, type Outcome, stats, tally } from '../cluster/support';
import { counts, criterion, limit } from '../support/criterion';
import { ms, startDispatching } from './support';

/** Clients that keep their connection and ask a few times a second, until stopped. */
function keptClients(url: string, count: number): { outcomes: Outcome[]; stop: () => Promise<void> } {
  const outcomes: Outcome[] = [];
  let running = true;
  const clients = Array.from({ length: count }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (running) {
      outcomes.push(await call(url, { path: '/chaos/wait?ms=1', agent }));
      await delay(400);
    }
    agent.destroy();
  });
  return {
    outcomes,
    stop: async () => {
      running = false;
      await Promise.all(clients);
    },
  };
}

async function sharesAfterRoll(dispatch: 'least' | 'rr'): Promise<{ shares: number[]; outcomes: Outcome[] }> {
  const service = await startDispatching(dispatch, { KEEP_ALIVE_TIMEOUT: '3' });
  const clients = keptClients(service.url, 200);
  await eventually('all connected', async () => (await stats(service)).cluster.dispatch.live >= 200);
  service.kill('SIGHUP');
  await eventually('the end of the roll', async () => (await stats(service)).cluster.roll.last?.result === 'completed', 300_000);
  // Reports come each second; the last worker's clients have come back when all are there.
  const shares = await eventually('all connected again', async () => {
    const live = (await stats(service)).workers
      .filter(({ kind, state }) => kind === 'http' && state === 'ready')
      .map((each) => each.live_connections ?? 0);
    return live.reduce((sum, each) => sum + each, 0) >= 200 && live;
  });
  await clients.stop();
  await service.stop();
  return { shares, outcomes: clients.outcomes };
}

criterion('K6', '200 kept connections after a rolling restart of 4 workers', async (measure) => {
  const own = await sharesAfterRoll('least');
  const skew = Math.max(...own.shares) / Math.min(...own.shares);
  measure('least: most / fewest connections <= 1.2', `${own.shares.join('/')} = ${skew.toFixed(2)}`, skew <= 1.2);
  const failed = own.outcomes.filter(({ result }) => result !== 200).length;
  measure('least: no failed request', `${failed} failed: ${JSON.stringify(tally(own.outcomes))}`, failed === 0);
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
