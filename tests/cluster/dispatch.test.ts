/** How connections reach workers, under both values of DISPATCH: nothing is lost when a worker stalls, dies, drains or is not there yet. */
import { readdirSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AS_SHIPPED, spawnService } from '../support/cluster';
import { parseAnswers } from '../support/raw-client';
import { temporaryFolder } from '../support/services';
import { call, eventually, type Outcome, type Running, reserveOf, startChaos, stats, TIMES, tally } from './support';

let running: Running | undefined;
const least = async (env: Record<string, string> = {}): Promise<Running> => {
  running = await startChaos({ env: { DISPATCH: 'least', WORKERS: '2', ...env } });
  return running;
};
// One at a time: these compete for the processor.
afterEach(async () => {
  await running?.stop();
  running = undefined;
});
const port = (service: Running): number => Number(new URL(service.url).port);

test('least › kept connections spread evenly, each counted while it lives and not after', async () => {
  const service = await least({ KEEP_ALIVE_TIMEOUT: '60' });
  const agents = Array.from({ length: 20 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  const outcomes: Outcome[] = [];
  // As many at once as there are workers: one that is kept from taking its own for longer than a moment would rightly be passed over.
  for (let at = 0; at < agents.length; at += 2)
    outcomes.push(...(await Promise.all(agents.slice(at, at + 2).map((agent) => call(service.url, { path: '/chaos/wait?ms=1', agent })))));
  const pids = tally(outcomes.map((outcome) => ({ ...outcome, result: (JSON.parse(outcome.body) as { pid: number }).pid })));
  // One that has not taken its last one yet is passed over.
  const shares = Object.values(pids).map(Number);
  expect(shares).toHaveLength(2);
  expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(2);
  const { cluster } = await eventually('all taken', async () => {
    const now = await stats(service);
    return now.cluster.dispatch.unacked === 0 && now;
  });
  expect(cluster.dispatch).toMatchObject({ policy: 'least', accepted_total: 20, live: 20, unacked: 0, regiven_total: 0 });
  expect(cluster.dispatch.skew_max_min).toBeCloseTo(Math.max(...shares) / Math.min(...shares), 1);
  for (const agent of agents) agent.destroy();
  await eventually('no connection left', async () => (await stats(service)).cluster.dispatch.live === 0);
  const metrics = await (await fetch(`${service.opsUrl}/metrics`)).text();
  expect(metrics).toMatch(/^autoshop_connections_accepted_total 20$/m);
  expect(await service.stop()).toEqual({ code: 0, signal: null });
  expect(service.output).not.toMatch(/no effect/);
});

test('least, a worker stuck and then awake again › its connection was answered by another, and both serve on', async () => {
  const service = await least();
  const victim = service.banner.pids[0] as number;
  process.kill(victim, 'SIGSTOP');
  const calls = Array.from({ length: 10 }, () => call(service.url, { path: '/chaos/wait?ms=1' }));
  const outcomes = await Promise.all(calls);
  expect(tally(outcomes)).toEqual({ 200: 10 });
  expect((await stats(service)).cluster.dispatch.regiven_total).toBe(1);
  process.kill(victim, 'SIGCONT');
  await eventually('an answer of the one that was stuck', async () => {
    const { body } = await call(service.url, { path: '/chaos/wait?ms=1' });
    return (JSON.parse(body) as { pid: number }).pid === victim;
  });
  expect(service.output).not.toMatch(/taken after it had been given/);
  await eventually('nothing on its way', async () => (await stats(service)).cluster.dispatch.unacked === 0);
});

test('least, the only worker dies › clients that connect meanwhile are answered by the next one', async () => {
  const service = await least({ ...AS_SHIPPED, WORKERS: '1' });
  await reserveOf(service);
  process.kill(service.banner.pids[0] as number, 'SIGKILL');
  const outcomes = await Promise.all(Array.from({ length: 10 }, () => call(service.url, { path: '/chaos/wait?ms=1' })));
  expect(tally(outcomes)).toEqual({ 200: 10 });
});

test('rr, the only worker dies with a connection it has not taken › the client is told at once; later ones are answered by the next', async () => {
  const service = await least({ DISPATCH: 'rr', WORKERS: '1', WATCHDOG: 'off' });
  const [worker] = service.banner.pids as [number];
  // A process that is stopped is sent the connection, and does not take it.
  process.kill(worker, 'SIGSTOP');
  const waiting = Array.from({ length: 3 }, () => call(service.url, { path: '/chaos/wait?ms=1', timeoutMs: 20_000 * TIMES }));
  await delay(500);
  process.kill(worker, 'SIGKILL');
  const outcomes = await Promise.all(waiting);
  for (const { result } of outcomes) expect(['ECONNRESET', 200]).toContain(result);
  await eventually('the next worker', async () => (await call(service.url, { path: '/chaos/wait?ms=1' })).result === 200);
});

test('least, no worker comes back › clients are told so within the time that connections are held', async () => {
  const dataDir = temporaryFolder('dispatch');
  const service = await least({ WORKERS: '1', DATA_DIR: dataDir, BOOT_TIMEOUT: '60' });
  writeFileSync(join(dataDir, 'broken'), '');
  process.kill(service.banner.pids[0] as number, 'SIGKILL');
  await eventually('no worker', async () => (await stats(service)).cluster.booted_workers === 0);
  const { result, headers, body, ms } = await call(service.url, { path: '/health', timeoutMs: 15_000 * TIMES });
  expect([result, headers['connection'], headers['retry-after']]).toEqual([503, 'close', '1']);
  expect(JSON.parse(body)).toMatchObject({ ok: false, error: { code: 'unavailable' } });
  expect(ms).toBeGreaterThan(9_000);
});

test.each(['least', 'rr'])('%s, SIGTERM while clients wait to be taken › answered, then the port refuses', async (dispatch) => {
  const service = await least({ DISPATCH: dispatch });
  const busy = [1, 2].map(() => call(service.url, { path: '/chaos/block?ms=1500' }));
  await eventually('both at work', async () => (await stats(service)).workers.length > 0);
  await delay(300);
  const waiting = Array.from({ length: 20 }, () => call(service.url, { path: '/chaos/wait?ms=5' }));
  await delay(200);
  service.kill('SIGTERM');
  expect(tally(await Promise.all([...busy, ...waiting]))).toEqual({ 200: 22 });
  expect(await service.waitForExit()).toEqual({ code: 0, signal: null });
  expect((await call(service.url, { path: '/health' })).result).toBe('ECONNREFUSED');
});

test.each(['least', 'rr'])('%s, the port in use › exit 71, and the last line says which', async (dispatch) => {
  const holder = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => holder.once('listening', resolve));
  const { port: taken } = holder.address() as { port: number };
  const service = await spawnService({ env: { DISPATCH: dispatch, PORT: String(taken), DATA_DIR: temporaryFolder('dispatch') } });
  expect(await service.waitForExit()).toEqual({ code: 71, signal: null });
  expect(service.output).toMatch(new RegExp(`public address 127.0.0.1:${taken} is in use`));
  holder.close();
});

test.each([
  ['::1', '[::1]'],
  ['::', '127.0.0.1'],
  ['localhost', 'localhost'],
])('least, HOST=%s › listens there', async (host, reached) => {
  const service = await least({ HOST: host, WORKERS: '1' });
  expect((await call(`http://${reached}:${port(service)}`, { path: '/health/live' })).result).toBe(200);
});

test('least, connections of one address beyond the limit › 503 over all workers together', async () => {
  const service = await least({ MAX_CONNECTIONS_PER_IP: '3' });
  const open = async () => {
    const socket: Socket = connect(port(service), '127.0.0.1').setEncoding('latin1');
    let text = '';
    socket.on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve));
    return { socket, answers: () => parseAnswers(text).statuses };
  };
  const held = [await open(), await open(), await open()];
  const refused = await open();
  await new Promise((resolve) => refused.socket.once('close', resolve));
  expect(refused.answers()).toEqual([503]);
  held[0]?.socket.destroy();
  await eventually('room again', async () => (await call(service.url, { path: '/health/live' })).result === 200);
  for (const { socket } of held) socket.destroy();
});

test('least, a worker killed › no socket or folder of its private listener is left', async () => {
  // Others of this machine have theirs in the common one.
  const folder = temporaryFolder('tmp');
  const service = await least({ TMPDIR: folder });
  const mine = () => readdirSync(folder).filter((name) => name.startsWith('autoshop-limits-'));
  expect(mine()).toEqual([]);
  process.kill(service.banner.pids[0] as number, 'SIGKILL');
  expect(mine()).toEqual([]);
});
