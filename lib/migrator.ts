/**
 * Runs schema migrations (`lib/migrations.ts`) by umzug. One process migrates at a time (session advisory lock). A file and its
 * entry in `schema_migrations` commit together, so a crash leaves both or neither. A file whose first line is `-- no-transaction`
 * (CREATE INDEX CONCURRENTLY) runs statement by statement outside a transaction and must be safe to repeat.
 *
 * Needs the owner's URL, past any transaction-mode pooler. Reads no configuration.
 */
import { readFileSync } from 'node:fs';
import { runMigrations as installJobSchema, Logger } from 'graphile-worker';
import pg from 'pg';
import { Umzug } from 'umzug';
import { parsePostgresUrl } from '../config/postgres-url';
import { connectTo, loginOf } from './db-hosts';
import { appliedMigrations, listMigrations } from './migrations';

/** The same number in every release: it is what keeps two deployments from migrating at once. */
const LOCK_KEY = 7_219_604_118;
const LOCK_WAIT = '10min';
/** A migration that waits for a busy table queues everybody behind itself; better to fail and be run again. */
const TABLE_LOCK_WAIT = '10s';
const CONNECT_TIMEOUT_MS = 10_000;
/** What `pg_stat_activity` shows. These connections are no part of DB_POOL_MAX: for seconds, they come out of DB_RESERVE. */
const CONNECTION_NAME = 'autoshop-migrate';
/** Of the job library, beside our own one. */
const JOB_SCHEMA_CONNECTIONS = 2;

/** SQLSTATEs of a server that answers but takes nobody now: connection trouble, too many clients, starting or stopping. */
const NOT_NOW = /^(08...|53300|57P0[123])$/;

/** The server could not be reached, or takes no connection now: a later try may work. */
export class DatabaseUnreachable extends Error {
  constructor(url: string, cause: unknown) {
    const { hosts } = parsePostgresUrl(url);
    const where = hosts.map(({ host, port }) => `${host}:${port}`).join(', ');
    const reason = cause instanceof AggregateError ? cause.errors[0] : cause;
    super(`Database ${where} is unreachable: ${reason instanceof Error ? reason.message : String(reason)}`, { cause });
    this.name = 'DatabaseUnreachable';
  }
}

export interface MigrationOptions {
  /** Stop after this one (up) or after undoing this one (down). */
  to?: string;
  ssl?: pg.ClientConfig['ssl'];
  folder?: string;
  log?: (message: string) => void;
}

/**
 * Applies what is pending, oldest first, then brings the job library's own tables up to date.
 * @returns the names applied
 * @throws the driver's error; everything before the failing file stays applied
 */
export function runMigrations(url: string, options: MigrationOptions = {}): Promise<string[]> {
  return withMigrator(url, options, async (migrator, client) => {
    const done = await migrator.up(options.to ? { to: options.to } : {});
    await installJobs(url, client, options);
    options.log?.(done.length > 0 ? `${done.length} migrations applied` : 'schema is up to date');
    await client.query('GRANT SELECT ON public.schema_migrations TO PUBLIC');
    return done.map(({ name }) => name);
  });
}

/**
 * Undoes the latest migration, or with `to` every one down to and including that name; `to: 'all'` empties the schema.
 * The job library's tables stay: they are its own.
 * @returns the names undone, latest first
 */
export function rollback(url: string, options: MigrationOptions = {}): Promise<string[]> {
  return withMigrator(url, options, async (migrator) => {
    const range = options.to === undefined ? {} : { to: options.to === 'all' ? (0 as const) : options.to };
    const done = await migrator.down(range);
    options.log?.(done.length > 0 ? `${done.length} migrations undone` : 'nothing to undo');
    return done.map(({ name }) => name);
  });
}

type Migrator = Umzug<pg.Client>;

async function withMigrator<T>(
  url: string,
  options: MigrationOptions,
  work: (migrator: Migrator, client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(url, options);
  try {
    await takeLock(client, options);
    await client.query(`SET lock_timeout = '${TABLE_LOCK_WAIT}'`);
    await client.query(
      'CREATE TABLE IF NOT EXISTS public.schema_migrations (name text CONSTRAINT schema_migrations_pk PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
    );
    return await work(createMigrator(client, options), client);
  } finally {
    // Closing the session gives the advisory lock back.
    await client.end();
  }
}

async function connect(url: string, { ssl }: MigrationOptions): Promise<pg.Client> {
  try {
    return await connectTo(
      url,
      { connectionTimeoutMillis: CONNECT_TIMEOUT_MS, application_name: CONNECTION_NAME, ...(ssl === undefined ? {} : { ssl }) },
      // A connection lost between two statements is reported by the next statement; without a listener it would end the process.
      (client) => client.on('error', () => {}),
    );
  } catch (error) {
    if (error instanceof pg.DatabaseError && !NOT_NOW.test(error.code ?? '')) throw error;
    throw new DatabaseUnreachable(url, error);
  }
}

async function takeLock(client: pg.Client, { log }: MigrationOptions): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>(`SELECT pg_try_advisory_lock(${LOCK_KEY}) AS taken`);
  if (rows[0]?.taken) return;
  log?.('another process is migrating; waiting for it');
  await client.query(`SET lock_timeout = '${LOCK_WAIT}'`);
  await client.query(`SELECT pg_advisory_lock(${LOCK_KEY})`);
}

function createMigrator(client: pg.Client, { folder, log }: MigrationOptions): Migrator {
  return new Umzug<pg.Client>({
    migrations: listMigrations(folder).map(({ name, up, down }) => ({
      name,
      up: () => step({ client, name, path: up, log, record: 'INSERT INTO public.schema_migrations (name) VALUES ($1)' }),
      down: () => step({ client, name, path: down, log, record: 'DELETE FROM public.schema_migrations WHERE name = $1' }),
    })),
    context: client,
    logger: undefined,
    storage: {
      // Recorded by the step itself, in the same transaction.
      logMigration: () => Promise.resolve(),
      unlogMigration: () => Promise.resolve(),
      executed: () => appliedMigrations(client),
    },
  });
}

interface Step {
  client: pg.Client;
  name: string;
  path: string;
  record: string;
  log: MigrationOptions['log'];
}

async function step({ client, name, path, record, log }: Step): Promise<void> {
  const sql = readFileSync(path, 'utf8');
  const started = performance.now();
  if (/^-- no-transaction\s*$/m.test(sql.split('\n', 1)[0] ?? '')) {
    for (const statement of splitStatements(sql)) await client.query(statement);
    await client.query(record, [name]);
  } else {
    await client.query('BEGIN');
    try {
      const begun = await transactionId(client);
      await client.query(sql);
      if ((await transactionId(client)) !== begun) throw new Error(`${path} ends the transaction it is run in`);
      await client.query(record, [name]);
      await client.query('COMMIT');
    } catch (error) {
      // The original error is the one to report, also when the connection is gone and nothing can be rolled back.
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }
  log?.(`${path.endsWith('.up.sql') ? 'applied' : 'undid'} ${name} (${Math.round(performance.now() - started)} ms)`);
}

async function transactionId(client: pg.Client): Promise<string | undefined> {
  const { rows } = await client.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
  return rows[0]?.id;
}

/** A statement ends with a line that ends in `;`. Function bodies do not belong into a file without a transaction. */
function splitStatements(sql: string): string[] {
  return sql
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.replace(/^\s*--.*$/gm, '').trim())
    .filter(Boolean);
}

/** Its lines tell nothing that ours do not. */
const silent = new Logger(() => () => undefined);

/** On the server that `client` has found. */
async function installJobs(url: string, { host, port }: pg.Client, { ssl }: MigrationOptions): Promise<void> {
  const pgPool = new pg.Pool({
    ...loginOf(parsePostgresUrl(url)),
    host,
    port,
    max: JOB_SCHEMA_CONNECTIONS,
    application_name: CONNECTION_NAME,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    ...(ssl === undefined ? {} : { ssl }),
  });
  pgPool.on('error', () => {});
  try {
    await installJobSchema({ pgPool, logger: silent });
  } finally {
    await pgPool.end();
  }
}
