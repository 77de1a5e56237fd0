/** @alone K6: the dispatcher of the primary beside node's round robin in the same run. */
import { connect } from 'node:net';
import { call, type Running, stats, tally } from '../cluster/support';
import { criterion, isFull } from '../support/criterion';
import { load, ms, p99, quantile, startDispatching, withResult } from './support';

/**
 * Round robin gives the slow worker a quarter of them, which is nine tenths of what it can do; the others could do ten times as many. Every
 * fourth of random arrivals comes rather evenly: at four fifths no queue grows that another rule could avoid. The work is long beside what
 * a busy machine adds to an answer.
 */
const WORK_MS = 5;
const RATE = 72;

criterion('K6', 'one of 4 workers is 10 times slower', async (measure, compare) => {
  const services = { rr: await startDispatching('rr'), least: await startDispatching('least') };
  const p99s: Record<string, number[]> = { rr: [], least: [] };
  for (const service of Object.values(services)) await call(service.url, { path: '/chaos/slow?factor=10' });
  for (let round = 0; round < 3; round += 1)
    // At the same time, so that what else the machine does meets both: together they keep it half idle.
    await Promise.all(
      Object.entries(services).map(async ([name, { url }]) => {
        const samples = await load({
          url,
          path: `/chaos/work?ms=${WORK_MS}`,
          rate: RATE,
          random: true,
          fresh: true,
          seconds: isFull() ? 30 : 10,
          giveUpMs: 10_000,
        });
        if (withResult(samples, 200).length < samples.length) measure(`${name}: no failed request`, JSON.stringify(tally(samples)), false);
        p99s[name]?.push(p99(samples));
      }),
    );
  const [least, rr] = [quantile(p99s['least'] ?? [], 0.5), quantile(p99s['rr'] ?? [], 0.5)];
  compare(
    'p99 of least <= 0.7 x p99 of round robin',
    `${ms(least)} / ${ms(rr)} = ${(least / rr).toFixed(2)}, median of 3 rounds side by side`,
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
  const services = { rr: await startDispatching('rr'), least: await startDispatching('least') };
  const run = (service: Running, forMs: number) => newConnections(Number(new URL(service.url).port), { clients: 32, forMs });
  for (const service of Object.values(services)) await run(service, 3_000);
  const ratios: number[] = [];
  let busiest = 0;
  // Many short ones: what disturbs one measurement lasts for seconds here.
  const rounds = isFull() ? 30 : 9;
  for (let round = 0; round < rounds; round += 1) {
    // In turns, so that what else the machine does meets both.
    const order = round % 2 === 0 ? (['rr', 'least'] as const) : (['least', 'rr'] as const);
    const made = { rr: 0, least: 0 };
    for (const name of order) {
      made[name] = await run(services[name], isFull() ? 2_000 : 1_500);
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
