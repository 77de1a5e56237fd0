/** Large results in batches, and how one server goes on where another was lost. */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { Transaction } from 'sequelize';
import { isConnectionLost } from './db-errors';
import type { DatabaseInstance, Sql } from './db-instance';
import { Unavailable } from './errors';
import { log } from './log';

/** The rows of `sql` on `instance` in a transaction of its own; its connection is free again when the iteration ends, however it ends. */
export async function* cursorRows<Row extends object>(
  instance: DatabaseInstance,
  sql: Sql,
  values: readonly unknown[],
  batchSize: number,
): AsyncGenerator<Row[]> {
  const transaction = await instance.sequelize.transaction();
  const { connection } = transaction as unknown as { connection: pg.Client };
  let lost = false;
  try {
    await connection.query(`DECLARE export_rows NO SCROLL CURSOR FOR ${sql.text}`, values as unknown[]);
    for (;;) {
      const { rows } = await connection.query<Row & pg.QueryResultRow>(`FETCH ${batchSize} FROM export_rows`);
      if (rows.length === 0) break;
      yield rows;
    }
  } catch (error) {
    lost = isConnectionLost(error);
    throw error;
  } finally {
    await end(instance, transaction, lost);
  }
}

/** Never rejects: nothing was written, and what was read is whole. */
async function end(instance: DatabaseInstance, transaction: Transaction, lost: boolean): Promise<void> {
  // There is nobody to roll back with.
  if (lost) instance.pool.destroyQuietly((transaction as unknown as { connection: unknown }).connection);
  else await transaction.rollback().catch((error: unknown) => log.warn('the end of a cursor failed', { error }));
}

export interface Takeover<Row> {
  first: AsyncIterable<Row[]>;
  /** The same rows, in the same order, from another server; asked for when `first` fails in a way that `isLost` knows. */
  second: (error: unknown) => AsyncIterable<Row[]>;
  isLost: (error: unknown) => boolean;
}

/**
 * The rows of `first`; when it is lost on the way, the rest from `second`. What has been passed on cannot be taken back, so `second`
 * must begin with exactly those rows: then the whole is what `second` alone would have given. Else it ends with an error.
 * @throws Unavailable `replica_lost` when the rows of the two differ
 */
export async function* withTakeover<Row extends object>({ first, second, isLost }: Takeover<Row>): AsyncGenerator<Row[]> {
  const passed = createHash('sha256');
  let count = 0;
  let lostBy: unknown;
  try {
    for await (const rows of first) {
      for (const row of rows) passed.update(JSON.stringify(row));
      count += rows.length;
      yield rows;
    }
    return;
  } catch (error) {
    if (!isLost(error)) throw error;
    lostBy = error;
  }
  const digest = passed.digest('hex');
  const seen = createHash('sha256');
  let missing = count;
  const differs = (): Unavailable => new Unavailable('replica_lost', { cause: lostBy });
  for await (const rows of second(lostBy)) {
    const again = rows.slice(0, missing);
    for (const row of again) seen.update(JSON.stringify(row));
    missing -= again.length;
    if (again.length > 0 && missing === 0 && seen.digest('hex') !== digest) throw differs();
    if (again.length < rows.length) yield rows.slice(again.length);
  }
  if (missing > 0) throw differs();
}
