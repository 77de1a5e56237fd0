/** Every migration forwards and back on an empty database, and the promises of the runner. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appliedMigrations, listMigrations, pending } from '../../lib/migrations';
import { DatabaseUnreachable, rollback, runMigrations } from '../../lib/migrator';
import { createDatabase, type TestDatabase } from '../support/database';
import { schemaSnapshot } from '../support/schema-snapshot';
import { freePort, temporaryFolder } from '../support/services';
import { withClient } from '../support/test-cluster';

const migrations = listMigrations();
const isBookkeeping = (line: string) => line.includes('schema_migrations');
/** Extensions serve the whole database and are never taken back. */
const isLeft = (line: string) => !isBookkeeping(line) && !line.startsWith('extension: ') && !line.startsWith('schema: ');

/** A folder of migrations as given: name -> [up, down]. */
function writeFolder(files: Record<string, [string, string]>): string {
  const folder = temporaryFolder('migrations');
  mkdirSync(folder, { recursive: true });
  for (const [name, [up, down]] of Object.entries(files)) {
    writeFileSync(join(folder, `${name}.up.sql`), up);
    writeFileSync(join(folder, `${name}.down.sql`), down);
  }
  return folder;
}

const count = (url: string, sql: string) => withClient(url, async (client) => Number((await client.query<{ n: string }>(sql)).rows[0]?.n));

describe('the files', () => {
  test('names › unique, also in their times, and listed in that order', () => {
    const names = migrations.map(({ name }) => name);
    expect(names.length).toBeGreaterThan(0);
    expect(names).toEqual([...new Set(names)].sort());
    const minutes = names.map((name) => name.slice(0, 13));
    expect(new Set(minutes).size).toBe(minutes.length);
  });

  test('a file without its partner, or with another name › refused instead of skipped', () => {
    const folder = writeFolder({ '20200101T0000_one': ['SELECT 1', 'SELECT 1'] });
    writeFileSync(join(folder, '20200101T0001_two.up.sql'), 'SELECT 1');
    expect(() => listMigrations(folder)).toThrow(/20200101T0001_two has no down file/);
    writeFileSync(join(folder, '20200101T0001_two.down.sql'), 'SELECT 1');
    writeFileSync(join(folder, 'three.sql'), 'SELECT 1');
    expect(() => listMigrations(folder)).toThrow(/three\.sql/);
  });

  test.each(migrations)('$name › an index made concurrently stands in a file without a transaction', ({ up, down }) => {
    for (const path of [up, down]) {
      const sql = readFileSync(path, 'utf8');
      if (/\bCONCURRENTLY\b/.test(sql.replace(/--.*$/gm, ''))) expect(sql).toMatch(/^-- no-transaction\n/);
    }
  });
});

describe('up, down, up', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase({ empty: true });
  });

  test('each migration undone and repeated › the same schema as after the first time', async () => {
    const before: string[][] = [(await schemaSnapshot(database.adminUrl)).filter(isLeft)];
    for (const { name } of migrations) {
      expect(await runMigrations(database.migrationUrl, { to: name })).toEqual([name]);
      const after = await schemaSnapshot(database.adminUrl);
      expect(await rollback(database.migrationUrl)).toEqual([name]);
      expect((await schemaSnapshot(database.adminUrl)).filter(isLeft)).toEqual(before.at(-1));
      expect(await runMigrations(database.migrationUrl, { to: name })).toEqual([name]);
      expect(await schemaSnapshot(database.adminUrl)).toEqual(after);
      before.push(after.filter(isLeft));
    }
  });

  test('everything undone › nothing of ours is left', async () => {
    await runMigrations(database.migrationUrl);
    const names = migrations.map(({ name }) => name);
    expect(await rollback(database.migrationUrl, { to: 'all' })).toEqual([...names].reverse());
    expect((await schemaSnapshot(database.adminUrl)).filter(isLeft)).toEqual([]);
    expect(await withClient(database.migrationUrl, pending)).toEqual(names);
  });

  test('the service role › may ask what is pending, and may not change the answer', async () => {
    await runMigrations(database.migrationUrl);
    await withClient(database.url, async (client) => {
      expect(await pending(client)).toEqual([]);
      await expect(client.query('DELETE FROM schema_migrations')).rejects.toMatchObject({ code: '42501' });
    });
  });

  test('its connections › all by its name, three at most', async () => {
    const seen = await withClient(database.adminUrl, async (client) => {
      const text = `SELECT application_name AS name FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`;
      const samples: string[][] = [];
      let running = true;
      const migrating = runMigrations(database.migrationUrl).finally(() => {
        running = false;
      });
      while (running) samples.push((await client.query<{ name: string }>(text)).rows.map(({ name }) => name));
      await migrating;
      return samples;
    });
    expect([...new Set(seen.flat())]).toEqual(['autoshop-migrate']);
    const most = Math.max(...seen.map(({ length }) => length));
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(3);
  });

  test('a superuser migrates › the service role still has its rights', async () => {
    const other = await createDatabase({ empty: true });
    await runMigrations(other.adminUrl);
    await withClient(other.url, async (client) => {
      expect((await client.query('SELECT * FROM tenants')).rows).toEqual([]);
    });
  });
});

describe('the runner', () => {
  test('a file that fails half-way › nothing of it stays, those before it do, and a repaired one goes through', async () => {
    const database = await createDatabase({ empty: true });
    const files: Record<string, [string, string]> = {
      '20200101T0000_good': ['CREATE TABLE good (id int)', 'DROP TABLE good'],
      '20200101T0001_bad': ['CREATE TABLE half (id int); SELECT 1/0', 'DROP TABLE half'],
    };
    const folder = writeFolder(files);
    await expect(runMigrations(database.migrationUrl, { folder })).rejects.toThrow(/20200101T0001_bad.*division by zero/s);
    expect(await withClient(database.migrationUrl, appliedMigrations)).toEqual(['20200101T0000_good']);
    expect(await count(database.migrationUrl, "SELECT count(*) n FROM pg_class WHERE relname = 'half'")).toBe(0);
    writeFileSync(join(folder, '20200101T0001_bad.up.sql'), 'CREATE TABLE half (id int)');
    expect(await runMigrations(database.migrationUrl, { folder })).toEqual(['20200101T0001_bad']);
  });

  test('two at once › one migrates, the other waits and finds nothing to do', async () => {
    const database = await createDatabase({ empty: true });
    const lines: string[] = [];
    const folder = writeFolder({ '20200101T0000_slow': ['CREATE TABLE once (id int); SELECT pg_sleep(0.3)', 'DROP TABLE once'] });
    const run = () => runMigrations(database.migrationUrl, { folder, log: (line) => lines.push(line) });
    const results = await Promise.all([run(), run()]);
    expect(results.flat()).toEqual(['20200101T0000_slow']);
    expect(lines).toContain('another process is migrating; waiting for it');
  });

  test('a file marked -- no-transaction › an index is made concurrently', async () => {
    const database = await createDatabase({ empty: true });
    const folder = writeFolder({
      '20200101T0000_table': ['CREATE TABLE things (id int)', 'DROP TABLE things'],
      '20200101T0001_index': [
        '-- no-transaction\n-- Twice, so that a broken first try is cleared away;\nDROP INDEX CONCURRENTLY IF EXISTS things_idx;\nCREATE INDEX CONCURRENTLY things_idx ON things (id);\n',
        '-- no-transaction\nDROP INDEX CONCURRENTLY things_idx;',
      ],
    });
    await runMigrations(database.migrationUrl, { folder });
    expect(
      await count(database.migrationUrl, "SELECT count(*) n FROM pg_index WHERE indexrelid = 'things_idx'::regclass AND indisvalid"),
    ).toBe(1);
    expect(await rollback(database.migrationUrl, { folder })).toEqual(['20200101T0001_index']);
  });

  test('a file that ends its transaction › refused and not recorded', async () => {
    const database = await createDatabase({ empty: true });
    const folder = writeFolder({ '20200101T0000_commits': ['CREATE TABLE sly (id int); COMMIT; BEGIN; SELECT 1', 'SELECT 1'] });
    await expect(runMigrations(database.migrationUrl, { folder })).rejects.toThrow(/ends the transaction/);
    expect(await withClient(database.migrationUrl, appliedMigrations)).toEqual([]);
  });

  test('nobody listens › DatabaseUnreachable with host and port', async () => {
    const port = await freePort();
    const attempt = runMigrations(`postgres://a:b@127.0.0.1:${port}/c`);
    await expect(attempt).rejects.toThrow(DatabaseUnreachable);
    await expect(attempt).rejects.toThrow(new RegExp(`127\\.0\\.0\\.1:${port}`));
  });
});
