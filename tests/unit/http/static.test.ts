/** An application's files beside the API, through the whole chain. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { endpoint } from '../../../routes/endpoint';
import { isHashed, staticFiles } from '../../../server/http/static';
import { type ChainServer, startChain } from '../../support/http';

const PAGE = '<!doctype html><title>Shop</title><script type="module" src="/assets/index-BxY12abc.js"></script>';
const SCRIPT = `console.log(${JSON.stringify('wrench '.repeat(1_000))});`;
const YEAR = 'public, max-age=31536000, immutable';
const NAVIGATION = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'sec-fetch-mode': 'navigate' };

const temporary = mkdtempSync(join(tmpdir(), 'autoshop-static-'));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

function application(): string {
  const folder = join(temporary, 'spa');
  mkdirSync(join(folder, 'assets'), { recursive: true });
  mkdirSync(join(folder, 'api'));
  const files = {
    'index.html': PAGE,
    'favicon.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
    'assets/index-BxY12abc.js': SCRIPT,
    'assets/logo.png': 'png',
    'api/secret.txt': 'shadow',
    '.env': 'SECRET=1',
    items: 'a file of the name of an endpoint',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  writeFileSync(join(folder, '..', 'outside.txt'), 'outside');
  return folder;
}

let server: ChainServer;
beforeAll(async () => {
  const item = { allow: 'public', tenant: 'optional', tag: 'Test', reply: [200, z.object({ item: z.number() })] } as const;
  server = await startChain({
    staticDir: application(),
    endpoints: [
      endpoint({ ...item, method: 'get', path: '/api/items', id: 'listItems', summary: 'Items', handle: async () => ({ item: 1 }) }),
      endpoint({ ...item, method: 'get', path: '/items', id: 'listItemsAtRoot', summary: 'Items', handle: async () => ({ item: 2 }) }),
      endpoint({
        ...item,
        method: 'post',
        path: '/write',
        id: 'writeItem',
        summary: 'Item',
        csrf: 'exempt',
        handle: async () => ({ item: 3 }),
      }),
    ],
  });
});

const read = async (path: string, init?: RequestInit) => {
  const response = await server.fetch(path, init);
  return { status: response.status, text: await response.text(), header: (name: string) => response.headers.get(name) };
};

/** As a browser sends it: `fetch` here would add headers of its own and undo the compression. */
const rawRead = (path: string, headers: Record<string, string>): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }> =>
  new Promise((resolve, reject) => {
    get({ port: server.port, path, headers }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(pieces) }));
    }).on('error', reject);
  });

test.each(['/', '/index.html', '/admin/dashboard', '/booking?from=mail', '/admin/customers/12', '/a/b/c/'])(
  '%s › the page, asked for again each time, with a policy of its own',
  async (path) => {
    const { status, text, header } = await read(path, { headers: NAVIGATION });
    expect([status, text, header('content-type'), header('cache-control')]).toEqual([200, PAGE, 'text/html; charset=utf-8', 'no-cache']);
    expect(header('content-security-policy')).toContain("style-src 'self' 'unsafe-inline'");
    expect(header('content-security-policy')).toContain("default-src 'self'");
    expect([header('x-content-type-options'), header('x-frame-options')]).toEqual(['nosniff', 'DENY']);
    expect(header('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  },
);

test('the page again › 304', async () => {
  const etag = (await read('/', { headers: NAVIGATION })).header('etag') as string;
  const { status, body } = await rawRead('/admin/board', { ...NAVIGATION, 'If-None-Match': etag });
  expect([status, body.length]).toEqual([304, 0]);
});

test('a hashed file › kept for a year; other files are asked for again', async () => {
  const script = await read('/assets/index-BxY12abc.js');
  expect([script.status, script.text, script.header('cache-control')]).toEqual([200, SCRIPT, YEAR]);
  expect(script.header('content-type')).toContain('text/javascript');
  expect((await read('/favicon.svg')).header('cache-control')).toBe('no-cache');
  expect((await read('/assets/logo.png')).header('cache-control')).toBe('no-cache');
});

test.each(['gzip', 'br'])('a client that takes %s › compressed, and told to caches', async (encoding) => {
  const { headers, body } = await rawRead('/assets/index-BxY12abc.js', { 'accept-encoding': encoding });
  expect([headers['content-encoding'], headers['vary'], headers['cache-control']]).toEqual([
    encoding,
    expect.stringContaining('Accept-Encoding'),
    YEAR,
  ]);
  expect(body.length).toBeLessThan(SCRIPT.length / 10);
  if (encoding === 'gzip') expect(gunzipSync(body).toString()).toBe(SCRIPT);
});

test('endpoints come first › also where a file has their name', async () => {
  expect(JSON.parse((await read('/api/items', { headers: NAVIGATION })).text).data).toEqual({ item: 1 });
  expect(JSON.parse((await read('/items', { headers: NAVIGATION })).text).data).toEqual({ item: 2 });
  expect((await read('/write', { headers: NAVIGATION })).status).toBe(405);
});

test.each([
  ['/api/nothing', 'an unknown path of the API'],
  ['/api/secret.txt', 'a file under the API’s prefix'],
  ['/api', 'the prefix alone'],
  ['/assets/index-00000000.js', 'a file of an older build'],
  ['/.env', 'a hidden file'],
  ['/..%2foutside.txt', 'a file outside of the folder'],
  ['/%2e%2e/outside.txt', 'the same in another spelling'],
  ['/assets%00.js', 'a NUL'],
])('%s › %s › 404 in JSON, never the page', async (path) => {
  const { status, text, header } = await read(path, { headers: NAVIGATION });
  expect([status, JSON.parse(text).error.code, header('cache-control')]).toEqual([404, 'not_found', 'no-store']);
});

test('a script that asks for what is not there › 404, no page', async () => {
  expect((await read('/admin/customers/12', { headers: { accept: 'application/json' } })).status).toBe(404);
  expect((await read('/admin/customers/12')).status).toBe(404);
});

test.each(['POST', 'PUT', 'DELETE'])('%s to a page › 404 in JSON', async (method) => {
  const { status, text } = await read('/admin/dashboard', { method, headers: NAVIGATION });
  expect([status, JSON.parse(text).error.code]).toEqual([404, 'not_found']);
});

test('HEAD › the head alone', async () => {
  const { status, text, header } = await read('/admin/dashboard', { method: 'HEAD', headers: NAVIGATION });
  expect([status, text, header('content-type')]).toEqual([200, '', 'text/html; charset=utf-8']);
});

test.each([
  ['/assets/index-BxY12abc.js', true],
  ['/assets/vendor-abcdEFGH.css.map', true],
  ['/static/js/main.8a7b6c5d.chunk.js', true],
  ['/main.8a7b6c5d9e.js', true],
  ['/assets/logo.png', false],
  ['/assets/cookie-settings.js', false],
  ['/icon-AppleTouch.png', false],
  ['/report-20260101.pdf', false],
  ['/index.html', false],
  ['/manifest.webmanifest', false],
])('%s › hashed: %s', (path, hashed) => {
  expect(isHashed(path)).toBe(hashed);
});

test('a folder without index.html › refused at start', () => {
  expect(() => staticFiles(temporary)).toThrow(/has no index\.html/);
});
