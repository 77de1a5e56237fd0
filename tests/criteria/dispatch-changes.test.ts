/** K6: what the dispatcher of the primary does with connections when workers are replaced or die. */
import { setTimeout as delay } from 'node:timers/promises';
import { call, eventually, KeepingClient, type Outcome, stats, tally } from '../cluster/support';
import { counts, criterion, limit } from '../support/criterion';
import { ms, startDispatching } from './support';

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

/** What /stats says of the dispatcher when every client has come back from a roll. */
async function afterRoll(): Promise<{ dispatch: Awaited<ReturnType<typeof stats>>['cluster']['dispatch']; outcomes: Outcome[] }> {
  const service = await startDispatching('least', { KEEP_ALIVE_TIMEOUT: '3' });
  const clients = keptClients(service.url, 200);
  await eventually('all connected', async () => (await stats(service)).cluster.dispatch.live >= 200);
  service.kill('SIGHUP');
  await eventually('the end of the roll', async () => (await stats(service)).cluster.roll.last?.result === 'completed', 300_000);
  const dispatch = await eventually('all connected again', async () => {
    const { draining, dispatch: now } = (await stats(service)).cluster;
    return draining === 0 && now.live >= 200 && now;
  });
  await clients.stop();
  await service.stop();
  return { dispatch, outcomes: clients.outcomes };
}

criterion('K6', '200 kept connections after a rolling restart of 4 workers', async (measure, compare) => {
  const { dispatch, outcomes } = await afterRoll();
  const { skew_max_min: skew, slow_pids } = dispatch;
  // What the machine does to a newcomer counts here: nobody waits for long for one that stands still.
  compare('least: most / fewest connections <= 1.2', `${skew}, ${slow_pids?.length} counted as slow`, skew !== null && skew <= 1.2);
  const failed = outcomes.filter(({ result }) => result !== 200).length;
  measure('least: no failed request', `${failed} failed: ${JSON.stringify(tally(outcomes))}`, failed === 0);
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
