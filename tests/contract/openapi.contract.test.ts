import { execFileSync } from 'node:child_process';
import { endpoints } from '../../routes';
import { buildOpenApi } from '../../server/http/openapi';
import { type ChainServer, startChain } from '../support/http';

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  security: Record<string, unknown>[];
  responses: Record<string, { description: string }>;
  parameters?: { in?: string; name?: string }[];
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
}

const document = JSON.parse(JSON.stringify(buildOpenApi())) as Document;
const operations = Object.entries(document.paths).flatMap(([path, verbs]) =>
  Object.entries(verbs).map(([verb, operation]) => ({ path, verb, operation })),
);
const documented = (path: string) => path.replace(/:(\w+)/g, '{$1}');

/** The validator is an ES module, which Jest cannot load: it runs in a process of its own. */
const VALIDATE = `
import { Validator } from '@seriousme/openapi-schema-validator';
import { text } from 'node:stream/consumers';
const { valid, errors } = await new Validator().validate(JSON.parse(await text(process.stdin)));
process.stdout.write(JSON.stringify({ valid, errors }));`;

const validate = (specification: unknown) =>
  JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '--eval', VALIDATE], { input: JSON.stringify(specification), encoding: 'utf8' }),
  ) as { valid: boolean; errors?: unknown };

test('the document is valid OpenAPI 3.1', () => {
  expect(document.openapi).toMatch(/^3\.1\./);
  expect(validate(document)).toEqual({ valid: true });
  // The validator does refuse: a document without its title is none.
  expect(validate({ ...document, info: {} }).valid).toBe(false);
});

test('every reference leads somewhere', () => {
  const missing = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)]
    .map(([, pointer = '']) => pointer)
    .filter(
      (pointer) =>
        pointer.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document) === undefined,
    );
  expect(missing).toEqual([]);
});

test('every served operation and alias is listed, and nothing else but the probes and this document', () => {
  const served = endpoints.flatMap(({ method, path, aliases = [] }) => [path, ...aliases].map((one) => `${method} ${documented(one)}`));
  const listed = operations.filter(({ operation }) => operation.tags[0] !== 'Operations').map(({ path, verb }) => `${verb} ${path}`);
  expect(listed.sort()).toEqual(served.sort());
});

test('ids are unique camelCase, each operation has words, a section and its refusals', () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  for (const { path, verb, operation } of operations) {
    expect(operation.operationId).toMatch(/^[a-z][A-Za-z0-9]*$/);
    expect(`${verb} ${path}: ${operation.summary}`).toMatch(/: [A-Z].{4,}/);
    expect(operation.tags).toHaveLength(1);
    const codes = Object.keys(operation.responses);
    expect(codes.some((code) => code.startsWith('2'))).toBe(true);
    if (operation.tags[0] !== 'Operations') expect(codes).toEqual(expect.arrayContaining(['429', '500', '503']));
    for (const [, name] of path.matchAll(/\{(\w+)\}/g))
      expect(operation.parameters?.some((one) => one.in === 'path' && one.name === name)).toBe(true);
  }
});

test('security is what the endpoint allows', () => {
  for (const { method, path, allow } of endpoints) {
    const security = document.paths[documented(path)]?.[method]?.security ?? [];
    expect(security.some((scheme) => Object.keys(scheme).length === 0)).toBe(allow === 'public');
    expect(security.flatMap((scheme) => Object.keys(scheme)).sort()).toEqual(['bearer', 'cookie']);
  }
});

describe('as served', () => {
  let server: ChainServer;
  beforeAll(async () => {
    server = await startChain({});
  });

  test('GET /api/openapi.json › anybody gets the document of this service', async () => {
    const response = await server.fetch('/api/openapi.json');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(document);
  });

  test('GET /api/docs › a page that loads only files of this origin, with the ordinary content policy', async () => {
    const page = await server.fetch('/api/docs');
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    const html = await page.text();
    const assets = [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, url = '']) => url);
    expect(assets.length).toBeGreaterThan(2);
    for (const url of assets) {
      expect(url).toMatch(/^\//);
      expect((await server.fetch(url)).status).toBe(200);
    }
    expect(html).not.toMatch(/<style|<script>|\son\w+=/);
    expect((await server.fetch('/api/docs', { method: 'POST' })).status).toBe(405);
  });
});
