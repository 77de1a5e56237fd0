/**
 * `npm run bench:watchdog [-- --rounds 15 --requests 1000 --json]`: what the watchdog thread costs. Starts the service twice on one
 * database, WATCHDOG on and off, and measures in alternating rounds the CPU of all processes of each per request, then the
 * resident memory of their workers.
 *
 * CPU and not time, because it is what limits throughput and holds on a busy machine. The database as for `bench:floor`.
 * Exit code 0 when the median ratio of CPU is at most 1.01 and the memory at most 20 MB, 1 when not. Linux only.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { PROJECT_ROOT } from '../../lib/project-root';
import { descendants } from '../../server/cluster/process-tree';
import { type Database, log, openDatabase, prepare, signIn } from './database';
import { freePort, type Server, startServer, treeCpuMs } from './processes';

const LIMITS = { ratio: 1.01, rssMb: 20 };
const TIME_LIMIT_MS = 400_000;
const CONNECTIONS = 8;
const WARM_UP_REQUESTS = 4_000;
const PATH = '/api/admin/customers';

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

async function start(watchdog: boolean, { url, migrationUrl }: Database, secret: string, folder: string): Promise<Server> {
  const [port, opsPort] = [await freePort(), await freePort()];
  return startServer(watchdog ? 'on' : 'off', join(PROJECT_ROOT, 'dist', 'server', 'index.js'), port, {
    DATABASE_URL: url,
    DATABASE_MIGRATION_URL: migrationUrl,
    JWT_SECRET: secret,
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    OPS_PORT: String(opsPort),
    CONTROL_SOCKET: join(folder, `${watchdog}.sock`),
    EVIDENCE_DIR: join(folder, 'evidence'),
    WORKERS: '2',
    WATCHDOG: String(watchdog),
    // Neither is part of answering a request.
    JOBS: 'false',
    WORKER_STANDBY: 'false',
    MAX_REQUESTS: '0',
    // One client asks for everything, so the limits would measure themselves.
    RATE_LIMIT_SESSION: '10000000/60',
  });
}

/** @returns milliseconds of CPU for one request */
async function cost({ name, pid, url }: Server, headers: Record<string, string>, amount: number): Promise<number> {
  // Let what the other side left behind come to rest.
  await delay(30);
  const before = treeCpuMs(pid);
  const result = await autocannon({ url: url + PATH, headers, amount, connections: CONNECTIONS, timeout: 20 });
  const after = treeCpuMs(pid);
  const bad = result.non2xx + result.errors + result.timeouts;
  if (bad > 0) throw new Error(`${name}: ${bad} of ${amount} requests failed`);
  return (after - before) / amount;
}

/** Of the workers, in MB. */
const residentOf = ({ pid }: Server): number =>
  median(descendants(pid).map((worker) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${worker}/status`, 'utf8'))?.[1]) / 1024));

interface Outcome {
  ratio: number;
  range: [number, number];
  cpuMs: { on: number; off: number };
  rssMb: { on: number; off: number };
  rounds: number;
}

async function compare([on, off]: readonly [Server, Server], rounds: number, requests: number): Promise<Outcome> {
  const headers = await signIn(on.url);
  for (const { url } of [on, off]) await autocannon({ url: url + PATH, headers, amount: WARM_UP_REQUESTS, connections: CONNECTIONS });
  const costs: { on: number; off: number }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? [on, off] : [off, on];
    const measured = new Map<Server, number>();
    for (const server of order) measured.set(server, await cost(server, headers, requests));
    costs.push({ on: measured.get(on) ?? Number.NaN, off: measured.get(off) ?? Number.NaN });
  }
  const ratios = costs.map((each) => each.on / each.off);
  return {
    ratio: median(ratios),
    range: [Math.min(...ratios), Math.max(...ratios)],
    cpuMs: { on: median(costs.map((each) => each.on)), off: median(costs.map((each) => each.off)) },
    rssMb: { on: residentOf(on), off: residentOf(off) },
    rounds,
  };
}

function print({ ratio, range: [low, high], cpuMs, rssMb, rounds }: Outcome): void {
  console.log(`CPU per request: on ${cpuMs.on.toFixed(3)} ms, off ${cpuMs.off.toFixed(3)} ms`);
  console.log(`ratio: median of ${rounds} rounds ${ratio.toFixed(3)} (${low.toFixed(3)}-${high.toFixed(3)}), limit ${LIMITS.ratio}`);
  console.log(
    `memory of a worker: on ${rssMb.on.toFixed(1)} MB, off ${rssMb.off.toFixed(1)} MB, limit of the difference ${LIMITS.rssMb} MB`,
  );
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '15' },
      requests: { type: 'string', default: '1000' },
      json: { type: 'boolean', default: false },
    },
  });
  const undo: (() => Promise<void>)[] = [];
  let isStopping = false;
  const cleanUp = async () => {
    isStopping = true;
    for (let act = undo.pop(); act; act = undo.pop()) await act();
  };
  const giveUp = (why: string) => {
    if (isStopping) return;
    log(why);
    void cleanUp().finally(() => process.exit(1));
  };
  const timer = setTimeout(() => giveUp(`gave up after ${TIME_LIMIT_MS / 1000} s`), TIME_LIMIT_MS);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => giveUp(`stopped by ${signal}`));
  try {
    const database = await openDatabase();
    undo.push(database.close);
    await prepare(database);
    const secret = randomBytes(48).toString('base64url');
    const folder = mkdtempSync(join(tmpdir(), 'autoshop-watchdog-'));
    undo.push(async () => rmSync(folder, { recursive: true, force: true }));
    const on = await start(true, database, secret, folder);
    undo.push(on.stop);
    const off = await start(false, database, secret, folder);
    undo.push(off.stop);
    const outcome = await compare([on, off], Number(values.rounds), Number(values.requests));
    if (values.json) console.log(JSON.stringify(outcome));
    else print(outcome);
    return outcome.ratio <= LIMITS.ratio && outcome.rssMb.on - outcome.rssMb.off <= LIMITS.rssMb ? 0 : 1;
  } finally {
    clearTimeout(timer);
    await cleanUp();
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    log(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  },
);
