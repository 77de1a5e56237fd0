/**
 * The database of this process: one Sequelize instance, one pool (a slice of the instance's connection budget), and the two
 * ways in. A read outside a transaction travels as one Sync with its tenant scope ({@link query}); everything else runs in
 * {@link inTransaction}, whose BEGIN sets the scope in the same round trip. The tenant always comes from the context.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';
import { Sequelize, type Transaction } from 'sequelize';
import { config } from '../config';
import { announceWrites } from './cache/replies';
import { type Tag, tagOf, writtenTables } from './cache/tables';
import { currentContext, tenant } from './context';
import { lastAnswerAt, watchWrites } from './db-client';
import { cursorRows } from './db-cursor';
import { isConnectFailure, isConnectionLost, isRetryable } from './db-errors';
import { abandon, commit, DatabaseInstance, type ServerInfo, type Sql } from './db-instance';
import { closeServer } from './dialect';
import { OutcomeUnknown, Unavailable } from './errors';
import { log } from './log';
import type { PoolReport } from './pool-report';
import { currentReadRoute } from './read-route';

export { observeStatements } from './db-client';
export { translateDatabaseError } from './db-errors';
export type { ServerInfo, Sql } from './db-instance';

const CONNECT_TIMEOUT_MS = 5_000;
const MAX_ATTEMPTS = 3;

// ------------------------------------------------------------------ the instance and its pool

const primary = new DatabaseInstance(config.DATABASE_URL ?? 'postgres://127.0.0.1:5432/autoshop', {
  target: 'primary',
  connectTimeoutMs: CONNECT_TIMEOUT_MS,
});
export const { sequelize } = primary;
const { pool } = primary;

/** Sets this process's share of the connection budget; idle connections above it are closed at once. */
export const resizePool = (share: { min: number; max: number }): void => pool.resize(share);

export const poolStatus = (): PoolReport => pool.status;

/** How long a caller that asks for a connection now would wait for one, as far as can be foreseen; 0 while nobody waits. */
export const expectedPoolWaitMs = (): number => pool.expectedWaitMs;

// ------------------------------------------------------------------ life cycle

let info: ServerInfo | undefined;

/** Facts about the server, known after {@link openDatabase}. */
export const serverInfo = (): ServerInfo | undefined => info;

/**
 * Connects, finds out under which role to work (see {@link DatabaseInstance.inspect}), and opens `poolMin` connections.
 * `name` tells the server whose they are (`application_name`).
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
  primary.nameConnections(name);
  resizePool({ min: 0, max: poolMax });
  info = await primary.inspect();
  if (info.stepsDownFrom !== null)
    log.warn('database login bypasses row-level security; every transaction steps down', { login: info.stepsDownFrom, role: info.role });
  resizePool({ min: poolMin, max: poolMax });
  await primary.warm(Math.min(poolMin, poolMax));
}

/** Waits for statements in flight and closes every connection. */
export async function closeDatabase(): Promise<void> {
  await sequelize.close();
  await closeServer();
}

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
  if (!open) {
    try {
      return await readAlone<Row>(sql, values, tenantId);
    } finally {
      // A single statement is a transaction of its own; one that failed may have been committed all the same.
      await announceWrites(tagsOf(sql.text, tenantId));
    }
  }
  const { connection, finished } = open.transaction as unknown as { connection: pg.Client; finished?: string };
  if (finished) throw new Error('The transaction is over: a statement in it was not awaited');
  const name = config.DB_PREPARED && sql.name ? { name: sql.name } : {};
  const { rows } = await connection.query<Row & pg.QueryResultRow>({ ...name, text: sql.text, values: values as unknown[] });
  return rows;
}

/** On the replica that this request was given, if any; what belongs to no tenant (sessions, staff) is always read from the primary. */
function readAlone<Row extends object>(sql: Sql, values: readonly unknown[], tenantId: string): Promise<Row[]> {
  const route = tenantId === '' ? undefined : currentReadRoute();
  const read = (instance: DatabaseInstance): Promise<Row[]> => instance.read<Row>(sql, values, tenantId);
  return route ? route.run(primary, read) : read(primary);
}

// ------------------------------------------------------------------ transactions

interface UnitOfWork {
  transaction: Transaction;
  afterCommit: (() => void | Promise<void>)[];
  /** What it has written, of all that replies are cached of. */
  writes: Set<Tag>;
}
const unitsOfWork = new AsyncLocalStorage<UnitOfWork>();

const NO_TAGS: ReadonlySet<Tag> = new Set();

/** Rows that belong to no tenant in scope are in no cached reply. */
function tagsOf(text: string, tenantId: string): ReadonlySet<Tag> {
  const tables = tenantId === '' ? [] : writtenTables(text);
  return tables.length === 0 ? NO_TAGS : new Set(tables.map((table) => tagOf(tenantId, table)));
}

watchWrites((text) => {
  const tags = tagsOf(text, currentContext()?.tenant?.id ?? '');
  if (tags.size === 0) return undefined;
  const open = unitsOfWork.getStore();
  if (!open) return () => void announceWrites(tags);
  for (const tag of tags) open.writes.add(tag);
  return undefined;
});

// Sequelize asks its "CLS namespace" for the ambient transaction, so models inside inTransaction join it by themselves.
Sequelize.useCLS({
  get: () => unitsOfWork.getStore()?.transaction,
  set: () => undefined,
  run: (work: (context: object) => unknown) => work({}),
  bind: <T>(work: T) => work,
} as unknown as object);

/**
 * Runs `work` in a transaction: joins the open one, else starts one whose BEGIN carries the tenant scope. Deadlocks and
 * serialisation failures are retried, and once a connection that broke before COMMIT was sent, when nothing can have been stored;
 * so `work` must not act outside the database. What must happen only after the commit goes through {@link afterCommit}. Keep it
 * short: one statement at a time, no HTTP call, no mail.
 * @throws OutcomeUnknown when the connection broke during COMMIT: that is never repeated here
 */
export async function inTransaction<T>(work: () => Promise<T>): Promise<T> {
  if (unitsOfWork.getStore()) return work();
  const { result, afterCommit: acts } = await untilStored(work);
  for (const act of acts) await act();
  return result;
}

interface Stored<T> extends Pick<UnitOfWork, 'afterCommit'> {
  result: T;
}

async function untilStored<T>(work: () => Promise<T>): Promise<Stored<T>> {
  let lost = false;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runUnit(work);
    } catch (error) {
      const breaks = isConnectionLost(error) && !isConnectFailure(error);
      const mayRepeat = isRetryable(error) || (breaks && !lost);
      if (attempt >= MAX_ATTEMPTS || !mayRepeat || currentContext()?.caller?.gone) throw error;
      lost ||= breaks;
      log.info('transaction retried', { attempt, lost });
    }
  }
}

async function runUnit<T>(work: () => Promise<T>): Promise<Stored<T>> {
  const began = performance.now();
  try {
    const transaction = await sequelize.transaction();
    const unit: UnitOfWork = { transaction, afterCommit: [], writes: new Set() };
    let result: T;
    try {
      result = await unitsOfWork.run(unit, work);
      refuseIfAnswered();
    } catch (error) {
      await undo(transaction, error);
      throw error;
    }
    await store(unit);
    return { result, afterCommit: unit.afterCommit };
  } catch (error) {
    if (isConnectionLost(error) || error instanceof OutcomeUnknown) pool.discardIdle(began);
    throw error;
  }
}

/** Who has been told that nothing was done, or is gone, must not find it done. @throws Unavailable `client_gone` */
function refuseIfAnswered(): void {
  if (currentContext()?.caller?.gone) throw new Unavailable('client_gone');
}

async function undo(transaction: Transaction, error: unknown): Promise<void> {
  if (isConnectionLost(error)) await abandon(transaction);
  else await transaction.rollback().catch((failure: unknown) => log.warn('rollback failed', { error: failure }));
}

async function store({ transaction, writes }: UnitOfWork): Promise<void> {
  const ended = currentContext()?.caller?.commits();
  let stored = true;
  try {
    await commit(transaction);
  } catch (error) {
    stored = error instanceof OutcomeUnknown;
    throw error;
  } finally {
    ended?.(stored);
    // Also when COMMIT failed: a connection lost on the way back does not say what became of it.
    await announceWrites(writes);
  }
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
 * `sql` must order its rows completely, so that another server can go on where a replica was lost.
 */
export function streamRows<Row extends object>(sql: Sql, values: readonly unknown[] = [], batchSize = 500): AsyncIterable<Row[]> {
  tenant();
  const route = currentReadRoute();
  const rows = (instance: DatabaseInstance): AsyncIterable<Row[]> => cursorRows<Row>(instance, sql, values, batchSize);
  return route ? route.stream(primary, rows) : rows(primary);
}
