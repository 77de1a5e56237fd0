/** A session that is ended is ended everywhere when the log-out is answered: in every worker, and with Redis in every instance. */
import { createStaff, createTenant } from '../support/factories';
import { describeWith, startRedis } from '../support/services';
import { openSession } from '../support/sessions';
import { call, type Running, startSteady, tally } from './support';

const ASKED = 24;

// A session that has ended counts as none.
const start = (env: Record<string, string> = {}): Promise<Running> => startSteady({ RATE_LIMIT_ANON: '100000/60', ...env });

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
    const [headers, other] = [await openSession(staff), await openSession(staff)];
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
