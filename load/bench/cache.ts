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
import { parseArgs } from 'node:util';
import { costsInRounds, median, startService } from './alternating';
import { openDatabase, prepare, signIn } from './database';
import { runBench } from './frame';
import type { Server } from './processes';

const LIMIT = 0.5;
const TIME_LIMIT_MS = 400_000;
const PATH = '/api/admin/dashboard/stats';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    requests: { type: 'string', default: '2000' },
    json: { type: 'boolean', default: false },
  },
});

interface Outcome {
  name: string;
  /** Milliseconds of CPU for one request, medians. */
  service: number;
  database: number;
  /** Median of the rounds: this one's CPU to that without a cache in the same round. */
  ratio: number;
  range: [number, number];
}

/** @param servers the first one has no cache */
async function compare(servers: readonly Server[], postgres: number): Promise<Outcome[]> {
  const [plain] = servers as [Server];
  const load = { path: PATH, headers: await signIn(plain.url), rounds: Number(values.rounds), requests: Number(values.requests) };
  const costs = await costsInRounds(servers, load, [postgres]);
  const totals = costs.map((rounds) => rounds.map(([service = Number.NaN, database = Number.NaN]) => service + database));
  return servers.map(({ name }, index) => {
    const own = costs[index] ?? [];
    const ratios = (totals[index] ?? []).map((each, round) => each / (totals[0]?.[round] ?? Number.NaN));
    return {
      name,
      service: median(own.map(([service = Number.NaN]) => service)),
      database: median(own.map(([, database = Number.NaN]) => database)),
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

const { REDIS_URL: redisUrl } = process.env;
// For the one server that it is meant for.
Reflect.deleteProperty(process.env, 'REDIS_URL');

void runBench(TIME_LIMIT_MS, async (undoLater) => {
  const database = await openDatabase();
  undoLater(database.close);
  const postgres = await prepare(database);
  const folder = mkdtempSync(join(tmpdir(), 'autoshop-cache-'));
  undoLater(() => rmSync(folder, { recursive: true, force: true }));
  const secret = randomBytes(48).toString('base64url');
  const start = async (name: string, env: Record<string, string>): Promise<Server> => {
    const server = await startService({ name, database, secret, folder, env });
    undoLater(server.stop);
    return server;
  };
  const servers = [await start('no cache', { CACHE_MAX_MB: '0' }), await start('memory', {})];
  if (redisUrl) servers.push(await start('redis', { REDIS_URL: redisUrl }));
  const outcomes = await compare(servers, postgres);
  if (values.json) console.log(JSON.stringify(outcomes));
  else print(outcomes);
  return outcomes.slice(1).every(({ ratio }) => ratio <= LIMIT) ? 0 : 1;
});
