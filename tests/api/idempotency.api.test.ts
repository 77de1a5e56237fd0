import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { tenant } from '../../lib/context';
import { closeDatabase, inTransaction, openDatabase, query } from '../../lib/db';
import { Forbidden, NotFound } from '../../lib/errors';
import { endpoint, Reply } from '../../routes/endpoint';
import { admin } from '../support/database';
import { type ChainServer, startChain, TENANT } from '../support/http';

let server: ChainServer;
let runs = 0;
let hold: Promise<void> = Promise.resolve();
let entered: () => void = () => undefined;

const Name = z.object({ name: z.string() });
const base = { method: 'post', summary: 'x', tag: 'Test', idempotent: true, body: Name, reply: [201, z.unknown()] } as const;

/** Writes a row and says how often it ran. */
const create = async ({ body }: { body: { name: string } }) =>
  inTransaction(async () => {
    runs += 1;
    entered();
    await hold;
    const [row] = await query<{ id: number }>({ text: 'INSERT INTO customers (tenant_id, name) VALUES ($1, $2) RETURNING id' }, [
      tenant().id,
      body.name,
    ]);
    if (body.name === 'missing') throw new NotFound('Customer not found');
    if (body.name === 'forbidden') throw new Forbidden();
    if (body.name === 'defect') throw new Error('defect');
    return new Reply({ id: row?.id, runs }, { headers: { Location: `/things/${row?.id}` } });
  });

beforeAll(async () => {
  await openDatabase({ poolMin: 1, poolMax: 6 });
  await admin(`INSERT INTO tenants (id, slug, name) VALUES ($1, $2, 'Shop') ON CONFLICT DO NOTHING`, [TENANT.id, TENANT.slug]);
  server = await startChain({
    endpoints: [
      endpoint({ ...base, path: '/things', id: 'createThing', allow: ['Owner', 'Advisor'], handle: create }),
      endpoint({ ...base, path: '/public-things', id: 'createPublicThing', allow: 'public', handle: create }),
      endpoint({ ...base, path: '/plain', id: 'plainThing', allow: ['Owner'], idempotent: false, handle: create }),
    ],
  });
});
afterAll(closeDatabase);

async function send(
  key: string | null,
  name: string,
  { path = '/things', actor = 'owner-1', header = 'idempotency-key', headers = {} as Record<string, string> } = {},
) {
  const response = await server.fetch(path, {
    method: 'POST',
    body: JSON.stringify({ name }),
    headers: {
      'content-type': 'application/json',
      ...(actor ? { 'x-actor': 'Owner', 'x-actor-id': actor } : {}),
      ...(key ? { [header]: key } : {}),
      ...headers,
    },
  });
  const text = await response.text();
  return {
    status: response.status,
    text,
    body: JSON.parse(text),
    marker: response.headers.get('x-idempotency-status'),
    location: response.headers.get('location'),
  };
}
const rowsNamed = async (name: string) =>
  (await admin<{ n: number }>('SELECT count(*)::int AS n FROM customers WHERE name = $1', [name]))[0]?.n;

test('repeated with one key › done once, the same answer again with its headers', async () => {
  const key = randomUUID();
  const name = randomUUID();
  const first = await send(key, name);
  const second = await send(key, name, { header: 'x-idempotency-key' });
  expect([first.status, first.marker, second.status, second.marker]).toEqual([201, 'stored', 201, 'replayed']);
  expect(second.text).toBe(first.text);
  expect(second.location).toBe(first.location);
  expect(await rowsNamed(name)).toBe(1);
});

test('no key, or an endpoint that does not honour it › done each time, no marker', async () => {
  const name = randomUUID();
  const key = randomUUID();
  expect((await send(null, name)).marker).toBeNull();
  expect((await send(key, name, { path: '/plain' })).marker).toBeNull();
  expect((await send(key, name, { path: '/plain' })).marker).toBeNull();
  expect(await rowsNamed(name)).toBe(3);
});

test('the key with another body › 422, nothing done', async () => {
  const key = randomUUID();
  const other = randomUUID();
  await send(key, randomUUID());
  const { status, body } = await send(key, other);
  expect([status, body.error.code]).toEqual([422, 'idempotency_key_reuse']);
  expect(await rowsNamed(other)).toBe(0);
});

test('while the first call still runs › 409; afterwards its answer', async () => {
  const key = randomUUID();
  const name = randomUUID();
  let release: () => void = () => undefined;
  hold = new Promise((resolve) => (release = resolve));
  const inside = new Promise<void>((resolve) => (entered = resolve));
  const first = send(key, name);
  await inside;
  const meanwhile = await send(key, name);
  expect([meanwhile.status, meanwhile.body.error.code]).toEqual([409, 'idempotency_in_progress']);
  release();
  hold = Promise.resolve();
  expect((await first).status).toBe(201);
  expect((await send(key, name)).marker).toBe('replayed');
  expect(await rowsNamed(name)).toBe(1);
});

test('another caller with the same key › its own result', async () => {
  const key = randomUUID();
  const name = randomUUID();
  const mine = await send(key, name);
  const theirs = await send(key, name, { actor: 'owner-2' });
  expect(theirs.marker).toBe('stored');
  expect(theirs.body.data.id).not.toBe(mine.body.data.id);
  expect((await send(key, name, { actor: '' })).status).toBe(401);
});

test('strangers from two addresses with the same key › each its own result', async () => {
  const key = randomUUID();
  const name = randomUUID();
  const from = (ip: string) => send(key, name, { path: '/public-things', actor: '', headers: { 'x-forwarded-for': ip } });
  expect([(await from('203.0.113.1')).marker, (await from('203.0.113.2')).marker, (await from('203.0.113.1')).marker]).toEqual([
    'stored',
    'stored',
    'replayed',
  ]);
});

test('a refusal that would be the same again › stored, its effect undone', async () => {
  const key = randomUUID();
  const before = runs;
  const first = await send(key, 'missing');
  const second = await send(key, 'missing');
  expect([first.status, first.marker, second.status, second.marker, second.text]).toEqual([404, 'stored', 404, 'replayed', first.text]);
  expect(runs - before).toBe(1);
  expect(await rowsNamed('missing')).toBe(0);
});

test.each([
  ['forbidden', 403],
  ['defect', 500],
])('%s › not stored, the next attempt runs again', async (name, status) => {
  const key = randomUUID();
  const before = runs;
  expect((await send(key, name)).status).toBe(status);
  expect((await send(key, name)).status).toBe(status);
  expect(runs - before).toBe(2);
});

test('an expired key › a new call', async () => {
  const key = randomUUID();
  const name = randomUUID();
  await send(key, name);
  await admin(`UPDATE idempotency_keys SET expires_at = now() - interval '1 second' WHERE key = $1`, [key]);
  expect((await send(key, name)).marker).toBe('stored');
  expect((await send(key, name)).marker).toBe('replayed');
  expect(await rowsNamed(name)).toBe(2);
});

test('a key that is too long › 400', async () => {
  expect((await send('k'.repeat(201), 'a')).status).toBe(400);
});
