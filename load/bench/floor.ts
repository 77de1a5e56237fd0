/**
 * `npm run bench:floor [-- --rounds 5 --limit 3 --workers 2]`: what a request costs here against the least it can cost. Starts
 * the service and the floor (`floor-server.ts`) side by side on one database with the load seed, makes sure that both answer
 * with the same bytes, then measures in alternating rounds the CPU of all processes of each and of PostgreSQL.
 *
 * CPU and not time, because it holds on a busy machine and is what is paid for. Uses DATABASE_URL and DATABASE_MIGRATION_URL
 * when both are given (on this machine, a server that nobody else uses meanwhile, empty or with the load seed), else an embedded
 * one of its own.
 * Exit code 0 when every median ratio is within the limit, 1 when not or when it could not be measured. Linux only.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { PROJECT_ROOT } from '../../lib/project-root';
import { freePort } from '../../scripts/ports';
import { median } from './alternating';
import { type Database, getJson, log, openDatabase, prepare, signIn } from './database';
import { runBench } from './frame';
import { type Server, startServer, treeCpuMs } from './processes';

const TIME_LIMIT_MS = 118_000;
const CONNECTIONS = 8;
/** The engine goes on optimising for thousands of requests; what the routes share is warm after the first one. */
const WARM_UP_REQUESTS = { first: 4_000, next: 1_000 };
/** About this much work for the floor in one round: long against the clock tick of 10 ms. */
const ROUND_CPU_MS = 500;
const ROUND_REQUESTS = { least: 300, most: 4_000 };
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const PROFILED_CUSTOMER = 'customer1@load.example';

async function startBoth({ url, migrationUrl }: Database, workers: number): Promise<[ours: Server, floor: Server]> {
  const common = {
    DATABASE_URL: url,
    DATABASE_MIGRATION_URL: migrationUrl,
    JWT_SECRET: randomBytes(48).toString('base64url'),
    WORKERS: String(workers),
  };
  const [port, opsPort, floorPort] = [await freePort(), await freePort(), await freePort()];
  const dist = join(PROJECT_ROOT, 'dist');
  const ours = await startServer('service', join(dist, 'server', 'index.js'), port, {
    ...common,
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    OPS_PORT: String(opsPort),
    // Neither is part of answering a request.
    JOBS: 'false',
    MAX_REQUESTS: '0',
    // One client asks for everything, so the limits would measure themselves.
    RATE_LIMIT_SESSION: '10000000/60',
  });
  try {
    const floor = await startServer('floor', join(dist, 'load', 'bench', 'floor-server.js'), floorPort, {
      ...common,
      FLOOR_PORT: String(floorPort),
    });
    return [ours, floor];
  } catch (error) {
    await ours.stop();
    throw error;
  }
}

interface Route {
  label: string;
  path: string;
}

async function chooseRoutes({ url }: Server, headers: Record<string, string>): Promise<Route[]> {
  const search = `/api/admin/customers?search=${encodeURIComponent(PROFILED_CUSTOMER)}`;
  const { items } = await getJson<{ items: { id: string; email: string }[] }>(url + search, { headers });
  const customer = items.find(({ email }) => email === PROFILED_CUSTOMER);
  const detail = `/api/admin/customers/${customer?.id}?include=appointmentDetails`;
  const { appointments } = await getJson<{ appointments: { id: string; status: string }[] }>(url + detail, { headers });
  const appointment = appointments.find(({ status }) => status === 'COMPLETED');
  return [
    { label: 'customer list (25)', path: '/api/admin/customers' },
    { label: 'one appointment', path: `/api/appointments/${appointment?.id}` },
    { label: `customer detail (${appointments.length})`, path: detail },
  ];
}

/** @returns the size of the body in bytes @throws Error when the two differ in anything but the id of the request */
async function assertSameBytes(
  [ours, floor]: readonly [Server, Server],
  { path }: Route,
  headers: Record<string, string>,
): Promise<number> {
  const texts = await Promise.all(
    [ours, floor].map(async ({ name, url }) => {
      const response = await fetch(url + path, { headers });
      const text = await response.text();
      if (response.status !== 200) throw new Error(`${name}: ${path} answered ${response.status}: ${text.slice(0, 300)}`);
      return text;
    }),
  );
  const [first = '', second = ''] = texts.map((text) => {
    const id = (JSON.parse(text) as { correlation_id: string }).correlation_id;
    if (!id.match(UUID)) throw new Error(`${path}: ${id} is no request id`);
    return text.replaceAll(id, '<request id>');
  });
  if (first === second) return Buffer.byteLength(texts[0] ?? '');
  const at = [...first].findIndex((sign, index) => sign !== second[index]);
  const around = (text: string) => text.slice(Math.max(0, at - 60), at + 60);
  throw new Error(`${path}: the bodies differ at ${at}:\n  service ${around(first)}\n  floor   ${around(second)}`);
}

interface Cost {
  service: number;
  postgres: number;
}

/** Milliseconds of CPU for one request. */
async function measure(server: Server, postmaster: number, url: string, headers: Record<string, string>, amount: number): Promise<Cost> {
  const read = () => ({ service: treeCpuMs(server.pid), postgres: treeCpuMs(postmaster) });
  // Let what the other side left behind come to rest.
  await delay(30);
  const before = read();
  const result = await autocannon({ url, headers, amount, connections: CONNECTIONS, timeout: 20 });
  const after = read();
  const bad = result.non2xx + result.errors + result.timeouts;
  if (bad > 0) throw new Error(`${server.name}: ${bad} of ${amount} requests to ${url} failed`);
  return { service: (after.service - before.service) / amount, postgres: (after.postgres - before.postgres) / amount };
}

const total = ({ service, postgres }: Cost): number => service + postgres;

interface Result {
  route: string;
  bytes: number;
  ours: Cost;
  floor: Cost;
  ratio: number;
  range: [number, number];
}

interface Comparison {
  servers: readonly [ours: Server, floor: Server];
  postmaster: number;
  headers: Record<string, string>;
  rounds: number;
  /** Requests to each before anything is measured. */
  warmUp: number;
}

async function compare(route: Route, { servers, postmaster, headers, rounds, warmUp }: Comparison): Promise<Result> {
  const [ours, floor] = servers;
  const bytes = await assertSameBytes(servers, route, headers);
  for (const { url } of servers) await autocannon({ url: url + route.path, headers, amount: warmUp, connections: CONNECTIONS });
  const trial = await measure(floor, postmaster, floor.url + route.path, headers, ROUND_REQUESTS.least);
  const amount = Math.round(Math.min(ROUND_REQUESTS.most, Math.max(ROUND_REQUESTS.least, ROUND_CPU_MS / total(trial))));
  const costs: { ours: Cost; floor: Cost }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? [ours, floor] : [floor, ours];
    const cost = new Map<Server, Cost>();
    for (const server of order) cost.set(server, await measure(server, postmaster, server.url + route.path, headers, amount));
    costs.push({ ours: cost.get(ours) as Cost, floor: cost.get(floor) as Cost });
  }
  const ratios = costs.map((each) => total(each.ours) / total(each.floor));
  const middle = (side: 'ours' | 'floor'): Cost => ({
    service: median(costs.map((each) => each[side].service)),
    postgres: median(costs.map((each) => each[side].postgres)),
  });
  return {
    route: route.label,
    bytes,
    ours: middle('ours'),
    floor: middle('floor'),
    ratio: median(ratios),
    range: [Math.min(...ratios), Math.max(...ratios)],
  };
}

function printTable(results: readonly Result[], limit: number): void {
  const cost = ({ service, postgres }: Cost) => `${service.toFixed(3)} / ${postgres.toFixed(3)}`;
  const rows = results.map(({ route, bytes, ours, floor, ratio, range: [low, high] }) => [
    route,
    String(bytes),
    cost(ours),
    cost(floor),
    ratio.toFixed(2),
    `${low.toFixed(2)}-${high.toFixed(2)}`,
    ratio <= limit ? 'ok' : `over ${limit}`,
  ]);
  const head = ['route', 'bytes', 'ours: service / PostgreSQL', 'floor: service / PostgreSQL', 'ratio', 'range', 'verdict'];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  console.log('CPU in milliseconds per request; ratio = all CPU of ours / all CPU of the floor, median of the rounds');
  for (const row of [head, ...rows])
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    limit: { type: 'string', default: '3' },
    workers: { type: 'string', default: '2' },
  },
});

void runBench(TIME_LIMIT_MS, async (undoLater) => {
  const [rounds, limit, workers] = [Number(values.rounds), Number(values.limit), Number(values.workers)];
  const database = await openDatabase();
  undoLater(database.close);
  const postmaster = await prepare(database);
  const servers = await startBoth(database, workers);
  for (const { stop } of servers) undoLater(stop);
  const [ours] = servers;
  const headers = await signIn(ours.url);
  const results: Result[] = [];
  for (const route of await chooseRoutes(ours, headers)) {
    log(`measuring ${route.label}`);
    const warmUp = results.length === 0 ? WARM_UP_REQUESTS.first : WARM_UP_REQUESTS.next;
    results.push(await compare(route, { servers, postmaster, headers, rounds, warmUp }));
  }
  printTable(results, limit);
  return results.every(({ ratio }) => ratio <= limit) ? 0 : 1;
});
