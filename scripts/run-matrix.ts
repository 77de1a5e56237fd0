/**
 * `npm run test:matrix [-- rows and jest arguments]`: the API tests on every database and surrounding that the service knows, one
 * after another: `postgres18 postgres15 pgbouncer redis sqlite`. Prints a table; the last line is the verdict. What a machine lacks
 * is named, and with REQUIRE_SERVICES=1 it fails the run.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { runClosers } from '../tests/support/closers';
import { isAvailable, startRedis } from '../tests/support/services';
import { postgresFolders } from './find-program';
import { exitWith } from './jest-run';
import { chooseRows, commandsIn, conclude, countsIn, faultOf, type Outcome, type Row, strayFrom, table } from './matrix-rows';

/** The programs of TEST_POSTGRES_BIN, else of the oldest version that the system has. */
const postgresBin = (): string | undefined =>
  process.env['TEST_POSTGRES_BIN'] || postgresFolders().find((folder) => existsSync(join(folder, 'initdb')));

const isThere = (need: Row['needs'][number]): boolean => (need === 'postgresql' ? postgresBin() !== undefined : isAvailable(need));

/** Over our own environment; rows differ in nothing else. */
async function environmentOf({ name }: Row): Promise<NodeJS.ProcessEnv> {
  const { TEST_POSTGRES_BIN: _bin, TEST_THROUGH: _through, TEST_SERVICE_REDIS_URL: _redis, ...base } = process.env;
  if (name === 'postgres15') return { ...base, TEST_POSTGRES_BIN: postgresBin() };
  if (name === 'pgbouncer') return { ...base, TEST_THROUGH: 'pgbouncer', TEST_SERVICE_REDIS_URL: (await startRedis()).url };
  if (name === 'redis') return { ...base, TEST_SERVICE_REDIS_URL: (await startRedis()).url };
  return base;
}

async function commandsSentTo(redisUrl: string | undefined): Promise<readonly string[]> {
  if (redisUrl === undefined) return [];
  const client = new Redis(redisUrl);
  try {
    return commandsIn(await client.info('commandstats'));
  } finally {
    client.disconnect();
  }
}

let current: ChildProcess | undefined;
let interrupted = false;

async function run(row: Row, more: readonly string[]): Promise<Outcome> {
  const lacking = row.needs.filter((need) => !isThere(need));
  const none = { row, server: '', counts: null, seconds: 0 };
  if (lacking.length > 0) return { ...none, fault: `${lacking.join(' and ')} is not installed`, isMissing: true };
  const started = performance.now();
  console.log(`\n== ${row.name}: ${row.on}`);
  const env = await environmentOf(row);
  current = spawn(process.execPath, [join(__dirname, 'run-api.js'), row.project, ...more], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  current.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    process.stdout.write(chunk);
  });
  const [code] = (await once(current, 'close')) as [number | null];
  current = undefined;
  const commands = await commandsSentTo(env['TEST_SERVICE_REDIS_URL']);
  await runClosers();
  const server = /^Test database: (.*)$/m.exec(output)?.[1] ?? '';
  const counts = countsIn(output);
  const fault = strayFrom(row, server, commands) ?? faultOf(code, counts);
  return { row, server, counts, seconds: (performance.now() - started) / 1000, fault, isMissing: false };
}

async function main(): Promise<number> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      interrupted = true;
      current?.kill(signal);
    });
  const { rows, more } = chooseRows(process.argv.slice(2));
  const outcomes: Outcome[] = [];
  for (const row of rows) if (!interrupted) outcomes.push(await run(row, more));
  const sum = (key: 'passed' | 'failed' | 'skipped'): number => outcomes.reduce((total, { counts }) => total + (counts?.[key] ?? 0), 0);
  console.log(`\n${table(outcomes)}\n`);
  console.log(`All rows: ${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  const { verdict, ok } = conclude(outcomes, { strict: process.env['REQUIRE_SERVICES'] === '1' });
  console.log(interrupted ? 'matrix FAILED: interrupted' : verdict);
  return ok && !interrupted ? 0 : 1;
}

exitWith(main());
