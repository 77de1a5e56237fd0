import { connect } from 'node:net';
import { z } from 'zod';
import { context } from '../../../lib/context';
import { Conflict, PreconditionFailed, Unavailable } from '../../../lib/errors';
import { type Endpoint, endpoint, JsonText, Reply, StreamReply } from '../../../routes/endpoint';
import { type Body, type ChainServer, startChain } from '../../support/http';

const Item = z.object({ id: z.number(), name: z.string() });

async function* pieces(failAfter = Number.POSITIVE_INFINITY) {
  for (let line = 0; line < 3; line += 1) {
    if (line >= failAfter) throw new Error('cursor broke');
    yield `line ${line}\r\n`;
  }
}

const common = { summary: 'x', tag: 'Test', allow: 'public', reply: [200, z.unknown()] } as const;
let release: () => void = () => undefined;
let handled = 0;

const list: Endpoint[] = [
  endpoint({
    ...common,
    method: 'get',
    path: '/api/items/:id',
    id: 'getItem',
    params: z.object({ id: z.string().transform((v) => (/^\d+$/.test(v) ? Number(v) : null)) }),
    reply: [200, Item],
    handle: async ({ params }) => ({ id: params.id, name: 'bolt' }),
  }),
  endpoint({ ...common, method: 'get', path: '/api/items/recent', id: 'recentItems', handle: async () => [] }),
  endpoint({
    ...common,
    method: 'patch',
    path: '/api/items/:id',
    id: 'patchItem',
    allow: ['Owner'],
    revalidate: true,
    handle: async () => new Reply({ a: 1 }, { etag: '7.abc' }),
  }),
  endpoint({
    ...common,
    method: 'post',
    path: '/api/items',
    id: 'addItem',
    allow: ['Owner', 'Advisor'],
    body: z.object({
      name: z.string().min(1).max(5),
      tags: z.array(z.string().max(3, 'tag_too_long')).optional(),
      lines: z.array(z.object({ qty: z.number() })).optional(),
    }),
    reply: [201, Item],
    handle: async ({ body }) => new Reply({ id: 1, name: body.name }, { headers: { Location: '/api/items/1' } }),
  }),
  endpoint({
    ...common,
    method: 'post',
    path: '/api/admin/vehicles',
    id: 'addVehicle',
    allow: ['Owner'],
    body: z.object({}),
    handle: async () => ({ done: true }),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/text',
    id: 'jsonText',
    mirror: 'all',
    reply: [200, Item],
    handle: async () => new JsonText('{"id":1,"name":"caf\u00e9"}'),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/mirror',
    id: 'mirrorAll',
    mirror: 'all',
    handle: async () => ({ a: 1, data: 2, errors: [1], meta: 3, message: 'm' }),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/named',
    id: 'mirrorNamed',
    mirror: ['b'],
    handle: async () => new Reply(new JsonText('{"a":1,"b":[2]}'), { meta: { page: 1 }, root: { extra: true, ok: false } }),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/cached',
    id: 'cached',
    revalidate: true,
    handle: async () => new Reply({ a: 1 }, { etag: '3.hash' }),
  }),
  endpoint({ ...common, method: 'delete', path: '/api/gone', id: 'gone', reply: [204], handle: async () => undefined }),
  endpoint({ ...common, method: 'get', path: '/api/bad-reply', id: 'badReply', reply: [200, Item], handle: async () => ({ id: 'one' }) }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/talkative-reply',
    id: 'talkativeReply',
    reply: [200, Item],
    handle: async () => ({ id: 1, name: 'bolt', cost: 5 }),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/defect',
    id: 'defect',
    handle: async () => {
      throw new Error('secret detail');
    },
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/conflict',
    id: 'conflict',
    handle: async () => {
      throw new Conflict('Taken', { details: { vin: 'already_exists' }, root: { current_version: 2 } });
    },
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/stale',
    id: 'stale',
    handle: async () => {
      throw new PreconditionFailed({ current: {}, etag: '2.x' }, '2.x');
    },
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/busy',
    id: 'busy',
    handle: async () => {
      throw new Unavailable('pool_timeout', { retryAfter: 3 });
    },
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/slow',
    id: 'slow',
    handle: () =>
      new Promise((resolve) => {
        release = () => resolve({});
      }),
  }),
  endpoint({
    ...common,
    method: 'post',
    path: '/api/stored',
    id: 'stored',
    csrf: 'exempt',
    query: z.object({ stored: z.string(), next: z.string() }),
    handle: async ({ query: { stored, next } }) => {
      context().caller?.commits()(stored === 'yes');
      if (next === 'busy') throw new Unavailable('pool_timeout');
      return new Promise(() => undefined);
    },
  }),
  endpoint({ ...common, method: 'get', path: '/api/big', id: 'big', handle: async () => 'x'.repeat(4000) }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/export',
    id: 'export',
    reply: [200],
    media: ['text/csv'],
    handle: async () => new StreamReply({ contentType: 'text/csv; charset=utf-8', filename: 'all items.csv', chunks: pieces() }),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/export-fails',
    id: 'exportFails',
    reply: [200],
    media: ['text/csv'],
    handle: async () => new StreamReply({ contentType: 'text/csv', chunks: pieces(0) }),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/export-breaks',
    id: 'exportBreaks',
    reply: [200],
    media: ['text/csv'],
    handle: async () => new StreamReply({ contentType: 'text/csv', chunks: pieces(2) }),
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/facts',
    id: 'facts',
    query: z.object({ q: z.string().optional() }),
    handle: async ({ query, request }) => ({
      q: query.q,
      ip: request.ip,
      ifMatch: request.ifMatch,
      cookies: request.cookies,
      agent: request.userAgent,
    }),
  }),
  endpoint({
    ...common,
    method: 'post',
    path: '/api/cookie',
    id: 'cookie',
    csrf: 'exempt',
    reply: [204],
    handle: async () => {
      handled += 1;
      return new Reply(undefined, {
        cookies: [
          { name: 'a', value: 'x y', maxAgeSeconds: 60 },
          { name: 'b', value: null, httpOnly: false },
        ],
      });
    },
  }),
  endpoint({
    ...common,
    method: 'get',
    path: '/api/customers/profile',
    id: 'profile',
    allow: 'session',
    handle: async () => ({ role: 'Owner' }),
  }),
];

let server: ChainServer;
beforeAll(async () => {
  server = await startChain({ endpoints: list, requestTimeoutMs: 300, corsOrigins: ['http://localhost:5173'] });
});
const call = async (path: string, init?: RequestInit) => {
  const response = await server.fetch(path, init);
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (text.startsWith('{') ? JSON.parse(text) : undefined) as Body,
  };
};
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  call(path, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', 'x-actor': 'Owner', ...headers },
  });

describe('envelope', () => {
  test('GET › plain data › data, error null, one id everywhere', async () => {
    const { status, body, headers } = await call('/api/items/5');
    expect(status).toBe(200);
    expect(body).toEqual({
      ok: true,
      data: { id: 5, name: 'bolt' },
      error: null,
      correlation_id: body['correlation_id'],
      meta: { request_id: body['correlation_id'] },
    });
    expect(headers.get('x-request-id')).toBe(body['correlation_id']);
    expect(headers.get('x-correlation-id')).toBe(body['correlation_id']);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('etag')).toBeNull();
  });
  test('JsonText with a root mirror › concatenated › same keys under data and at the root', async () => {
    const { body } = await call('/api/text');
    expect(body).toMatchObject({ ok: true, data: { id: 1, name: 'café' }, id: 1, name: 'café' });
  });
  test('mirror of a payload with reserved names › those stay under data', async () => {
    const { body } = await call('/api/mirror');
    expect(body).toMatchObject({ ok: true, a: 1, error: null, data: { a: 1, data: 2, errors: [1], meta: 3 } });
    expect(body).not.toHaveProperty('errors');
    expect(body).not.toHaveProperty('message');
    expect(body['meta']).toEqual({ request_id: body['correlation_id'] });
  });
  test('named mirror, meta and root › only what was named, reserved names ignored', async () => {
    const { body } = await call('/api/named');
    expect(body).toMatchObject({ ok: true, b: [2], extra: true, meta: { page: 1 } });
    expect(body).not.toHaveProperty('a');
  });
  test('201 › Location', async () => {
    const { status, headers } = await post('/api/items', { name: 'nut' });
    expect([status, headers.get('location')]).toEqual([201, '/api/items/1']);
  });
  test('204 › no body, no type', async () => {
    const { status, text, headers } = await call('/api/gone', { method: 'DELETE' });
    expect([status, text, headers.get('content-type')]).toEqual([204, '', null]);
  });
  test('HEAD › as GET without body', async () => {
    const { status, text, headers } = await call('/api/items/5', { method: 'HEAD' });
    expect([status, text]).toEqual([200, '']);
    expect(headers.get('content-type')).toContain('application/json');
  });
  test('a reply that does not fit its schema, or says more than it › 500 in tests', async () => {
    expect((await call('/api/bad-reply')).status).toBe(500);
    expect((await call('/api/talkative-reply')).status).toBe(500);
  });
  test('cookies › one header each, expired by date', async () => {
    const { headers } = await call('/api/cookie', { method: 'POST' });
    expect(headers.getSetCookie()).toEqual([
      'a=x%20y; Max-Age=60; Path=/; SameSite=Lax; HttpOnly',
      'b=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; SameSite=Lax',
    ]);
  });
});

describe('refusals', () => {
  test('an unknown error › 500 internal, nothing of it told', async () => {
    const { status, body, text } = await call('/api/defect');
    expect(status).toBe(500);
    expect(body).toEqual({
      ok: false,
      data: null,
      error: { code: 'internal', message: 'An unexpected internal server error occurred.' },
      message: 'An unexpected internal server error occurred.',
      correlation_id: body['correlation_id'],
      meta: { request_id: body['correlation_id'] },
    });
    expect(text).not.toContain('secret');
  });
  test('AppError › status, details, root keys', async () => {
    const { status, body } = await call('/api/conflict');
    expect(status).toBe(409);
    expect(body).toMatchObject({
      error: { code: 'conflict', message: 'Taken', details: { vin: 'already_exists' } },
      message: 'Taken',
      current_version: 2,
    });
  });
  test('412 › quoted ETag and the current resource', async () => {
    const { status, headers, body } = await call('/api/stale');
    expect([status, headers.get('etag'), body['data']]).toEqual([412, 'W/"2.x"', { current: {}, etag: '2.x' }]);
  });
  test('503 › Retry-After, reason kept', async () => {
    const { status, headers, body, text } = await call('/api/busy');
    expect([status, headers.get('retry-after'), body['retry_after'], body['error'].code]).toEqual([503, '3', 3, 'unavailable']);
    expect(text).not.toContain('pool');
  });
  test.each(['/api/nothing', '/elsewhere', '/api/items/5/more'])('%s › 404 enveloped, also for nobody', async (path) => {
    const { status, body } = await call(path);
    expect([status, body['error']]).toEqual([404, { code: 'not_found', message: 'Not found' }]);
  });
  test('a path id that names no row › 404; undecodable › 400', async () => {
    expect((await call('/api/items/abc')).status).toBe(404);
    expect((await call('/api/items/%00')).status).toBe(404);
    expect((await call('/api/items/%zz')).status).toBe(400);
  });
  test('wrong verb › 405 with Allow of every endpoint of the path', async () => {
    const { status, headers, body } = await call('/api/items/5', { method: 'PUT' });
    expect([status, headers.get('allow'), body['error'].code]).toEqual([405, 'GET, HEAD, OPTIONS, PATCH', 'method_not_allowed']);
  });
  test('literal path declared after a parameter › reached', async () => {
    expect((await call('/api/items/recent')).body['data']).toEqual([]);
  });
  test('trailing slash › tolerated without a redirect', async () => {
    expect((await call('/api/items/5/')).status).toBe(200);
  });
  test('nobody › 401 with WWW-Authenticate; wrong role › 403', async () => {
    const nobody = await call('/api/items/5', { method: 'PATCH' });
    expect([nobody.status, nobody.headers.get('www-authenticate'), nobody.body['message']]).toEqual([
      401,
      'Bearer',
      'Missing or invalid authorization token',
    ]);
    const technician = await call('/api/items/5', { method: 'PATCH', headers: { 'x-actor': 'Technician' } });
    expect([technician.status, technician.body['error']]).toEqual([403, { code: 'forbidden', message: 'Insufficient permissions' }]);
  });
  test.each([
    ['yes', 'silence', 500, 'outcome_unknown'],
    ['no', 'silence', 503, 'unavailable'],
    ['yes', 'busy', 500, 'outcome_unknown'],
    ['no', 'busy', 503, 'unavailable'],
  ])('a COMMIT that stored (%s), then %s › %i %s: a 503 promises that nothing was stored', async (stored, next, expected, code) => {
    const { status, body } = await call(`/api/stored?stored=${stored}&next=${next}`, { method: 'POST' });
    expect([status, body.error.code]).toEqual([expected, code]);
  });
  test('a handler over its time › 503 enveloped, its late result is dropped', async () => {
    const { status, body } = await call('/api/slow');
    expect([status, body['error'].code]).toEqual([503, 'unavailable']);
    release();
    expect((await call('/api/items/1')).status).toBe(200);
  });
});

describe('bodies', () => {
  test.each([
    ['not JSON', '{"name":', 400, 'invalid_json'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1'), 400, 'validation_failed'],
    ['an array', '[]', 400, 'validation_failed'],
    ['a NUL character', '{"name":"a\\u0000"}', 400, 'validation_failed'],
    ['nothing', '', 400, 'validation_failed'],
  ])('%s › %s', async (_name, body, status, code) => {
    const answer = await post('/api/items', body);
    expect([answer.status, answer.body['error'].code]).toEqual([status, code]);
  });
  test('bytes that are no UTF-8 › 400 invalid_json', async () => {
    const answer = await call('/api/items', {
      method: 'POST',
      body: Buffer.from([0x22, 0xff, 0x22]),
      headers: { 'content-type': 'application/json', 'x-actor': 'Owner' },
    });
    expect([answer.status, answer.body['error'].code]).toEqual([400, 'invalid_json']);
  });
  test('fields › one reason for each path', async () => {
    const { body } = await post('/api/items', { name: 'too long', tags: ['ok', 'long'], lines: [{ qty: 1 }, {}] });
    expect(body['error'].details).toEqual({ name: 'too_long', 'tags[1]': 'tag_too_long', 'lines[1].qty': 'required' });
    expect((await post('/api/items', { name: 5 })).body['error'].details).toEqual({ name: 'must_be_string' });
    expect((await post('/api/items', {})).body['error'].details).toEqual({ name: 'required' });
    expect((await post('/api/items', '[]')).body['error'].details).toEqual({ body: 'must_be_object' });
  });
  test('wrong type, charset or encoding › 415', async () => {
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/x-www-form-urlencoded' },
      { 'content-type': 'application/json; charset=latin1' },
      { 'content-encoding': 'gzip' },
    ] as Record<string, string>[]) {
      const answer = await post('/api/items', { name: 'a' }, headers);
      expect([answer.status, answer.body['error'].code]).toEqual([415, 'unsupported_media_type']);
    }
  });
  test('over the limit, announced or not › 413, connection usable', async () => {
    const announced = await post('/api/items', { name: 'x'.repeat(1024 * 1024) });
    expect([announced.status, announced.body['error'].code]).toEqual([413, 'payload_too_large']);
    async function* chunks() {
      for (let sent = 0; sent < 20; sent += 1) yield Buffer.alloc(100_000, 120);
    }
    const streamed = await call('/api/items', {
      method: 'POST',
      body: chunks() as never,
      duplex: 'half',
      headers: { 'content-type': 'application/json', 'x-actor': 'Owner' },
    } as RequestInit);
    expect(streamed.status).toBe(413);
    expect((await post('/api/items', { name: 'a' })).status).toBe(201);
  });
});

describe('caching', () => {
  test('revalidated representation › weak tag, private, Vary; same tag › 304 with the headers and no body', async () => {
    const first = await call('/api/cached');
    expect(first.headers.get('etag')).toBe('W/"3.hash"');
    expect(first.headers.get('cache-control')).toBe('private, no-cache');
    for (const name of ['Cookie', 'Authorization', 'X-Tenant-Id', 'Origin']) expect(first.headers.get('vary')).toContain(name);
    for (const tag of ['W/"3.hash"', '"3.hash"', '3.hash', '"x", W/"3.hash"', '*']) {
      const again = await call('/api/cached', { headers: { 'if-none-match': tag } });
      expect([again.status, again.text, again.headers.get('etag'), again.headers.get('cache-control')]).toEqual([
        304,
        '',
        'W/"3.hash"',
        'private, no-cache',
      ]);
      expect(again.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    }
    expect((await call('/api/cached', { headers: { 'if-none-match': '"3.other"' } })).status).toBe(200);
  });
  test('PATCH with If-None-Match › never 304', async () => {
    expect((await call('/api/items/1', { method: 'PATCH', headers: { 'x-actor': 'Owner', 'if-none-match': '*' } })).status).toBe(200);
  });
});

describe('headers', () => {
  test('request id › a UUID is taken over in lower case, anything else is not', async () => {
    const id = '0B2E6F0C-8C7E-4A57-9A3D-1D2E3F4A5B6C';
    expect((await call('/api/items/1', { headers: { 'x-request-id': id } })).headers.get('x-request-id')).toBe(id.toLowerCase());
    expect((await call('/api/items/1', { headers: { 'x-correlation-id': id } })).headers.get('x-request-id')).toBe(id.toLowerCase());
    expect((await call('/api/items/1', { headers: { 'x-request-id': 'abc' } })).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });
  test('security headers › on success, refusal and unknown path', async () => {
    for (const path of ['/api/items/1', '/api/conflict', '/nowhere', '/health']) {
      const { headers } = await call(path);
      expect(Object.fromEntries(headers)).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'strict-origin-when-cross-origin',
        'permissions-policy': 'geolocation=(), microphone=(), camera=()',
        'content-security-policy': expect.stringMatching(/^default-src 'self'; ?frame-ancestors 'none'; ?object-src 'none'$/),
        'x-app-version': 'test',
      });
      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('strict-transport-security')).toBeNull();
    }
  });
  test('TLS at the proxy › HSTS', async () => {
    expect((await call('/api/items/1', { headers: { 'x-forwarded-proto': 'https' } })).headers.get('strict-transport-security')).toContain(
      'max-age=31536000',
    );
  });
  test('preflight › 204 on every path with all headers allowed; foreign origin › nothing allowed', async () => {
    const ask = (path: string, origin: string) =>
      call(path, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'PATCH',
          'access-control-request-headers': 'x-tenant-id, x-csrf-token, if-match',
        },
      });
    for (const path of ['/api/items', '/customers/login', '/nowhere', '/health']) {
      const { status, headers, text } = await ask(path, 'http://localhost:5173');
      expect([
        status,
        text,
        headers.get('access-control-allow-origin'),
        headers.get('access-control-allow-credentials'),
        headers.get('access-control-max-age'),
      ]).toEqual([204, '', 'http://localhost:5173', 'true', '600']);
      for (const name of ['X-Tenant-Id', 'X-CSRF-Token', 'If-Match']) expect(headers.get('access-control-allow-headers')).toContain(name);
    }
    expect((await ask('/api/items', 'http://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
  });
  test('a refusal to another origin › readable there', async () => {
    const { status, headers } = await call('/api/customers/profile', { headers: { origin: 'http://localhost:5173' } });
    expect([status, headers.get('access-control-allow-origin')]).toEqual([401, 'http://localhost:5173']);
    expect(headers.get('access-control-expose-headers')).toContain('ETag');
    expect(headers.get('vary')).toContain('Origin');
  });
  test('large answers › compressed, small ones not', async () => {
    expect((await call('/api/big', { headers: { 'accept-encoding': 'gzip' } })).headers.get('content-encoding')).toBe('gzip');
    expect((await call('/api/items/1', { headers: { 'accept-encoding': 'gzip' } })).headers.get('content-encoding')).toBeNull();
  });
  test('facts › query, cookies, forwarded address, If-Match without quotes', async () => {
    const { body } = await call('/api/facts?q=a%20b', {
      headers: { cookie: 'x=1; y=%20z; x=2', 'if-match': 'W/"5.abc"', 'x-forwarded-for': '203.0.113.9', 'user-agent': 'probe' },
    });
    expect(body['data']).toEqual({ q: 'a b', ip: '203.0.113.9', ifMatch: '5.abc', cookies: { x: '1', y: ' z' }, agent: 'probe' });
    expect((await call('/api/facts?q=%00')).status).toBe(400);
  });
});

describe('streams', () => {
  test('pieces › sent as a file, outside the envelope', async () => {
    const { status, text, headers } = await call('/api/export');
    expect([status, text]).toEqual([200, 'line 0\r\nline 1\r\nline 2\r\n']);
    expect(headers.get('content-disposition')).toBe('attachment; filename=all_items.csv');
  });
  test('failure before the first piece › enveloped 500', async () => {
    const { status, body } = await call('/api/export-fails');
    expect([status, body['error'].code]).toEqual([500, 'internal']);
  });
  test('failure later › the connection is cut, so nobody takes it for the whole', async () => {
    await expect(call('/api/export-breaks')).rejects.toThrow();
  });
});

describe('forgery', () => {
  const cookie = 'XSRF-TOKEN=0123456789abcdef0123456789abcdef';
  const viaCookie = { 'x-via': 'cookie', cookie };
  test('write by cookie › needs the header equal to the cookie', async () => {
    expect((await post('/api/items', { name: 'a' }, viaCookie)).status).toBe(403);
    expect((await post('/api/items', { name: 'a' }, { ...viaCookie, 'x-csrf-token': 'f'.repeat(32) })).status).toBe(403);
    expect((await post('/api/items', { name: 'a' }, { ...viaCookie, 'x-csrf-token': '0123456789abcdef0123456789abcdef' })).status).toBe(
      201,
    );
    expect((await post('/api/items', { name: 'a' }, viaCookie)).body['message']).toBe('CSRF token invalid or missing');
  });
  test('bearer › needs none; the exempt endpoint neither', async () => {
    expect((await post('/api/items', { name: 'a' })).status).toBe(201);
    expect((await post('/api/cookie', {}, viaCookie)).status).toBe(204);
    expect(handled).toBeGreaterThan(0);
  });
  test('same-origin proof does not open an ordinary write', async () => {
    expect((await post('/api/items', { name: 'a' }, { ...viaCookie, 'sec-fetch-site': 'same-origin' })).status).toBe(403);
  });
  test('header-less write of the older client › same origin proven 200, foreign or unknown 403', async () => {
    const status = async (headers: Record<string, string>) => (await post('/api/admin/vehicles', {}, { ...viaCookie, ...headers })).status;
    expect(await status({ 'sec-fetch-site': 'same-origin' })).toBe(200);
    expect(await status({ origin: server.url })).toBe(200);
    expect(await status({ origin: 'http://localhost:5173' })).toBe(200);
    expect(await status({ origin: 'http://evil.example' })).toBe(403);
    expect(await status({ 'sec-fetch-site': 'cross-site', origin: 'http://evil.example' })).toBe(403);
    expect(await status({ origin: 'null' })).toBe(403);
    expect(await status({})).toBe(403);
  });
});

describe('the older client', () => {
  test('doubled prefix and un-prefixed paths › the same endpoint', async () => {
    expect((await post('/api/api/admin/vehicles', {})).status).toBe(200);
    expect((await call('/customers/profile', { headers: { 'x-actor': 'Owner' } })).status).toBe(200);
    expect((await call('/customers/profiles')).status).toBe(404);
    expect((await call('/api/api/nothing')).status).toBe(404);
  });
});

test('a client that goes away while its body is awaited › the next one is served', async () => {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1', () => {
      socket.write(
        'POST /api/items HTTP/1.1\r\nHost: x\r\nX-Actor: Owner\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"na',
        () => socket.destroy(),
      );
    });
    socket.on('close', () => resolve()).on('error', reject);
  });
  expect((await call('/api/items/1')).status).toBe(200);
});
