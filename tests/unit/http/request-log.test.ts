import Transport from 'winston-transport';
import { z } from 'zod';
import { context } from '../../../lib/context';
import { BadRequest } from '../../../lib/errors';
import { log } from '../../../lib/log';
import { metrics, registry } from '../../../lib/metrics';
import { endpoint } from '../../../routes/endpoint';
import { drainRecorder } from '../../../server/ops/recorder';
import { type ChainServer, startChain, TENANT } from '../../support/http';

type Line = Record<string, unknown>;
const lines: Line[] = [];
let noticed: () => void = () => undefined;
/** The slow endpoint is at work. */
let arrived: () => void = () => undefined;

class Memory extends Transport {
  override log(info: Line, done: () => void): void {
    lines.push(info);
    noticed();
    done();
  }
}

let server: ChainServer;
const common = { method: 'get', summary: 'x', tag: 'Test', reply: [200, z.unknown()] } as const;
beforeAll(async () => {
  log.level = 'info';
  log.clear().add(new Memory());
  server = await startChain({
    endpoints: [
      endpoint({
        ...common,
        path: '/api/things/:id',
        id: 'getThing',
        allow: ['Owner'],
        handle: async () => {
          const { stats } = context();
          stats.queries += 2;
          stats.dbMs += 7.25;
          return {};
        },
      }),
      endpoint({
        ...common,
        path: '/api/slow',
        id: 'slowThing',
        allow: 'public',
        query: z.object({ ms: z.string().default('60') }),
        handle: ({ query }) => {
          arrived();
          // The time it takes is what is tested: longer than a slow request's limit, or than its client stays.
          return new Promise((resolve) => setTimeout(resolve, Number(query.ms), {}));
        },
      }),
      endpoint({
        ...common,
        path: '/api/odd',
        id: 'oddThing',
        allow: 'public',
        query: z.object({ n: z.literal('1') }),
        invalid: () => new BadRequest('n must be 1', { code: 'bad_n' }),
        handle: async () => ({}),
      }),
    ],
  });
});
beforeEach(() => {
  lines.length = 0;
});

/** The request's line is written when its answer has left, which may be after the client has it. */
const line = (): Promise<Line> =>
  new Promise((resolve) => {
    const look = () => {
      const found = lines.find(({ message }) => message === 'request');
      if (found) resolve(found);
    };
    noticed = look;
    look();
  });
const value = async (name: string, labels: Record<string, unknown>) => {
  const { values } = await (registry.getSingleMetric(name) as typeof metrics.requests).get();
  return (
    values.find((one) => Object.entries(labels).every(([key, wanted]) => String(one.labels[key as never]) === String(wanted)))?.value ?? 0
  );
};

test('one line for each request › who, what, how long, how much; no query string, no token', async () => {
  const response = await server.fetch('/api/things/5?email=ann@example.com', {
    headers: { 'x-actor': 'Owner', authorization: 'Bearer abcdefghijklmnop' },
  });
  const body = await response.text();
  const found = await line();
  expect(found).toMatchObject({
    level: 'info',
    request_id: response.headers.get('x-request-id'),
    operation: 'getThing',
    tenant: TENANT.id,
    actor: 'owner-1',
    method: 'GET',
    path: '/api/things/5',
    route: 'getThing',
    status: 200,
    queries: 2,
    db_ms: 7.3,
  });
  expect(found['ms']).toBeGreaterThan(0);
  expect(found['bytes']).toBeGreaterThan(body.length);
  expect(JSON.stringify(lines)).not.toMatch(/ann@|abcdefgh/);
  expect(found).not.toHaveProperty('slow');
});

test('a refusal › its code in the line, its class in the metrics, under the endpoint’s name', async () => {
  const before = await value('autoshop_http_requests_total', { route: 'oddThing', status: 400 });
  const response = await server.fetch('/api/odd?n=2');
  expect(((await response.json()) as { error: unknown }).error).toEqual({ code: 'bad_n', message: 'n must be 1' });
  expect(await line()).toMatchObject({ status: 400, code: 'bad_n', route: 'oddThing' });
  expect((await value('autoshop_http_requests_total', { route: 'oddThing', status: 400 })) - before).toBe(1);
  expect(await value('autoshop_http_request_duration_seconds', { route: 'oddThing', status_class: '4xx', le: '30' })).toBeGreaterThan(0);
});

test('slower than LOG_SLOW_REQUEST_MS (1 s) › a warning that says so, counted and kept for the stats', async () => {
  drainRecorder();
  const response = await server.fetch('/api/slow?ms=1020');
  expect(await line()).toMatchObject({ level: 'warn', slow: true, route: 'slowThing' });
  expect(drainRecorder().recent.slow_requests).toMatchObject([
    { request_id: response.headers.get('x-request-id'), route: 'GET slowThing' },
  ]);
  expect(await value('autoshop_http_slow_requests_total', { route: 'slowThing' })).toBe(1);
});

test('unknown paths › one label for all of them; probes under their path', async () => {
  for (const path of ['/api/a1', '/api/b2']) await server.fetch(path);
  const unmatched = () => lines.filter(({ route }) => route === 'unmatched');
  while (unmatched().length < 2) await new Promise((resolve) => setImmediate(resolve));
  await server.fetch('/health/live');
  expect(unmatched()).toHaveLength(2);
  const labels = (await metrics.requests.get()).values.map(({ labels: { route } }) => String(route));
  expect(labels.filter((route) => route.includes('a1') || route.includes('b2'))).toEqual([]);
});

test('a client that leaves › counted as aborted, and said', async () => {
  const before = await value('autoshop_http_requests_aborted_total', {});
  const client = new AbortController();
  // Not before the request has arrived: one that never did is not counted.
  const begun = new Promise<void>((resolve) => (arrived = resolve));
  const left = expect(server.fetch('/api/slow?ms=1000', { signal: client.signal })).rejects.toThrow();
  await begun;
  client.abort();
  await left;
  expect(await line()).toMatchObject({ route: 'slowThing', aborted: true });
  expect((await value('autoshop_http_requests_aborted_total', {})) - before).toBe(1);
});
