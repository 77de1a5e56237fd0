/**
 * Our services that differ in one setting, on one database, measured in alternating rounds: CPU of all processes of each, per
 * request. CPU and not time, because it is what limits throughput and holds on a busy machine.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import autocannon from 'autocannon';
import { PROJECT_ROOT } from '../../lib/project-root';
import { freePort } from '../../scripts/ports';
import type { Database } from './database';
import { type Server, startServer, treeCpuMs } from './processes';

const CONNECTIONS = 8;
const WARM_UP_REQUESTS = 4_000;

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

export interface ServiceOptions {
  name: string;
  database: Database;
  secret: string;
  /** For its control socket and evidence. */
  folder: string;
  env: Readonly<Record<string, string>>;
}

/** The built service in production, two workers, without what is no part of answering a request. */
export async function startService({ name, database: { url, migrationUrl }, secret, folder, env }: ServiceOptions): Promise<Server> {
  const [port, opsPort] = [await freePort(), await freePort()];
  return startServer(name, join(PROJECT_ROOT, 'dist', 'server', 'index.js'), port, {
    DATABASE_URL: url,
    DATABASE_MIGRATION_URL: migrationUrl,
    JWT_SECRET: secret,
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    OPS_PORT: String(opsPort),
    CONTROL_SOCKET: join(folder, `${name}.sock`),
    EVIDENCE_DIR: join(folder, 'evidence'),
    WORKERS: '2',
    JOBS: 'false',
    WORKER_STANDBY: 'false',
    MAX_REQUESTS: '0',
    // One client asks for everything, so the limits would measure themselves.
    RATE_LIMIT_SESSION: '10000000/60',
    ...env,
  });
}

export interface Load {
  path: string;
  headers: Record<string, string>;
  rounds: number;
  requests: number;
}

/** @returns milliseconds of CPU for one request, of each tree of processes */
async function cost({ name, url }: Server, roots: readonly number[], { path, headers, requests }: Load): Promise<number[]> {
  // Let what the other side left behind come to rest.
  await delay(30);
  const before = roots.map(treeCpuMs);
  const result = await autocannon({ url: url + path, headers, amount: requests, connections: CONNECTIONS, timeout: 20 });
  const after = roots.map(treeCpuMs);
  const bad = result.non2xx + result.errors + result.timeouts;
  if (bad > 0) throw new Error(`${name}: ${bad} of ${requests} requests failed`);
  return after.map((ms, index) => (ms - (before[index] ?? Number.NaN)) / requests);
}

/**
 * Alternates who goes first, so that none profits from what the others have warmed or worn.
 * @returns for each server and round the cost of its own processes, then of each of `others`, by their first process
 */
export async function costsInRounds(servers: readonly Server[], load: Load, others: readonly number[] = []): Promise<number[][][]> {
  const { path, headers, rounds } = load;
  for (const { url } of servers) await autocannon({ url: url + path, headers, amount: WARM_UP_REQUESTS, connections: CONNECTIONS });
  const costs = new Map<Server, number[][]>(servers.map((server) => [server, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const server of round % 2 === 0 ? servers : servers.toReversed())
      costs.get(server)?.push(await cost(server, [server.pid, ...others], load));
  return [...costs.values()];
}

export interface CpuComparison {
  /** Median over the rounds of the first server's cost by the second's. */
  ratio: number;
  range: [number, number];
  /** Middle half of the rounds. */
  quartiles: [number, number];
  /** Medians, milliseconds per request. */
  cpuMs: [first: number, second: number];
  rounds: number;
}

export async function compareCpu(servers: readonly [Server, Server], load: Load): Promise<CpuComparison> {
  const [first = [], second = []] = (await costsInRounds(servers, load)).map((rounds) => rounds.map(([own = Number.NaN]) => own));
  const ratios = first.map((one, round) => one / (second[round] ?? Number.NaN)).sort((a, b) => a - b);
  const at = (share: number): number => ratios[Math.floor((ratios.length - 1) * share)] ?? Number.NaN;
  return {
    ratio: median(ratios),
    range: [at(0), at(1)],
    quartiles: [at(0.25), at(0.75)],
    cpuMs: [median(first), median(second)],
    rounds: load.rounds,
  };
}

export function printComparison(
  names: readonly [string, string],
  { ratio, range, quartiles, cpuMs, rounds }: CpuComparison,
  limit: number,
): void {
  const [low, high] = range;
  console.log(`CPU per request: ${names[0]} ${cpuMs[0].toFixed(3)} ms, ${names[1]} ${cpuMs[1].toFixed(3)} ms`);
  console.log(
    `ratio: median of ${rounds} rounds ${ratio.toFixed(3)} (middle half ${quartiles.map((value) => value.toFixed(3)).join('-')}, ` +
      `all ${low.toFixed(3)}-${high.toFixed(3)}), limit ${limit}`,
  );
}
