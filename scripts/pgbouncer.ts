/**
 * Runs a PgBouncer in transaction mode in front of one PostgreSQL server, for development and tests: its settings and the list of
 * its users are written into a folder of their own, readable for the user that runs it and nobody else.
 * Settings: https://www.pgbouncer.org/config.html
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findUser } from '../server/cluster/postgres-process';
import { findExecutable } from './find-program';
import { waitForPort } from './ports';

/** From this version on the pooler keeps named statements apart for its clients (`max_prepared_statements`). */
const TRACKS_STATEMENTS = [1, 21] as const;
const STATEMENTS_OF_A_SERVER_CONNECTION = 500;
const START_TIMEOUT_MS = 10_000;
/** A client that sends nothing within a transaction for this long is cut off, and its server connection is free again. */
const IDLE_TRANSACTION_S = 60;
/** The admin console's user; it may look and cannot change anything. */
const WATCHER = 'autoshop_watch';

export interface PgBouncerOptions {
  /** Login and server; every database of that server can be reached. */
  url: string;
  port: number;
  /** Server connections for one database and user. */
  poolSize: number;
  /** Server connections to one database, all users together; default: no limit of its own. */
  maxServerConnections?: number;
  maxClients: number;
  /** An empty folder for its files. */
  folder: string;
  /** Further lines of its settings. */
  settings?: Readonly<Record<string, string | number>>;
}

export interface PgBouncer {
  readonly pid: number;
  readonly version: string;
  /** Whether named statements may be sent through it (`DB_PREPARED`). */
  readonly keepsStatements: boolean;
  /** The admin console, for a user that may only look. */
  readonly adminUrl: string;
  readonly child: ChildProcess;
  /** The same login and database, through the pooler. */
  through(url: string): string;
  /** Ends it at once, clients or not. Safe to call twice. */
  stop(): Promise<void>;
}

export const findPgBouncer = (): string | undefined => findExecutable(['pgbouncer']);

/** Starts it and returns when it takes connections. @throws Error when it is not installed, or with its last words */
export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer> {
  const program = findPgBouncer();
  if (!program) throw new Error('pgbouncer is not installed');
  const version = /\d+\.\d+\.\d+/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))?.[0] ?? '0.0.0';
  const keepsStatements = isAtLeast(version, TRACKS_STATEMENTS);
  const password = randomBytes(18).toString('base64url');
  const settings = writeFiles(options, { password, keepsStatements });
  const child = spawn(program, [...(isRoot() ? ['-u', 'nobody'] : []), settings], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: '/',
    // Ctrl-C is for whoever started us; its own answer to that would be to wait for its clients.
    detached: true,
  });
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-2_000);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async (): Promise<void> => {
    // TERM is its immediate end; INT would wait for its clients.
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended;
  };
  try {
    await Promise.race([waitForPort(options.port, START_TIMEOUT_MS), ended.then(() => Promise.reject(new Error('it ended')))]);
  } catch (error) {
    await stop();
    throw new Error(`PgBouncer did not start on port ${options.port}: ${words.trim().split('\n').slice(-4).join(' | ')}`, { cause: error });
  }
  return {
    pid: child.pid ?? 0,
    version,
    keepsStatements,
    adminUrl: `postgres://${WATCHER}:${password}@127.0.0.1:${options.port}/pgbouncer`,
    child,
    through: (url) => {
      const pooled = new URL(url);
      pooled.hostname = '127.0.0.1';
      pooled.port = String(options.port);
      return pooled.toString();
    },
    stop,
  };
}

/** @returns the path of its settings */
function writeFiles(
  { url, port, poolSize, maxServerConnections = 0, maxClients, folder, settings = {} }: PgBouncerOptions,
  { password, keepsStatements }: { password: string; keepsStatements: boolean },
): string {
  const server = new URL(url);
  const [path, users] = [join(folder, 'pgbouncer.ini'), join(folder, 'users.txt')];
  const logins = [
    [decodeURIComponent(server.username), decodeURIComponent(server.password)],
    [WATCHER, password],
  ];
  const values: Record<string, string | number> = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: users,
    stats_users: WATCHER,
    pool_mode: 'transaction',
    default_pool_size: poolSize,
    max_db_connections: maxServerConnections,
    max_client_conn: maxClients,
    idle_transaction_timeout: IDLE_TRANSACTION_S,
    // A database that comes back is tried again at once, not after the default 15 s.
    server_login_retry: 1,
    ...(keepsStatements ? { max_prepared_statements: STATEMENTS_OF_A_SERVER_CONNECTION } : {}),
    ...settings,
  };
  const lines = Object.entries(values).map(([name, value]) => `${name} = ${value}`);
  const entry = `* = host=${server.hostname} port=${server.port || 5432}`;
  writeFileSync(users, logins.map((login) => `${login.map(quoted).join(' ')}\n`).join(''), { mode: 0o600 });
  writeFileSync(path, `[databases]\n${entry}\n\n[pgbouncer]\n${lines.join('\n')}\n`, { mode: 0o600 });
  // It refuses to run as root, and reads its files as the user it becomes.
  if (isRoot()) {
    const owner = findUser(({ name }) => name === 'nobody');
    if (!owner) throw new Error('PgBouncer does not run as root, and this machine has no user nobody');
    for (const file of [path, users, folder]) chownSync(file, owner.uid, owner.gid);
  }
  chmodSync(folder, 0o700);
  return path;
}

/** As its list of users wants it: a quote inside is doubled. */
const quoted = (word: string | undefined): string => `"${(word ?? '').replaceAll('"', '""')}"`;

const isRoot = (): boolean => process.getuid?.() === 0;

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [has = 0, hasMinor = 0] = version.split('.').map(Number);
  return has > major || (has === major && hasMinor >= minor);
}
