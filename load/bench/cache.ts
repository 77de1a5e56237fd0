/**
 * `npm run bench:cache [-- --rounds 9 --requests 2000 --json]`: what keeping replies gives. Starts the service twice on one database, with and
 * without a reply cache, a third time with Redis when `REDIS_URL` is given, and measures in alternating rounds the CPU of one request for
 * the dashboard: of all processes of the service, and of PostgreSQL.
 *
 * CPU and not time, because it is what limits throughput and holds on a busy machine. The database as for `bench:floor`; CPU of Redis is not
 * counted. Exit code 0 when a request with the cache costs at most half of one without (service and PostgreSQL together), 1 when not. Linux only.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { PROJECT_ROOT } from '../../lib/project-root';
import { type Database, log, openDatabase, prepare, signIn } from './database';
import { freePort, type Server, startServer, treeCpuMs } from './processes';

const LIMIT = 0.5;
const TIME_LIMIT_MS = 400_000;
const CONNECTIONS = 8;
const WARM_UP_REQUESTS = 4_000;
const PATH = '/api/admin/dashboard/stats';

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

async function start(name: string, env: Record<string, string>, { url, migrationUrl }: Database, folder: string): Promise<Server> {
  const [port, opsPort] = [await freePort(), await freePort()];
  return startServer(name, join(PROJECT_ROOT, 'dist', 'server', 'index.js'), port, {
    DATABASE_URL: url,
    DATABASE_MIGRATION_URL: migrationUrl,
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    OPS_PORT: String(opsPort),
    CONTROL_SOCKET: join(folder, `${opsPort}.sock`),
    EVIDENCE_DIR: join(folder, 'evidence'),
    WORKERS: '2',
    // Neither is part of answering a request.
    JOBS: 'false',
    WORKER_STANDBY: 'false',
    MAX_REQUESTS: '0',
    // One client asks for everything, so the limits would measure themselves.
    RATE_LIMIT_SESSION: '10000000/60',
    ...env,
  });
}

/** Milliseconds of CPU for one request. */
interface Cost {
  service: number;
  database: number;
}

async function cost({ name, pid, url }: Server, postgres: number, headers: Record<string, string>, amount: number): Promise<Cost> {
  // Let what the other side left behind come to rest.
  await delay(30);
  const before = { service: treeCpuMs(pid), database: treeCpuMs(postgres) };
  const result = await autocannon({ url: url + PATH, headers, amount, connections: CONNECTIONS, timeout: 20 });
  const after = { service: treeCpuMs(pid), database: treeCpuMs(postgres) };
  const bad = result.non2xx + result.errors + result.timeouts;
  if (bad > 0) throw new Error(`${name}: ${bad} of ${amount} requests failed`);
  return { service: (after.service - before.service) / amount, database: (after.database - before.database) / amount };
}

interface Outcome extends Cost {
  name: string;
  /** Median of the rounds: this one's CPU to that without a cache in the same round. */
  ratio: number;
  range: [number, number];
}

const total = ({ service, database }: Cost): number => service + database;

/** @param servers the first one has no cache */
async function compare(
  servers: readonly Server[],
  { postgres, rounds, requests }: { postgres: number; rounds: number; requests: number },
): Promise<Outcome[]> {
  const [plain] = servers as [Server];
  const headers = await signIn(plain.url);
  for (const { url } of servers) await autocannon({ url: url + PATH, headers, amount: WARM_UP_REQUESTS, connections: CONNECTIONS });
  const costs = new Map<Server, Cost[]>(servers.map((server) => [server, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const server of round % 2 === 0 ? servers : servers.toReversed())
      costs.get(server)?.push(await cost(server, postgres, headers, requests));
  const base = (costs.get(plain) ?? []).map(total);
  return servers.map((server) => {
    const own = costs.get(server) ?? [];
    const ratios = own.map((each, round) => total(each) / (base[round] ?? Number.NaN));
    return {
      name: server.name,
      service: median(own.map(({ service }) => service)),
      database: median(own.map(({ database }) => database)),
      ratio: median(ratios),
      range: [Math.min(...ratios), Math.max(...ratios)],
    };
  });
}

function print(outcomes: readonly Outcome[]): void {
  for (const { name, service, database, ratio, range } of outcomes) {
    const [low, high] = range.map((value) => value.toFixed(3));
    console.log(
      `${name}: CPU per request ${service.toFixed(3)} ms service, ${database.toFixed(3)} ms PostgreSQL; to that without a cache ${ratio.toFixed(3)} (${low}-${high})`,
    );
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '9' },
      requests: { type: 'string', default: '2000' },
      json: { type: 'boolean', default: false },
    },
  });
  const { REDIS_URL: redisUrl } = process.env;
  // For the one server that it is meant for.
  Reflect.deleteProperty(process.env, 'REDIS_URL');
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
    const postgres = await prepare(database);
    const common = { JWT_SECRET: randomBytes(48).toString('base64url') };
    const folder = mkdtempSync(join(tmpdir(), 'autoshop-cache-'));
    undo.push(async () => rmSync(folder, { recursive: true, force: true }));
    const servers: Server[] = [];
    const add = async (name: string, env: Record<string, string>) => {
      const server = await start(name, { ...common, ...env }, database, folder);
      undo.push(server.stop);
      servers.push(server);
    };
    await add('no cache', { CACHE_MAX_MB: '0' });
    await add('memory', {});
    if (redisUrl) await add('redis', { REDIS_URL: redisUrl });
    const outcomes = await compare(servers, { postgres, rounds: Number(values.rounds), requests: Number(values.requests) });
    if (values.json) console.log(JSON.stringify(outcomes));
    else print(outcomes);
    return outcomes.slice(1).every(({ ratio }) => ratio <= LIMIT) ? 0 : 1;
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
