/** The one-command deployment, from an empty folder to a serving cluster. */
import { execFile } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { type Service, type ServiceOptions, spawnService } from '../support/cluster';
import { createDatabase } from '../support/database';
import { freePort, temporaryFolder } from '../support/services';

const SCRIPTS = join(PROJECT_ROOT, 'dist', 'scripts');
/** Nothing of the test's own environment may stand in for what the operator forgot. */
const BARE = {
  NODE_ENV: undefined,
  PORT: undefined,
  WORKERS: undefined,
  OPS_PORT: undefined,
  JWT_SECRET: undefined,
  DATABASE_URL: undefined,
  DATABASE_MIGRATION_URL: undefined,
};

const startProduction = (cwd: string, options: ServiceOptions): Promise<Service> =>
  spawnService({ script: 'dist/scripts/start-production.js', cwd, ...options, env: { ...BARE, ...options.env } });

function secretsInit(cwd: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(SCRIPTS, 'secrets-init.js')], { cwd }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
    });
  });
}

test('start:prod › empty environment › 78, every gap named at once, nothing started', async () => {
  const service = await startProduction(temporaryFolder('prod'), { database: null });
  expect(await service.waitForExit()).toEqual({ code: 78, signal: null });
  expect(service.lines()).toEqual([
    'Configuration refused:',
    '  JWT_SECRET: is required in production',
    '  DATABASE_URL: is required (or POSTGRES_HOST and its companions) in production',
  ]);
});

test('secrets:init › writes .env once, for its owner alone; a second time › refused, unchanged', async () => {
  const folder = temporaryFolder('secrets');
  const file = join(folder, '.env');
  expect(await secretsInit(folder)).toMatchObject({ code: 0 });
  const content = readFileSync(file, 'utf8');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(content).toMatch(/^JWT_SECRET=[0-9a-f]{96}$/m);
  expect(content).toMatch(/^OPS_TOKEN=[0-9a-f]{96}$/m);
  const [, jwt, ops] = /JWT_SECRET=(\w+)\nOPS_TOKEN=(\w+)/.exec(content) ?? [];
  expect(jwt).not.toBe(ops);

  const second = await secretsInit(folder);
  expect(second).toMatchObject({ code: 1, output: expect.stringContaining('stays as it is') as string });
  expect(readFileSync(file, 'utf8')).toBe(content);
  expect(second.output).not.toContain(jwt);
});

test('start:prod › secrets and a database › 4 workers, secrets masked, SIGTERM to the command stops all of it', async () => {
  const folder = temporaryFolder('prod');
  await secretsInit(folder);
  const secrets = readFileSync(join(folder, '.env'), 'utf8').match(/[0-9a-f]{96}/g) ?? [];
  const database = await createDatabase();
  const [port, opsPort] = [await freePort(), await freePort()];
  const service = await startProduction(folder, {
    database,
    env: { DATABASE_URL: database.url, DATABASE_MIGRATION_URL: database.migrationUrl, PORT: String(port), OPS_PORT: String(opsPort) },
  });
  const banner = await service.ready();
  expect(banner.workers).toBe(4);
  expect(banner.pids).toHaveLength(4);
  expect(await service.request('/api/health')).toMatchObject({ status: 200, body: { status: 'ok' } });
  expect(service.lines('stdout')).toEqual(
    expect.arrayContaining(['Effective configuration:', '  NODE_ENV=production', '  JWT_SECRET=••••••']),
  );
  for (const secret of [...secrets, new URL(database.url).password]) expect(service.output).not.toContain(secret);
  // The command became the primary: the signal that a supervisor sends to it is enough.
  expect(await service.stop()).toEqual({ code: 0, signal: null });
});

test('start:prod › no PORT anywhere › 5000; a PORT in .env › that one', async () => {
  const database = await createDatabase();
  const env = { DATABASE_URL: database.url, DATABASE_MIGRATION_URL: database.migrationUrl };
  for (const [line, expected] of [
    ['', '5000'],
    [`PORT=${await freePort()}\nWORKERS=2\n`, undefined],
  ] as const) {
    const folder = temporaryFolder('prod');
    await secretsInit(folder);
    const file = join(folder, '.env');
    writeFileSync(file, `${readFileSync(file, 'utf8')}${line}`);
    const service = await startProduction(folder, { database, env: { ...env, OPS_PORT: String(await freePort()) } });
    const port = expected ?? /PORT=(\d+)/.exec(line)?.[1];
    await service.waitForLine(new RegExp(`^ {2}PORT=${port}$`));
    await service.waitForLine(new RegExp(`^ {2}WORKERS=${expected ? 4 : 2}$`));
    service.kill('SIGKILL');
    await service.waitForExit();
  }
});

test('start:prod › database that does not answer › 75 with one clear line; a wrong port beside it › 78 first', async () => {
  const folder = temporaryFolder('prod');
  await secretsInit(folder);
  const DATABASE_URL = `postgres://autoshop_app:secret-word@127.0.0.1:${await freePort()}/autoshop`;
  const down = await startProduction(folder, { database: null, env: { DATABASE_URL } });
  expect(await down.waitForExit()).toMatchObject({ code: 75 });
  expect(down.lines()).toEqual(['Start refused:', '  DATABASE_URL: the database is not reachable (ECONNREFUSED)']);

  const wrong = await startProduction(folder, { database: null, env: { DATABASE_URL, PORT: 'http' } });
  expect(await wrong.waitForExit()).toMatchObject({ code: 78 });
  expect(wrong.lines()).toEqual(['Configuration refused:', '  PORT: must be a number, not "http"']);
});

test('start:prod › password that the server refuses › 78, the password not shown', async () => {
  const folder = temporaryFolder('prod');
  await secretsInit(folder);
  const { url } = await createDatabase();
  const refused = new URL(url);
  refused.password = 'not-the-password';
  const service = await startProduction(folder, { database: null, env: { DATABASE_URL: refused.href } });
  expect(await service.waitForExit()).toMatchObject({ code: 78 });
  expect(service.lines()).toEqual(['Start refused:', '  DATABASE_URL: the server refuses this role or password']);
});
