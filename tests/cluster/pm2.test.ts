/** The service under PM2, with the settings of ecosystem.config.js: start, reload, scale, logs, stop; and PM2's cluster mode. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Stats } from '../../server/ops/stats.schema';
import { ask } from '../support/cluster';
import { Pm2 } from '../support/pm2';
import { temporaryFolder } from '../support/services';
import { eventually, isAlive, Load, tally } from './support';

const CHAOS = { script: 'dist/tests/cluster/fixtures/primary.js' };
const ENV = {
  WORKERS: '2',
  KEEP_ALIVE_TIMEOUT: '1',
  MAX_REQUESTS: '0',
  BOOT_TIMEOUT: '90',
  ROLL_CANARY: '1',
  RATE_LIMIT_ANON: '1000000/60',
};
const wait = () => ({ path: '/chaos/wait?ms=1' });

const statsOf = async (pm2: Pm2): Promise<Stats> => (await ask<Stats>(`${pm2.opsUrl}/stats`)).body;
const pidsOf = async (pm2: Pm2): Promise<number[]> =>
  (await statsOf(pm2)).workers
    .filter(({ kind, state }) => kind === 'http' && state === 'ready')
    .map(({ pid }) => pid)
    .sort();

test('fork mode › start waits for ready, reload fails no request, ctl scales, logs are whole, a broken reload tells, stop leaves nothing', async () => {
  const dataDir = temporaryFolder('pm2-data');
  const pm2 = await Pm2.prepare(CHAOS, { ...ENV, DATA_DIR: dataDir });
  expect((await pm2.start()).code).toBe(0);
  // `pm2 start` has returned: with wait_ready that means that it serves.
  expect(await ask(`${pm2.url}/ready`)).toMatchObject({ status: 200, body: { status: 'ready' } });
  const [app] = await pm2.list();
  expect(app?.pm2_env).toMatchObject({ status: 'online', exec_mode: 'fork_mode', restart_time: 0 });

  const before = await pidsOf(pm2);
  const load = new Load(pm2.url, { clients: 6, request: wait });
  const reloaded = await pm2.reload();
  expect(reloaded).toMatchObject({ code: 0 });
  expect(reloaded.output).toMatch(/rolling restart 1: 2 of 2 workers replaced\ndone: roll 1, result completed/);
  expect(tally(await load.stop())).toEqual({ 200: load.outcomes.length });
  expect((await pidsOf(pm2)).filter((pid) => before.includes(pid))).toEqual([]);

  expect((await pm2.ctl('scale', '3')).code).toBe(0);
  expect(await pidsOf(pm2)).toHaveLength(3);
  expect((await pm2.ctl('scale', '2')).code).toBe(0);

  writeFileSync(join(dataDir, 'broken'), '');
  const serving = await pidsOf(pm2);
  const broken = await pm2.reload();
  expect(broken.code).toBe(70);
  expect(broken.output).toMatch(/ctl: rolling restart 2 stopped: .*; the old workers serve/);
  expect(await pidsOf(pm2)).toEqual(serving);

  // Every line that PM2 kept is one whole line of ours.
  const lines = [...pm2.log('out'), ...pm2.log('error')];
  expect(lines.filter((line) => line.includes('"message":"request"')).length).toBeGreaterThan(0);
  expect(lines.filter((line) => !isJson(line) && !isWords(line))).toEqual([]);
  const shown = await pm2.command('logs', 'autoshop', '--nostream', '--raw', '--lines', '50');
  expect(shown.output).toContain('rolling restart aborted');

  const pids = [app?.pid ?? 0, ...(await statsOf(pm2)).workers.map(({ pid }) => pid)];
  expect((await pm2.command('stop', 'autoshop')).code).toBe(0);
  const [stopped] = await pm2.list();
  expect(stopped?.pm2_env).toMatchObject({ status: 'stopped', exit_code: 0 });
  await eventually('the end of all', async () => pids.filter(isAlive).length === 0);
  expect(existsSync(pm2.controlSocket)).toBe(false);
});

test('fork mode › configuration refused › PM2 does not start it again', async () => {
  const pm2 = await Pm2.prepare({}, { ...ENV, DB_POOL_MAX: '4', DATA_DIR: temporaryFolder('pm2-data') });
  await pm2.start();
  await eventually('its end', async () => (await pm2.list())[0]?.pm2_env.exit_code === 78);
  // PM2 shows "waiting restart" then, and does not: after the back-off (0.1 s, less than PM2's own commands take) nothing has happened.
  expect((await pm2.list())[0]).toMatchObject({ pid: 0, pm2_env: { restart_time: 0 } });
  expect(pm2.starts).toBe(1);
  expect(pm2.log('error').join('\n')).toContain('connections, but DB_POOL_MAX is 4');
});

test('cluster mode › each process serves alone as one of INSTANCES, says so in /stats, reloads and stops gracefully', async () => {
  const token = 'a-token-for-operations';
  const pm2 = await Pm2.prepare(
    { exec_mode: 'cluster', instances: 2 },
    { ...ENV, INSTANCES: '2', OPS_TOKEN: token, DATA_DIR: temporaryFolder('pm2-data'), MAINTENANCE_MODE: 'true' },
  );
  expect((await pm2.start()).code).toBe(0);
  const processes = await pm2.list();
  expect(processes.map(({ pm2_env: { status, exec_mode } }) => [status, exec_mode])).toEqual([
    ['online', 'cluster_mode'],
    ['online', 'cluster_mode'],
  ]);
  const seen = new Set<number>();
  await eventually('an answer of both', async () => {
    const { body } = await ask<{ pid: number }>(`${pm2.url}/health`, { headers: { Connection: 'close' } });
    return seen.add(body.pid).size === 2;
  });
  expect([...seen].sort()).toEqual(processes.map(({ pid }) => pid).sort());
  const { status, body } = await ask<Stats>(`${pm2.url}/stats`, { headers: { Authorization: `Bearer ${token}` } });
  expect(status).toBe(200);
  expect(body).toMatchObject({ scope: 'worker', cluster: { mode: 'worker', maintenance: { reason: null }, workers: { target: 1 } } });
  expect(body.workers.map(({ pid }) => pid)).toHaveLength(1);
  expect(body.db.budget).toMatchObject({ limit: 20, granted: 20 });
  expect(await ask(`${pm2.url}/api/appointments`)).toMatchObject({ status: 503, body: { error: { code: 'maintenance' } } });

  const load = new Load(pm2.url, { clients: 6, request: () => ({ path: '/health' }) });
  expect((await pm2.command('reload', 'autoshop')).code).toBe(0);
  expect(tally(await load.stop())).toEqual({ 200: load.outcomes.length });
  const fresh = await pm2.list();
  expect(fresh.filter(({ pid }) => processes.some((old) => old.pid === pid))).toEqual([]);
  expect((await pm2.command('stop', 'autoshop')).code).toBe(0);
  await eventually('the end of all', async () => [...processes, ...fresh].filter(({ pid }) => isAlive(pid)).length === 0);
  expect((await pm2.list()).map(({ pm2_env: { status: end, exit_code } }) => [end, exit_code])).toEqual([
    ['stopped', 0],
    ['stopped', 0],
  ]);
});

function isJson(line: string): boolean {
  try {
    return typeof JSON.parse(line) === 'object';
  } catch {
    return false;
  }
}

/** What Node says of a release that does not load: nothing of it looks like a piece of a JSON line. */
const isWords = (line: string): boolean => !/^\{.|.\}$|","/.test(line);
