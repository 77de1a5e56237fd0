/** The migration command as the primary and a deployment call it: its exit codes, and one line that says what was wrong. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { createDatabase } from '../support/database';
import { freePort, temporaryFolder } from '../support/services';
import { withClient } from '../support/test-cluster';

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function migrate(args: string[], env: Record<string, string | undefined>): Promise<Outcome> {
  const script = join(PROJECT_ROOT, 'dist', 'scripts', 'migrate.js');
  const child = spawn(process.execPath, [script, ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const outcome: Outcome = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    outcome.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    outcome.stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { ...outcome, code };
}

const urls = ({ url, migrationUrl }: { url: string; migrationUrl: string }) => ({
  DATABASE_URL: url,
  DATABASE_MIGRATION_URL: migrationUrl,
});

test('an empty database › up 0, repeated 0, status names all as applied, down takes the last one back', async () => {
  const database = await createDatabase({ empty: true });
  expect(await migrate([], urls(database))).toMatchObject({ code: 0, stderr: '' });
  expect((await migrate(['up'], urls(database))).stdout).toMatch(/schema is up to date/);
  const status = await migrate(['status'], urls(database));
  expect(status.stdout).toMatch(/^applied {2}\d{8}T\d{4}_\w+$/m);
  expect(status.stdout).not.toMatch(/pending/);
  expect(await migrate(['down'], urls(database))).toMatchObject({ code: 0 });
  expect((await migrate(['status'], urls(database))).stdout).toMatch(/^pending/m);
});

test('nobody listens › 75 and one line with host and port', async () => {
  const port = await freePort();
  const outcome = await migrate([], {
    DATABASE_URL: `postgres://someone:hidden@127.0.0.1:${port}/shop`,
    DATABASE_MIGRATION_URL: undefined,
  });
  expect(outcome).toMatchObject({ code: 75, stdout: '' });
  expect(outcome.stderr).toMatch(new RegExp(`^migrate: Database 127\\.0\\.0\\.1:${port} is unreachable: .+\n$`));
  expect(outcome.stderr).not.toMatch(/hidden/);
});

test('a wrong password › 70 and one line, without the password', async () => {
  const database = await createDatabase({ empty: true });
  const outcome = await migrate([], urls({ ...database, migrationUrl: database.migrationUrl.replace(/:[^:@/]+@/, ':hidden@') }));
  expect(outcome).toMatchObject({ code: 70, stdout: '' });
  expect(outcome.stderr).toMatch(/^migrate: failed: .*28P01.*\n$/);
  expect(outcome.stderr).not.toMatch(/hidden/);
});

test('a table in the way › 70, the migration and the reason in one line, nothing applied', async () => {
  const database = await createDatabase({ empty: true });
  await withClient(database.migrationUrl, (client) => client.query('CREATE TABLE customers (id int)'));
  const outcome = await migrate([], urls(database));
  expect(outcome.code).toBe(70);
  expect(outcome.stderr).toMatch(/^migrate: failed: .*_baseline.*"customers" already exists.*\n$/);
  expect((await migrate(['status'], urls(database))).stdout).not.toMatch(/applied/);
});

test('no database named › the embedded one is started, migrated and stopped again', async () => {
  const env = { DATABASE_URL: undefined, DATABASE_MIGRATION_URL: undefined, DATA_DIR: temporaryFolder('migrate') };
  const outcome = await migrate([], env);
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  expect(outcome.stdout).toMatch(/embedded PostgreSQL started .*\nmigrate: applied/);
  expect((await migrate(['status'], env)).stdout).toMatch(/embedded PostgreSQL started/);
});

test('a command that does not exist › 64 and the usage', async () => {
  expect(await migrate(['sideways'], {})).toMatchObject({ code: 64, stderr: expect.stringMatching(/^usage: migrate/) });
});
