/**
 * Services that tests may need and a developer's machine may lack. A test says so with {@link describeWith}; where the service
 * is missing it is skipped under the service's name, and with REQUIRE_SERVICES=1 it fails instead.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, chmodSync, constants, mkdtempSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { closeLater } from './closers';
import { currentCluster } from './test-cluster';

/** Service -> the programs of which one must be on PATH. Debian keeps daemons in sbin, which a user's PATH leaves out. */
const PROGRAMS = {
  redis: ['redis-server', 'valkey-server'],
  pgbouncer: ['pgbouncer'],
  chromium: ['chromium', 'chromium-browser', 'google-chrome'],
  k6: ['k6'],
  schemathesis: ['schemathesis'],
  pdftotext: ['pdftotext'],
  qpdf: ['qpdf'],
  'systemd-notify': ['systemd-notify'],
  'systemd-analyze': ['systemd-analyze'],
  python3: ['python3'],
} as const;

export type Service = keyof typeof PROGRAMS;

/** The program's path, or `undefined` when it is not installed. */
export function findProgram(service: Service): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const program of PROGRAMS[service]) {
    for (const folder of folders.filter(Boolean)) {
      const path = join(folder, program);
      if (isExecutable(path)) return path;
    }
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function isAvailable(service: Service): boolean {
  return findProgram(service) !== undefined || (service === 'redis' && Boolean(process.env['TEST_REDIS_URL']));
}

/** `describe` for tests that need a service. The reporter counts what was skipped by the mark in the name. */
export function describeWith(service: Service, name: string, tests: () => void): void {
  if (isAvailable(service)) {
    describe(name, tests);
  } else if (process.env['REQUIRE_SERVICES'] === '1') {
    describe(name, () => {
      test(`${service} is installed`, () => {
        throw new Error(`${service} is required (REQUIRE_SERVICES=1) and none of ${PROGRAMS[service].join(', ')} is on PATH`);
      });
    });
  } else {
    describe.skip(`${name} [needs ${service}]`, tests);
  }
}

export interface Redis {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** A Redis of its own on a free port, without persistence, or the one in REDIS_URL. Stopped with the test file. */
export async function startRedis(): Promise<Redis> {
  const given = process.env['TEST_REDIS_URL'];
  const program = findProgram('redis');
  if (given && !program) return { url: given, port: Number(new URL(given).port || 6379), stop: () => Promise.resolve() };
  if (!program) throw new Error('redis-server is not installed');
  const port = await freePort();
  const stop = spawnUntilEnd(program, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']);
  closeLater(stop);
  await waitForPort(port);
  return { url: `redis://127.0.0.1:${port}`, port, stop };
}

/**
 * A PgBouncer in transaction mode before the test server, as in production: few server connections, shared between clients
 * after every transaction. Stopped with the test file. @returns the URL for the same login and database
 */
export async function startPgBouncer(url: string, { poolSize = 2 }: { poolSize?: number } = {}): Promise<string> {
  const program = findProgram('pgbouncer');
  if (!program) throw new Error('pgbouncer is not installed');
  const port = await freePort();
  const { hostname, port: serverPort, username, password } = new URL(url);
  const folder = temporaryFolder('pgbouncer');
  const [settings, users] = [join(folder, 'pgbouncer.ini'), join(folder, 'users.txt')];
  writeFileSync(users, `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`);
  writeFileSync(
    settings,
    [
      '[databases]',
      `* = host=${hostname} port=${serverPort}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${users}`,
      'pool_mode = transaction',
      `default_pool_size = ${poolSize}`,
      'max_client_conn = 200',
      '',
    ].join('\n'),
  );
  // It refuses to run as root, and then has to read the files as somebody else.
  const isRoot = process.getuid?.() === 0;
  for (const path of isRoot ? [folder, settings, users] : []) chmodSync(path, path === folder ? 0o755 : 0o644);
  const stop = spawnUntilEnd(program, [...(isRoot ? ['-u', 'nobody'] : []), '-q', settings]);
  closeLater(stop);
  await waitForPort(port);
  const pooled = new URL(url);
  pooled.port = String(port);
  return pooled.toString();
}

/** Spawns a program; the result ends it and waits for it. */
function spawnUntilEnd(program: string, args: string[]): () => Promise<void> {
  const child = spawn(program, args, { stdio: 'ignore' });
  return async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  };
}

/** A folder of this test file's own, removed with the run. */
export function temporaryFolder(name: string): string {
  return mkdtempSync(join(currentCluster().folder, `${name}-`));
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (!address || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Resolves when something accepts connections on the port. @throws Error after `timeoutMs` */
export async function waitForPort(port: number, timeoutMs = 10_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await accepts(port))) {
    if (Date.now() > deadline) throw new Error(`Nothing listens on port ${port} after ${timeoutMs} ms`);
    await delay(20);
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** First line of `<program> --version`, for reports. */
export function versionOf(service: Service): string | undefined {
  const program = findProgram(service);
  if (!program) return undefined;
  const argument = service === 'k6' ? 'version' : '--version';
  return execFileSync(program, [argument], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0];
}
