/**
 * Runs a script of ours as a process on the database that the configuration names (the service's login, else the owner's),
 * or without one on the embedded database, adopting it when the service runs and stopping it afterwards when it did not.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { config } from '../config';
import { childEnvironment } from '../config/child-environment';
import { startEmbeddedPostgres } from '../server/cluster/embedded-postgres';
import { EXIT } from '../server/cluster/exit-codes';

/** The database is part of the configuration of a process, read at its start: what was found out here goes to a child. */
async function runWith(script: string, additions: Readonly<Record<string, string>>): Promise<number> {
  const child = fork(join(__dirname, script), process.argv.slice(2), { env: childEnvironment(additions), stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? EXIT.loadError;
}

async function run(script: string): Promise<number> {
  if (config.DATABASE_URL) return runWith(script, {});
  if (config.DATABASE_MIGRATION_URL) return runWith(script, { DATABASE_URL: config.DATABASE_MIGRATION_URL });
  const embedded = await startEmbeddedPostgres({ dataDir: config.DATA_DIR });
  try {
    return await runWith(script, { DATABASE_URL: embedded.url, DB_SSL: 'off' });
  } finally {
    await embedded.stop();
  }
}

/**
 * The whole of a command: the script gets this process's arguments, and its exit code becomes ours; 70 when it cannot be run.
 * @param script built file beside this one, for example `admin/run.js`
 * @param command what messages name
 */
export function runOnDatabase(script: string, command: string): void {
  run(script).then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      console.error(`${command}: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = EXIT.loadError;
    },
  );
}
