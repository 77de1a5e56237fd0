/** Maintenance over a whole cluster: every worker at once, those that come later included, and one restart of the service on. */
import { config } from '../../config';
import { createStaff, createTenant } from '../support/factories';
import { openSession } from '../support/sessions';
import { ctl, ctlJson } from './ctl';
import { call, eventually, type Outcome, type Running, startChaos, stats } from './support';

const OWN_DATABASE = { DATABASE_URL: process.env['DATABASE_URL'], DATABASE_MIGRATION_URL: process.env['DATABASE_MIGRATION_URL'] };
const PATH = '/api/admin/customers';

const anonymous = (service: Running): Promise<Outcome> => call(service.url, { path: PATH });
/** On connections of their own, so that every worker gets some. */
const codes = async (service: Running): Promise<unknown[]> => {
  const replies = await Promise.all(Array.from({ length: 12 }, () => anonymous(service)));
  return [...new Set(replies.map(({ result, body }) => `${result} ${JSON.parse(body).error.code}`))];
};

test('ctl maintenance › all workers refuse before the command returns, replaced ones too, owners pass; off › all serve again', async () => {
  const service = await startChaos({
    database: null,
    env: { ...OWN_DATABASE, WORKERS: '2', KEEP_ALIVE_TIMEOUT: '1', MAX_REQUESTS: '0', BOOT_TIMEOUT: '90', ROLL_CANARY: '1' },
  });
  const headers = await openSession(await createStaff({ tenant: await createTenant(), role: 'Owner' }));
  expect(config.JWT_SECRET).toBe(process.env['JWT_SECRET']);
  expect(await codes(service)).toEqual(['401 auth_required']);

  const on = await ctlJson<{ maintenance: { since: string } }>(service, 'maintenance', 'on', '--reason', 'New disk until noon');
  expect(on.code).toBe(0);
  expect(await codes(service)).toEqual(['503 maintenance']);
  const refused = await anonymous(service);
  expect(JSON.parse(refused.body)).toMatchObject({ ok: false, error: { code: 'maintenance', message: 'New disk until noon' } });
  expect(refused.headers).toMatchObject({ 'retry-after': '60' });
  expect((await call(service.url, { path: PATH, headers })).result).toBe(200);
  expect((await service.request('/ready')).body).toMatchObject({ status: 'ready', maintenance: true });
  expect((await service.request('/health')).status).toBe(200);
  expect((await stats(service)).cluster.maintenance).toEqual({ reason: 'New disk until noon', since: on.result.maintenance.since });
  expect((await ctl(service, 'status')).stdout).toContain('New disk until noon');

  // Not one request may slip through a worker that has just come: by a kill, and by a roll.
  const seen = new Set<string>();
  let asking = true;
  const asker = (async () => {
    while (asking) {
      const { result, body } = await anonymous(service);
      seen.add(`${result} ${body && JSON.parse(body).error.code}`);
    }
  })();
  process.kill(service.banner.pids[0] ?? 0, 'SIGKILL');
  await eventually('two workers', async () => {
    const { workers } = await stats(service);
    const ready = workers.filter(({ kind, state }) => kind === 'http' && state === 'ready');
    return ready.length === 2 && ready.every(({ pid }) => pid !== service.banner.pids[0]);
  });
  expect((await ctl(service, 'roll', '--wait')).code).toBe(0);
  asking = false;
  await asker;
  // The killed worker takes its requests with it; nothing else but a refusal is allowed.
  seen.delete('ECONNRESET ');
  expect([...seen]).toEqual(['503 maintenance']);

  expect(await ctlJson(service, 'maintenance', 'off')).toMatchObject({ code: 0, result: { maintenance: null } });
  expect(await codes(service)).toEqual(['401 auth_required']);
  await service.stop();
});

test('MAINTENANCE_MODE › closed from the first request on, opened by ctl', async () => {
  const service = await startChaos({ env: { WORKERS: '2', MAINTENANCE_MODE: 'true' } });
  expect(await codes(service)).toEqual(['503 maintenance']);
  expect(service.output).not.toContain('has no effect');
  await ctlJson(service, 'maintenance', 'off');
  expect(await codes(service)).toEqual(['401 auth_required']);
  await service.stop();
});
