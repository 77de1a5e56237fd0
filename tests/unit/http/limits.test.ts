import { z } from 'zod';
import { localLimitBackend } from '../../../lib/cluster-ports';
import { clearLimit, overrideRate, setLimitBackend, tryTake } from '../../../lib/rate-limit';
import { endpoint, type Limiter } from '../../../routes/endpoint';
import { type Body, type ChainServer, startChain } from '../../support/http';

const limited = (limiter: Limiter | undefined, path: string) =>
  endpoint({
    method: 'post',
    path,
    id: `limited${path.replaceAll('/', '_')}`,
    summary: 'x',
    tag: 'Test',
    allow: 'public',
    ...(limiter ? { limit: limiter } : {}),
    body: z.object({ email: z.string().optional() }),
    reply: [200, z.unknown()],
    handle: async () => ({}),
  });

let server: ChainServer;
let now = 0;
const restore: (() => void)[] = [];

beforeAll(async () => {
  server = await startChain({
    endpoints: [
      limited(undefined, '/general'),
      limited('login', '/login'),
      limited('telemetry', '/telemetry'),
      limited('move', '/move'),
      limited('booking', '/booking'),
      limited('reset', '/reset'),
    ],
  });
});
beforeEach(() => {
  now = 1_000_000;
  setLimitBackend(localLimitBackend(() => now));
});
afterEach(() => {
  for (const undo of restore.splice(0)) undo();
});

async function post(
  path: string,
  { ip = '203.0.113.1', actor, id, email }: { ip?: string; actor?: string; id?: string; email?: string } = {},
) {
  const response = await server.fetch(path, {
    method: 'POST',
    body: JSON.stringify({ email }),
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': ip,
      ...(actor ? { 'x-actor': actor } : {}),
      ...(id ? { 'x-actor-id': id } : {}),
    },
  });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Body };
}
const limit = (name: Parameters<typeof overrideRate>[0], count: number, windowMs = 60_000) =>
  restore.push(overrideRate(name, { limit: count, windowMs }));
const statuses = async (count: number, send: () => Promise<{ status: number }>) => {
  const all: number[] = [];
  for (let sent = 0; sent < count; sent += 1) all.push((await send()).status);
  return all;
};

test('an address without a session › refused over its limit, told when to come back, served again when its uses lie behind the window', async () => {
  limit('anonymous', 2);
  const first = await post('/general');
  expect([
    first.status,
    first.headers.get('ratelimit-limit'),
    first.headers.get('ratelimit-remaining'),
    first.headers.get('ratelimit-policy'),
  ]).toEqual([200, '2', '1', '2;w=60']);
  await post('/general');
  const { status, headers, body } = await post('/general');
  const wait = Number(headers.get('retry-after'));
  expect(wait).toBe(60);
  expect([
    status,
    headers.get('ratelimit-reset'),
    headers.get('ratelimit-remaining'),
    headers.get('x-ratelimit-limit'),
    headers.get('x-ratelimit-remaining'),
  ]).toEqual([429, String(wait), '0', '2', '0']);
  expect(body).toMatchObject({
    ok: false,
    error: { code: 'rate_limited', message: 'Rate limit exceeded' },
    message: 'Rate limit exceeded',
    retry_after: wait,
  });
  expect((await post('/general', { ip: '203.0.113.2' })).status).toBe(200);
  now += wait * 1_000;
  expect((await post('/general')).status).toBe(200);
});

test('sessions behind one address › each its own bucket, and not the address’s', async () => {
  limit('session', 2);
  limit('anonymous', 1);
  expect(await statuses(3, () => post('/general', { actor: 'Owner', id: 'a' }))).toEqual([200, 200, 429]);
  expect(await statuses(2, () => post('/general', { actor: 'Owner', id: 'b' }))).toEqual([200, 200]);
  expect(await statuses(2, () => post('/general'))).toEqual([200, 429]);
});

test('probes › never limited', async () => {
  limit('anonymous', 1);
  for (let count = 0; count < 5; count += 1) expect((await server.fetch('/health')).status).toBe(200);
});

test('log-in › by address and identifier, cleared by clearLimit; by address over all identifiers', async () => {
  limit('login', 2, 300_000);
  limit('loginIp', 5, 300_000);
  const as = (email: string) => () => post('/login', { email });
  expect(await statuses(3, as('Ann@Example.com '))).toEqual([200, 200, 429]);
  await clearLimit('login', '203.0.113.1', 'ann@example.com');
  expect(await statuses(1, as('ann@example.com'))).toEqual([200]);
  expect(await statuses(1, as('ben@example.com'))).toEqual([200]);
  const over = await post('/login', { email: 'eve@example.com' });
  expect([over.status, over.headers.get('ratelimit-limit')]).toEqual([429, '5']);
});

test('IPv6 › one network is one client', async () => {
  limit('telemetry', 1);
  expect((await post('/telemetry', { ip: '2001:db8:0:1::1' })).status).toBe(200);
  expect((await post('/telemetry', { ip: '2001:db8:0:1::2' })).status).toBe(429);
  expect((await post('/telemetry', { ip: '2001:db8:9:1::1' })).status).toBe(200);
});

test('moves › by user; bookings › only of strangers', async () => {
  limit('move', 1);
  limit('booking', 1);
  expect(await statuses(2, () => post('/move', { actor: 'Owner', id: 'a' }))).toEqual([200, 429]);
  expect(await statuses(1, () => post('/move', { actor: 'Owner', id: 'b' }))).toEqual([200]);
  expect(await statuses(3, () => post('/booking', { actor: 'Owner' }))).toEqual([200, 200, 200]);
  expect(await statuses(2, () => post('/booking'))).toEqual([200, 429]);
});

test('bookings of strangers › also limited over the day, after the short window has passed', async () => {
  limit('booking', 2, 1_000);
  limit('bookingDay', 3, 86_400_000);
  expect(await statuses(3, () => post('/booking'))).toEqual([200, 200, 429]);
  now += 1_017;
  // The refused one counted for the day: it was an attempt all the same.
  const over = await post('/booking');
  const wait = Number(over.headers.get('retry-after'));
  expect([over.status, over.headers.get('ratelimit-limit')]).toEqual([429, '3']);
  expect(wait).toBeGreaterThanOrEqual(86_398);
  expect(wait).toBeLessThanOrEqual(86_400);
  expect((await post('/booking', { ip: '203.0.113.2' })).status).toBe(200);
  now += wait * 1_000;
  expect((await post('/booking')).status).toBe(200);
});

test('password reset › counts itself, so that its answer stays the same', async () => {
  limit('reset', 1);
  expect(await statuses(3, () => post('/reset', { email: 'a@b.c' }))).toEqual([200, 200, 200]);
  expect([await tryTake('reset', '203.0.113.1', 'a@b.c'), await tryTake('reset', '203.0.113.1', 'A@b.c')]).toEqual([true, false]);
});

test('counters that cannot be reached › nobody is refused', async () => {
  setLimitBackend({
    take: () => Promise.reject(new Error('primary is silent')),
    reset: () => Promise.reject(new Error('primary is silent')),
  });
  limit('anonymous', 1);
  expect(await statuses(3, () => post('/general'))).toEqual([200, 200, 200]);
  await expect(clearLimit('login', 'x')).resolves.toBeUndefined();
});
