/** The embedded database through crashes, restarts and rival processes, with the user this suite runs as. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from '../../server/cluster/embedded-postgres';
import { findPostmaster } from '../../server/cluster/postmaster';
import { closeLater } from '../support/closers';
import { isProcessRunning } from '../support/processes';
import { currentCluster, withClient } from '../support/test-cluster';

const isRoot = process.getuid?.() === 0;

function newFolder(mode = 0o711): string {
  const folder = mkdtempSync(join(currentCluster().folder, 'embedded-'));
  chmodSync(folder, mode);
  // Registered first, so it runs last: whatever a failed test left running.
  closeLater(() => {
    const left = findPostmaster(join(folder, 'postgres', 'server', 'data'));
    if (left) process.kill(left.pid, 'SIGQUIT');
  });
  return folder;
}

async function start(dataDir: string, options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const database = await startEmbeddedPostgres({ dataDir, ...options });
  closeLater(() => database.stop());
  return database;
}

/** Starts it from a process of its own, which then stays; resolves with that process and the server's pid and port. */
async function startElsewhere(dataDir: string): Promise<{ holder: ChildProcess; pid: number; port: number }> {
  const library = join(PROJECT_ROOT, 'dist', 'server', 'cluster', 'embedded-postgres.js');
  const program = `require(${JSON.stringify(library)}).startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)} })
    .then(({ pid, port }) => { console.log(JSON.stringify({ pid, port })); setInterval(() => {}, 1000); })`;
  const holder = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  closeLater(() => holder.kill('SIGKILL'));
  const [line] = (await once(holder.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return { holder, ...(JSON.parse(String(line)) as { pid: number; port: number }) };
}

const remember = (url: string) => withClient(url, (client) => client.query('CREATE TABLE kept AS SELECT 42 AS answer'));
const recall = (url: string) => withClient(url, async (client) => (await client.query<{ answer: number }>('SELECT answer FROM kept')).rows);
const pidFile = (database: EmbeddedPostgres) => join(database.dataDir, 'postmaster.pid');

test('a first start › roles with just their rights, secrets for the owner alone, only the loopback address', async () => {
  const dataDir = newFolder();
  const database = await start(dataDir);
  const roles = await withClient(database.superuserUrl, async (client) => {
    const { rows } = await client.query(
      "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcanlogin FROM pg_roles WHERE rolname LIKE 'autoshop%' ORDER BY rolname",
    );
    const settings = await client.query(
      "SELECT name, setting FROM pg_settings WHERE name IN ('listen_addresses', 'unix_socket_directories', 'fsync') ORDER BY name",
    );
    expect(settings.rows.map(({ setting }) => setting)).toEqual(['on', '127.0.0.1', '']);
    return rows;
  });
  expect(roles).toEqual([
    { rolname: 'autoshop_app', rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcanlogin: true },
    { rolname: 'autoshop_owner', rolsuper: false, rolbypassrls: false, rolcreaterole: true, rolcanlogin: true },
  ]);
  await withClient(database.url, async (client) => {
    await expect(client.query('CREATE TABLE not_mine (id int)')).rejects.toMatchObject({ code: '42501' });
  });
  await withClient(database.migrationUrl, (client) => client.query('CREATE TABLE mine (id int)'));
  expect(statSync(join(dataDir, 'postgres', 'cluster.json')).mode & 0o777).toBe(0o600);
  const withoutPassword = database.url.replace(/:[^:@/]+@/, ':wrong@');
  await expect(withClient(withoutPassword, (client) => client.query('SELECT 1'))).rejects.toMatchObject({ code: '28P01' });
});

test('stop and start › ended cleanly, the same port, the same rows', async () => {
  const dataDir = newFolder();
  const first = await start(dataDir);
  await remember(first.migrationUrl);
  await first.stop();
  expect(isProcessRunning(first.pid)).toBe(false);
  expect(readFileSync(join(first.dataDir, '..', 'postgres.log'), 'utf8')).toMatch(/database system is shut down\n$/);
  const second = await start(dataDir);
  expect(second.port).toBe(first.port);
  expect(await recall(second.migrationUrl)).toEqual([{ answer: 42 }]);
});

test('its starter is killed › the server runs on, and the next start adopts and later stops it', async () => {
  const dataDir = newFolder();
  const { holder, pid } = await startElsewhere(dataDir);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  expect(isProcessRunning(pid)).toBe(true);
  const adopted = await start(dataDir);
  expect(adopted.pid).toBe(pid);
  await withClient(adopted.url, (client) => client.query('SELECT 1'));
  await adopted.stop();
  expect(isProcessRunning(pid)).toBe(false);
});

test('two processes use it › one stops, it runs on for the other', async () => {
  const dataDir = newFolder();
  const { holder, pid } = await startElsewhere(dataDir);
  const second = await start(dataDir);
  expect(second.pid).toBe(pid);
  await second.stop();
  expect(isProcessRunning(pid)).toBe(true);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  // For nobody now: the next one to use it is also the last.
  const third = await start(dataDir);
  await third.stop();
  expect(isProcessRunning(pid)).toBe(false);
});

test('three start at once on an empty folder › one server for all', async () => {
  const dataDir = newFolder();
  const started = await Promise.all([startElsewhere(dataDir), startElsewhere(dataDir), start(dataDir)]);
  expect(new Set(started.map(({ pid }) => pid)).size).toBe(1);
});

test('the server is killed › the next start recovers committed rows', async () => {
  const dataDir = newFolder();
  const first = await start(dataDir);
  await remember(first.migrationUrl);
  process.kill(first.pid, 'SIGKILL');
  const second = await start(dataDir);
  expect(second.pid).not.toBe(first.pid);
  expect(await recall(second.migrationUrl)).toEqual([{ answer: 42 }]);
});

test("a stale note with another living process's number › not believed, started", async () => {
  const dataDir = newFolder();
  const first = await start(dataDir);
  const note = readFileSync(pidFile(first), 'utf8');
  await first.stop();
  writeFileSync(pidFile(first), note.replace(String(first.pid), String(process.pid)));
  const second = await start(dataDir);
  await withClient(second.url, (client) => client.query('SELECT 1'));
  expect(isProcessRunning(process.pid)).toBe(true);
});

test('its port was taken meanwhile › it moves to another one', async () => {
  const dataDir = newFolder();
  const first = await start(dataDir);
  await first.stop();
  const squatter = createServer().listen(first.port, '127.0.0.1');
  await once(squatter, 'listening');
  closeLater(() => squatter.close());
  const second = await start(dataDir);
  expect(second.port).not.toBe(first.port);
  await withClient(second.url, (client) => client.query('SELECT 1'));
});

test('data of another version › refused in one sentence, untouched', async () => {
  const dataDir = newFolder();
  const first = await start(dataDir);
  await first.stop();
  const version = join(first.dataDir, 'PG_VERSION');
  const made = readFileSync(version, 'utf8');
  writeFileSync(version, '9\n');
  await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(/made by PostgreSQL 9, this is \d+/);
  writeFileSync(version, made);
  await start(dataDir);
});

test('a folder that only we can enter › runs all the same, and says how', async () => {
  const dataDir = newFolder(0o700);
  const database = await start(dataDir);
  expect(database.description).toMatch(isRoot ? /unshare|binaries and data in/ : /as the current user|unshare/);
  await withClient(database.url, (client) => client.query('SELECT 1'));
  await database.stop();
  expect(isProcessRunning(database.pid)).toBe(false);
});

if (isRoot) {
  test('as root, neither nobody nor a namespace will do › copies in a folder of its own, found again', async () => {
    const dataDir = newFolder(0o700);
    const first = await start(dataDir, { runAs: ['copy'] });
    closeLater(() => rmSync(join(first.dataDir, '..', '..'), { recursive: true }));
    await remember(first.migrationUrl);
    await first.stop();
    const second = await start(dataDir, { runAs: ['copy'] });
    expect(second.dataDir).toBe(first.dataDir);
    expect(await recall(second.migrationUrl)).toEqual([{ answer: 42 }]);
  });

  test('as root, the data change hands between nobody and a namespace › the same rows each time', async () => {
    const dataDir = newFolder();
    // In a checkout that only root can enter, nobody cannot reach the programs: then the namespace serves all three times.
    const first = await start(dataDir, { runAs: ['nobody', 'unshare'] });
    await remember(first.migrationUrl);
    await first.stop();
    const second = await start(dataDir, { runAs: ['unshare'] });
    expect(second.description).toMatch(/unshare/);
    expect(await recall(second.migrationUrl)).toEqual([{ answer: 42 }]);
    await second.stop();
    const third = await start(dataDir, { runAs: ['nobody', 'unshare'] });
    expect(third.description).toBe(first.description);
    expect(await recall(third.migrationUrl)).toEqual([{ answer: 42 }]);
  });
}
