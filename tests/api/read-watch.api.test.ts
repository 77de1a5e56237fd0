/** Planted endpoints that read once for each row, and such that only look like it. Mode `raise`, as in every test. */
import { z } from 'zod';
import { closeDatabase, openDatabase, query } from '../../lib/db';
import { endpoint } from '../../routes/endpoint';
import { drainRecorder } from '../../server/ops/recorder';
import { admin } from '../support/database';
import { type ChainServer, startChain, TENANT } from '../support/http';

const ROWS = 12;
let server: ChainServer;

const idsOf = async (): Promise<number[]> =>
  (await query<{ id: number }>({ text: `SELECT generate_series(1, ${ROWS}) AS id` })).map(({ id }) => id);
const readOne = (id: number): Promise<object[]> => query({ text: 'SELECT name FROM customers WHERE id = $1' }, [id]);
const readAll = (ids: readonly number[]): Promise<object[]> => query({ text: 'SELECT name FROM customers WHERE id = ANY ($1)' }, [ids]);

async function oneByOne(): Promise<object> {
  for (const id of await idsOf()) await readOne(id);
  return {};
}
async function allAtOnce(): Promise<object> {
  await Promise.all((await idsOf()).map(readOne));
  return {};
}
async function inOne(): Promise<object> {
  await readAll(await idsOf());
  return {};
}

const planted = (path: string, id: string, handle: () => Promise<object>) =>
  endpoint({ method: 'get', path, id, summary: id, tag: 'Test', allow: ['Owner'], reply: [200, z.object({})], handle });

beforeAll(async () => {
  await openDatabase({ poolMin: 1, poolMax: 4 });
  await admin(`INSERT INTO tenants (id, slug, name) VALUES ($1, $2, 'Shop') ON CONFLICT DO NOTHING`, [TENANT.id, TENANT.slug]);
  server = await startChain({
    endpoints: [
      planted('/one-by-one', 'readOneByOne', oneByOne),
      planted('/all-at-once', 'readAllAtOnce', allAtOnce),
      planted('/in-one', 'readInOne', inOne),
    ],
  });
});
afterAll(closeDatabase);
beforeEach(() => void drainRecorder());

const ask = async (path: string): Promise<number> =>
  (await server.fetch(path, { headers: { 'x-actor': 'Owner', 'x-actor-id': 'o1' } })).status;

test.each([
  ['/one-by-one', 'readOneByOne', 5],
  ['/all-at-once', 'readAllAtOnce', 5],
])('GET %s › one read for each row › refused, and named with route, count and call site', async (path, route, repeats) => {
  expect(await ask(path)).toBe(500);
  const { repeated_reads } = drainRecorder().recent;
  expect(repeated_reads).toEqual([
    {
      route: `GET ${route}`,
      fingerprint: 'SELECT name FROM customers WHERE id = $?',
      call_site: expect.stringMatching(/^tests\/api\/read-watch\.api\.test\.ts:\d+$/),
      repeats_max: expect.any(Number),
      requests: 1,
      wasted_ms: expect.any(Number),
    },
  ]);
  expect(repeated_reads[0]?.repeats_max).toBeGreaterThanOrEqual(repeats);
});

test('GET /in-one › one statement for all rows › 200, nothing to name', async () => {
  expect(await ask('/in-one')).toBe(200);
  expect(drainRecorder().recent.repeated_reads).toEqual([]);
});
