/** Replacing workers while clients are served: a rolling restart, and a changed number of workers. */
import { eventually, Load, startChaos, stats, tally } from './support';

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

test('USR2 › the state of every process in the log', async () => {
  const service = await startChaos({ env: { WORKERS: '2' } });
  service.kill('SIGUSR2');
  await service.waitForLine(/"message":"state dump"/);
  await service.waitFor('both workers', () => service.events().filter(({ message }) => message === 'state of this process').length >= 2);
  await service.stop();
});
