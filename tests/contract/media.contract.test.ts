/** Replies outside the envelope: what is sent is what the document says, for every such endpoint. */
import { closePdfThread } from '../../lib/pdf/pool';
import { overrideRate } from '../../lib/rate-limit';
import { endpoints } from '../../routes';
import type { Endpoint } from '../../routes/endpoint';
import { buildOpenApi } from '../../server/http/openapi';
import { closeLater } from '../support/closers';
import { createFullShop, type FullShop } from '../support/full-shop';
import { type Agent, startApp } from '../support/server';
import { actAs } from '../support/sessions';

interface Operation {
  responses: Record<string, { content?: Record<string, unknown> }>;
}
const paths = (buildOpenApi() as { paths: Record<string, Record<string, Operation>> }).paths;
const files = endpoints.filter(({ media }) => media !== undefined);
const pathsOf = ({ path, aliases = [] }: Endpoint): string[] => [path, ...aliases];

let shop: FullShop;
let agent: Agent;
beforeAll(async () => {
  const app = await startApp();
  overrideRate('export', { limit: 1_000, windowMs: 60_000 });
  shop = await createFullShop();
  agent = await actAs(app, shop.owner);
  closeLater(closePdfThread);
});

test('a reply has a schema, or media types, or no body; never two of them', () => {
  const wrong = endpoints.filter(({ reply: [status, schema], media }) => {
    const ways = [schema !== undefined, media !== undefined, status === 204].filter(Boolean).length;
    return ways !== 1;
  });
  expect(wrong.map(({ id }) => id)).toEqual([]);
  expect(files.length).toBeGreaterThan(9);
});

test.each(files.flatMap((file) => pathsOf(file).map((path): [string, Endpoint] => [path, file])))(
  'GET %s › the types served are those declared, and only those',
  async (path, { media = [], method }) => {
    const declared = Object.keys(paths[path.replace(/:(\w+)/g, '{$1}')]?.[method]?.responses['200']?.content ?? {});
    expect(declared.sort()).toEqual([...media].sort());
    const served = new Set<string>();
    // Where the caller can choose, each choice.
    for (const query of media.includes('application/json') ? [{}, { format: 'csv' }, { format: 'json' }] : [{}]) {
      const { status, headers } = await agent.get(path.replace(':id', shop.invoice.id)).query(query);
      expect([path, query, status]).toEqual([path, query, 200]);
      served.add(String(headers['content-type']).split(';')[0] as string);
    }
    expect([...served].sort()).toEqual(declared);
  },
);

test('JSON answers › their type is the declared one, with its character set', async () => {
  const { headers } = await agent.get('/api/admin/invoices');
  expect(headers['content-type']).toBe('application/json; charset=utf-8');
  expect(Object.keys(paths['/api/admin/invoices']?.['get']?.responses['200']?.content ?? {})).toEqual(['application/json']);
});
