/**
 * The backup of docs/operations/backup.md, taken and used: a base backup and the archive of the write-ahead log bring back the database as
 * it was a moment before somebody deleted rows, with what was written after the backup.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pending } from '../../lib/migrations';
import { runMigrations } from '../../lib/migrator';
import { PROJECT_ROOT } from '../../lib/project-root';
import { startEmbeddedPostgres } from '../../server/cluster/embedded-postgres';
import { choosePostgresProcess } from '../../server/cluster/postgres-process';
import { closeLater } from '../support/closers';
import { describeWith, findProgram, freePort, temporaryFolder } from '../support/services';
import { withClient, withDatabase } from '../support/test-cluster';

const DATABASE = 'autoshop';
const TENANT = '00000000-0000-4000-8000-00000000beef';
const LIMIT_MS = 60_000;

async function until<T>(what: string, look: () => Promise<T | false>): Promise<T> {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    const seen = await look();
    if (seen !== false) return seen;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${LIMIT_MS} ms`);
    await delay(50);
  }
}

/** A folder that the server's own user may write to, whoever that is. */
function openFolder(name: string): string {
  const folder = temporaryFolder(name);
  chmodSync(folder, 0o777);
  return folder;
}

/** As the document says it, into this folder. */
function archiveCommand(archive: string): string {
  const [, command] = /archive_command = '([^']+)'/.exec(readFileSync(join(PROJECT_ROOT, 'docs/operations/backup.md'), 'utf8')) ?? [];
  if (!command?.includes('/archive/')) throw new Error('The document states no archive command');
  return command.replaceAll('/archive', archive);
}

test('a copy that was cut short › the next attempt of the archive command replaces it; a file that is there is never written again', () => {
  const archive = temporaryFolder('archive');
  const segment = join(temporaryFolder('segments'), 'segment');
  const command = archiveCommand(archive).replaceAll('%p', segment).replaceAll('%f', 'segment');
  const run = () => spawnSync('sh', ['-c', command]).status;
  const archived = join(archive, 'segment');
  writeFileSync(segment, 'whole');
  // As a crash leaves it: what cp had written by then, under the name that it writes to.
  const [, partial = ''] = /cp \S+ (\S+)/.exec(command) ?? [];
  writeFileSync(partial, 'wh');
  expect([run(), readFileSync(archived, 'utf8')]).toEqual([0, 'whole']);
  writeFileSync(segment, 'other');
  expect([run() === 0, readFileSync(archived, 'utf8')]).toEqual([false, 'whole']);
});

describeWith('pg_basebackup', 'backup and recovery to a point in time', () => {
  test('rows deleted by mistake › the database as it was before, with what was written after the base backup', async () => {
    const binDir = join(findProgram('pg_basebackup') ?? '', '..');
    const home = temporaryFolder('pitr-primary');
    chmodSync(home, 0o711);
    const archive = openFolder('pitr-archive');

    // The archive is switched on by configuration and a restart, as the document says.
    const first = await startEmbeddedPostgres({ dataDir: home, binDir });
    await withClient(first.superuserUrl, async (client) => {
      await client.query(`ALTER SYSTEM SET archive_mode = 'on'`);
      await client.query(`ALTER SYSTEM SET archive_command = '${archiveCommand(archive)}'`);
    });
    await first.stop();
    const primary = await startEmbeddedPostgres({ dataDir: home, binDir });
    closeLater(() => primary.stop());
    const adminUrl = withDatabase(primary.superuserUrl, DATABASE);
    await runMigrations(primary.migrationUrl);
    const ask = async <Row extends object>(url: string, text: string): Promise<Row[]> =>
      withClient(url, async (client) => (await client.query<Row & Record<string, unknown>>(text)).rows);
    const add = (name: string) => ask(adminUrl, `INSERT INTO customers (tenant_id, name) VALUES ('${TENANT}', '${name}')`);
    const namesAt = async (url: string): Promise<string[]> =>
      (await ask<{ name: string }>(url, 'SELECT name FROM customers ORDER BY name')).map(({ name }) => name);

    await ask(adminUrl, `INSERT INTO tenants (id, slug, name) VALUES ('${TENANT}', 'some-shop', 'Some shop')`);
    await add('before the backup');

    const restored = temporaryFolder('pitr-restored');
    chmodSync(restored, 0o711);
    const server = await choosePostgresProcess({
      binDir,
      serverDir: join(restored, 'server'),
      copyDir: undefined,
      ways: ['direct', 'nobody', 'unshare', 'copy'],
    });
    const dataDir = join(server.serverDir, 'data');
    await server.run('pg_basebackup', ['--dbname', primary.superuserUrl, '--pgdata', dataDir, '--wal-method=stream', '--checkpoint=fast']);

    await add('after the backup');
    const [{ at } = { at: '' }] = await ask<{ at: string }>(adminUrl, 'SELECT clock_timestamp()::text AS at');
    await ask(adminUrl, 'DELETE FROM customers');
    await add('after the mistake');
    expect(await namesAt(adminUrl)).toEqual(['after the mistake']);
    // The segment with all of this must have left before the machine may be lost.
    const [{ segment } = { segment: '' }] = await ask<{ segment: string }>(adminUrl, 'SELECT pg_walfile_name(pg_switch_wal()) AS segment');
    await until('the segment is archived', async () => {
      const [state] = await ask<{ last: string | null; failed: string }>(
        adminUrl,
        'SELECT last_archived_wal AS last, failed_count AS failed FROM pg_stat_archiver',
      );
      expect(state?.failed).toBe('0');
      return state?.last !== null && (state?.last ?? '') >= segment;
    });

    // Elsewhere: the base backup, the archive, and the moment.
    const port = await freePort();
    const conf = join(dataDir, 'autoshop.conf');
    const settings = [
      readFileSync(conf, 'utf8'),
      `port = ${port}`,
      `restore_command = 'cp ${archive}/%f %p'`,
      `recovery_target_time = '${at}'`,
      `recovery_target_action = 'promote'`,
    ].join('\n');
    rmSync(conf);
    writeFileSync(conf, `${settings}\n`, { mode: 0o600 });
    writeFileSync(join(dataDir, 'recovery.signal'), '', { mode: 0o600 });
    // ALTER SYSTEM of the original came along; this one must not write into the same archive.
    const ownSettings = join(dataDir, 'postgresql.auto.conf');
    rmSync(ownSettings);
    writeFileSync(ownSettings, "archive_mode = 'off'\n", { mode: 0o600 });
    for (const path of [conf, join(dataDir, 'recovery.signal'), ownSettings]) server.give(path);
    closeLater(() => server.run('pg_ctl', ['stop', '-D', dataDir, '-m', 'immediate', '-w', '-s']));
    await server.run('pg_ctl', ['start', '-D', dataDir, '-l', join(server.serverDir, 'restored.log'), '-w', '-t', '60', '-s']);
    const elsewhere = (url: string): string => {
      const other = new URL(url);
      other.port = String(port);
      return other.toString();
    };
    await until('the end of recovery', async () => {
      const [state] = await ask<{ recovering: boolean }>(elsewhere(adminUrl), 'SELECT pg_is_in_recovery() AS recovering');
      return state?.recovering === false;
    });

    expect(await namesAt(elsewhere(adminUrl))).toEqual(['after the backup', 'before the backup']);
    expect(await namesAt(adminUrl)).toEqual(['after the mistake']);
    // A service may start on it: the schema is whole, its login works, and sees a shop's rows in its scope only.
    await withClient(elsewhere(primary.url), async (client) => {
      expect(await pending(client)).toEqual([]);
      expect((await client.query('SELECT name FROM customers')).rows).toEqual([]);
      await client.query('BEGIN');
      await client.query("SELECT set_config('app.tenant_id', $1, true)", [TENANT]);
      expect((await client.query('SELECT name FROM customers')).rows).toHaveLength(2);
      await client.query(`INSERT INTO customers (tenant_id, name) VALUES ($1, 'goes on')`, [TENANT]);
      await client.query('COMMIT');
    });
  });
});
