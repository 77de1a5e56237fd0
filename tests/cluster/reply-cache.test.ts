/** Kept replies over four workers: computed once for all of them, void in all of them as soon as one has written; the same with Redis, over two instances. */
import { createStaff, createTechnician, createTenant, type Tenant } from '../support/factories';
import { describeWith, startRedis } from '../support/services';
import { openSession } from '../support/sessions';
import { call, eventually, type Outcome, type Running, startSteady, stats, sumOf } from './support';

const READERS = 12;
const ROUNDS = 25;
const DASHBOARD = '/api/admin/dashboard/stats';
const TECHNICIANS = '/api/admin/technicians';
const ANALYTICS = '/api/admin/analytics/appointments';

/** Uses no reply that was begun within a second of its start: the clocks of two machines may differ by so much. */
const TRUSTS_AFTER_S = 2;

/** With all its workers, and old enough to use what is kept in Redis. */
async function start(env: Record<string, string | undefined> = {}): Promise<Running> {
  const service = await startSteady({ RATE_LIMIT_SESSION: '100000/60', ...env });
  await eventually('a settled instance', async () => {
    const { cluster, service: self } = await stats(service);
    return cluster.booted_workers === cluster.workers.target && self.uptime > TRUSTS_AFTER_S;
  });
  return service;
}

/**
 * The first requests of a process are slow, and where many processes share few processors they may keep its event loop for longer than
 * it waits for Redis: then it computes the reply itself, as it should, and nothing is compared that way.
 */
async function warmUp(services: Running[]): Promise<void> {
  const ROUNDS_OF = 10;
  const paths = [TECHNICIANS, ANALYTICS, TECHNICIANS, ANALYTICS];
  const somebody = await createOwner();
  for (const service of services) {
    for (let round = 0; round < ROUNDS_OF; round += 1) await Promise.all(paths.map((path) => get(service, path, somebody)));
    await eventually('the primary has counted them', async () => {
      const { hits, misses } = (await stats(service)).cache;
      return hits + misses === ROUNDS_OF * paths.length;
    });
  }
}

interface Owner {
  tenant: Tenant;
  headers: Record<string, string>;
}

/** A shop with an owner, and the headers of a session of hers. */
async function createOwner(): Promise<Owner> {
  const tenant = await createTenant();
  const session = await openSession(await createStaff({ tenant, role: 'Owner' }));
  return { tenant, headers: { ...session, 'Content-Type': 'application/json' } };
}

/** On a connection of its own, so that the requests spread over the workers. */
const get = (service: Running, path: string, { headers }: Owner): Promise<Outcome> => call(service.url, { path, headers });
const patch = (service: Running, path: string, { headers }: Owner, body: object): Promise<Outcome> =>
  call(service.url, { path, method: 'PATCH', headers, body: Buffer.from(JSON.stringify(body)) });
const count = (outcomes: Outcome[], value: string): number => outcomes.filter(({ headers }) => headers['x-cache'] === value).length;

/** A hundred of the same in one second, from as many connections. */
async function stampede(service: Running, owner: Owner): Promise<void> {
  const { cache: before } = await stats(service);
  const outcomes = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index * 10));
      return get(service, DASHBOARD, owner);
    }),
  );
  expect(outcomes.map(({ result }) => result)).toEqual(outcomes.map(() => 200));
  expect([count(outcomes, 'miss'), count(outcomes, 'hit')]).toEqual([1, 99]);
  expect(new Set(outcomes.map(({ body }) => JSON.stringify(JSON.parse(body).data))).size).toBe(1);
  expect(new Set(outcomes.map(({ body }) => JSON.parse(body).correlation_id)).size).toBe(100);
  await eventually('the primary has counted them', async () => {
    const { body } = await service.ops<string>('/metrics');
    return sumOf(body, 'autoshop_cache_requests_total', 'readDashboardStats') === 100;
  });
  const { cache, routes } = await stats(service);
  expect(cache).toMatchObject({
    status: 'ready',
    hits: before.hits + 99,
    misses: before.misses + 1,
    sets: before.sets + 1,
    errors: before.errors,
    fallback: before.fallback,
  });
  expect(cache.hit_ratio).toBeCloseTo(cache.hits / (cache.hits + cache.misses), 4);
  expect(routes.find(({ route }) => route === 'readDashboardStats')?.cache_hit_ratio).toBe(0.99);
}

/** The same at one moment: who comes while it is computed waits for it. */
async function rush(service: Running, owner: Owner): Promise<void> {
  const outcomes = await Promise.all(Array.from({ length: 40 }, () => get(service, ANALYTICS, owner)));
  expect([count(outcomes, 'miss'), count(outcomes, 'hit')]).toEqual([1, 39]);
}

/** @param readers services that must see at once what `writer` wrote */
async function writesAreSeen(writer: Running, readers: Running[], owner: Owner): Promise<void> {
  const { id } = await createTechnician({ tenant: owner.tenant });
  const read = () =>
    Promise.all(Array.from({ length: READERS }, (_, index) => get(readers[index % readers.length] as Running, TECHNICIANS, owner)));
  for (let round = 0; round < ROUNDS; round += 1) {
    const name = `Name ${round}`;
    const written = await patch(writer, `${TECHNICIANS}/${id}`, owner, { name });
    expect([written.result, written.body]).toEqual([200, written.body]);
    const names = (await read()).map(({ body }) => JSON.parse(body).data.technicians[0].name);
    expect(names).toEqual(names.map(() => name));
  }
  // They were not simply computed each time.
  expect(count(await read(), 'hit')).toBe(READERS);
}

/** While readers go on all the time, so that a write always meets replies that are being computed. */
async function writesAreSeenUnderLoad(service: Running, owner: Owner): Promise<void> {
  const { id } = await createTechnician({ tenant: owner.tenant });
  let acknowledged = 0;
  let running = true;
  const tooOld: string[] = [];
  const reader = async () => {
    while (running) {
      const atLeast = acknowledged;
      const { body } = await get(service, TECHNICIANS, owner);
      const seen = Number(
        (JSON.parse(body).data.technicians as { id: string; name: string }[]).find((one) => one.id === id)?.name.replace(/\D/g, ''),
      );
      if (!(seen >= atLeast)) tooOld.push(`${seen} after ${atLeast}`);
    }
  };
  await patch(service, `${TECHNICIANS}/${id}`, owner, { name: 'Name 0' });
  const readers = Array.from({ length: 6 }, reader);
  for (let round = 1; round <= 60; round += 1) {
    const { result } = await patch(service, `${TECHNICIANS}/${id}`, owner, { name: `Name ${round}` });
    expect(result).toBe(200);
    acknowledged = round;
  }
  running = false;
  await Promise.all(readers);
  expect(tooOld).toEqual([]);
}

describe('without Redis', () => {
  test('four workers › a hundred requests in a second compute once, a write by any worker is seen by all at once', async () => {
    const service = await start();
    await warmUp([service]);
    const owner = await createOwner();
    await stampede(service, owner);
    expect((await stats(service)).cache.backend).toBe('memory');
    expect((await stats(service)).cache.memorySize).toBeGreaterThan(0);
    await rush(service, owner);
    await writesAreSeen(service, [service], owner);
    await writesAreSeenUnderLoad(service, owner);
    await service.stop();
  });

  test('several instances that share nothing › nothing is kept, and /stats says so', async () => {
    const service = await start({ WORKERS: '1', INSTANCES: '2' });
    const owner = await createOwner();
    const answers = [await get(service, DASHBOARD, owner), await get(service, DASHBOARD, owner)];
    expect(answers.map(({ result, headers }) => [result, headers['x-cache']])).toEqual([
      [200, undefined],
      [200, undefined],
    ]);
    await eventually('a report', async () => (await stats(service)).cache.status === 'off');
    await service.stop();
  });
});

describeWith('redis', 'with Redis', () => {
  test('two instances of two workers › computed once for all, a write on one is seen on the other at once', async () => {
    const { url } = await startRedis();
    const env = { REDIS_URL: url, INSTANCES: '2', WORKERS: '2', DB_MAX_CONNECTIONS: '200' };
    const [one, two] = await Promise.all([start(env), start(env)]);
    await warmUp([one, two]);
    const owner = await createOwner();
    await stampede(one, owner);
    expect((await get(two, DASHBOARD, owner)).headers['x-cache']).toBe('hit');
    await eventually('Redis was asked how it is', async () => {
      const { cache } = await stats(one);
      return cache.backend === 'redis' && cache.memorySize > 0;
    });
    await rush(one, owner);
    await writesAreSeen(one, [one, two], owner);
    await writesAreSeen(two, [one, two], await createOwner());
    await writesAreSeenUnderLoad(one, owner);
    await Promise.all([one.stop(), two.stop()]);
  });
});
