/** The start: what it prints, and with which code and last line it fails. */
import { existsSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { AS_SHIPPED, type Service, type ServiceOptions, spawnService, startService } from '../support/cluster';
import { createDatabase } from '../support/database';
import { freePort, temporaryFolder } from '../support/services';
import { eventually, isAlive, startChaos, stats, TIMES } from './support';

const FIXTURE = 'dist/tests/cluster/fixtures/primary.js';

/** A start that fails: its code, and the last line of its log. */
async function failedStart(options: ServiceOptions): Promise<{ code: number | null; last: Record<string, unknown>; service: Service }> {
  const service = await spawnService({ ...options, env: { WORKERS: '2', DATA_DIR: temporaryFolder('boot'), ...options.env } });
  const { code } = await service.waitForExit();
  const last = JSON.parse(service.lines().at(-1) ?? '{}') as Record<string, unknown>;
  return { code, last, service };
}

async function withTakenPort<T>(work: (port: number) => Promise<T>): Promise<T> {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  try {
    return await work((taken.address() as { port: number }).port);
  } finally {
    await new Promise((resolve) => taken.close(resolve));
  }
}

describe('a start that works', () => {
  test('the banner › one JSON line with workers, bind, timeouts, requests, pool and the workers’ own pids', async () => {
    const service = await startService({
      env: { ...AS_SHIPPED, WORKERS: '2', DATA_DIR: temporaryFolder('boot'), MAX_REQUESTS: '500', WORKER_TIMEOUT: '20' },
    });
    const port = new URL(service.url).port;
    expect(service.lines('stdout')).toHaveLength(1);
    expect(service.banner).toMatchObject({
      event: 'ready',
      workers: 2,
      workers_ready: 2,
      bind: `127.0.0.1:${port}`,
      ops: `127.0.0.1:${new URL(service.opsUrl).port}`,
      timeout: 20,
      max_requests: 500,
      pool: { min: 5, max: 20 },
      pid: service.pid,
    });
    expect(new Set(service.banner.pids).size).toBe(2);
    expect(service.banner.pids.every(isAlive)).toBe(true);
    expect(service.banner.pids).not.toContain(service.pid);
    expect((await service.request('/ready')).body).toMatchObject({
      status: 'ready',
      checks: { database: true, migrations: true, workers: true },
    });
    const detailed = (await service.ops('/health-detailed')).body;
    expect(detailed).toMatchObject({ cluster: { workers_ready: 2 }, database: { status: 'up', pending_migrations: 0 } });
    expect((await service.ops('/alerts')).body).toMatchObject({ alerts: [{ name: 'Watchdog', state: 'firing' }] });
    await service.stop();
  });

  test('without a secret in development › one is made, private, and used again; an empty database is migrated first', async () => {
    const database = await createDatabase({ empty: true });
    const options = { database, env: { NODE_ENV: 'development', JWT_SECRET: undefined, WORKERS: '1', DATA_DIR: temporaryFolder('boot') } };
    const first = await startService(options);
    const path = join(options.env.DATA_DIR, 'jwt-secret');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(first.output).toContain('a development secret was generated');
    await first.waitForLine(/\/api\/docs/);
    await first.stop();
    const second = await startService(options);
    expect(second.output).not.toContain('was generated');
    await second.stop();
  });
});

describe('a start that fails', () => {
  test('the database is unreachable › 75, one clear line', async () => {
    const url = `postgres://nobody:secret-word@127.0.0.1:${await freePort()}/nothing`;
    const { code, last, service } = await failedStart({ database: null, env: { DATABASE_URL: url, DATABASE_MIGRATION_URL: url } });
    expect(code).toBe(75);
    expect(last).toMatchObject({ level: 'error', exit_code: 75 });
    expect(last['message']).toMatch(/^cannot start: .*the database is unreachable/);
    expect(service.output).not.toContain('secret-word');
  });

  test('a database that refuses the migration › 70, the last line says why and blames nothing else', async () => {
    const database = await createDatabase({ empty: true });
    const url = new URL(database.migrationUrl);
    url.username = 'role_of_nobody';
    const { code, last } = await failedStart({ database: null, env: { DATABASE_URL: url.href, DATABASE_MIGRATION_URL: url.href } });
    expect(code).toBe(70);
    expect(last['message']).toMatch(/^cannot start: the migration failed: migrate: failed: .*role_of_nobody/);
    expect(last['message']).not.toContain('failed to load');
  });

  test('a refused configuration › 78, every fault named', async () => {
    const service = await spawnService({ env: { WORKERS: '60', DB_TIMEOUT: 'soon' } });
    expect((await service.waitForExit()).code).toBe(78);
    expect(service.output).toContain('WORKERS');
    expect(service.output).toContain('DB_TIMEOUT');
  });

  test.each([
    ['public', 'PORT'],
    ['operations', 'OPS_PORT'],
  ])('the %s port is in use › 71, before anything is started', async (what, variable) => {
    await withTakenPort(async (port) => {
      const { code, last, service } = await failedStart({ env: { [variable]: String(port) } });
      expect(code).toBe(71);
      expect(last['message']).toBe(`cannot start: ${what} address 127.0.0.1:${port} is in use`);
      expect(service.output).not.toContain('migrate:');
    });
  });

  test('a release that does not load › 70, with its own words above the last line', async () => {
    const { code, last, service } = await failedStart({ script: FIXTURE, args: ['--worker', 'broken-worker'] });
    expect(code).toBe(70);
    expect(last).toMatchObject({ level: 'error', exit_code: 70 });
    expect(service.output).toContain('Cannot find the module that was forgotten');
  });

  test('no worker becomes ready › killed after BOOT_TIMEOUT, 70 within two seconds of it', async () => {
    const LIMIT_MS = 8_000;
    const service = await spawnService({
      script: FIXTURE,
      args: ['--worker', 'silent-worker'],
      env: { WORKERS: '2', DATA_DIR: temporaryFolder('boot'), BOOT_TIMEOUT: String(LIMIT_MS / 1_000) },
    });
    const spawned = performance.now();
    // The time begins when it is forked; what comes before is the primary's own start.
    await service.waitForLine(/granted, and now nothing/);
    const loaded = performance.now();
    expect((await service.waitForExit()).code).toBe(70);
    const ended = performance.now();
    const last = JSON.parse(service.lines().at(-1) ?? '{}') as Record<string, unknown>;
    expect(last['message']).toBe('cannot start: a worker was not ready within BOOT_TIMEOUT');
    expect(ended - spawned).toBeGreaterThan(LIMIT_MS);
    expect(ended - loaded).toBeLessThan(LIMIT_MS + 2_000 * TIMES);
  });
});

describe('later failures', () => {
  test('a release that breaks after the start › the service lives, degraded, and heals when it is mended', async () => {
    const dataDir = temporaryFolder('boot');
    const service = await startChaos({ env: { WORKERS: '2', DATA_DIR: dataDir } });
    const { rmSync, writeFileSync } = await import('node:fs');
    writeFileSync(join(dataDir, 'broken'), '');
    process.kill(service.banner.pids[0] as number, 'SIGKILL');
    const degraded = await eventually('a failed respawn', async () => {
      const now = await stats(service);
      return now.cluster.last_exit?.reason === 'boot_failure' && now;
    });
    expect(degraded.cluster).toMatchObject({ state: 'degraded', booted_workers: 1 });
    expect(degraded.cluster.last_exit?.stderr_tail.join('\n')).toContain('this release is broken');
    expect((await service.request('/ready')).body).toMatchObject({ status: 'degraded', checks: { workers: false } });
    rmSync(join(dataDir, 'broken'));
    await eventually('whole again', async () => (await stats(service)).cluster.state === 'ready');
    expect(existsSync(join(dataDir, 'broken'))).toBe(false);
    await service.stop();
  });
});
