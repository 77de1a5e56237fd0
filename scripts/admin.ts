/**
 * `npm run admin -- <command> …`: accounts, tenants and sessions, through the same rules and the same audit trail as the
 * service. Works on DATABASE_URL (the service's or the owner's), else on the embedded database, adopting it when the service
 * runs. A password is only ever read from standard input: arguments show in process lists and shell histories.
 *
 * Exit codes: 0 done, 1 refused, 64 wrong usage, 70 failed, 75 database unreachable, 78 refused by configuration.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { config } from '../config';
import { childEnvironment } from '../config/child-environment';
import { startEmbeddedPostgres } from '../server/cluster/embedded-postgres';
import { EXIT } from '../server/cluster/exit-codes';

/** The database is part of the configuration of a process, read at its start: what was found out here goes to a child. */
async function runWith(additions: Readonly<Record<string, string>>): Promise<number> {
  const child = fork(join(__dirname, 'admin', 'run.js'), process.argv.slice(2), {
    env: childEnvironment(additions),
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? EXIT.loadError;
}

async function main(): Promise<number> {
  if (config.DATABASE_URL) return runWith({});
  if (config.DATABASE_MIGRATION_URL) return runWith({ DATABASE_URL: config.DATABASE_MIGRATION_URL });
  const embedded = await startEmbeddedPostgres({ dataDir: config.DATA_DIR });
  try {
    return await runWith({ DATABASE_URL: embedded.url, DB_SSL: 'off' });
  } finally {
    await embedded.stop();
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(`admin: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = EXIT.loadError;
  },
);
