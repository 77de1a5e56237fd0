/** @alone K6: the dispatcher of the primary, beside node's round robin in the same run where the criterion compares them. */
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { call, eventually, type Outcome, type Running, startChaos, stats, tally } from '../cluster/support';
import { counts, criterion, isFull, limit } from '../support/criterion';
import { load, p99, quantile, withResult } from './support';

/** Without the overload gate: what it refuses on a busy machine is no fault of the dispatcher. */
const start = (DISPATCH: 'least' | 'rr', env: Record<string, string> = {}): Promise<Running> =>
  startChaos({
    env: {
      DISPATCH,
      SHED_LAG_MS: '0',
      WORKERS: '4',
      MAX_REQUESTS: '0',
      LOG_LEVEL: 'WARNING',
      ...env,
    },
  });

const ms = (value: number): string => `${Math.round(value)} ms`;

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
  const service = await start(dispatch, { KEEP_ALIVE_TIMEOUT: '3' });
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
  const service = await start('least', { WORKER_STANDBY: 'true' });
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

/**
 * Round robin gives the slow worker a quarter of them, which is nine tenths of what it can do; the others could do ten times as many. Every
 * fourth of random arrivals comes rather evenly: at four fifths no queue grows that another rule could avoid.
 */
const RATE = 180;

criterion('K6', 'one of 4 workers is 10 times slower', async (measure, compare) => {
  const services = { rr: await start('rr'), least: await start('least') };
  const p99s: Record<string, number[]> = { rr: [], least: [] };
  for (const service of Object.values(services)) await call(service.url, { path: '/chaos/slow?factor=10' });
  for (let round = 0; round < 3; round += 1)
    for (const [name, { url }] of Object.entries(services)) {
      const samples = await load({
        url,
        path: '/chaos/work?ms=2',
        rate: RATE,
        random: true,
        fresh: true,
        seconds: isFull() ? 30 : 10,
        giveUpMs: 10_000,
      });
      if (withResult(samples, 200).length < samples.length) measure(`${name}: no failed request`, JSON.stringify(tally(samples)), false);
      p99s[name]?.push(p99(samples));
    }
  const [least, rr] = [quantile(p99s['least'] ?? [], 0.5), quantile(p99s['rr'] ?? [], 0.5)];
  compare(
    'p99 of least <= 0.7 x p99 of round robin',
    `${ms(least)} / ${ms(rr)} = ${(least / rr).toFixed(2)}, median of 3 rounds in turns`,
    least <= 0.7 * rr,
  );
  await Promise.all(Object.values(services).map((service) => service.stop()));
});

/** New connections in a second: connect, one request, close. @returns how many were answered in the time */
async function newConnections(port: number, { clients, forMs }: { clients: number; forMs: number }): Promise<number> {
  const until = performance.now() + forMs;
  let answered = 0;
  const once = () =>
    new Promise<void>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.end('GET /health/live HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n');
      let text = '';
      socket.setEncoding('latin1').on('data', (part: string) => {
        text += part;
      });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        if (text.startsWith('HTTP/1.1 200')) answered += 1;
        resolve();
      });
    });
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < until) await once();
    }),
  );
  return answered;
}

criterion('K6', 'new connections each second', async (_measure, compare) => {
  const services = { rr: await start('rr'), least: await start('least') };
  const run = (service: Running, forMs: number) => newConnections(Number(new URL(service.url).port), { clients: 32, forMs });
  for (const service of Object.values(services)) await run(service, 3_000);
  const ratios: number[] = [];
  let busiest = 0;
  const rounds = Math.max(5, counts(15));
  for (let round = 0; round < rounds; round += 1) {
    // In turns, so that what else the machine does meets both.
    const order = round % 2 === 0 ? (['rr', 'least'] as const) : (['least', 'rr'] as const);
    const made = { rr: 0, least: 0 };
    for (const name of order) {
      made[name] = await run(services[name], 4_000);
      if (name === 'least') busiest = Math.max(busiest, (await stats(services.least)).primary.elu);
    }
    ratios.push(made.least / made.rr);
  }
  const middle = quantile(ratios, 0.5);
  const spread = `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}, ${rounds} rounds`;
  compare('least / round robin >= 0.95', `${middle.toFixed(3)} (${spread})`, middle >= 0.95);
  compare('event loop of the primary used < 0.5', busiest.toFixed(3), busiest < 0.5);
  await Promise.all(Object.values(services).map((service) => service.stop()));
});
