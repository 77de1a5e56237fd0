/**
 * `migrate [up|down|status] [--to <name>|all]`: brings the schema up (default), takes it back, or shows what is pending.
 * A separate, short-lived process: workers never migrate. Without a database URL it works on the embedded one, adopting it
 * when the service runs. Exit codes: 0 done, 75 database unreachable, 70 failed, 64 wrong usage.
 */
import '../server/cluster/parent-watch';

import { parseArgs } from 'node:util';
import type pg from 'pg';
import { config } from '../config';
import { connectTo } from '../lib/db-hosts';
import { sslOptions } from '../lib/db-ssl';
import { appliedMigrations, pending } from '../lib/migrations';
import { DatabaseUnreachable, rollback, runMigrations } from '../lib/migrator';
import { startEmbeddedPostgres } from '../server/cluster/embedded-postgres';
import { EXIT } from '../server/cluster/exit-codes';

const EXIT_USAGE = 64;
const log = (message: string): void => console.log(`migrate: ${message}`);

async function main(): Promise<number> {
  // The primary waits for the configuration and the modules no longer than BOOT_TIMEOUT; the rest may take its time.
  process.send?.('loaded');
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { to: { type: 'string' } } });
  const [command = 'up', ...rest] = positionals;
  if (!['up', 'down', 'status'].includes(command) || rest.length > 0) {
    console.error('usage: migrate [up|down|status] [--to <name>|all]');
    return EXIT_USAGE;
  }
  if (config.DATABASE_MIGRATION_URL?.startsWith('sqlite:')) {
    log('a SQLite database gets its tables when it is opened; nothing to do');
    return EXIT.ok;
  }
  const embedded = config.DATABASE_MIGRATION_URL ? undefined : await startEmbeddedPostgres({ dataDir: config.DATA_DIR, log });
  const url = config.DATABASE_MIGRATION_URL ?? embedded?.migrationUrl ?? '';
  const options = { log, ssl: embedded ? false : sslOptions(url), ...(values.to === undefined ? {} : { to: values.to }) };
  try {
    if (command === 'up') await runMigrations(url, options);
    else if (command === 'down') await rollback(url, options);
    else await showStatus(url, options.ssl);
    return EXIT.ok;
  } finally {
    await embedded?.stop();
  }
}

async function showStatus(url: string, ssl: pg.ClientConfig['ssl']): Promise<void> {
  const client = await connectTo(url, ssl === undefined ? {} : { ssl });
  try {
    for (const name of await appliedMigrations(client)) console.log(`applied  ${name}`);
    for (const name of await pending(client)) console.log(`pending  ${name}`);
  } finally {
    await client.end();
  }
}

/** One line that says what failed and where, instead of a stack: this is read in the log of a failed deployment. */
function explain(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { message, code, detail, position } = cause as Partial<pg.DatabaseError>;
  const where = error instanceof Error && error !== cause ? `${error.message.split('\n')[0]} ` : '';
  const known = where.includes(message ?? '') ? where.trim() : `${where}${message}`;
  return [known, code && `SQLSTATE or code ${code}`, detail, position && `at character ${position}`].filter(Boolean).join('; ');
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const unreachable = error instanceof DatabaseUnreachable;
    console.error(`migrate: ${unreachable ? error.message : `failed: ${explain(error)}`}`);
    process.exitCode = unreachable ? EXIT.databaseDown : EXIT.loadError;
  },
);
