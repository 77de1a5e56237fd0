/** A session that is ended is ended everywhere when the log-out is answered: in every worker, and with Redis in every instance. */
import { randomUUID } from 'node:crypto';
import { signAccessToken } from '../../lib/tokens';
import { startService } from '../support/cluster';
import { admin } from '../support/database';
import { createStaff, createTenant, type Staff } from '../support/factories';
import { describeWith, startRedis, temporaryFolder } from '../support/services';
import { call, type Running, tally } from './support';

const WORKERS = 4;
const ASKED = 24;

const start = (env: Record<string, string> = {}): Promise<Running> =>
  startService({
    env: {
      WORKERS: String(WORKERS),
      MAX_REQUESTS: '0',
      DATABASE_URL: process.env['DATABASE_URL'],
      DATABASE_MIGRATION_URL: process.env['DATABASE_MIGRATION_URL'],
      DATA_DIR: temporaryFolder('revocation'),
      LOG_LEVEL: 'WARN',
      // A session that has ended counts as none.
      RATE_LIMIT_ANON: '100000/60',
      ...env,
    },
  });

async function signIn({ id, tenant }: Staff): Promise<Record<string, string>> {
  const sid = randomUUID();
  await admin(
    `INSERT INTO sessions (sid, actor_type, actor_id, tenant_id, expires_at) VALUES ($1, 'staff', $2, $3, now() + interval '1 hour')`,
    [sid, id, tenant.id],
  );
  const { token } = signAccessToken({ sub: id, role: 'Advisor', tenantId: tenant.id, sid });
  return { Authorization: `Bearer ${token}`, 'X-Tenant-Id': tenant.id };
}

/** On connections of their own, so that every worker is asked. */
const ask = async (services: Running[], headers: Record<string, string>) =>
  tally(
    await Promise.all(
      Array.from({ length: ASKED }, (_, index) =>
        call((services[index % services.length] as Running).url, { path: '/api/auth/verify-token', headers }),
      ),
    ),
  );

async function endsEverywhere(services: Running[]): Promise<void> {
  const staff = await createStaff({ tenant: await createTenant(), role: 'Advisor' });
  for (let round = 0; round < 8; round += 1) {
    const [headers, other] = [await signIn(staff), await signIn(staff)];
    // Every worker knows both sessions by now.
    expect(await ask(services, headers)).toEqual({ 200: ASKED });
    expect(await ask(services, other)).toEqual({ 200: ASKED });
    const by = services[round % services.length] as Running;
    expect((await call(by.url, { path: '/api/auth/logout', method: 'POST', headers })).result).toBe(204);
    expect(await ask(services, headers)).toEqual({ 401: ASKED });
    expect(await ask(services, other)).toEqual({ 200: ASKED });
  }
}

test('four workers without Redis › logged out by one, refused by all at once; the other session lives on', async () => {
  const service = await start();
  await endsEverywhere([service]);
  await service.stop();
});

describeWith('redis', 'two instances with Redis', () => {
  test('logged out on one › refused by all workers of both at once', async () => {
    const { url } = await startRedis();
    const env = { REDIS_URL: url, INSTANCES: '2', DB_MAX_CONNECTIONS: '200' };
    const services = await Promise.all([start(env), start(env)]);
    await endsEverywhere(services);
    await Promise.all(services.map((service) => service.stop()));
  });
});
