/**
 * A primary with a streaming replica, for one test file: an installed PostgreSQL (the packaged one has no pg_basebackup), both servers
 * in the run's folder. The replica can be stopped, started, frozen, and its replay paused. Both end with the test file.
 */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../server/cluster/embedded-postgres';
import { choosePostgresProcess, type PostgresProcess } from '../../server/cluster/postgres-process';
import { findPostmaster } from '../../server/cluster/postmaster';
import { closeLater } from './closers';
import type { TestDatabase } from './database';
import { childrenOf } from './processes';
import { findProgram, freePort, temporaryFolder } from './services';
import { withClient, withDatabase } from './test-cluster';

const DATABASE = 'autoshop';

export interface ReplicatedDatabase {
  /** On the primary; not migrated. */
  readonly database: TestDatabase;
  readonly replica: TestReplica;
}

/** Starts both; resolves when the replica takes connections. */
export async function startReplicatedDatabase(): Promise<ReplicatedDatabase> {
  const binDir = join(programs(), '..');
  const folder = temporaryFolder('replicated');
  chmodSync(folder, 0o711);
  const primary = await startEmbeddedPostgres({ dataDir: folder, binDir });
  closeLater(() => primary.stop());
  const replica = await TestReplica.create(primary, binDir);
  closeLater(() => replica.stop('immediate'));
  return {
    database: {
      name: DATABASE,
      url: primary.url,
      migrationUrl: primary.migrationUrl,
      adminUrl: withDatabase(primary.superuserUrl, DATABASE),
    },
    replica,
  };
}

/** Path of the program; its server is beside it. */
function programs(): string {
  const path = findProgram('pg_basebackup');
  if (!path) throw new Error('pg_basebackup is not installed');
  return path;
}

export class TestReplica {
  /** The service's role. */
  readonly url: string;
  readonly adminUrl: string;
  readonly #server: PostgresProcess;
  readonly #dataDir: string;

  private constructor(server: PostgresProcess, dataDir: string, primary: EmbeddedPostgres, port: number) {
    this.#server = server;
    this.#dataDir = dataDir;
    this.url = at(primary.url, port);
    this.adminUrl = at(withDatabase(primary.superuserUrl, DATABASE), port);
  }

  static async create(primary: EmbeddedPostgres, binDir: string): Promise<TestReplica> {
    const folder = temporaryFolder('replica');
    chmodSync(folder, 0o711);
    const ways = ['direct', 'nobody', 'unshare', 'copy'] as const;
    const server = await choosePostgresProcess({ binDir, serverDir: join(folder, 'server'), copyDir: undefined, ways });
    const dataDir = join(server.serverDir, 'data');
    const port = await freePort();
    await server.run('pg_basebackup', [
      '--dbname',
      primary.superuserUrl,
      '--pgdata',
      dataDir,
      '--wal-method=stream',
      '--checkpoint=fast',
      '--write-recovery-conf',
      '--no-sync',
    ]);
    const conf = join(dataDir, 'autoshop.conf');
    const changed = `${readFileSync(conf, 'utf8')}port = ${port}\nhot_standby = on\nwal_receiver_status_interval = 1\n`;
    rmSync(conf);
    writeFileSync(conf, changed, { mode: 0o600 });
    server.give(conf);
    const replica = new TestReplica(server, dataDir, primary, port);
    await replica.start();
    return replica;
  }

  get isRunning(): boolean {
    return findPostmaster(this.#dataDir) !== undefined;
  }

  async start(): Promise<void> {
    await this.#server.run('pg_ctl', ['start', '-D', this.#dataDir, '-l', join(this.#server.serverDir, 'replica.log'), '-w', '-s']);
  }

  /** `immediate` is a crash, `fast` what an administrator does: both end the sessions. */
  async stop(mode: 'fast' | 'immediate'): Promise<void> {
    this.thaw();
    if (this.isRunning) await this.#server.run('pg_ctl', ['stop', '-D', this.#dataDir, '-m', mode, '-w', '-s']);
  }

  /** It takes connections still and says nothing, as a machine that hangs. */
  freeze(): void {
    this.#signal('SIGSTOP');
  }

  thaw(): void {
    this.#signal('SIGCONT');
  }

  /** What is written from now on is not seen in it. Resolves when that is certain. */
  async pauseReplay(): Promise<void> {
    await this.query('SELECT pg_wal_replay_pause()');
    while ((await this.query<{ state: string }>('SELECT pg_get_wal_replay_pause_state() AS state'))[0]?.state !== 'paused') await delay(20);
  }

  async resumeReplay(): Promise<void> {
    await this.query('SELECT pg_wal_replay_resume()');
  }

  /** As superuser. */
  async query<Row extends object>(text: string): Promise<Row[]> {
    return withClient(this.adminUrl, async (client) => (await client.query<Row & Record<string, unknown>>(text)).rows);
  }

  #signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const pid = findPostmaster(this.#dataDir)?.pid;
    if (pid === undefined) return;
    for (const one of [pid, ...childrenOf(pid)]) {
      try {
        process.kill(one, signal);
      } catch (error) {
        // A session may have ended since they were listed.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }
}

function at(url: string, port: number): string {
  const other = new URL(url);
  other.port = String(port);
  return other.toString();
}
