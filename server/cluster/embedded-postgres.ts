/**
 * The PostgreSQL that comes with the project, for development and tests: a real server from the platform package's
 * binaries, on 127.0.0.1 only. The package itself is never imported: doing so installs signal handlers that end our process.
 *
 * The server runs detached from us, so Ctrl-C reaches only the service and the database outlives its drain; after a
 * `kill -9` it runs on, and the next start adopts it by its `postmaster.pid`. Several processes may use one data folder
 * (the service and a command, say): each registers itself, and the last one to stop ends the server.
 *
 * `<dataDir>/postgres/` holds `cluster.json` (0600: passwords and port), `server/data`, `server/postgres.log`.
 */
import { randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { choosePostgresProcess, type PostgresProcess, packagedBinaries, type RunAs } from './postgres-process';
import { lock, register, users } from './postgres-users';
import { answers, findPostmaster, isAlive, isTaken, readPostmasterPid } from './postmaster';

const DATABASE = 'autoshop';
const OWNER = 'autoshop_owner';
const APP = 'autoshop_app';
const START_TIMEOUT_S = 60;
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 50;
const LOG_MAX_BYTES = 20_000_000;

export interface EmbeddedPostgresOptions {
  /** Folder that keeps the database between starts; created when missing. */
  dataDir: string;
  /** Exactly this port; default: the one used last time if it is free, else any free one. */
  port?: number;
  log?: (message: string) => void;
  /** For tests: gives up durability for speed, and stops without a checkpoint. */
  ephemeral?: boolean;
  /** Programs of an installed PostgreSQL instead of the packaged ones. */
  binDir?: string;
  /** The ways to run the server that may be tried, in their fixed order; default all. */
  runAs?: readonly RunAs[];
}

export interface EmbeddedPostgres {
  /** The service's role: neither owner nor superuser, so row-level security binds it. */
  readonly url: string;
  /** The owner of the database, for migrations. */
  readonly migrationUrl: string;
  /** For tests and administration; the service never uses it. */
  readonly superuserUrl: string;
  readonly port: number;
  readonly pid: number;
  readonly binDir: string;
  /** The server's own data folder. */
  readonly dataDir: string;
  /** For people: version, who runs it, where. */
  readonly description: string;
  /** Stops the server unless another live process still uses it. Safe to call twice. */
  stop(): Promise<void>;
}

interface State {
  passwords: { postgres: string; owner: string; app: string };
  port?: number;
  serverDir: string;
  copyDir?: string;
  binDir?: string;
  description?: string;
}

/**
 * Starts the server, or adopts the one that already runs on this data. Returns when it takes connections.
 * @throws Error with one clear sentence: not installed, no user can run it, data of another version, or the server's last words.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const home = join(resolve(options.dataDir), 'postgres');
  prepareHome(home);
  const unlock = await lock(home);
  try {
    const state = readState(home);
    const adopted = await waitUntilReady(join(state.serverDir, 'data'));
    const running = adopted ?? (await startServer(home, state, options));
    if (adopted) options.log?.(`embedded PostgreSQL adopted (pid ${adopted.pid}, port ${adopted.port})`);
    const withdraw = register(home);
    return handle({ home, state, running, withdraw, options });
  } finally {
    unlock();
  }
}

interface Running {
  pid: number;
  port: number;
}

function handle({
  home,
  state,
  running,
  withdraw,
  options,
}: {
  home: string;
  state: State;
  running: Running;
  withdraw: () => void;
  options: EmbeddedPostgresOptions;
}): EmbeddedPostgres {
  const { passwords, serverDir, binDir = '', description = '' } = state;
  const url = (role: string, password: string, database = DATABASE) =>
    `postgres://${role}:${password}@127.0.0.1:${running.port}/${database}`;
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const unlock = await lock(home);
    try {
      withdraw();
      const others = users(home);
      if (others.length > 0) options.log?.(`embedded PostgreSQL left running for process ${others.join(', ')}`);
      else await stopServer(join(serverDir, 'data'), options.ephemeral ? 'SIGQUIT' : 'SIGINT');
    } finally {
      unlock();
    }
  };
  return {
    url: url(APP, passwords.app),
    migrationUrl: url(OWNER, passwords.owner),
    superuserUrl: url('postgres', passwords.postgres, 'postgres'),
    port: running.port,
    pid: running.pid,
    binDir,
    dataDir: join(serverDir, 'data'),
    description,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** The folder itself may be entered by everybody, so that `nobody` reaches its own part; what is secret in it has its own mode. */
function prepareHome(home: string): void {
  try {
    mkdirSync(join(home, 'users'), { recursive: true });
    if (statSync(home).uid === process.getuid?.()) chmodSync(home, 0o711);
    accessSync(home, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw new Error(
      `The embedded PostgreSQL cannot use ${home}: it belongs to another user. Start as that user, or choose another DATA_DIR.`,
      { cause: error },
    );
  }
}

function readState(home: string): State {
  const path = join(home, 'cluster.json');
  const serverDir = join(home, 'server');
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as State;
  const password = () => randomBytes(24).toString('base64url');
  return { passwords: { postgres: password(), owner: password(), app: password() }, serverDir };
}

/** Written whole under another name first: a crash must not lose the passwords. */
function writeState(home: string, state: State): void {
  const path = join(home, 'cluster.json');
  writeFileSync(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

async function startServer(home: string, state: State, options: EmbeddedPostgresOptions): Promise<Running> {
  const binDir = options.binDir ?? packagedBinaries(home);
  const server = await choosePostgresProcess({
    binDir,
    serverDir: join(home, 'server'),
    copyDir: state.copyDir,
    ways: options.runAs ?? ['direct', 'nobody', 'unshare', 'copy'],
  });
  const version = /\d+/.exec(await server.run('postgres', ['--version']))?.[0] ?? '';
  Object.assign(state, { serverDir: server.serverDir, copyDir: server.copyDir, binDir: server.binDir });
  state.description = `PostgreSQL ${version} ${server.description}, data in ${join(server.serverDir, 'data')}`;
  const dataDir = join(server.serverDir, 'data');
  writeState(home, state);
  if (!existsSync(dataDir)) await initialise(server, state, version, options);
  const made = readFileSync(join(dataDir, 'PG_VERSION'), 'utf8').trim();
  if (made !== version)
    throw new Error(
      `The data in ${dataDir} were made by PostgreSQL ${made}, this is ${version}: dump them with the old one, or remove the folder.`,
    );
  discardMisleadingPidFile(dataDir);
  rotateLog(join(server.serverDir, 'postgres.log'));
  state.port = await launch(server, state, options);
  writeState(home, state);
  const running = findPostmaster(dataDir);
  if (!running) throw new Error(`The embedded PostgreSQL ended right after its start; see ${join(server.serverDir, 'postgres.log')}`);
  options.log?.(`embedded PostgreSQL started (pid ${running.pid}, port ${running.port}): ${state.description}`);
  return running;
}

/** Creates cluster, roles and database in a folder that gets its final name only when all is done, so half a cluster is never used. */
async function initialise(server: PostgresProcess, state: State, version: string, options: EmbeddedPostgresOptions): Promise<void> {
  const target = join(server.serverDir, 'data');
  const draft = join(server.serverDir, 'data.new');
  const passwordFile = join(server.serverDir, 'password');
  rmSync(draft, { recursive: true, force: true });
  writeFileSync(passwordFile, state.passwords.postgres, { mode: 0o600 });
  server.give(passwordFile);
  try {
    // The built-in provider sorts alike on every machine; before 17 only the C library's locales exist.
    const locale = Number(version) >= 17 ? ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : ['--locale=C.UTF-8'];
    const sync = options.ephemeral ? ['--no-sync'] : [];
    await server.run('initdb', [
      '-D',
      draft,
      '-U',
      'postgres',
      '-A',
      'scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--encoding=UTF8',
      ...locale,
      ...sync,
    ]);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  writeFileSync(
    join(draft, 'postgresql.conf'),
    `${readFileSync(join(draft, 'postgresql.conf'), 'utf8')}\ninclude_if_exists = 'autoshop.conf'\n`,
  );
  const single = (database: string, statements: string[]) =>
    server.run(
      'postgres',
      ['--single', '-D', draft, '-c', 'exit_on_error=on', '-c', 'log_min_messages=error', database],
      `${statements.join('\n')}\n`,
    );
  // In single-user mode, one statement a line: nobody can connect before the roles have their passwords.
  await single('postgres', [
    `CREATE ROLE ${OWNER} LOGIN CREATEROLE NOSUPERUSER PASSWORD '${state.passwords.owner}'`,
    `CREATE ROLE ${APP} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '${state.passwords.app}'`,
    `GRANT ${APP} TO ${OWNER} WITH ADMIN OPTION`,
    `GRANT pg_monitor TO ${OWNER}`,
    `CREATE DATABASE ${DATABASE} OWNER ${OWNER}`,
    `REVOKE CONNECT ON DATABASE ${DATABASE} FROM PUBLIC`,
    `GRANT CONNECT ON DATABASE ${DATABASE} TO ${APP}`,
  ]);
  if (hasStatementStatistics(server.binDir)) await single(DATABASE, ['CREATE EXTENSION pg_stat_statements']);
  renameSync(draft, target);
}

/** Starts the server on a free port. The port is only probed, so another process may be faster: then the next one is tried. */
async function launch(server: PostgresProcess, state: State, options: EmbeddedPostgresOptions): Promise<number> {
  const dataDir = join(server.serverDir, 'data');
  const log = join(server.serverDir, 'postgres.log');
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort(attempt === 1 ? state.port : undefined));
    const conf = join(dataDir, 'autoshop.conf');
    writeFileSync(conf, settings(port, server.binDir, options.ephemeral ?? false), { mode: 0o600 });
    server.give(conf);
    try {
      await server.run('pg_ctl', ['start', '-D', dataDir, '-l', log, '-w', '-t', String(START_TIMEOUT_S), '-s']);
      return port;
    } catch (error) {
      // After a crash the old server's children may need a moment to let go of its shared memory.
      if (attempt === 3) throw new Error(`The embedded PostgreSQL did not start: ${lastWords(log)}`, { cause: error });
      await delay(500);
    }
  }
}

function settings(port: number, binDir: string, ephemeral: boolean): string {
  const values: Record<string, string> = {
    listen_addresses: "'127.0.0.1'",
    port: String(port),
    // A socket's path has a length limit that a deep checkout exceeds; the loopback address serves everybody.
    unix_socket_directories: "''",
    max_connections: ephemeral ? '200' : '100',
    shared_buffers: '128MB',
    effective_cache_size: '512MB',
    work_mem: '8MB',
    maintenance_work_mem: '64MB',
    max_wal_size: '1GB',
    random_page_cost: '1.1',
    jit: 'off',
    timezone: "'UTC'",
    log_timezone: "'UTC'",
    log_line_prefix: "'%m [%p] %q%u@%d '",
    ...(hasStatementStatistics(binDir) ? { shared_preload_libraries: "'pg_stat_statements'" } : {}),
    ...(ephemeral
      ? {
          fsync: 'off',
          synchronous_commit: 'off',
          full_page_writes: 'off',
          wal_level: 'minimal',
          max_wal_senders: '0',
          checkpoint_timeout: '1h',
        }
      : {}),
  };
  return Object.entries(values)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('');
}

function hasStatementStatistics(binDir: string): boolean {
  return ['lib', 'lib/postgresql'].some((folder) => existsSync(join(dirname(binDir), folder, 'pg_stat_statements.so')));
}

/** @throws Error when no port of the loopback address can be had. */
async function freePort(preferred: number | undefined): Promise<number> {
  for (const port of preferred ? [preferred, 0] : [0]) {
    const found = await new Promise<number | undefined>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(undefined));
      probe.listen(port, '127.0.0.1', () => {
        const address = probe.address();
        probe.close(() => resolve(address && typeof address === 'object' ? address.port : undefined));
      });
    });
    if (found) return found;
  }
  throw new Error('No free port on 127.0.0.1 for the embedded PostgreSQL');
}

/** Waits for a running server that still recovers, or is on its way out. `undefined`: none runs. */
async function waitUntilReady(dataDir: string): Promise<Running | undefined> {
  const deadline = Date.now() + START_TIMEOUT_S * 1000;
  for (;;) {
    const running = findPostmaster(dataDir);
    // A killed server stays in the process table for a moment, so only an answer counts.
    if (!running || (running.status === 'ready' && (await answers(running.port)))) return running;
    if (Date.now() > deadline) throw new Error(`The embedded PostgreSQL (pid ${running.pid}) is ${running.status} and gives no answer`);
    await delay(POLL_MS);
  }
}

/**
 * A stale `postmaster.pid` is the server's own business, except when its number is still taken: by another process (a
 * restarted container), or by the dead server itself where nobody reaps it. The server would see a living predecessor.
 */
function discardMisleadingPidFile(dataDir: string): void {
  const stale = readPostmasterPid(dataDir);
  if (stale && isTaken(stale.pid) && !findPostmaster(dataDir)) rmSync(join(dataDir, 'postmaster.pid'), { force: true });
}

/** SIGINT is PostgreSQL's fast stop: sessions are ended, the checkpoint is written. SIGQUIT leaves the work to recovery. */
async function stopServer(dataDir: string, signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
  const running = findPostmaster(dataDir);
  if (!running) return;
  process.kill(running.pid, signal);
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  while (isAlive(running.pid)) {
    if (Date.now() > deadline)
      throw new Error(`The embedded PostgreSQL (pid ${running.pid}) did not stop within ${STOP_TIMEOUT_MS / 1000} s`);
    await delay(POLL_MS);
  }
}

function rotateLog(path: string): void {
  if (existsSync(path) && statSync(path).size > LOG_MAX_BYTES) renameSync(path, `${path}.1`);
}

function lastWords(log: string): string {
  return existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n').slice(-4).join(' | ') : 'it wrote no log';
}
