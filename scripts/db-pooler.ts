/**
 * `db:pooler`: a PgBouncer in transaction mode on port 6432 before the development database (DATABASE_URL, else the embedded one,
 * which is started or adopted), until Ctrl-C. Prints the environment of a service that goes through it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { config } from '../config';
import { runMigrations } from '../lib/migrator';
import { startEmbeddedPostgres } from '../server/cluster/embedded-postgres';
import { EXIT } from '../server/cluster/exit-codes';
import { startPgBouncer } from './pgbouncer';

const DEFAULTS = { port: '6432', 'pool-size': '20', 'max-clients': '1000' } as const;

interface Server {
  url: string;
  migrationUrl: string;
  stop(): Promise<void>;
}

async function findServer(): Promise<Server> {
  if (config.DATABASE_URL)
    return {
      url: config.DATABASE_URL,
      migrationUrl: config.DATABASE_MIGRATION_URL ?? config.DATABASE_URL,
      stop: () => Promise.resolve(),
    };
  const embedded = await startEmbeddedPostgres({ dataDir: config.DATA_DIR, log: console.log });
  await runMigrations(embedded.migrationUrl, { log: console.log });
  return embedded;
}

function whole(name: keyof typeof DEFAULTS, text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new Error(`--${name} must be a whole number above 0, not "${text}"`);
  return Number(text);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: DEFAULTS.port },
      'pool-size': { type: 'string', default: DEFAULTS['pool-size'] },
      'max-clients': { type: 'string', default: DEFAULTS['max-clients'] },
    },
  });
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  const [port, poolSize, maxClients] = [
    whole('port', values.port),
    whole('pool-size', values['pool-size']),
    whole('max-clients', values['max-clients']),
  ];
  const folder = mkdtempSync(join(tmpdir(), 'autoshop-pooler-'));
  let server: Server | undefined;
  try {
    server = await findServer();
    const pooler = await startPgBouncer({ url: server.url, port, poolSize, maxServerConnections: poolSize, maxClients, folder });
    const ended = new Promise<'ended'>((resolve) => pooler.child.once('exit', () => resolve('ended')));
    const lines = [
      `PgBouncer ${pooler.version} (pid ${pooler.pid}), transaction mode, at most ${poolSize} server connections. A service that goes through it:`,
      `DATABASE_URL=${pooler.through(server.url)}`,
      `DATABASE_MIGRATION_URL=${server.migrationUrl}`,
      `PGBOUNCER_ADMIN_URL=${pooler.adminUrl}`,
      ...(pooler.keepsStatements ? [] : ['DB_PREPARED=false']),
      'Ctrl-C stops it.',
    ];
    console.log(lines.join('\n'));
    const stay = setInterval(() => undefined, 60_000);
    const why = await Promise.race([signalled, ended]);
    clearInterval(stay);
    if (why === 'ended') throw new Error('PgBouncer ended by itself');
    await pooler.stop();
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await server?.stop();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = EXIT.loadError;
});
