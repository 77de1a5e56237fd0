/**
 * Two of our services that differ in one setting, on one database, measured in alternating rounds: CPU of all processes of each, per
 * request. CPU and not time, because it is what limits throughput and holds on a busy machine.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import autocannon from 'autocannon';
import { PROJECT_ROOT } from '../../lib/project-root';
import type { Database } from './database';
import { freePort, type Server, startServer, treeCpuMs } from './processes';

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

/** @returns milliseconds of CPU for one request */
async function cost({ name, pid, url }: Server, path: string, headers: Record<string, string>, amount: number): Promise<number> {
  // Let what the other side left behind come to rest.
  await delay(30);
  const before = treeCpuMs(pid);
  const result = await autocannon({ url: url + path, headers, amount, connections: CONNECTIONS, timeout: 20 });
  const after = treeCpuMs(pid);
  const bad = result.non2xx + result.errors + result.timeouts;
  if (bad > 0) throw new Error(`${name}: ${bad} of ${amount} requests failed`);
  return (after - before) / amount;
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

/** Alternates who goes first, so that neither profits from what the other has warmed or worn. */
export async function compareCpu(
  servers: readonly [Server, Server],
  { path, headers, rounds, requests }: { path: string; headers: Record<string, string>; rounds: number; requests: number },
): Promise<CpuComparison> {
  const [first, second] = servers;
  for (const { url } of servers) await autocannon({ url: url + path, headers, amount: WARM_UP_REQUESTS, connections: CONNECTIONS });
  const costs: [number, number][] = [];
  for (let round = 0; round < rounds; round += 1) {
    const measured = new Map<Server, number>();
    for (const server of round % 2 === 0 ? [first, second] : [second, first])
      measured.set(server, await cost(server, path, headers, requests));
    costs.push([measured.get(first) ?? Number.NaN, measured.get(second) ?? Number.NaN]);
  }
  const ratios = costs.map(([one, other]) => one / other).sort((a, b) => a - b);
  const at = (share: number): number => ratios[Math.floor((ratios.length - 1) * share)] ?? Number.NaN;
  return {
    ratio: median(ratios),
    range: [at(0), at(1)],
    quartiles: [at(0.25), at(0.75)],
    cpuMs: [median(costs.map(([one]) => one)), median(costs.map(([, other]) => other))],
    rounds,
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
