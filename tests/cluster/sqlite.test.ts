/** The service on SQLite: one worker, a file that outlives it, and the settings that do not go with it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { type Service, spawnService, startService } from '../support/cluster';
import { PASSWORD } from '../support/factories';
import { temporaryFolder } from '../support/services';

const OWNER = 'sqlite-owner';

async function administer(env: Record<string, string>, args: readonly string[], input = ''): Promise<void> {
  const command = join(PROJECT_ROOT, 'dist', 'scripts', 'admin.js');
  const child = spawn(process.execPath, [command, ...args], { env: { ...process.env, ...env }, stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(0);
}

const sqliteEnvironment = (url: string) => ({ DATABASE_URL: url, DATABASE_MIGRATION_URL: url, DATA_DIR: temporaryFolder('sqlite') });

async function logIn(service: Service): Promise<Record<string, string>> {
  const { status, body } = await service.request<{ data: { token: string } }>('/api/auth/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Tenant-Id': 'sqlite-shop' },
    body: JSON.stringify({ username: OWNER, password: PASSWORD }),
  });
  expect(status).toBe(200);
  return { Authorization: `Bearer ${body.data.token}`, 'X-Tenant-Id': 'sqlite-shop', 'Content-Type': 'application/json' };
}

describe('a file', () => {
  test('administered, served, stopped and served again › what was stored is there; another start of the tables changes nothing', async () => {
    const env = sqliteEnvironment(`sqlite:${join(temporaryFolder('sqlite-file'), 'shop.db')}`);
    await administer(env, ['tenant:create', '--slug', 'sqlite-shop', '--name', 'SQLite shop']);
    await administer(
      env,
      ['user:create', '--username', OWNER, '--name', 'Olga Owner', '--role', 'Owner', '--tenant', 'sqlite-shop', '--password-stdin'],
      `${PASSWORD}\n`,
    );
    const first = await startService({ database: null, env });
    expect(first.banner).toMatchObject({ workers: 1 });
    expect((await first.request('/ready')).body).toMatchObject({ status: 'ready', checks: { database: true, migrations: true } });
    const headers = await logIn(first);
    const made = await first.request<{ data: { id: string } }>('/api/admin/customers', {
      method: 'POST',
      headers,
      body: JSON.stringify({ name: 'Carla Customer', email: 'carla@customer.example' }),
    });
    expect(made.status).toBe(201);
    first.child.kill('SIGTERM');
    expect(await first.exited).toMatchObject({ code: 0 });

    const second = await startService({ database: null, env });
    const found = await second.request(`/api/admin/customers/${made.body.data.id}`, { headers: await logIn(second) });
    expect(found.status).toBe(200);
    expect(JSON.stringify(found.body)).toContain('carla@customer.example');
  });
});

describe('in memory', () => {
  test('started › serves with one worker and no job process', async () => {
    const service = await startService({ database: null, env: { ...sqliteEnvironment('sqlite::memory:'), WORKERS: undefined } });
    expect(service.banner).toMatchObject({ workers: 1 });
    expect((await service.request('/api/health')).status).toBe(200);
    expect((await service.request('/ready')).body).toMatchObject({
      status: 'ready',
      checks: { database: true, migrations: true, workers: true },
    });
  });
});

describe('settings that do not go with it', () => {
  test.each([
    [{ WORKERS: '2' }, 'WORKERS: must be 1 with a SQLite database'],
    [{ JOBS: '1' }, 'JOBS: must be off with a SQLite database'],
    [{ NODE_ENV: 'production' }, 'DATABASE_URL: SQLite is not accepted in production'],
  ])('%j › exit 78, and the variable is named', async (more, words) => {
    const service = await spawnService({ database: null, env: { ...sqliteEnvironment('sqlite::memory:'), ...more } });
    expect(await service.waitForExit()).toMatchObject({ code: 78 });
    expect(service.output).toContain(words);
  });
});
