/**
 * Services that tests may need and a developer's machine may lack. A test says so with {@link describeWith}; where the service
 * is missing it is skipped under the service's name, and with REQUIRE_SERVICES=1 it fails instead.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { findExecutable, postgresFolders } from '../../scripts/find-program';
import { freePort, waitForPort } from '../../scripts/ports';
import { closeLater } from './closers';
import { currentCluster } from './test-cluster';

export { freePort } from '../../scripts/ports';

/** Service -> the programs of which one must be installed. */
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
  pg_basebackup: ['pg_basebackup'],
} as const;

export type Service = keyof typeof PROGRAMS;

/** The program's path, or `undefined` when it is not installed. */
export const findProgram = (service: Service): string | undefined =>
  findExecutable(PROGRAMS[service], service === 'pg_basebackup' ? postgresPrograms() : []);

/** The newest first: Debian puts a wrapper on PATH, and what it wraps beside the server of the same version. */
function postgresPrograms(): string[] {
  const given = process.env['TEST_POSTGRES_BIN'];
  return [...(given ? [given] : []), ...postgresFolders().toReversed()];
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

/** A Redis that the test started itself, so that it may hurt it. */
export interface OwnRedis extends Redis {
  /** At once, as a machine that dies. */
  kill(): Promise<void>;
  /** Again on the same port; it remembers what it was told to SAVE, given a folder. */
  restart(): Promise<void>;
  /** Connections stay open and nothing is answered, until `resume`. */
  pause(): void;
  resume(): void;
}

/** A Redis of its own on a free port, without persistence, or the one in REDIS_URL. Stopped with the test file. */
export async function startRedis(): Promise<Redis> {
  const given = process.env['TEST_REDIS_URL'];
  if (given && !findProgram('redis')) return { url: given, port: Number(new URL(given).port || 6379), stop: () => Promise.resolve() };
  return startOwnRedis();
}

/** A Redis of its own on a free port, which saves nothing by itself. Stopped with the test file. */
export async function startOwnRedis({ folder }: { folder?: string } = {}): Promise<OwnRedis> {
  const program = findProgram('redis');
  if (!program) throw new Error('redis-server is not installed');
  const port = await freePort();
  const start = async () => {
    const where = folder === undefined ? [] : ['--dir', folder];
    const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...where];
    const child = spawn(program, settings, { stdio: 'ignore' });
    await waitForPort(port);
    return child;
  };
  let child = await start();
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    await gone;
  };
  closeLater(() => end('SIGKILL'));
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    restart: async () => {
      await end('SIGKILL');
      child = await start();
    },
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
  };
}

/** A folder of this test file's own, removed with the run. */
export function temporaryFolder(name: string): string {
  return mkdtempSync(join(process.env['TEST_FOLDER'] ?? currentCluster().folder, `${name}-`));
}

/** First line of `<program> --version`, for reports. */
export function versionOf(service: Service): string | undefined {
  const program = findProgram(service);
  if (!program) return undefined;
  const argument = service === 'k6' ? 'version' : '--version';
  return execFileSync(program, [argument], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n')[0];
}
