/** K15: processes that are left behind when the primary is killed, and the service as process 1. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, isAlive, startChaos, stats } from '../cluster/support';
import { AS_SHIPPED, spawnService } from '../support/cluster';
import { counts, criterion, limit } from '../support/criterion';
import { childrenOf, groupMembers } from '../support/processes';
import { temporaryFolder } from '../support/services';
import { block, FOR_EVER_MS, stalledBy } from './blocked-loop';

/** How many children the primary has had by now, and how much later it is killed: migrating, seeding, loading, serving. */
const BOOT_MOMENTS = [
  [1, 0],
  [1, 150],
  [2, 0],
  [2, 300],
  [3, 0],
  [4, 100],
  [6, 0],
  [6, 400],
] as const;

/** @returns how long the last process outlived the primary, ms; infinite when it did not end */
async function outlived(primary: number, kill: () => void): Promise<number> {
  kill();
  const killedAt = performance.now();
  const gone = eventually('an empty group', async () => groupMembers(primary).length === 0, 60_000);
  return gone.then(
    () => performance.now() - killedAt,
    () => Number.POSITIVE_INFINITY,
  );
}

criterion('K15', 'the primary is killed at ten moments of its life', async (measure) => {
  const env = { ...AS_SHIPPED, WORKERS: '4', DB_SEED: 'demo', BOOT_TIMEOUT: '90', LOG_LEVEL: 'INFO' };
  const times: number[] = [];
  for (const [children, laterMs] of BOOT_MOMENTS) {
    const service = await spawnService({ env: { ...env, DATA_DIR: temporaryFolder('orphans') } });
    const seen = new Set<number>();
    await eventually(`${children} children`, async () => {
      for (const pid of childrenOf(service.pid)) seen.add(pid);
      return seen.size >= children;
    });
    await delay(laterMs);
    times.push(await outlived(service.pid, () => service.kill('SIGKILL')));
  }
  for (const rolling of [false, true]) {
    const service = await startChaos({ env });
    if (rolling) {
      const before = childrenOf(service.pid);
      service.kill('SIGHUP');
      await eventually('one that loads', async () => childrenOf(service.pid).some((pid) => !before.includes(pid)));
    }
    times.push(await outlived(service.pid, () => service.kill('SIGKILL')));
  }
  const within = times.filter((ms) => ms < limit(3_000)).length;
  measure(
    `SIGKILL of the primary at ten moments, its start and a roll among them: 0 processes after ${limit(3_000)} ms`,
    `${within} of ${times.length}: ${times.map(Math.round).join(', ')} ms`,
    within === 10,
  );
});

criterion('K15', 'nothing is left behind', async (measure) => {
  const service = await startChaos({ env: { ...AS_SHIPPED, WORKER_TIMEOUT: '60' } });
  const id = crypto.randomUUID();
  const blocked = block(service, 'loop', FOR_EVER_MS, id);
  await eventually('a stuck worker', async () => ((await stalledBy(service, id))?.stalls?.last?.ms ?? 0) >= 1_000);
  const before = groupMembers(service.pid).length;
  const gone = Math.round(await outlived(service.pid, () => service.kill('SIGKILL')));
  const left = groupMembers(service.pid).length;
  measure(
    `SIGKILL of the primary with a stuck worker: 0 processes after ${limit(3_000)} ms`,
    `${left} of ${before} after ${gone} ms`,
    left === 0 && gone < limit(3_000),
  );
  await blocked;

  const folder = temporaryFolder('deaths');
  const own = await startChaos({ env: { ...AS_SHIPPED, WORKERS: '4', DATA_DIR: folder, KEEP_ALIVE_TIMEOUT: '1', ROLL_CANARY: '1' } });
  const deaths = counts(100);
  const dead = new Set<number>();
  while (dead.size < deaths) {
    const pids = (await stats(own)).workers.filter(({ state }) => state === 'ready').map(({ pid }) => pid);
    own.kill('SIGHUP');
    await eventually(
      'a whole roll',
      async () => {
        const { workers, cluster } = await stats(own);
        return cluster.roll.state === 'idle' && cluster.booted_workers === 4 && !workers.some(({ pid }) => pids.includes(pid));
      },
      180_000,
    );
    for (const pid of pids) dead.add(pid);
  }
  const zombies = [...dead].filter(isAlive).length;
  measure(`0 zombies after ${deaths} worker deaths`, `${zombies} of ${dead.size}`, zombies === 0);
  await own.stop();
});

/** Linux, and rights to make a namespace. */
function canMakeNamespaces(): boolean {
  try {
    execFileSync('unshare', ['--pid', '--fork', '--mount-proc', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

(canMakeNamespaces() ? criterion : (id: string, what: string) => test.skip(`${id} › ${what}`, () => undefined))(
  'K15',
  'as process 1 of a namespace',
  async (measure) => {
    const service = await startChaos({
      env: { ...AS_SHIPPED, WORKERS: '2' },
      wrapper: ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'],
    });
    const [primary] = readdirSync(`/proc/${service.pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${service.pid}/task/${task}/children`, 'utf8').trim().split(' ').map(Number),
    );
    measure('the primary is process 1 and serves', service.banner['pid'] as number, service.banner['pid'] === 1);
    process.kill(primary ?? 0, 'SIGTERM');
    const { code } = await service.waitForExit();
    measure('TERM: graceful stop, exit 0', String(code), code === 0);
  },
);
