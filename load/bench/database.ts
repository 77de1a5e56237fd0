/** The database of a comparison of servers: given or embedded, with the load seed in it; and a token for its owner. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { runMigrations } from '../../lib/migrator';
import { seedDatabase } from '../../scripts/seed/database';
import { loadPlans } from '../../scripts/seed/plans';
import { startEmbeddedPostgres } from '../../server/cluster/embedded-postgres';
import { parentOf } from './processes';

const LOGIN = { email: 'admin@example.com', password: 'admin123' };

export const log = (message: string): void => console.error(`bench: ${message}`);

export interface Database {
  url: string;
  migrationUrl: string;
  close(): Promise<void>;
}

export async function openDatabase(): Promise<Database> {
  const { DATABASE_URL: url, DATABASE_MIGRATION_URL: migrationUrl } = process.env;
  if (url && migrationUrl) return { url, migrationUrl, close: () => Promise.resolve() };
  if (url || migrationUrl) throw new Error('Give both DATABASE_URL and DATABASE_MIGRATION_URL, or neither');
  const folder = mkdtempSync(join(tmpdir(), 'autoshop-bench-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const embedded = await startEmbeddedPostgres({ dataDir: folder, ephemeral: true, log });
    const close = async () => {
      await embedded.stop();
      remove();
    };
    return { url: embedded.url, migrationUrl: embedded.migrationUrl, close };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Migrates and seeds. @returns the process number of the database server */
export async function prepare({ migrationUrl }: Database): Promise<number> {
  await runMigrations(migrationUrl, { log });
  const client = new pg.Client({ connectionString: migrationUrl });
  await client.connect();
  try {
    const outcome = await seedDatabase(client, loadPlans(), { onlyIfEmpty: false, now: new Date(), log });
    if (outcome.kind === 'occupied') throw new Error(`Tenant ${outcome.tenant} holds other data; give an empty database`);
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return parentOf(rows[0]?.pid ?? 0);
  } finally {
    await client.end();
  }
}

/** @returns `data` of the answer @throws Error when it is not 2xx */
export async function getJson<T>(url: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(url, init);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text.slice(0, 300)}`);
  return (JSON.parse(text) as { data: T }).data;
}

/** @returns the headers of a signed-in owner */
export async function signIn(url: string): Promise<Record<string, string>> {
  const { token } = await getJson<{ token: string }>(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(LOGIN),
  });
  return { Authorization: `Bearer ${token}` };
}
