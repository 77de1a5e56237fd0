import { metrics } from '../../lib/metrics';
import { telemetryEndpoints } from '../../routes/telemetry.routes';
import { type ChainServer, startChain } from '../support/http';

let server: ChainServer;
beforeAll(async () => {
  server = await startChain({ endpoints: telemetryEndpoints });
});

const event = {
  event: 'page_view',
  ts_iso: '2026-03-14T16:00:00Z',
  session_id: 's1',
  event_version: 1,
  schema_version: '1',
  payload: { page: '/board' },
};
const post = (
  body: NonNullable<RequestInit['body']>,
  { type = 'application/json', ip = '203.0.113.20', ...headers }: Record<string, string> = {},
) =>
  server.fetch('/api/telemetry', {
    method: 'POST',
    body,
    headers: { ...(type ? { 'content-type': type } : {}), 'x-forwarded-for': ip, ...headers },
  });
const counted = async (outcome: string) =>
  (await metrics.telemetryEvents.get()).values.find(({ labels }) => labels['outcome'] === outcome)?.value ?? 0;

test('POST /api/telemetry › a batch of anybody, as JSON or as a beacon’s text › 204, counted, nothing sent back', async () => {
  const before = await counted('accepted');
  for (const type of ['application/json', 'text/plain;charset=UTF-8']) {
    const response = await post(JSON.stringify({ events: [event, event] }), { type });
    expect([response.status, await response.text()]).toEqual([204, '']);
  }
  expect((await counted('accepted')) - before).toBe(4);
});

test('events that are odd, too long or too many › 204, counted as dropped', async () => {
  const [accepted, dropped] = [await counted('accepted'), await counted('dropped')];
  const long = { ...event, payload: { text: 'x'.repeat(5000) } };
  expect((await post(JSON.stringify({ events: [event, { event: 1 }, 'x', long] }))).status).toBe(204);
  expect((await post(JSON.stringify({ events: Array.from({ length: 60 }, () => event) }))).status).toBe(204);
  expect((await post(JSON.stringify({ events: 'none' }))).status).toBe(204);
  expect((await post('')).status).toBe(204);
  expect([(await counted('accepted')) - accepted, (await counted('dropped')) - dropped]).toEqual([51, 13]);
});

test('over 64 KB › 413; not JSON › 400; another type › 415', async () => {
  const answers = [
    await post(JSON.stringify({ events: [], pad: 'x'.repeat(65_536) })),
    await post('{'),
    await post('a=b', { type: 'application/x-www-form-urlencoded' }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([413, 400, 415]);
});

test('a cookie session without the CSRF header › 204 all the same: a beacon sends none', async () => {
  expect((await post(JSON.stringify({ events: [event] }), { 'x-actor': 'Owner', 'x-via': 'cookie' })).status).toBe(204);
});

test('31 posts of one address within a minute › the last 429 with Retry-After', async () => {
  const statuses: number[] = [];
  let wait: string | null = null;
  for (let sent = 0; sent < 31; sent += 1) {
    const response = await post('{}', { ip: '203.0.113.21' });
    statuses.push(response.status);
    wait = response.headers.get('retry-after');
  }
  expect(statuses.filter((status) => status === 204)).toHaveLength(30);
  expect(statuses.at(-1)).toBe(429);
  expect(Number(wait)).toBeGreaterThan(0);
});
