/**
 * @alone K5: what the watchdog costs a worker. Two services beside each other differ by more than one percent for other reasons (what their
 * compilers did, what the machine did), so its parts are measured directly: the CPU of its thread, and the marks that requests leave.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PROJECT_ROOT } from '../../lib/project-root';
import { WATCHDOG_THREAD_NAME } from '../../server/cluster/watchdog-limits';
import { Load, type Running, startChaos, stats, tally } from '../cluster/support';
import { counts, criterion } from '../support/criterion';
import { quantile } from './support';

const NS_PER_MS = 1e6;
const REST_MS = 10_000;

/** CPU of threads of a process since they began, milliseconds. */
function cpuOf(pid: number, wanted: (name: string) => boolean = () => true): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    if (wanted(readFileSync(`${folder}/comm`, 'utf8').trim())) sum += Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0]);
  }
  return sum / NS_PER_MS;
}

const threadOf = (pid: number): number => cpuOf(pid, (name) => name === WATCHDOG_THREAD_NAME);

const workersOf = async (service: Running): Promise<number[]> =>
  (await stats(service)).workers.filter(({ kind, state }) => kind === 'http' && state === 'ready').map(({ pid }) => pid);

const total = (pids: readonly number[], one: (pid: number) => number): number => pids.reduce((sum, pid) => sum + one(pid), 0);

/** Resident memory of the middle worker, MB. */
const residentOf = (pids: readonly number[]): number =>
  quantile(
    pids.map((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024),
    0.5,
  );

/** The least of what is resident while nothing happens for a while: what was read once to boot is swept meanwhile. */
async function restingMemory(pids: readonly number[]): Promise<number> {
  let least = residentOf(pids);
  for (const until = performance.now() + REST_MS; performance.now() < until; await delay(500)) least = Math.min(least, residentOf(pids));
  return least;
}

/** CPU of all that one request writes for the watchdog, milliseconds. In a process of its own: jest's sandbox makes globals slow. */
const marksMs = (): number =>
  Number(execFileSync(process.execPath, [join(PROJECT_ROOT, 'dist', 'tests', 'criteria', 'fixtures', 'marks.js')], { encoding: 'utf8' }));

criterion('K5', 'what the watchdog costs', async (measure, compare) => {
  const env = { MAX_REQUESTS: '0', LOG_LEVEL: 'WARNING' };
  const [on, off] = [await startChaos({ env: { ...env, WATCHDOG: 'true' } }), await startChaos({ env: { ...env, WATCHDOG: 'false' } })];
  const requests = counts(50_000);
  const sendRequests = async (): Promise<void> => {
    const load = new Load(on.url, { clients: 16, limitMs: 300_000, request: () => ({ path: '/chaos/wait?ms=0' }) });
    await load.until(requests);
    const seen = tally(await load.stop());
    if (Object.keys(seen).join() !== '200') measure('0 failed requests', JSON.stringify(seen), false);
  };
  const workers = await workersOf(on);
  // Before any load: behind it workers of one service differ by as much as the limit, in what they have not swept yet.
  const [without, withIt] = await Promise.all([restingMemory(await workersOf(off)), restingMemory(workers)]);
  const memory = withIt - without;
  compare('at most 20 MB of memory for each worker', `${memory.toFixed(1)} MB`, memory > 0 && memory <= 20);
  await sendRequests();
  const [thread, all, from] = [total(workers, threadOf), total(workers, (pid) => cpuOf(pid)), performance.now()];
  await sendRequests();
  const seconds = (performance.now() - from) / 1000;
  const threadMs = total(workers, threadOf) - thread;
  const allMs = total(workers, (pid) => cpuOf(pid)) - all;
  // What the thread takes of the processors, requests cannot have; what they write makes each of them longer.
  const processors = Math.min(availableParallelism(), workers.length);
  const taken = threadMs / (seconds * 1000 * processors);
  const [mark, request] = [marksMs(), allMs / requests];
  const share = taken + mark / request;
  const micros = (ms: number): string => `${(ms * 1000).toFixed(1)} us`;
  compare(
    'at most 1 % of the throughput',
    `${(share * 100).toFixed(2)} %: threads ${(threadMs / seconds).toFixed(1)} ms a second on ${processors} processors, marks ${micros(mark)} of ${micros(request)} a request`,
    threadMs > 0 && share <= 0.01,
  );
  await Promise.all([on.stop(), off.stop()]);
});
