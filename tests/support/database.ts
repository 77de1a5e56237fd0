/**
 * Databases for tests. The one of this jest worker is in `DATABASE_URL` (service role) and `DATABASE_MIGRATION_URL` (owner);
 * `admin` reads and writes it past row-level security, for setting the stage and for looking behind the service's back.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { SqliteClient } from '../../lib/sqlite/client';
import { closeLater } from './closers';
import { copyTemplate, currentCluster, withClient, withDatabase } from './test-cluster';

/** The database of this test file: the tests marked `@core` run on both. */
const isSqlite = process.env['DATABASE_URL']?.startsWith('sqlite:') ?? false;

let pool: pg.Pool | undefined;

function adminPool(): pg.Pool {
  if (!pool) {
    pool = new pg.Pool({ connectionString: process.env['TEST_ADMIN_URL'], max: 2 });
    // An idle connection that breaks, with its server, is replaced by the next use.
    pool.on('error', () => undefined);
    closeLater(async () => {
      await pool?.end();
      pool = undefined;
    });
  }
  return pool;
}

let afterStatement = async (): Promise<void> => undefined;

/** The application of this process keeps replies, and cannot see what is written behind its back: it says how to make them void. */
export function afterAdminStatements(act: () => Promise<void>): void {
  afterStatement = act;
}

/** Runs one statement as superuser, without a tenant and past row-level security. */
export async function admin<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
  const rows = isSqlite
    ? await sqliteAdmin<Row>(text, values)
    : (await adminPool().query<Row & pg.QueryResultRow>(text, values as unknown[])).rows;
  await afterStatement();
  return rows;
}

let sqlite: Promise<SqliteClient> | undefined;

async function sqliteAdmin<Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> {
  sqlite ??= connectSqlite();
  const result = await (await sqlite).send({ text, values });
  return (Array.isArray(result) ? result.flatMap(({ rows }) => rows) : result.rows) as Row[];
}

async function connectSqlite(): Promise<SqliteClient> {
  const WAIT_MS = 10_000;
  const url = process.env['DATABASE_URL'] ?? '';
  const client = new SqliteClient({ url, waitMs: WAIT_MS, types: pg.types as never, unrestricted: true });
  await client.connect();
  closeLater(() => client.end());
  return client;
}

export interface TestDatabase {
  readonly name: string;
  /** Service role; through the run's pooler, when there is one. */
  readonly url: string;
  readonly migrationUrl: string;
  readonly adminUrl: string;
}

/**
 * A further database, dropped after the test file: a migrated copy, or with `empty` one that was never migrated.
 * For spawned services and for tests of the migrations themselves.
 */
export async function createDatabase({ empty = false }: { empty?: boolean } = {}): Promise<TestDatabase> {
  const cluster = currentCluster();
  const name = `autoshop_${cluster.runId}_${randomBytes(4).toString('hex')}`;
  if (empty) await withClient(cluster.superuserUrl, (client) => client.query(`CREATE DATABASE ${name} OWNER autoshop_owner`));
  else await copyTemplate(cluster, name);
  closeLater(() => withClient(cluster.superuserUrl, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)));
  return {
    name,
    url: withDatabase(cluster.pooler?.url ?? cluster.appUrl, name),
    migrationUrl: withDatabase(cluster.ownerUrl, name),
    adminUrl: withDatabase(cluster.superuserUrl, name),
  };
}
