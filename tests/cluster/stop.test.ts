/** Stopping: everything that was begun is answered, nothing is left behind, and what cannot end is named. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AS_SHIPPED, type Service, spawnService } from '../support/cluster';
import { temporaryFolder } from '../support/services';
import { call, eventually, isAlive, type Outcome, reserveOf, startChaos, stats, TIMES, tally } from './support';

/** Every process of the service but the primary: workers, jobs, and the one in reserve once it is loaded. */
const pidsOf = async (service: Service): Promise<number[]> => {
  const reserve = await reserveOf(service);
  return [...(await stats(service)).workers.map(({ pid }) => pid), reserve];
};

const WORKER_ENV = { WORKERS: '2' };

// Requests of eight seconds: each worker tells once a second what it has in hand, and all must have told while it lasts.
test('SIGTERM with 50 requests in flight › all answered, exit 0, no process left', async () => {
  const service = await startChaos({ env: { ...AS_SHIPPED, WORKERS: '4' } });
  const children = await pidsOf(service);
  const calls = Array.from({ length: 50 }, () => call(service.url, { path: '/chaos/wait?ms=8000' }));
  await eventually('50 in flight', async () => (await stats(service)).requests.in_flight === 50);
  service.kill('SIGTERM');
  const outcomes = await Promise.all(calls);
  expect(tally(outcomes)).toEqual({ 200: 50 });
  for (const { headers } of outcomes) expect(headers['connection']).toBe('close');
  expect(await service.waitForExit()).toEqual({ code: 0, signal: null });
  expect(children.filter(isAlive)).toEqual([]);
});

test('clients that had connected, but waited to be taken › are answered as well', async () => {
  const service = await startChaos({ env: WORKER_ENV });
  const busy = [1, 2].map(() => call(service.url, { path: '/chaos/block?ms=1500' }));
  await delay(300);
  const sockets = Array.from({ length: 30 }, () => connect(Number(new URL(service.url).port), '127.0.0.1'));
  const answers = sockets.map(async (socket) => {
    socket.setEncoding('utf8').on('error', () => undefined);
    await once(socket, 'connect');
    socket.write('GET /chaos/wait?ms=5 HTTP/1.1\r\nHost: shop\r\n\r\n');
    let text = '';
    socket.on('data', (part: string) => {
      text += part;
    });
    await new Promise((resolve) => socket.once('close', resolve));
    return text.slice(0, 'HTTP/1.1 200'.length);
  });
  await Promise.all(sockets.filter(({ connecting }) => connecting).map((socket) => once(socket, 'connect')));
  service.kill('SIGTERM');
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['HTTP/1.1 200']));
  expect(tally(await Promise.all(busy))).toEqual({ 200: 2 });
  expect(await service.waitForExit()).toEqual({ code: 0, signal: null });
});

test('Ctrl-C to the whole group › a clean drain as well: the workers leave the decision to the primary', async () => {
  const service = await startChaos({ env: { ...AS_SHIPPED, ...WORKER_ENV } });
  const children = await pidsOf(service);
  const calls = Array.from({ length: 10 }, () => call(service.url, { path: '/chaos/wait?ms=8000' }));
  await eventually('10 in flight', async () => (await stats(service)).requests.in_flight === 10);
  service.killGroup('SIGINT');
  expect(tally(await Promise.all(calls))).toEqual({ 200: 10 });
  expect(await service.waitForExit()).toEqual({ code: 0, signal: null });
  expect(children.filter(isAlive)).toEqual([]);
});

test('GRACEFUL_TIMEOUT=2, clients that keep their connections › whatever was begun is answered, exit 0', async () => {
  const service = await startChaos({ env: { ...WORKER_ENV, GRACEFUL_TIMEOUT: '2' } });
  const clients = Array.from({ length: 4 }, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const outcomes: Outcome[] = [];
    do outcomes.push(await call(service.url, { path: '/chaos/wait?ms=20', agent }));
    while (outcomes.at(-1)?.result === 200 && (await delay(20, true)));
    agent.destroy();
    return outcomes;
  });
  // Nor does one that never sends the rest of its request make the exit a forced one.
  const half = connect(Number(new URL(service.url).port), '127.0.0.1', () => half.write('GET /health/live HT'));
  const cut = new Promise((resolve) => half.once('close', resolve).resume());
  await delay(500);
  service.kill('SIGTERM');
  expect(await service.waitForExit()).toEqual({ code: 0, signal: null });
  await cut;
  for (const outcomes of await Promise.all(clients)) {
    // The last one found the port closed, or was on its way to it in that moment.
    expect(outcomes.pop()).toMatchObject({ fresh: true });
    expect(outcomes.length).toBeGreaterThan(2);
    expect(tally(outcomes)).toEqual({ 200: outcomes.length });
  }
});

test('PRESTOP_DELAY › not ready at once, but still serving', async () => {
  const service = await startChaos({ env: { ...WORKER_ENV, PRESTOP_DELAY: '8' } });
  expect((await service.request('/ready')).status).toBe(200);
  service.kill('SIGTERM');
  const ready = await eventually('not ready', async () => {
    const answer = await service.request<{ status: string; checks: { draining: boolean } }>('/ready');
    return answer.status === 503 && answer.body;
  });
  expect(ready).toMatchObject({ status: 'not-ready', checks: { draining: true } });
  expect(await service.ops('/ready')).toMatchObject({ status: 503, body: { status: 'not-ready', checks: { draining: true } } });
  expect((await call(service.url, { path: '/chaos/wait?ms=5' })).result).toBe(200);
  expect(await service.waitForExit()).toEqual({ code: 0, signal: null });
});

test('SIGQUIT after SIGTERM › ends at once', async () => {
  const service = await startChaos({ env: { ...AS_SHIPPED, ...WORKER_ENV, GRACEFUL_TIMEOUT: '30', REQUEST_TIMEOUT: '60' } });
  const children = await pidsOf(service);
  void call(service.url, { path: '/chaos/never' });
  await eventually('in flight', async () => (await stats(service)).requests.in_flight === 1);
  service.kill('SIGTERM');
  await service.waitForLine(/"message":"stopping"/);
  const at = performance.now();
  service.kill('SIGQUIT');
  expect(await service.waitForExit()).toEqual({ code: 1, signal: null });
  expect(performance.now() - at).toBeLessThan(2_000 * TIMES);
  await eventually('no orphan', async () => children.every((pid) => !isAlive(pid)), 3_000 * TIMES);
});

test('SIGTERM while it starts › ends quickly, without a banner and without a process left', async () => {
  const dataDir = temporaryFolder('chaos');
  // However late the signal comes, it starts still.
  writeFileSync(join(dataDir, 'silent'), '');
  const service = await spawnService({ script: 'dist/tests/cluster/fixtures/primary.js', env: { WORKERS: '2', DATA_DIR: dataDir } });
  await service.waitForLine(/migrate: /);
  service.kill('SIGTERM');
  const { code } = await service.waitForExit(10_000 * TIMES);
  expect([0, 1]).toContain(code);
  expect(service.events().filter(({ event }) => event === 'ready')).toEqual([]);
});
