/**
 * The database server of one test run: embedded, ephemeral, in a temporary folder, with a template database migrated once.
 * Runs in the runner or in Jest's global setup, outside the tests' own module world; tests see it through `TEST_CLUSTER`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { runMigrations } from '../../lib/migrator';
import { PROJECT_ROOT } from '../../lib/project-root';
import { startPgBouncer } from '../../scripts/pgbouncer';
import { freePort } from '../../scripts/ports';
import { startEmbeddedPostgres } from '../../server/cluster/embedded-postgres';

/** What tests need to know, as JSON in the environment. All URLs lead to the same server. */
export interface TestCluster {
  readonly superuserUrl: string;
  readonly ownerUrl: string;
  readonly appUrl: string;
  /** The service's login through a transaction-mode PgBouncer, when the run goes through one. */
  readonly pooler: { readonly url: string; readonly adminUrl: string; readonly keepsStatements: boolean } | null;
  readonly template: string;
  /** Removed with the run; tests put what they write below it. */
  readonly folder: string;
  readonly runId: string;
  readonly description: string;
}

/**
 * Starts it. `TEST_POSTGRES_BIN` names the programs of another PostgreSQL, to run the suite on another version;
 * `TEST_THROUGH=pgbouncer` puts a PgBouncer between the service and the server.
 * `stop` ends the server and removes its folder; both also happen when this process dies.
 */
export async function startTestCluster(): Promise<TestCluster & { stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'autoshop-test-'));
  // Root hands the server to another user, who has to get through.
  chmodSync(folder, 0o711);
  const binDir = process.env['TEST_POSTGRES_BIN'];
  const server = await startEmbeddedPostgres({ dataDir: folder, ephemeral: true, ...(binDir ? { binDir } : {}) });
  const guardian = guard(server.pid, server.dataDir, folder);
  const runId = randomBytes(4).toString('hex');
  const template = `autoshop_${runId}_template`;
  let pooler: TestCluster['pooler'];
  try {
    pooler = await startPooler(server.url, folder, guardian);
    await withClient(server.superuserUrl, (client) => client.query(`CREATE DATABASE ${template} OWNER autoshop_owner`));
    await runMigrations(withDatabase(server.migrationUrl, template));
    await withClient(server.superuserUrl, (client) =>
      client.query(`ALTER DATABASE ${template} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`),
    );
  } catch (error) {
    await dismiss(guardian);
    throw error;
  }
  return {
    superuserUrl: server.superuserUrl,
    ownerUrl: server.migrationUrl,
    appUrl: server.url,
    pooler,
    template,
    folder,
    runId,
    description: pooler ? `${server.description}, through PgBouncer` : server.description,
    stop: () => dismiss(guardian),
  };
}

/** Fewer server connections than the service's pool has: they change hands after every transaction. */
const SERVER_CONNECTIONS = 3;
const MAX_CLIENTS = 500;

async function startPooler(url: string, folder: string, guardian: ChildProcess): Promise<TestCluster['pooler']> {
  const through = process.env['TEST_THROUGH'];
  if (!through) return null;
  if (through !== 'pgbouncer') throw new Error(`TEST_THROUGH must be pgbouncer, not ${through}`);
  const own = join(folder, 'pooler');
  mkdirSync(own);
  const pooler = await startPgBouncer({
    url,
    port: await freePort(),
    poolSize: SERVER_CONNECTIONS,
    maxClients: MAX_CLIENTS,
    folder: own,
  });
  guardian.stdin?.write(`${pooler.pid}\n`);
  pooler.child.unref();
  (pooler.child.stderr as unknown as { unref(): void } | null)?.unref();
  return { url: pooler.through(url), adminUrl: pooler.adminUrl, keepsStatements: pooler.keepsStatements };
}

/** The cluster of this run. @throws Error when none was started */
export function currentCluster(): TestCluster {
  const text = process.env['TEST_CLUSTER'];
  if (!text) throw new Error('No test database: run the tests by npm test or npx jest');
  return JSON.parse(text) as TestCluster;
}

/** The same server and login, another database. */
export function withDatabase(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.toString();
}

/** Creates `name` as a copy of the migrated template, unless it exists. */
export async function copyTemplate({ superuserUrl, template }: TestCluster, name: string): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${name} TEMPLATE ${template} OWNER autoshop_owner`);
  });
}

/** Runs `work` with a connection of its own. */
export async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function guard(pid: number, dataDir: string, folder: string): ChildProcess {
  const script = join(PROJECT_ROOT, 'tests', 'support', 'guardian.js');
  const guardian = spawn(process.execPath, [script, String(pid), dataDir, folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
    cwd: '/',
    env: {},
  });
  // It must not keep a run alive that forgets to dismiss it: our death is its signal.
  guardian.unref();
  (guardian.stdin as unknown as { unref(): void }).unref();
  return guardian;
}

async function dismiss(guardian: ChildProcess): Promise<void> {
  guardian.ref();
  const gone = once(guardian, 'exit');
  guardian.stdin?.end();
  await gone;
}
