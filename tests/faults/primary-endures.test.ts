/** What the primary itself must live through: no room for a new process, a log folder that is gone, a stop that hangs. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { call, eventually, isAlive, type Running, startChaos, stats, TIMES } from '../cluster/support';
import { closeLater } from '../support/closers';
import { spawnService } from '../support/cluster';
import { temporaryFolder } from '../support/services';

const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
const limitFiles = (pid: number, soft: number): void =>
  void execFileSync('prlimit', ['--pid', String(pid), `--nofile=${soft}:`], { stdio: 'inherit' });

const readyPids = async (service: Running): Promise<number[]> =>
  (await stats(service)).workers.filter(({ kind, state }) => kind === 'http' && state === 'ready').map(({ pid }) => pid);

for (const dispatch of ['rr', 'least'])
  test(`no descriptors left when a worker has to be replaced (${dispatch}) › the others serve on, and it is replaced when there are some again`, async () => {
    const service = await startChaos({ env: { WORKERS: '2', DISPATCH: dispatch } });
    const [victim] = service.banner.pids as [number];
    const soft = readFileSync(`/proc/${service.pid}/limits`, 'utf8').match(/Max open files\s+(\d+)/)?.[1];
    limitFiles(service.pid, openFiles(service.pid) - 2);
    process.kill(victim, 'SIGKILL');
    await eventually('a failed fork', async () =>
      service.events().some(({ message, problem }) => message === 'worker died' && /EMFILE/.test(String(problem))),
    );
    await delay(500);
    expect(service.isRunning).toBe(true);
    limitFiles(service.pid, Number(soft));
    await eventually('two workers', async () => (await readyPids(service)).length === 2);
    expect((await call(service.url, { path: '/chaos/wait?ms=0' })).result).toBe(200);
    expect(await service.stop()).toEqual({ code: 0, signal: null });
  });

test('the log folder is gone when the logs are opened anew › made again; a file is in its place › every process serves on', async () => {
  const folder = join(temporaryFolder('logs'), 'log');
  const service = await startChaos({ env: { WORKERS: '2', LOG_DIR: folder } });
  const pids = await readyPids(service);
  const dumped = (count: number) =>
    eventually('a state dump', async () => service.events().filter(({ message }) => message === 'state dump').length === count);
  rmSync(folder, { recursive: true });
  service.kill('SIGUSR2');
  await dumped(1);
  await eventually('a new file', async () => existsSync(join(folder, 'autoshop.log')));
  rmSync(folder, { recursive: true });
  writeFileSync(folder, '');
  service.kill('SIGUSR2');
  await dumped(2);
  // A worker that had died of it would be replaced within a second.
  await eventually('complaints of both workers', async () => {
    const complaints = service.events().filter(({ message }) => message === 'the log file could not be opened anew');
    return pids.every((pid) => complaints.some((complaint) => complaint['pid'] === pid));
  });
  expect((await call(service.url, { path: '/chaos/wait?ms=0' })).result).toBe(200);
  expect(await readyPids(service)).toEqual(pids);
  expect(await service.stop()).toEqual({ code: 0, signal: null });
});

test('the embedded database does not stop › a second TERM ends the service all the same', async () => {
  const dataDir = temporaryFolder('hanging-database');
  const service = await startChaos({ database: null, env: { WORKERS: '2', DATA_DIR: dataDir } });
  const [, postmaster] =
    /pid (\d+)/.exec(String(service.events().find(({ message }) => /PostgreSQL started/.test(String(message)))?.['message'])) ?? [];
  const pid = Number(postmaster);
  expect(isAlive(pid)).toBe(true);
  closeLater(() => {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  process.kill(pid, 'SIGSTOP');
  service.kill('SIGTERM');
  await eventually('the workers are gone', async () => !service.banner.pids.some(isAlive));
  await delay(600);
  expect(service.isRunning).toBe(true);
  service.kill('SIGTERM');
  expect((await service.waitForExit(5_000 * TIMES)).code).toBe(1);
  process.kill(pid, 'SIGCONT');
});

test('TERM while the embedded database starts › it does not outlive the service', async () => {
  const dataDir = temporaryFolder('early-stop');
  const service = await spawnService({ database: null, env: { WORKERS: '1', DATA_DIR: dataDir, LOG_LEVEL: 'INFO' } });
  const pidFile = join(dataDir, 'postgres/server/data/postmaster.pid');
  while (!existsSync(pidFile)) await delay(2);
  service.kill('SIGTERM');
  expect((await service.waitForExit()).code).toBe(0);
  expect(existsSync(pidFile)).toBe(false);
});
