/** @alone Workers that die under load: the others serve on, and the cluster is whole again within two seconds. */
import { setTimeout as delay } from 'node:timers/promises';
import { AS_SHIPPED } from '../support/cluster';
import { call, eventually, isAlive, Load, type Outcome, type Running, reserveOf, startChaos, stats, TIMES, tally } from './support';

let service: Running;
beforeAll(async () => {
  // A worker that was recycled after a thousand requests would take the reserve, and be counted.
  service = await startChaos({ env: { ...AS_SHIPPED, MAX_REQUESTS: '0' } });
});
afterAll(() => service.stop());

const serving = async (): Promise<number[]> =>
  (await stats(service)).workers.filter(({ state }) => state === 'ready').map(({ pid }) => pid);

/** Runs `act` under load, waits until four workers are ready again, and says how long that took, what clients saw, and when the victim was known to be dead. */
async function underLoad(
  victim: number,
  act: () => Promise<unknown>,
): Promise<{ healedMs: number; outcomes: Outcome[]; actedAt: number; knownAt: number }> {
  await reserveOf(service);
  const load = new Load(service.url, { clients: 20, request: () => ({ path: '/chaos/wait?ms=5' }) });
  await eventually('load', async () => load.outcomes.length > 200);
  const actedAt = performance.now();
  const known = service.waitFor('its death', () =>
    service.events().some(({ message, worker_pid }) => message === 'worker died' && worker_pid === victim),
  );
  await act();
  await known;
  const knownAt = performance.now();
  await eventually('four workers without the victim', async () => {
    const pids = await serving();
    return pids.length === 4 && !pids.includes(victim);
  });
  const healedMs = performance.now() - actedAt;
  const healedAfter = load.outcomes.length;
  await eventually('load afterwards', async () => load.outcomes.length > healedAfter + 300);
  return { healedMs, outcomes: await load.stop(), actedAt, knownAt };
}

test('SIGKILL of a worker under load › full strength within 2 s, only requests that it had in hand fail', async () => {
  const [victim] = (await serving()) as [number];
  const { healedMs, outcomes, actedAt, knownAt } = await underLoad(victim, async () => process.kill(victim, 'SIGKILL'));
  expect(healedMs).toBeLessThan(2_000 * TIMES);
  const failed = outcomes.filter(({ result }) => result !== 200);
  // 20 clients over four workers: what one had in hand at that moment.
  expect(failed.length).toBeLessThanOrEqual(20);
  for (const { startedAt, ms } of failed) {
    // A killed process answers nothing more, but its connections last until the system has taken it apart.
    expect(startedAt).toBeLessThanOrEqual(knownAt);
    expect(startedAt + ms).toBeGreaterThanOrEqual(actedAt - 50);
  }
  expect(outcomes.filter(({ result, startedAt }) => result === 200 && startedAt > actedAt).length).toBeGreaterThan(20);
  // Its account is closed when nothing more can come from it.
  const { cluster, metrics } = await eventually('its account', async () => {
    const now = await stats(service);
    return now.metrics.lost_workers_total > 0 && now;
  });
  expect(cluster.restarts.by_reason['crash']).toBe(1);
  expect(cluster.last_exit).toMatchObject({ pid: victim, signal: 'SIGKILL', code: null, reason: 'crash' });
  expect(metrics.lost_workers_total).toBe(1);
});

test.each([
  ['an uncaught exception', '/chaos/throw', 'nobody catches this'],
  ['an unhandled rejection', '/chaos/reject', 'nobody awaits this'],
])('%s under load › only its own request fails, the worker answers the others and is replaced within 2 s', async (_name, path, words) => {
  await reserveOf(service);
  const before = await serving();
  const lost = (await stats(service)).metrics.lost_workers_total;
  // A request of the same worker that takes longer than the crash itself: it must still be answered.
  const bystanders = Array.from({ length: 16 }, () => call(service.url, { path: '/chaos/wait?ms=1000' }));
  await delay(200);
  const died = (): number => {
    const crash = service
      .events()
      .findLast(({ message, worker_pid }) => message === 'worker is crashing' && before.includes(worker_pid as number));
    return (crash?.['worker_pid'] as number | undefined) ?? 0;
  };
  const load = new Load(service.url, { clients: 20, request: () => ({ path: '/chaos/wait?ms=5' }) });
  await eventually('load', async () => load.outcomes.length > 100);
  const actedAt = performance.now();
  const culprit = await call(service.url, { path });
  await eventually('four workers without the crashed one', async () => {
    const pids = await serving();
    return died() !== 0 && pids.length === 4 && !pids.includes(died());
  });
  expect(performance.now() - actedAt).toBeLessThan(2_000 * TIMES);
  expect(culprit.result).not.toBe(200);
  expect(tally(await load.stop())).toEqual({ 200: load.outcomes.length });
  expect(tally(await Promise.all(bystanders))).toEqual({ 200: 16 });
  await eventually('the end of the crashed worker', async () => !isAlive(died()));
  const after = await stats(service);
  expect(after.recent.errors.some(({ code, fingerprint }) => code === 'uncaught' && fingerprint.includes(words))).toBe(true);
  expect(after.metrics.lost_workers_total).toBe(lost);
});

test('a worker that dies with an untaken connection › its client is answered by another one', async () => {
  const own = await startChaos({ env: { WORKERS: '2', DISPATCH: 'rr' } });
  const victim = own.banner.pids[0] as number;
  process.kill(victim, 'SIGSTOP');
  // Round robin: one of these is handed to the stopped worker, and stays there.
  let answered = 0;
  const calls = Array.from({ length: 6 }, async () => {
    const outcome = await call(own.url, { path: '/chaos/wait?ms=1' });
    answered += 1;
    return outcome;
  });
  await eventually('five answers', async () => answered === 5);
  process.kill(victim, 'SIGKILL');
  expect(tally(await Promise.all(calls))).toEqual({ 200: 6 });
  expect((await stats(own)).cluster.dispatch.regiven_total).toBe(1);
  await own.stop();
});

test('a worker that is silent for WORKER_TIMEOUT › killed as a stall and replaced; statistics never wait for it', async () => {
  // Long enough between `unresponsive`, after two seconds, and the kill for all that is asked meanwhile.
  const own = await startChaos({ env: { WORKERS: '2', WORKER_TIMEOUT: '8' } });
  const victim = own.banner.pids[0] as number;
  process.kill(victim, 'SIGSTOP');
  await eventually('unresponsive', async () => (await stats(own)).cluster.unresponsive === 1);
  const times: number[] = [];
  for (let scrape = 0; scrape < 40; scrape += 1) {
    times.push((await own.ops('/stats')).ms, (await own.ops('/metrics')).ms);
  }
  times.sort((a, b) => a - b);
  expect(times[Math.floor(times.length * 0.95)]).toBeLessThan(50 * TIMES);
  const healed = await eventually('a new worker', async () => {
    const now = await stats(own);
    return now.cluster.booted_workers === 2 && !now.workers.some(({ pid }) => pid === victim) && now;
  });
  expect(healed.cluster.restarts.by_reason).toEqual({ stall: 1 });
  expect(healed.cluster.last_exit).toMatchObject({ pid: victim, reason: 'stall', signal: 'SIGKILL' });
  expect(isAlive(victim)).toBe(false);
  expect(await own.stop()).toEqual({ code: 0, signal: null });
});

test('a statement of 8 s › /health of the same worker is answered meanwhile, as ever', async () => {
  const own = await startChaos({ env: { WORKERS: '1' } });
  await call(own.url, { path: '/health' });
  const sleeping = [call(own.url, { path: '/chaos/sleep?s=8' }), call(own.url, { path: '/chaos/sleep?s=8' })];
  const times: number[] = [];
  let asleep = true;
  void Promise.all(sleeping).then(() => {
    asleep = false;
  });
  while (asleep) {
    const { result, ms } = await call(own.url, { path: '/health' });
    expect(result).toBe(200);
    times.push(ms);
    await delay(20);
  }
  expect(times.length).toBeGreaterThan(50);
  times.sort((a, b) => a - b);
  expect(times[Math.floor(times.length / 2)]).toBeLessThan(50 * TIMES);
  // What waited for the statement would have waited for all of it; a machine that is busy with other things keeps one for less.
  const statements = await Promise.all(sleeping);
  expect(times.at(-1)).toBeLessThan(Math.min(...statements.map(({ ms }) => ms)) / 2);
  expect(tally(statements)).toEqual({ 200: 2 });
  await own.stop();
});
