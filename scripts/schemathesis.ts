/**
 * `npm run test:schemathesis [-- --examples N] [--seed N] [--as CALLER]…`: Schemathesis against the OpenAPI document as served, on
 * a service of its own with the demo shop in an embedded database, as the owner, a customer and nobody, or as those named alone. A
 * server error, or an answer that the document does not describe, fails it. The seed is printed; the same seed makes the same cases.
 * With `--examples 0`, the default in CI, only examples and values at the boundaries are sent, which are the same in every run.
 *
 * Needs the program `schemathesis` (PyPI): on PATH, or in `.data/schemathesis/bin` (a virtual environment). Without it nothing is
 * run, which REQUIRE_SERVICES=1 makes a failure. Exit codes: 0 passed or skipped, 1 failed, 64 wrong usage.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { environmentSchema } from '../config/env';
import { PROJECT_ROOT } from '../lib/project-root';
import { findProgram } from '../tests/support/services';
import { freePort } from './ports';

const EXAMPLES = 100;
const EXAMPLES_IN_CI = 0;
const NOBODY = 'nobody';
const CALLERS = ['Owner', 'Customer', NOBODY];
const CHECKS = ['not_a_server_error', 'status_code_conformance', 'content_type_conformance', 'response_schema_conformance'];
/** By itself it would register an account and use it: nobody would then be somebody. */
const SETTINGS = '[auth]\nauto-signup = false\n';
const EXIT_USAGE = 64;
const EXIT_INTERRUPTED = 130;
const MAX_SEED = 2 ** 31 - 1;
/** They would end the caller's own session, and with it the rest of the run: called by nobody alone. */
const ENDS_SESSION = ['logout', 'logoutAlias1'];

/** The programs that run now, and whether somebody wants all of it to end. */
const running = new Set<ChildProcess>();
let interrupted = false;

interface Caller {
  name: string;
  token: string | null;
}

interface Settings {
  examples: number;
  seed: number;
  callers: string[];
}

interface Service {
  url: string;
  /** Of Schemathesis. */
  configFile: string;
  accounts: { role: string; username: string; password: string }[];
  stop(): Promise<void>;
}

/** Begins like a rate, and is none. */
const NO_RATE = new Set(['RATE_LIMIT_FAIL_CLOSED']);

/** The service's own variables decide nothing here: the run is the same on every machine. */
function environment(additions: Record<string, string>): NodeJS.ProcessEnv {
  const names = Object.keys(environmentSchema.shape);
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !names.includes(name)));
  const limits = Object.fromEntries(
    names.filter((name) => name.startsWith('RATE_LIMIT_') && !NO_RATE.has(name)).map((name) => [name, '1000000/60']),
  );
  return { ...inherited, ...limits, ...additions };
}

/** @throws Error with its last words when it ends before it serves */
async function startService(): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'autoshop-schemathesis-'));
  // As root the database runs as another user, who has to get through.
  chmodSync(folder, 0o711);
  const [port, opsPort] = [await freePort(), await freePort()];
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'dist', 'server', 'index.js')], {
    cwd: PROJECT_ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    // In tests a reply that is not what its schema says is a server error.
    env: environment({
      NODE_ENV: 'test',
      DATA_DIR: folder,
      DB_SEED: 'demo',
      PORT: String(port),
      OPS_PORT: String(opsPort),
      WORKERS: '1',
      LOG_LEVEL: 'ERROR',
      JWT_SECRET: 'schemathesis-'.repeat(4),
      // A refusal under overload says something of the machine, and nothing of the operation.
      SHED_POOL_WAIT_MS: '0',
      SHED_LAG_MS: '0',
      SHED_MEMORY_PERCENT: '0',
    }),
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await serving(child);
    const kept = JSON.parse(readFileSync(join(folder, 'demo-accounts.json'), 'utf8')) as Service['accounts'];
    const configFile = join(folder, 'schemathesis.toml');
    writeFileSync(configFile, SETTINGS);
    return { url: `http://127.0.0.1:${port}`, configFile, accounts: kept, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Resolves at the line that says so, and keeps the pipe empty afterwards. */
function serving(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`The service ended with ${code} before it served`)));
    if (!child.stdout) throw new Error('The service has no output');
    createInterface(child.stdout).on('line', (line) => {
      if (line.includes('"event":"ready"')) resolve();
      else if (line.includes('"level":"error"')) console.error(line);
    });
  });
}

async function callerOf({ url, accounts }: Service, role: string): Promise<Caller> {
  if (role === NOBODY) return { name: role, token: null };
  const account = accounts.find((one) => one.role === role);
  if (!account) throw new Error(`The demo shop has no ${role}`);
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: account.username, password: account.password }),
  });
  if (response.status !== 200) throw new Error(`Log-in as ${role} answered ${response.status}`);
  return { name: role, token: ((await response.json()) as { data: { token: string } }).data.token };
}

/** @returns whether it found nothing. What it prints comes when it has ended, for others print meanwhile. */
async function runAs({ name, token }: Caller, program: string, { url, configFile }: Service, settings: Settings): Promise<boolean> {
  const what = `as ${name}: ${settings.examples} drawn cases for each operation, seed ${settings.seed}`;
  console.log(`begins ${what}`);
  const parameters = [
    ...['--config-file', configFile],
    'run',
    `${url}/api/openapi.json`,
    ...['--url', url],
    ...['--checks', CHECKS.join(',')],
    ...(settings.examples === 0
      ? ['--phases', 'examples,coverage']
      : ['--phases', 'examples,coverage,fuzzing', '--max-examples', String(settings.examples)]),
    ...['--seed', String(settings.seed)],
    ...['--suppress-health-check', 'all'],
    ...['--warnings', 'off'],
    ...(token === null ? [] : ['--header', `Authorization: Bearer ${token}`]),
    ...(token === null ? [] : ENDS_SESSION.flatMap((id) => ['--exclude-operation-id', id])),
  ];
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'pipe'], cwd: tmpdir() });
  running.add(child);
  const printed: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => printed.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  running.delete(child);
  console.log(`\n== ${what}\n${Buffer.concat(printed).toString()}`);
  return code === 0;
}

/** One caller after another. @returns the names of those who found something */
async function runInTurn(callers: readonly string[], program: string, service: Service, settings: Settings): Promise<string[]> {
  const failed: string[] = [];
  for (const name of callers) {
    if (!interrupted && !(await runAs(await callerOf(service, name), program, service, settings))) failed.push(name);
  }
  return failed;
}

function findSchemathesis(): string | undefined {
  process.env['PATH'] = [process.env['PATH'] ?? '', join(PROJECT_ROOT, '.data', 'schemathesis', 'bin')].join(delimiter);
  return findProgram('schemathesis');
}

/** @returns undefined for arguments that nobody understands */
function readSettings(): Settings | undefined {
  try {
    const { values } = parseArgs({
      options: { examples: { type: 'string' }, seed: { type: 'string' }, as: { type: 'string', multiple: true, default: CALLERS } },
    });
    const examples = Number(values.examples ?? (process.env['CI'] ? EXAMPLES_IN_CI : EXAMPLES));
    const seed = Number(values.seed ?? randomInt(MAX_SEED));
    const isUnderstood = Number.isInteger(examples) && examples >= 0 && Number.isInteger(seed) && seed >= 0;
    return isUnderstood && values.as.every((name) => CALLERS.includes(name)) ? { examples, seed, callers: values.as } : undefined;
  } catch {
    return undefined;
  }
}

async function main(): Promise<number> {
  const settings = readSettings();
  if (!settings) {
    console.error('usage: npm run test:schemathesis -- [--examples N] [--seed N] [--as Owner|Customer|nobody]…');
    return EXIT_USAGE;
  }
  const program = findSchemathesis();
  if (!program) {
    console.log('Skipped for want of schemathesis (pip install schemathesis)');
    return process.env['REQUIRE_SERVICES'] === '1' ? 1 : 0;
  }
  const service = await startService();
  try {
    // Those who are somebody could be in each other's way; nobody, who changes next to nothing, is in nobody's.
    const lanes = [settings.callers.filter((name) => name !== NOBODY), settings.callers.filter((name) => name === NOBODY)];
    const failed = (await Promise.all(lanes.map((callers) => runInTurn(callers, program, service, settings)))).flat();
    if (interrupted) return EXIT_INTERRUPTED;
    console.log(failed.length === 0 ? `\nPassed, seed ${settings.seed}` : `\nFailed as ${failed.join(', ')}, seed ${settings.seed}`);
    return failed.length === 0 ? 0 : 1;
  } finally {
    await service.stop();
  }
}

// The service and its database end with us, not after us.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupted = true;
    for (const child of running) child.kill(signal);
  });
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
