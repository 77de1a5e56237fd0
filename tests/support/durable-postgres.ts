/**
 * A PostgreSQL of a test's own that keeps its promises (fsync and synchronous_commit on, unlike the server of the run), and can be
 * restarted under the service's feet. Factories and `admin` work on it.
 */
import { execFile } from 'node:child_process';
import { chmodSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { runMigrations } from '../../lib/migrator';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../server/cluster/embedded-postgres';
import { closeLater } from './closers';
import type { TestDatabase } from './database';
import { temporaryFolder } from './services';
import { withDatabase } from './test-cluster';

const run = promisify(execFile);

export interface DurablePostgres extends TestDatabase {
  readonly server: EmbeddedPostgres;
  /** Runs `pg_ctl` on it as the user that owns its data; resolves when that is done. */
  control(...args: string[]): Promise<void>;
}

export async function startDurablePostgres(): Promise<DurablePostgres> {
  const folder = temporaryFolder('durable');
  // Whoever runs it has to get through, and owns the data, so that `pg_ctl` can be run as that user.
  chmodSync(folder, 0o711);
  const server = await startEmbeddedPostgres({ dataDir: folder, runAs: ['direct', 'nobody', 'copy'] });
  closeLater(() => server.stop());
  await runMigrations(server.migrationUrl);
  const name = new URL(server.url).pathname.slice(1);
  const owner = statSync(server.dataDir);
  const identity = process.getuid?.() === 0 ? { uid: owner.uid, gid: owner.gid } : {};
  const log = join(dirname(server.dataDir), 'postgres.log');
  return {
    name,
    server,
    url: server.url,
    migrationUrl: server.migrationUrl,
    adminUrl: withDatabase(server.superuserUrl, name),
    control: async (...args) => {
      const all = [...args, '-D', server.dataDir, '-l', log, '-w', '-t', '60', '-s'];
      await run(join(server.binDir, 'pg_ctl'), all, { cwd: '/', ...identity });
    },
  };
}
