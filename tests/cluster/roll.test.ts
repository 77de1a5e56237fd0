/** Replacing workers while clients are served: a rolling restart, and a changed number of workers. */
import { rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { temporaryFolder } from '../support/services';
import { call, eventually, Load, startChaos, stats, tally } from './support';

const BODY = Buffer.alloc(16_384, 'x');
const echo = () => ({ path: '/chaos/echo', method: 'POST', body: BODY });

test('HUP under load › every worker replaced, none missing on the way, no request fails', async () => {
  const service = await startChaos({ env: { WORKERS: '2', KEEP_ALIVE_TIMEOUT: '1', MAX_REQUESTS: '0', ROLL_CANARY: '1' } });
  const load = new Load(service.url, { clients: 10, request: echo });
  await eventually('load', async () => load.outcomes.length > 100);
  service.kill('SIGHUP');
  let least = 2;
  const after = await eventually('the end of the roll', async () => {
    const now = await stats(service);
    least = Math.min(least, now.cluster.booted_workers);
    return now.cluster.roll.last !== null && now;
  });
  expect(after.cluster.roll.last?.result).toBe('completed');
  expect(least).toBe(2);
  expect(tally(await load.stop())).toEqual({ 200: load.outcomes.length });
  const pids = after.workers.filter(({ kind, state }) => kind === 'http' && state === 'ready').map(({ pid }) => pid);
  expect(pids.filter((pid) => service.banner.pids.includes(pid))).toEqual([]);
  expect(after.cluster.restarts.by_reason).toEqual({ roll: 2 });
  expect(after.metrics.lost_workers_total).toBe(0);
  expect(await service.stop()).toEqual({ code: 0, signal: null });
});

test('kept connections are promised more time than requests get to finish › a roll ends no old worker by force', async () => {
  const service = await startChaos({ env: { WORKERS: '1', KEEP_ALIVE_TIMEOUT: '6', GRACEFUL_TIMEOUT: '2', ROLL_CANARY: '0' } });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const [old] = service.banner.pids as [number];
  expect((await call(service.url, { path: '/chaos/wait?ms=1', agent })).result).toBe(200);
  service.kill('SIGHUP');
  await eventually('the old worker gone', async () => !(await stats(service)).workers.some(({ pid }) => pid === old));
  agent.destroy();
  const end = await service.waitFor('its end in the log', () =>
    service.events().find(({ message, worker_pid: pid }) => pid === old && /^worker (left|died)/.test(String(message))),
  );
  expect(end).toMatchObject({ message: 'worker left', code: 0 });
});

test('TTIN and TTOU › one worker more, one less, within the connection budget and without a failed request', async () => {
  const service = await startChaos({ env: { WORKERS: '2', KEEP_ALIVE_TIMEOUT: '1', MAX_REQUESTS: '0' } });
  const load = new Load(service.url, { clients: 6, request: () => ({ path: '/chaos/sleep?s=0.005' }) });
  service.kill('SIGTTIN');
  const more = await eventually('three workers', async () => {
    const now = await stats(service);
    expect(now.db.budget.granted).toBeLessThanOrEqual(now.db.budget.limit);
    return now.cluster.booted_workers === 3 && now;
  });
  expect(more.cluster.workers.target).toBe(3);
  service.kill('SIGTTOU');
  const less = await eventually('two workers', async () => {
    const now = await stats(service);
    expect(now.db.budget.used).toBeLessThanOrEqual(now.db.budget.limit);
    return now.workers.filter(({ kind }) => kind === 'http').length === 2 && now;
  });
  expect(less.cluster.workers.target).toBe(2);
  expect(tally(await load.stop())).toEqual({ 200: load.outcomes.length });
  await service.stop();
});

test('TTOU while the slot that stays has lost its worker › the other one serves until the next is there', async () => {
  const dataDir = temporaryFolder('roll');
  const service = await startChaos({ env: { WORKERS: '2', DATA_DIR: dataDir } });
  const workers = async () => (await stats(service)).workers.filter(({ kind, state }) => kind === 'http' && state === 'ready');
  const [first, second] = (await workers()).sort((a, b) => a.slot - b.slot).map(({ pid }) => pid) as [number, number];
  writeFileSync(join(dataDir, 'broken'), '');
  process.kill(first, 'SIGKILL');
  await service.waitForLine(/worker died/);
  service.kill('SIGTTOU');
  await eventually('the target', async () => (await stats(service)).cluster.workers.target === 1);
  expect((await call(service.url, { path: '/chaos/wait?ms=1' })).result).toBe(200);
  expect((await workers()).map(({ pid }) => pid)).toEqual([second]);
  rmSync(join(dataDir, 'broken'));
  await eventually('the next', async () => {
    const [one, ...others] = await workers();
    return one?.slot === 1 && others.length === 0;
  });
  expect((await call(service.url, { path: '/chaos/wait?ms=1' })).result).toBe(200);
});

test('USR2 › the state of every process in the log', async () => {
  const service = await startChaos({ env: { WORKERS: '2' } });
  service.kill('SIGUSR2');
  await service.waitForLine(/"message":"state dump"/);
  await service.waitFor('both workers', () => service.events().filter(({ message }) => message === 'state of this process').length >= 2);
  await service.stop();
});
