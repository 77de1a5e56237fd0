import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ask, startService } from '../support/cluster';
import { createDatabase } from '../support/database';
import { freePort, temporaryFolder } from '../support/services';

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

interface Account {
  role: string;
  username: string;
  password: string;
}

interface LogIn {
  data: { token: string; user: { role: string } } | null;
}

const COMMAND = join(__dirname, '..', '..', 'dist', 'scripts', 'seed.js');

function seed(parameters: readonly string[], environment: Record<string, string>): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [COMMAND, ...parameters], { env: { ...process.env, ...environment } }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

test('an empty database is filled once, and the accounts are kept for their owner alone', async () => {
  const { migrationUrl, url } = await createDatabase();
  const folder = temporaryFolder('seed');
  const environment = { DATABASE_URL: url, DATABASE_MIGRATION_URL: migrationUrl, DATA_DIR: folder };
  const first = await seed(['--if-empty', '--json'], environment);
  expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining('1000 appointments') });
  const { accounts, seeded } = JSON.parse(first.stdout) as { accounts: unknown; seeded: boolean };
  const kept = join(folder, 'demo-accounts.json');
  expect(seeded).toBe(true);
  expect(JSON.parse(readFileSync(kept, 'utf8'))).toEqual(accounts);
  expect(statSync(kept).mode & 0o777).toBe(0o600);

  const second = await seed(['--if-empty', '--json'], environment);
  expect(second).toMatchObject({ code: 0, stdout: '{"seeded":false}\n' });
  expect(JSON.parse(readFileSync(kept, 'utf8'))).toEqual(accounts);

  await expect(seed(['--scale', 'load'], environment)).resolves.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('edgar-auto-shop has customers already'),
  });
});

test('production is refused before anything is asked of the database', async () => {
  const port = await freePort();
  const folder = temporaryFolder('seed');
  const refused = await seed([], {
    NODE_ENV: 'production',
    JWT_SECRET: 'k3J9x-Qe7Lm2-Rt5Wz8-Bn4Vc6-Hy1Gf0',
    DATABASE_URL: `postgres://autoshop_app@127.0.0.1:${port}/autoshop`,
    DATA_DIR: folder,
  });
  expect(refused).toMatchObject({ code: 78, stderr: expect.stringContaining('do not belong into production') });
  expect(existsSync(join(folder, 'demo-accounts.json'))).toBe(false);
});

test('a database that does not answer is exit 75, wrong words are exit 64', async () => {
  const url = `postgres://autoshop_owner@127.0.0.1:${await freePort()}/autoshop`;
  await expect(seed([], { DATABASE_URL: url, DATABASE_MIGRATION_URL: url })).resolves.toMatchObject({ code: 75, stdout: '' });
  await expect(seed(['--scale', 'huge'], {})).resolves.toMatchObject({ code: 64, stderr: expect.stringContaining('usage:') });
  await expect(seed(['--what'], {})).resolves.toMatchObject({ code: 64, stderr: expect.stringContaining('usage:') });
});

test('a service that seeds itself lets every printed account in, and shows a board in all its columns', async () => {
  const folder = temporaryFolder('seed');
  const service = await startService({ env: { DB_SEED: 'demo', DATA_DIR: folder } });
  const accounts = JSON.parse(readFileSync(join(folder, 'demo-accounts.json'), 'utf8')) as Account[];
  expect(accounts).toHaveLength(5);
  const tokens = new Map<string, string>();
  for (const { role, username, password } of accounts) {
    const { status, body } = await ask<LogIn>(`${service.url}/api/auth/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ [role === 'Customer' ? 'email' : 'username']: username, password }),
    });
    expect([role, status, body.data?.user.role]).toEqual([role, 200, role]);
    tokens.set(role, body.data?.token ?? '');
  }
  const get = <T>(role: string, path: string) =>
    ask<{ data: T }>(`${service.url}${path}`, { headers: { Authorization: `Bearer ${tokens.get(role)}` } });

  const board = await get<{ columns: { count: number }[] }>('Advisor', '/api/admin/appointments/board');
  expect(board.body.data.columns).toHaveLength(5);
  expect(Math.min(...board.body.data.columns.map(({ count }) => count))).toBeGreaterThan(0);

  const list = await get<{ total: number }>('Accountant', '/api/admin/customers');
  expect(list.body.data.total).toBe(200);
  const own = await get<{ appointments: { status: string }[] }>('Customer', '/api/appointments');
  expect(own.body.data.appointments).toHaveLength(6);
});
