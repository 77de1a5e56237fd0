/**
 * The database of this process: one Sequelize instance, one pool (a slice of the instance's connection budget), and the two
 * ways in. A read outside a transaction travels as one Sync with its tenant scope ({@link query}); everything else runs in
 * {@link inTransaction}, whose BEGIN sets the scope in the same round trip. The tenant always comes from the context.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { type Options, Sequelize, type Transaction } from 'sequelize';
import { config } from '../config';
import { currentContext, tenant } from './context';
import { InstrumentedClient, lastAnswerAt, NO_JIT, prepareScope, type Scope, ScopedQuery } from './db-client';
import { isConnectionLost, isRetryable } from './db-errors';
import { type ConnectionManager, ManagedPool, type PoolStatus } from './db-pool';
import { sslOptions } from './db-ssl';
import { Unavailable } from './errors';
import { log } from './log';
import { metrics } from './metrics';

export { observeStatements } from './db-client';
export { translateDatabaseError } from './db-errors';
export type { PoolStatus } from './db-pool';

const APP_ROLE = 'autoshop_app';
const TENANT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const CONNECT_TIMEOUT_MS = 5_000;
/** A connection unused for this long is closed, down to the pool's minimum. */
const IDLE_MS = 30_000;
const STATEMENT_TIMEOUT_MS = config.DB_TIMEOUT * 1000;
const MAX_ATTEMPTS = 3;

// ------------------------------------------------------------------ the instance and its pool

interface QueryInterfaceInternals {
  queryGenerator: { startTransactionQuery(transaction: Transaction & { parent?: Transaction }): string };
  commitTransaction(transaction: Transaction): Promise<void>;
}

let assumedRole: string | null = null;
let connectionName = 'autoshop';

function scope(tenantId: string): Scope {
  return { tenantId, timeoutMs: STATEMENT_TIMEOUT_MS, role: assumedRole };
}

export const sequelize = createSequelize(config.DATABASE_URL ?? 'postgres://127.0.0.1:5432/autoshop');
const manager = sequelize.connectionManager as unknown as ConnectionManager;
const pool = new ManagedPool(manager, { maxWaiting: config.DB_QUEUE_MAX });

function createSequelize(url: string): Sequelize {
  const { hostname, port, pathname, username, password, searchParams } = new URL(url);
  const instance = new Sequelize({
    dialect: 'postgres',
    dialectModule: Object.create(pg, { Client: { value: InstrumentedClient } }),
    host: searchParams.get('host') ?? decodeURIComponent(hostname).replace(/^\[|\]$/g, ''),
    port: Number(port || 5432),
    database: decodeURIComponent(pathname.slice(1)),
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    logging: false,
    // Known, so that no connection outside the budget is opened to ask.
    databaseVersion: '15.0.0',
    keepDefaultTimezone: true,
    dialectOptions: {
      clientMinMessages: 'ignore',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      ssl: sslOptions(),
    },
    pool: { min: 0, max: 2, acquire: STATEMENT_TIMEOUT_MS, idle: IDLE_MS },
    define: { underscored: true, freezeTableName: true, timestamps: false },
  } as Options);
  instance.addHook('beforeConnect', (settings) => {
    Object.assign(settings, { dialectOptions: { ...settings.dialectOptions, application_name: connectionName } });
  });
  instance.addHook('afterConnect', async (connection) => {
    metrics.connects.inc();
    await prepareScope(connection as pg.Client, scope(''));
  });
  const internals = instance.getQueryInterface() as unknown as QueryInterfaceInternals;
  internals.queryGenerator.startTransactionQuery = (transaction) =>
    transaction.parent
      ? `SAVEPOINT "${(transaction as unknown as { name: string }).name}";`
      : `START TRANSACTION; ${scopeSql(scope(ambientTenantId()))}`;
  internals.commitTransaction = commit;
  return instance;
}

/** A transaction that a failed statement has aborted answers COMMIT with ROLLBACK and no error: nothing was stored, so say so. */
async function commit(transaction: Transaction): Promise<void> {
  const state = transaction as unknown as { parent?: Transaction; connection: pg.Client; finished?: string };
  if (state.parent) return;
  const { command } = await state.connection.query('COMMIT');
  state.finished = 'commit';
  if (command !== 'COMMIT') throw new Error('The transaction was rolled back: a statement in it had failed');
}

function scopeSql({ tenantId, timeoutMs, role }: Scope): string {
  if (tenantId !== '' && !TENANT_ID.test(tenantId)) throw new Error('The tenant of the context is not a UUID');
  const setRole = role === null ? '' : `, set_config('role', '${role}', true)`;
  return `SELECT set_config('app.tenant_id', '${tenantId}', true), set_config('statement_timeout', '${timeoutMs}', true), ${NO_JIT}${setRole};`;
}

const ambientTenantId = (): string => currentContext()?.tenant?.id ?? '';

/** Sets this process's share of the connection budget; idle connections above it are closed at once. */
export const resizePool = (share: { min: number; max: number }): void => pool.resize(share);

export const poolStatus = (): PoolStatus => pool.status;

/** How long a caller that asks for a connection now would wait for one, as far as can be foreseen; 0 while nobody waits. */
export const expectedPoolWaitMs = (): number => pool.expectedWaitMs;

// ------------------------------------------------------------------ life cycle

export interface ServerInfo {
  version: string;
  maxConnections: number;
  /** The role that statements run under. */
  role: string;
}
let info: ServerInfo | undefined;

/** Facts about the server, known after {@link openDatabase}. */
export const serverInfo = (): ServerInfo | undefined => info;

/**
 * Connects, finds out under which role to work, and opens `poolMin` connections.
 * `name` tells the server whose they are (`application_name`).
 * A login that bypasses row-level security (superuser, BYPASSRLS, owner of the tables) steps down to `autoshop_app` in every
 * transaction; a login that is neither that role's member nor restricted itself is refused.
 * @throws the driver's error when the server cannot be reached
 */
export async function openDatabase({
  poolMin,
  poolMax,
  name = 'autoshop',
}: {
  poolMin: number;
  poolMax: number;
  name?: string;
}): Promise<void> {
  connectionName = name;
  resizePool({ min: 0, max: poolMax });
  const [row] = await unsafeQuery<{ version: string; max_connections: number; login: string; privileged: boolean; member: boolean }>({
    text: `SELECT current_setting('server_version') AS version, current_setting('max_connections')::int AS max_connections, session_user::text AS login,
        (r.rolsuper OR r.rolbypassrls OR EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('public.customers') AND pg_has_role(session_user, c.relowner, 'MEMBER'))) AS privileged,
        EXISTS (SELECT FROM pg_roles a WHERE a.rolname = '${APP_ROLE}' AND pg_has_role(session_user, a.oid, 'MEMBER')) AS member
      FROM pg_roles r WHERE r.rolname = session_user`,
    values: [],
  });
  if (!row) throw new Error('The database does not know the role that is logged in');
  if (row.privileged && !row.member)
    throw new Error(`Database role ${row.login} bypasses row-level security and may not become ${APP_ROLE}`);
  info = { version: row.version, maxConnections: row.max_connections, role: row.privileged ? APP_ROLE : row.login };
  if (row.privileged) {
    assumedRole = APP_ROLE;
    log.warn('database login bypasses row-level security; every transaction steps down', { login: row.login, role: APP_ROLE });
    // Connections opened before this prepared the scope without a role.
    await pool.closeIdle();
  }
  resizePool({ min: poolMin, max: poolMax });
  const warm = await Promise.all(Array.from({ length: Math.min(poolMin, poolMax) }, () => manager.getConnection()));
  for (const connection of warm) manager.releaseConnection(connection);
}

/** Waits for statements in flight and closes every connection. */
export const closeDatabase = (): Promise<void> => sequelize.close();

/**
 * Resolves when the database answers within `timeoutMs`. With every connection of a full pool at work the ping itself must
 * wait; then an answer to any statement within the last second counts as well.
 * @throws Unavailable when there is neither, at once when the server refuses
 */
export async function ping(timeoutMs: number): Promise<void> {
  const FRESH_MS = 1_000;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), timeoutMs);
  });
  const down = (cause?: unknown) => new Unavailable('database', { message: 'Database connection failed', cause });
  try {
    const outcome = await Promise.race([unsafeQuery({ text: 'SELECT 1' }).then(() => 'answered' as const), late]);
    const { busy, max } = poolStatus();
    const works = outcome === 'answered' || (busy >= max && performance.now() - lastAnswerAt() < FRESH_MS);
    if (!works) throw down();
  } catch (error) {
    throw error instanceof Unavailable && error.reason === 'database' ? error : down(error);
  } finally {
    clearTimeout(timer);
  }
}

// ------------------------------------------------------------------ statements

/** `name` makes it a prepared statement, planned once for each connection: give hot reads one (unique in the project). */
export interface Sql {
  name?: string;
  text: string;
}

/**
 * Runs one statement for the tenant of the context: in the open transaction when there is one, else alone in one round trip.
 * @returns the rows, plain objects with the columns as selected
 * @throws Error without a tenant in the context
 */
export function query<Row extends object>(sql: Sql, values: readonly unknown[] = []): Promise<Row[]> {
  return run<Row>(sql, values, tenant().id);
}

/**
 * Runs one statement without a tenant: tables under row-level security look empty. Only for what is read before a tenant is
 * known (tenants, staff, sessions); callers carry `unsafe` in their own name.
 */
export function unsafeQuery<Row extends object>({ values = [], ...sql }: Sql & { values?: readonly unknown[] }): Promise<Row[]> {
  return run<Row>(sql, values, '');
}

async function run<Row extends object>(sql: Sql, values: readonly unknown[], tenantId: string): Promise<Row[]> {
  const open = unitsOfWork.getStore();
  const statement = { ...(sql.name ? { name: sql.name } : {}), text: sql.text, values: values as unknown[] };
  if (open) {
    const { connection } = open.transaction as unknown as { connection: pg.Client };
    if ((open.transaction as unknown as { finished?: string }).finished)
      throw new Error('The transaction is over: a statement in it was not awaited');
    const { rows } = await connection.query<Row & pg.QueryResultRow>(
      config.DB_PREPARED ? statement : { text: sql.text, values: values as unknown[] },
    );
    return rows;
  }
  const client = (await manager.getConnection({ type: 'SELECT' })) as pg.Client;
  try {
    const rows = await new Promise<Row[]>((resolve, reject) => {
      const scoped = new ScopedQuery(scope(tenantId), statement, (error, result) =>
        error ? reject(error) : resolve(result.rows as Row[]),
      );
      client.query(scoped as unknown as pg.Query);
    });
    manager.releaseConnection(client);
    return rows;
  } catch (error) {
    // A lost connection must not go back: the next caller would fail on it before its end is noticed.
    if (isConnectionLost(error)) pool.destroyQuietly(client);
    else manager.releaseConnection(client);
    throw error;
  }
}

// ------------------------------------------------------------------ transactions

interface UnitOfWork {
  transaction: Transaction;
  afterCommit: (() => void | Promise<void>)[];
}
const unitsOfWork = new AsyncLocalStorage<UnitOfWork>();

// Sequelize asks its "CLS namespace" for the ambient transaction, so models inside inTransaction join it by themselves.
Sequelize.useCLS({
  get: () => unitsOfWork.getStore()?.transaction,
  set: () => undefined,
  run: (work: (context: object) => unknown) => work({}),
  bind: <T>(work: T) => work,
} as unknown as object);

/**
 * Runs `work` in a transaction: joins the open one, else starts one whose BEGIN carries the tenant scope. Deadlocks and
 * serialisation failures are retried, so `work` must not act outside the database; what must happen only after the commit
 * goes through {@link afterCommit}. Keep it short: one statement at a time, no HTTP call, no mail.
 */
export async function inTransaction<T>(work: () => Promise<T>): Promise<T> {
  if (unitsOfWork.getStore()) return work();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runUnit(work);
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || !isRetryable(error)) throw error;
      log.info('transaction retried', { attempt });
    }
  }
}

async function runUnit<T>(work: () => Promise<T>): Promise<T> {
  const transaction = await sequelize.transaction();
  const unit: UnitOfWork = { transaction, afterCommit: [] };
  let result: T;
  try {
    result = await unitsOfWork.run(unit, work);
  } catch (error) {
    await transaction.rollback().catch((failure: unknown) => log.warn('rollback failed', { error: failure }));
    throw error;
  }
  await transaction.commit();
  for (const act of unit.afterCommit) await act();
  return result;
}

/** Runs `act` after the open transaction has committed, or at once when none is open. */
export async function afterCommit(act: () => void | Promise<void>): Promise<void> {
  const open = unitsOfWork.getStore();
  if (open) open.afterCommit.push(act);
  else await act();
}

export const isInTransaction = (): boolean => unitsOfWork.getStore() !== undefined;

/**
 * Reads a large result in batches through a server-side cursor, in a transaction of its own: memory stays constant however
 * many rows there are. The connection is held until the iteration ends, also when the consumer stops early.
 */
export async function* streamRows<Row extends object>(sql: Sql, values: readonly unknown[] = [], batchSize = 500): AsyncGenerator<Row[]> {
  tenant();
  const transaction = await sequelize.transaction();
  const { connection } = transaction as unknown as { connection: pg.Client };
  try {
    await connection.query(`DECLARE export_rows NO SCROLL CURSOR FOR ${sql.text}`, values as unknown[]);
    for (;;) {
      const { rows } = await connection.query<Row & pg.QueryResultRow>(`FETCH ${batchSize} FROM export_rows`);
      if (rows.length === 0) break;
      yield rows;
    }
  } finally {
    await transaction.rollback();
  }
}
