import { admin } from '../support/database';
import { createStaff, createTenant, type Tenant } from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';
import { countWarmStatements } from '../support/warm-statements';

const PATH = '/api/admin/audit-logs';
let app: TestApp;
let tenant: Tenant;
let owner: Agent;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant({ timeZone: 'Pacific/Auckland' });
  owner = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
  // Three rows share each instant, so that pages must break ties.
  await admin(
    `INSERT INTO audit_logs (tenant_id, user_id, role, action, entity, entity_id, before, after, ip, created_at)
      SELECT $1, 'user-' || n % 2, 'Advisor', CASE WHEN n % 3 = 0 THEN 'STATUS_CHANGE' ELSE 'APPT_PATCH' END,
        CASE WHEN n % 5 = 0 THEN 'invoice' ELSE 'appointment' END, (n % 4)::text, jsonb_build_object('n', n), NULL, '192.0.2.7',
        timestamptz '2026-06-30 12:00:00.123456Z' + (n / 3) * interval '1 hour'
      FROM generate_series(0, 59) n`,
    [tenant.id],
  );
  const foreign = await createTenant();
  await admin(
    `INSERT INTO audit_logs (tenant_id, user_id, action, entity, entity_id) VALUES ($1, 'user-1', 'FOREIGN', 'appointment', '1')`,
    [foreign.id],
  );
});

interface Item {
  id: string;
  action: string;
  entity: string;
  entity_id: string;
  user_id: string;
  before: { n: number };
  created_at: string;
}
async function read(query: object): Promise<{ items: Item[]; nextCursor: string | null }> {
  const { status, body } = await owner.get(PATH).query(query);
  expect([status, body.error]).toEqual([200, null]);
  return body.data;
}
const numbers = (items: Item[]): number[] => items.map(({ before }) => before.n).sort((a, b) => a - b);
const where = (test: (n: number) => boolean): number[] => Array.from({ length: 60 }, (_, n) => n).filter(test);

test('an entry › all its fields; newest first; fifty of them', async () => {
  const { items, nextCursor } = await read({});
  expect(items).toHaveLength(50);
  expect(nextCursor).toEqual(expect.any(String));
  const times = items.map(({ created_at }) => created_at);
  expect(times).toEqual([...times].sort().reverse());
  expect(items.find(({ before }) => before.n === 57)).toEqual({
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    action: 'STATUS_CHANGE',
    entity: 'appointment',
    entity_id: '1',
    user_id: 'user-1',
    role: 'Advisor',
    before: { n: 57 },
    after: null,
    ip: '192.0.2.7',
    created_at: '2026-07-01T07:00:00.123Z',
  });
});

test.each([1, 7, 20, 60])('page by page, %i at a time › every row once, in one order, by one statement', async (limit) => {
  const seen: Item[] = [];
  let cursor: string | null = null;
  do {
    const query: object = cursor === null ? { limit } : { limit, cursor };
    const { result, statements } = await countWarmStatements(() => read(query));
    expect([result.items.length <= limit, statements.length]).toEqual([true, 1]);
    seen.push(...result.items);
    cursor = result.nextCursor;
  } while (cursor !== null);
  expect(numbers(seen)).toEqual(where(() => true));
  const all = (await read({ limit: 200 })).items;
  expect(seen.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
});

test.each<[object, (n: number) => boolean]>([
  [{ entity: 'invoice' }, (n) => n % 5 === 0],
  [{ entity: 'appointment', entity_id: '3' }, (n) => n % 5 !== 0 && n % 4 === 3],
  [{ action: 'STATUS_CHANGE' }, (n) => n % 3 === 0],
  [{ user_id: 'user-1', action: 'APPT_PATCH' }, (n) => n % 2 === 1 && n % 3 !== 0],
  [{ user_id: 'nobody' }, () => false],
  // The first row is at midnight of July in the shop, a fraction of a second later.
  [{ from: '2026-07-01', to: '2026-07-01' }, () => true],
  [{ to: '2026-06-30' }, () => false],
  [{ from: '2026-06-30T13:00:00Z', to: '2026-06-30T14:00:00Z' }, (n) => n >= 3 && n < 6],
])('%j › those rows', async (query, test) => {
  expect(numbers((await read({ ...query, limit: 200 })).items)).toEqual(where(test));
});

test.each([
  [{ limit: 0 }, "Invalid 'limit' parameter"],
  [{ limit: 201 }, "Invalid 'limit' parameter"],
  [{ limit: 'ten' }, "Invalid 'limit' parameter"],
  [{ from: 'monday' }, "Invalid 'from' date format"],
  [{ to: 'friday' }, "Invalid 'to' date format"],
  [{ cursor: 'nonsense' }, 'Invalid cursor'],
  [{ cursor: Buffer.from('2026-99-01T00:00:00.000000Z|00000000-0000-0000-0000-000000000000').toString('base64url') }, 'Invalid cursor'],
])('%j › 400', async (query, message) => {
  const { status, body } = await owner.get(PATH).query(query);
  expect([status, body.error]).toEqual([400, { code: 'bad_request', message }]);
});

test.each(['Advisor', 'Accountant', 'Technician'] as const)('%s › 403', async (role) => {
  const agent = await actAs(app, await createStaff({ tenant, role }));
  expect((await agent.get(PATH)).status).toBe(403);
});
