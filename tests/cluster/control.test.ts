/** Steering a running service by `npm run ctl`: the program as an operator runs it, the real cluster, clients meanwhile. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AS_SHIPPED, spawnService } from '../support/cluster';
import { temporaryFolder } from '../support/services';
import { ctl, ctlJson } from './ctl';
import { call, eventually, isAlive, Load, type Running, startChaos, stats, tally } from './support';

/** No replacements but those that are asked for. */
const SMALL = { WORKERS: '2', KEEP_ALIVE_TIMEOUT: '1', MAX_REQUESTS: '0', BOOT_TIMEOUT: '90', ROLL_CANARY: '1' };

/** Of the ready workers, by slot. */
const pidsOf = async (service: Running): Promise<number[]> =>
  (await stats(service)).workers
    .filter(({ kind, state }) => kind === 'http' && state === 'ready')
    .sort((a, b) => a.slot - b.slot)
    .map(({ pid }) => pid);

describe('a running service', () => {
  let service: Running;
  const dataDir = temporaryFolder('control');
  beforeAll(async () => {
    service = await startChaos({ env: { ...AS_SHIPPED, ...SMALL, DATA_DIR: dataDir } });
  });
  afterAll(() => service.stop());

  test('status › a table for people, the same facts as JSON; the socket is for its owner alone', async () => {
    const shown = await ctl(service, 'status');
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toMatch(new RegExp(`^autoshop .*, pid ${service.pid}, up .*: ready, 2 of 2 workers ready\n`));
    for (const pid of service.banner.pids) expect(shown.stdout).toMatch(new RegExp(`^\\d +${pid} +ready`, 'm'));
    const { result } = await ctlJson<{ pid: number; workers: unknown }>(service, 'status');
    expect(result).toMatchObject({ pid: service.pid, workers: { ready: 2, target: 2 }, maintenance: null, log_level: null });
    expect(statSync(service.controlSocket).mode & 0o777).toBe(0o600);
  });

  test('scale › up and down, waits until it is so, no failed request; what the connections do not allow is refused', async () => {
    const load = new Load(service.url, { clients: 4, request: () => ({ path: '/chaos/wait?ms=1' }) });
    const up = await ctl(service, 'scale', '3');
    expect(up).toMatchObject({ code: 0, stderr: '' });
    expect(up.stdout).toMatch(/^ready 2 of 3\n(.*\n)*done: from 2, to 3\n$/);
    expect(await pidsOf(service)).toHaveLength(3);
    expect(await ctl(service, 'scale', '2')).toMatchObject({ code: 0 });
    expect((await stats(service)).workers.filter(({ kind }) => kind === 'http')).toHaveLength(2);
    const refused = await ctl(service, 'scale', '100');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/100 workers x 2 \+ 2 for a replacement .* but DB_POOL_MAX is/);
    expect(tally(await load.stop())).toEqual({ 200: load.outcomes.length });
  });

  test('roll › progress, then the result; a second one meanwhile is refused with the id of the first; no request fails', async () => {
    const before = await pidsOf(service);
    const load = new Load(service.url, { clients: 6, request: () => ({ path: '/chaos/wait?ms=1' }) });
    const first = ctlJson<{ roll: number; result: string; replaced: number }>(service, 'roll', '--wait');
    await eventually('the roll', async () => (await stats(service)).cluster.roll.state !== 'idle');
    const [second, scaled] = await Promise.all([ctl(service, 'roll'), ctl(service, 'scale', '3')]);
    const { code, result, progress } = await first;
    expect(code).toBe(0);
    expect(result).toMatchObject({ result: 'completed', replaced: 2 });
    expect(progress.map(({ replaced }) => replaced)).toEqual([0, 1, 2]);
    expect(second).toMatchObject({ code: 75, stdout: '' });
    expect(second.stderr).toMatch(new RegExp(`^ctl: rolling restart ${result.roll} is under way \\([01] of 2\\)\n$`));
    expect(scaled).toMatchObject({ code: 75 });
    expect((await pidsOf(service)).filter((pid) => before.includes(pid))).toEqual([]);
    expect(tally(await load.stop())).toEqual({ 200: load.outcomes.length });
  });

  test('recycle › one worker replaced, the other kept; drain › one goes, its slot is filled again', async () => {
    const before = await pidsOf(service);
    const recycled = await ctlJson<{ old_pid: number; new_pid: number }>(service, 'recycle', '1');
    expect(recycled).toMatchObject({ code: 0, result: { slot: 1, old_pid: before[0] } });
    expect(await pidsOf(service)).toEqual([recycled.result.new_pid, before[1]]);
    const load = new Load(service.url, { clients: 4, request: () => ({ path: '/chaos/wait?ms=1' }) });
    const drained = await ctlJson(service, 'drain', '2');
    expect(drained).toMatchObject({ code: 0, result: { slot: 2, pid: before[1], finished: true } });
    expect(isAlive(before[1] ?? 0)).toBe(false);
    await eventually('two workers again', async () => (await pidsOf(service)).length === 2, 90_000);
    expect(tally(await load.stop())).toEqual({ 200: load.outcomes.length });
  });

  test('log-level › taken by every process before the answer, and shown with its end in /stats', async () => {
    const ask = async (): Promise<unknown> => (await call(service.url, { path: '/chaos/wait?ms=1' })).headers['x-request-id'];
    const logged = () => service.events().filter(({ message }) => message === 'request');
    const set = await ctlJson<{ until: string }>(service, 'log-level', 'warn', '5');
    expect((await stats(service)).cluster.log_level).toEqual({ level: 'warn', until: set.result.until });
    const unheard = await Promise.all(Array.from({ length: 10 }, ask));
    await ctlJson(service, 'log-level', 'info', '5');
    const heard = await ask();
    await service.waitFor('its line', () => logged().some(({ request_id }) => request_id === heard));
    expect(logged().filter(({ request_id }) => unheard.includes(request_id))).toEqual([]);
  });

  test('profile › the file of one worker, which serves on; two at once: the second is refused', async () => {
    // For longer than the second command takes to load.
    const first = ctlJson<{ path: string }>(service, 'profile', '1', '8');
    await eventually('its beginning', async () => service.events().some(({ message }) => message === 'profile begins'));
    const second = await ctl(service, 'profile', '2');
    expect(second).toMatchObject({ code: 1, stdout: expect.stringContaining('slot 2') });
    expect(second.stderr).toMatch(/the worker in slot 1 is being profiled/);
    const { code, result } = await first;
    expect(code).toBe(0);
    expect(JSON.parse(readFileSync(result.path, 'utf8'))).toHaveProperty('nodes');
  });

  test('reopen-logs, breaker-reset › done', async () => {
    expect(await ctlJson(service, 'reopen-logs')).toMatchObject({ code: 0 });
    expect(await ctlJson(service, 'breaker-reset')).toMatchObject({ code: 0, result: { was_open: false } });
  });

  test.each([
    [['scale'], 64, /workers is missing/],
    [['scale', 'few'], 64, /workers must be a whole number from 1 to 128, not "few"/],
    [['recycle', '0'], 64, /slot must be/],
    [['recycle', '9'], 1, /slot 9 holds no ready worker; ready: 1, 2/],
    [['drain', '9'], 1, /slot 9/],
    [['maintenance', 'perhaps'], 64, /state must be on or off/],
    [['log-level', 'loud'], 64, /level must be/],
    [['explode'], 64, /unknown command explode/],
  ])('%j › refused with %i, naming what is wrong, nothing changed', async (argv, code, message) => {
    const before = await pidsOf(service);
    const refused = await ctl(service, ...argv);
    expect(refused).toMatchObject({ code, stdout: '' });
    expect(refused.stderr).toMatch(message);
    expect(await pidsOf(service)).toEqual(before);
  });

  test('every act is in the log: what, by whom, how it ended', async () => {
    const { pid } = await ctlJson(service, 'maintenance', 'off');
    const linesOf = (caller: number) => service.events().filter(({ by_pid }) => by_pid === caller);
    await service.waitFor('both lines', () => linesOf(pid).length >= 2);
    expect(linesOf(pid)).toMatchObject([
      { message: 'control: asked', command: 'maintenance', state: 'off', by_uid: process.getuid?.() },
      { message: 'control: done', command: 'maintenance', result: { maintenance: null } },
    ]);
    const refused = await ctl(service, 'drain', '9');
    await service.waitFor('both lines', () => linesOf(refused.pid).length >= 2);
    expect(linesOf(refused.pid)).toMatchObject([
      { message: 'control: asked', command: 'drain', slot: 9 },
      { message: 'control: refused', command: 'drain', kind: 'failed' },
    ]);
  });

  test('roll with a broken release › 70, the reason on stderr, all old workers serve, no request fails', async () => {
    const before = await pidsOf(service);
    const load = new Load(service.url, { clients: 4, request: () => ({ path: '/chaos/wait?ms=1' }) });
    writeFileSync(join(dataDir, 'broken'), '');
    const aborted = await ctl(service, 'roll', '--wait');
    expect(aborted.code).toBe(70);
    expect(aborted.stderr).toMatch(/^ctl: rolling restart \d+ stopped: .*; the old workers serve\n$/);
    expect(await pidsOf(service)).toEqual(before);
    expect(tally(await load.stop())).toEqual({ 200: load.outcomes.length });
    const recycled = await ctl(service, 'recycle', '1');
    expect(recycled.code).toBe(70);
    expect(await pidsOf(service)).toEqual(before);
  });
});

test('stop, asked for twice › both answered when everything has ended, requests too; exit 0, the socket is gone; afterwards nobody answers: 69', async () => {
  const service = await startChaos({ env: { ...AS_SHIPPED, ...SMALL } });
  const slow = call(service.url, { path: '/chaos/wait?ms=12000' });
  await eventually('in flight', async () => (await stats(service)).requests.in_flight === 1);
  const first = ctlJson(service, 'stop');
  await service.waitForLine(/stopping/);
  // Later than the echo of a signal would come; and it is no second signal, which would cut off what is in flight.
  await delay(1_000);
  const stopped = await ctlJson(service, 'stop');
  expect(await first).toMatchObject({ code: 0, result: { exit_code: 0 } });
  expect((await slow).result).toBe(200);
  expect(stopped).toMatchObject({ code: 0, result: { exit_code: 0 } });
  expect(await service.waitForExit()).toEqual({ code: 0, signal: null });
  expect(service.banner.pids.filter(isAlive)).toEqual([]);
  expect(existsSync(service.controlSocket)).toBe(false);
  const nobody = await ctl(service, 'status');
  expect(nobody.code).toBe(69);
  expect(nobody.stderr).toMatch(/does the service run, with the same CONTROL_SOCKET or DATA_DIR/);
});

test('two instances › a socket in use refuses the second with 71; one left behind by a kill is taken over', async () => {
  const first = await startChaos({ env: { ...SMALL, WORKERS: '1' } });
  const second = await spawnService({ env: { CONTROL_SOCKET: first.controlSocket, DATA_DIR: temporaryFolder('second') } });
  expect(await second.waitForExit()).toEqual({ code: 71, signal: null });
  expect(second.lines().at(-1)).toContain('belongs to another running instance');
  expect((await ctl(first, 'status')).code).toBe(0);
  first.kill('SIGKILL');
  await first.waitForExit();
  expect(existsSync(first.controlSocket)).toBe(true);
  const third = await startChaos({ env: { ...SMALL, WORKERS: '1', CONTROL_SOCKET: first.controlSocket } });
  expect(await ctlJson(third, 'status')).toMatchObject({ code: 0, result: { pid: third.pid } });
  await third.stop();
});
