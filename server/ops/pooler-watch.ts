/**
 * What PgBouncer says of its pools for our database (`SHOW POOLS` on its admin console), read every two seconds by one worker and
 * carried to the primary by the next report, so that nobody who asks for `/stats` ever waits for it. A pooler that gives no answer
 * leaves the older figures, whose age shows.
 * Columns: https://www.pgbouncer.org/usage.html#show-pools
 */
import type pg from 'pg';
import { connectTo } from '../../lib/db-hosts';
import { sslOptions } from '../../lib/db-ssl';
import { log } from '../../lib/log';
import type { PoolerReport } from '../cluster/messages';

const EVERY_MS = 2_000;
const LIMIT_MS = 1_000;

/** One row: a pair of database and user. Numbers come as text from some versions. */
export type PoolRow = Readonly<Record<string, unknown>>;

type Figures = Omit<PoolerReport, 'read_at'>;

/** The pools of one database, all users together; a server connection not used for a while (`sv_used`) is as idle as `sv_idle`. */
export function poolerFigures(rows: readonly PoolRow[], database: string): Figures {
  const own = rows.filter((row) => row['database'] === database);
  const sum = (...columns: string[]): number =>
    own.reduce((total, row) => columns.reduce((part, column) => part + Number(row[column] ?? 0), total), 0);
  const waits = own.map((row) => Number(row['maxwait'] ?? 0) + Number(row['maxwait_us'] ?? 0) / 1e6);
  return {
    cl_active: sum('cl_active'),
    cl_waiting: sum('cl_waiting'),
    sv_active: sum('sv_active'),
    sv_idle: sum('sv_idle', 'sv_used'),
    maxwait_s: Math.round(Math.max(0, ...waits) * 1_000) / 1_000,
  };
}

let latest: PoolerReport | null = null;

/** What was read last; null in a process that does not watch the pooler. */
export const poolerReport = (): PoolerReport | null => latest;

export interface PoolerWatchOptions {
  /** Of the admin console. */
  url: string;
  /** The pooler's name for our database. */
  database: string;
}

/** Reads now, and again every two seconds, over one connection, which is opened anew when it was lost. @returns what ends it */
export function watchPooler({ url, database }: PoolerWatchOptions): () => void {
  let client: pg.Client | undefined;
  let reading = false;
  let ended = false;
  const drop = (): void => {
    // Not `end()`: a pooler that hangs would not take the good-bye.
    client?.connection.stream.destroy();
    client = undefined;
  };
  const read = async (): Promise<void> => {
    if (reading) return;
    reading = true;
    try {
      client ??= await connectTo(url, { ssl: sslOptions(url), connectionTimeoutMillis: LIMIT_MS, query_timeout: LIMIT_MS }, (opening) => {
        // A connection that breaks while nobody reads from it; the next reading opens another.
        opening.on('error', () => {
          if (client === opening) client = undefined;
        });
      });
      const { rows } = await client.query<PoolRow & pg.QueryResultRow>('SHOW POOLS');
      latest = { ...poolerFigures(rows, database), read_at: new Date().toISOString() };
    } catch (error) {
      drop();
      if (!ended) log.debug('the pooler does not tell its pools', { error });
    } finally {
      reading = false;
    }
  };
  void read();
  const timer = setInterval(() => void read(), EVERY_MS);
  timer.unref();
  return () => {
    ended = true;
    clearInterval(timer);
    drop();
  };
}
