/**
 * K4, K5, K15, K22: event loops that stand still, the evidence of it, processes that are left behind, and profiles on demand. The six
 * ways to block a loop are those of tests/cluster/fixtures/stalls.ts; WORKER_TIMEOUT is 10 s.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { routeOf, STALLS, type StallName } from '../cluster/fixtures/stalls';
import { call, eventually, isAlive, Load, type Running, startChaos, stats, tally } from '../cluster/support';
import { spawnService } from '../support/cluster';
import { counts, criterion, isFull, limit } from '../support/criterion';
import { childrenOf, groupMembers } from '../support/processes';
import { temporaryFolder } from '../support/services';

const NAMES = Object.keys(STALLS) as StallName[];
/** Longer than the primary waits before it kills. */
const FOR_EVER_MS = 40_000;

const block = (service: Running, name: StallName, ms: number, id: string = crypto.randomUUID()) =>
  call(service.url, { path: `/chaos/stall/${name}?ms=${ms}`, headers: { 'X-Request-Id': id }, timeoutMs: 120_000 });

const stalledBy = async (service: Running, id: string) =>
  (await stats(service)).workers.find(({ stalls }) => stalls?.last?.request_id === id);

const most = (values: readonly number[]): number => Math.round(Math.max(...values));

/** From the beginning of the stall: reported, and whole again without the culprit. */
async function killedStall(
  service: Running,
  name: StallName,
): Promise<{ reported: number; misdirected: number; replaced: number; routed: boolean }> {
  const id = crypto.randomUUID();
  const began = performance.now();
  const blocked = block(service, name, FOR_EVER_MS, id);
  const victim = await eventually(`${name}: reported`, () => stalledBy(service, id));
  const reported = performance.now() - began;
  await delay(Math.max(0, 1_500 - (performance.now() - began)));
  const calls = Array.from({ length: 20 }, () => call(service.url, { path: '/chaos/wait?ms=1', timeoutMs: limit(2_000) }));
  const misdirected = (await Promise.all(calls)).filter(({ result }) => result !== 200).length;
  await eventually(
    `${name}: replaced`,
    async () => {
      const { workers, cluster } = await stats(service);
      return cluster.booted_workers === 4 && !workers.some(({ pid }) => pid === victim.pid);
    },
    90_000,
  );
  const replaced = performance.now() - began;
  await blocked;
  return { reported, misdirected, replaced, routed: victim.stalls?.last?.route === routeOf(name) };
}

criterion('K4', 'a blocked event loop is reported, given nothing more, killed and replaced; a busy one is left alone', async (measure) => {
  const service = await startChaos({ env: { WORKER_TIMEOUT: '10' } });
  const outcomes = [];
  for (const name of NAMES) outcomes.push(await killedStall(service, name));
  const reported = most(outcomes.map((one) => one.reported));
  measure(`six stalls reported < ${limit(500)} ms`, `slowest ${reported} ms`, reported < limit(500));
  const misdirected = outcomes.reduce((sum, one) => sum + one.misdirected, 0);
  measure('out of dispatch after 1.5 s: 0 of 120 new connections stuck', misdirected, misdirected === 0);
  const replaced = most(outcomes.map((one) => one.replaced));
  measure(`killed and replaced < ${limit(12_000)} ms`, `slowest ${replaced} ms`, replaced < limit(12_000));
  const { by_reason } = (await stats(service)).cluster.restarts;
  measure('each counted as a stall', `${by_reason['stall'] ?? 0} of ${NAMES.length}`, by_reason['stall'] === NAMES.length);
  await service.stop();

  const workers = isFull() ? 2 : 1;
  const busy = await startChaos({ env: { WORKERS: String(workers), WORKER_TIMEOUT: '10', JOBS: 'false', REQUEST_TIMEOUT: '900' } });
  const seconds = counts(600);
  const calls = Array.from({ length: workers }, () =>
    call(busy.url, { path: `/chaos/duty?s=${seconds}`, timeoutMs: (seconds + 120) * 1_000 }),
  );
  await Promise.all(calls);
  const { restarts } = (await stats(busy)).cluster;
  measure(`0 kills in ${seconds} s at 90 % CPU with 200 ms pauses`, restarts.total, restarts.total === 0);
  await busy.stop();
});

criterion('K5', 'evidence of every stall: request, route, what ran, in time', async (measure) => {
  const service = await startChaos({ env: { WORKER_TIMEOUT: '30' } });
  const runs = counts(20);
  let named = 0;
  let routed = 0;
  let files = 0;
  const written: number[] = [];
  const whole: number[] = [];
  const plan = NAMES.flatMap((name) => Array.from({ length: STALLS[name].guilty ? runs : 1 }, () => name));
  for (const name of plan) {
    const id = crypto.randomUUID();
    const blocked = block(service, name, 3_000, id);
    const artefact = await eventually(
      `${name}: evidence`,
      async () => (await stalledBy(service, id))?.stalls?.last?.artefact ?? undefined,
      60_000,
    );
    await blocked;
    const { guilty } = STALLS[name];
    const evidence = await eventually(`${name}: whole evidence`, async () => {
      const read = JSON.parse(readFileSync(artefact, 'utf8')) as {
        at: string;
        request: { id: string; route: string } | null;
        stack: { function: string }[] | null;
        /** Until all but the profile was on disk; absent where there is none. */
        written_ms?: number;
        profile?: object;
      };
      return guilty && !read.profile ? undefined : read;
    });
    files += 1;
    const complete = statSync(artefact).mtimeMs - Date.parse(evidence.at);
    written.push(evidence.written_ms ?? complete);
    if (guilty) whole.push(complete);
    if (guilty && evidence.stack?.some((frame) => frame.function === guilty)) named += 1;
    if (evidence.request?.id === id && evidence.request.route === routeOf(name)) routed += 1;
  }
  const withStack = runs * NAMES.filter((name) => STALLS[name].guilty).length;
  measure('one artefact for each stall', `${files} of ${plan.length}`, files === plan.length);
  measure('function named for loop, regex and wait in 100 %', `${named} of ${withStack}`, named === withStack);
  measure('request and route named for all six', `${routed} of ${plan.length}`, routed === plan.length);
  const [slowest, last] = [most(written), most(whole)];
  measure(`request, route and stack written < ${limit(1_000)} ms after the decision`, `slowest ${slowest} ms`, slowest < limit(1_000));
  measure(`and the profile with it < ${limit(1_000)} ms`, `slowest ${last} ms`, last < limit(1_000));
  await service.stop();
});

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
  const env = { WORKERS: '4', DB_SEED: 'demo', BOOT_TIMEOUT: '90', LOG_LEVEL: 'INFO' };
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
  const service = await startChaos({ env: { WORKER_TIMEOUT: '60' } });
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
  const own = await startChaos({ env: { WORKERS: '4', DATA_DIR: folder, KEEP_ALIVE_TIMEOUT: '1' } });
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
    const service = await startChaos({ env: { WORKERS: '2' }, wrapper: ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'] });
    const [primary] = readdirSync(`/proc/${service.pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${service.pid}/task/${task}/children`, 'utf8').trim().split(' ').map(Number),
    );
    measure('the primary is process 1 and serves', service.banner['pid'] as number, service.banner['pid'] === 1);
    process.kill(primary ?? 0, 'SIGTERM');
    const { code } = await service.waitForExit();
    measure('TERM: graceful stop, exit 0', String(code), code === 0);
  },
);

criterion('K22', 'a CPU profile during load', async (measure) => {
  const folder = temporaryFolder('profiles');
  const service = await startChaos({ stdin: 'pipe', env: { DATA_DIR: folder, EVIDENCE_MAX_MB: '1' } });
  const load = new Load(service.url, { clients: 20, request: () => ({ path: '/chaos/wait?ms=50' }) });
  const outcomes = (): Record<string, unknown>[] => service.events().filter(({ event }) => event === 'profile');
  const ask = (slot: number): void => void service.child.stdin?.write(`profile ${JSON.stringify({ slot, seconds: 2 })}\n`);
  ask(1);
  ask(2);
  await service.waitFor('both outcomes', () => outcomes().length === 2, 60_000);
  const refused = outcomes().filter((outcome) => typeof outcome['refused'] === 'string').length;
  measure('one at a time: the second is refused', `${refused} of 2 refused`, refused === 1);
  for (const slot of [2, 3, 4]) {
    const before = outcomes().length;
    ask(slot);
    await service.waitFor('a profile', () => outcomes().length > before, 60_000);
  }
  const paths = outcomes().flatMap(({ path }) => (typeof path === 'string' ? [path] : []));
  const last = JSON.parse(readFileSync(paths.at(-1) ?? '', 'utf8')) as { nodes: unknown[]; samples: unknown[] };
  measure(
    'profiles that open',
    `${paths.length} written, ${last.samples.length} samples in the last`,
    paths.length === 4 && last.nodes.length > 0,
  );
  const seen = tally(await load.stop());
  measure('0 failed requests', JSON.stringify(seen), Object.keys(seen).join() === '200');
  const stored = readdirSync(join(folder, 'evidence')).reduce((sum, name) => sum + statSync(join(folder, 'evidence', name)).size, 0);
  measure('the quota of 1 MB is kept', `${stored} bytes`, stored <= 1024 * 1024);
  await service.stop();
});
