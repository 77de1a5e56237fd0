/**
 * `db:up`: the embedded database alone, migrated, until Ctrl-C. Prints the URLs, so that psql, an editor or a service
 * started elsewhere can use it.
 */
import { config } from '../config';
import { runMigrations } from '../lib/migrator';
import { startEmbeddedPostgres } from '../server/cluster/embedded-postgres';
import { EXIT } from '../server/cluster/exit-codes';

async function main(): Promise<void> {
  const database = await startEmbeddedPostgres({ dataDir: config.DATA_DIR, log: console.log });
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  // Signals alone do not keep a process alive.
  const stay = setInterval(() => undefined, 60_000);
  try {
    await runMigrations(database.migrationUrl, { log: console.log });
    console.log(`DATABASE_URL=${database.url}\nDATABASE_MIGRATION_URL=${database.migrationUrl}\nCtrl-C stops it.`);
    await stopped;
  } finally {
    clearInterval(stay);
    await database.stop();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = EXIT.loadError;
});
