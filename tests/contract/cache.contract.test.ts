/**
 * What is cached is right: each cached endpoint names exactly the tables that its statements read, its handler writes nothing, and
 * after every kind of write that touches one of them its reply is what it would be without a cache.
 */

import { replyBackend, setReplyBackend } from '../../lib/cache/replies';
import { CACHED_TABLES, CASCADES, type CachedTable, writtenTables } from '../../lib/cache/tables';
import { observeStatements } from '../../lib/db';
import type { Statement } from '../../lib/db-client';
import { overrideRate } from '../../lib/rate-limit';
import { endpoints } from '../../routes';
import type { Endpoint } from '../../routes/endpoint';
import { closeLater } from '../support/closers';
import { admin } from '../support/database';
import { createCustomer, createServiceOperation, createVehicle } from '../support/factories';
import { createFullShop, type FullShop } from '../support/full-shop';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const cached = endpoints.filter(
  (endpoint): endpoint is Endpoint & { cache: NonNullable<Endpoint['cache']> } => endpoint.cache !== undefined,
);
/** Also what a query makes them read. */
const QUERIES: Readonly<Record<string, string>> = {
  listMessageTemplates: '?appointment_status=SCHEDULED&includeInactive=true',
  listTechnicians: '?includeInactive=true',
};
const pathOf = ({ id, path }: Endpoint): string => `${path}${QUERIES[id] ?? ''}`;

let app: TestApp;
let shop: FullShop;
let owner: Agent;
beforeAll(async () => {
  app = await startApp();
  shop = await createFullShop();
  owner = await actAs(app, shop.owner);
  closeLater(overrideRate('session', { limit: 1_000_000, windowMs: 60_000 }));
  closeLater(overrideRate('anonymous', { limit: 1_000_000, windowMs: 60_000 }));
});

interface Plan {
  'Relation Name'?: string;
  Plans?: Plan[];
}
const relationsOf = (plan: Plan): string[] => [plan['Relation Name'] ?? [], ...(plan.Plans ?? []).map(relationsOf)].flat();

async function relationsRead({ text, values }: Statement): Promise<string[]> {
  const [row] = await admin<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (FORMAT JSON) ${text}`, values);
  return relationsOf((row as { 'QUERY PLAN': [{ Plan: Plan }] })['QUERY PLAN'][0].Plan);
}

async function statementsOf(id: string, work: () => Promise<unknown>): Promise<Statement[]> {
  const seen: Statement[] = [];
  const stop = observeStatements((statement) => {
    if (statement.operation === id) seen.push(statement);
  });
  await work();
  stop();
  return seen.filter(({ text }) => !/FROM (sessions s|tenants)\b/.test(text));
}

test('the list of cached tables › those that some cached endpoint reads, no more', () => {
  expect([...new Set(cached.flatMap(({ cache }) => cache.reads))].sort()).toEqual([...CACHED_TABLES]);
});

test('deletions › the cascades are those of the foreign keys', async () => {
  const rows = await admin<{ parent: string; child: string }>(
    `SELECT confrelid::regclass::text AS parent, conrelid::regclass::text AS child FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'c'`,
  );
  const children = (table: string): string[] =>
    rows.filter(({ parent }) => parent === table).flatMap(({ child }) => [child, ...children(child)]);
  const known = new Set<string>(CACHED_TABLES);
  const expected = Object.fromEntries(
    [...new Set(rows.map(({ parent }) => parent))]
      .map((parent) => [parent, [...new Set(children(parent))].filter((child) => known.has(child)).sort()] as const)
      .filter(([, found]) => found.length > 0),
  );
  expect(CASCADES).toEqual(expected);
});

test.each(cached.map((endpoint) => [endpoint.id, endpoint] as const))(
  '%s › reads the tables that it names, and writes nothing',
  async (id, endpoint) => {
    const asked = [owner];
    if (endpoint.allow === 'public') asked.push(app.agent().set('X-Tenant-Id', shop.tenant.id));
    const statements: Statement[] = [];
    for (const agent of asked)
      statements.push(...(await statementsOf(id, async () => expect((await agent.get(pathOf(endpoint))).status).toBe(200))));
    expect(statements.length).toBeGreaterThan(0);
    expect(statements.flatMap(({ text }) => writtenTables(text))).toEqual([]);
    expect(statements.filter(({ text }) => /\b(insert|update|delete)\s/i.test(text))).toEqual([]);
    const read = new Set((await Promise.all(statements.map(relationsRead))).flat());
    expect([...read].sort()).toEqual([...endpoint.cache.reads].sort());
  },
);

test.each(cached.map((endpoint) => [endpoint.id, endpoint] as const))(
  '%s › asked again: no statement, the same reply, under another id',
  async (id, endpoint) => {
    const first = await owner.get(pathOf(endpoint));
    let second = first;
    const statements = await statementsOf(id, async () => {
      second = await owner.get(pathOf(endpoint));
    });
    expect([statements.map(({ text }) => text), second.status, second.headers['x-cache']]).toEqual([[], 200, 'hit']);
    expect(bodyOf(second.body)).toEqual(bodyOf((await owner.get(pathOf(endpoint))).body));
    expect(second.body.correlation_id).not.toBe(first.body.correlation_id);
    expect(second.body.correlation_id).toBe(second.headers['x-request-id']);
  },
);

/** Without what is another's each time. */
function bodyOf(body: unknown): string {
  return (
    JSON.stringify(body)
      .replace(/"(correlation_id|request_id)":"[^"]*"/g, '')
      .replace(/"generatedAt":"[^"]*"/g, '')
      .replace(/"hit":(true|false)/g, '')
      // The end of a range that ends now.
      .replace(/"to":"\d{4}-[^"]*T[^"]*"/g, '')
  );
}

interface Write {
  name: string;
  act: (known: Map<string, string>) => Promise<{ status: number; body: { data?: unknown } }>;
}
function idIn(body: unknown, ...path: string[]): string {
  const id = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | null)?.[key], body);
  if (id === undefined || id === null) throw new Error(`No ${path.join('.')} in ${JSON.stringify(body)}`);
  return String(id);
}
/** Not in a moment: what is to come may be of tomorrow, and would begin while the replies are compared. */
const now = () => new Date().toISOString();

/** Every kind of write that a staff member can do to what is cached, in an order in which each one works. */
const WRITES: readonly Write[] = [
  {
    name: 'a customer is changed',
    act: () => owner.patch(`/api/admin/customers/${shop.customer.id}`).send({ name: `Renamed ${shop.mark}` }),
  },
  { name: 'a vehicle is changed', act: () => owner.patch(`/api/admin/vehicles/${shop.vehicle.id}`).send({ model: 'Changed' }) },
  {
    name: 'an appointment is booked',
    act: async (known) => {
      const customer = await createCustomer({ tenant: shop.tenant });
      const vehicle = await createVehicle({ customer });
      const answer = await owner
        .post('/api/admin/appointments')
        .send({ customer_id: String(customer.id), vehicle_id: String(vehicle.id), start_ts: now() });
      known.set('appointment', idIn(answer.body, 'data', 'id'));
      return answer;
    },
  },
  {
    name: 'it gets a technician',
    act: (known) => owner.patch(`/api/appointments/${known.get('appointment')}`).send({ tech_id: shop.technician.id }),
  },
  {
    name: 'a line is added',
    act: async (known) => {
      const operation = await createServiceOperation({ tenant: shop.tenant, columns: { default_price_cents: 10_000 } });
      const answer = await owner
        .post(`/api/appointments/${known.get('appointment')}/services`)
        .send({ service_operation_id: operation.id });
      known.set('line', idIn(answer.body, 'data', 'service', 'id'));
      return answer;
    },
  },
  {
    name: 'a line is changed',
    act: (known) =>
      owner.patch(`/api/appointments/${known.get('appointment')}/services/${known.get('line')}`).send({ estimated_price: 50 }),
  },
  { name: 'the car arrives', act: (known) => owner.post(`/api/appointments/${known.get('appointment')}/check-in`).send({}) },
  { name: 'work begins', act: (known) => owner.post(`/api/appointments/${known.get('appointment')}/start`).send({}) },
  {
    name: 'it is moved on the board',
    act: (known) => owner.patch(`/api/admin/appointments/${known.get('appointment')}/move`).send({ status: 'READY', position: 1 }),
  },
  { name: 'work is done', act: (known) => owner.post(`/api/appointments/${known.get('appointment')}/complete`).send({}) },
  { name: 'the car leaves', act: (known) => owner.post(`/api/appointments/${known.get('appointment')}/check-out`).send({}) },
  {
    name: 'it is invoiced',
    act: async (known) => {
      const answer = await owner.post(`/api/admin/appointments/${known.get('appointment')}/invoice`);
      known.set('invoice', idIn(answer.body, 'data', 'invoice', 'id'));
      return answer;
    },
  },
  {
    name: 'a part is paid',
    act: async (known) => {
      const answer = await owner.post(`/api/admin/invoices/${known.get('invoice')}/payments`).send({ amountCents: 1_000, method: 'cash' });
      known.set('payment', idIn(answer.body, 'data', 'payment', 'id'));
      return answer;
    },
  },
  {
    name: 'a payment is void',
    act: (known) =>
      owner.post(`/api/admin/invoices/${known.get('invoice')}/payments/${known.get('payment')}/void`).send({ reason: 'mistake' }),
  },
  {
    name: 'another part is paid',
    act: (known) => owner.post(`/api/admin/invoices/${known.get('invoice')}/payments`).send({ amountCents: 1_000, method: 'cash' }),
  },
  {
    name: 'a part is given back',
    act: (known) => owner.post(`/api/admin/invoices/${known.get('invoice')}/refunds`).send({ amountCents: 500, method: 'cash' }),
  },
  {
    name: 'the invoice is void',
    act: (known) => owner.post(`/api/admin/invoices/${known.get('invoice')}/void`).send({ reason: 'mistake' }),
  },
  {
    name: 'an appointment is deleted',
    act: async () => {
      const { body } = await owner.post('/api/admin/appointments').send({ customer_id: String(shop.customer.id), start_ts: now() });
      return owner.delete(`/api/appointments/${idIn(body, 'data', 'id')}`);
    },
  },
  {
    name: 'a technician is added',
    act: async (known) => {
      const answer = await owner.post('/api/admin/technicians').send({ name: 'New', initials: 'ZZ' });
      known.set('technician', idIn(answer.body, 'data', 'id'));
      return answer;
    },
  },
  {
    name: 'a technician leaves',
    act: (known) => owner.patch(`/api/admin/technicians/${known.get('technician')}`).send({ isActive: false }),
  },
  {
    name: 'an operation is added',
    act: async (known) => {
      const answer = await owner.post('/api/admin/service-operations').send({ name: 'Polish', category: 'DETAIL', default_price: 10 });
      known.set('operation', idIn(answer.body, 'data', 'id'));
      return answer;
    },
  },
  {
    name: 'a package is added',
    act: async (known) => {
      const package_items = [{ child_id: known.get('operation'), quantity: 1 }];
      const answer = await owner
        .post('/api/admin/service-operations')
        .send({ name: 'Spring', category: 'DETAIL', is_package: true, package_items });
      known.set('package', idIn(answer.body, 'data', 'id'));
      return answer;
    },
  },
  {
    name: 'an operation is changed',
    act: (known) => owner.patch(`/api/admin/service-operations/${known.get('operation')}`).send({ default_price: 20 }),
  },
  { name: 'a package is hidden', act: (known) => owner.delete(`/api/admin/service-operations/${known.get('package')}`) },
  {
    name: 'a template is added',
    act: async (known) => {
      const answer = await owner
        .post('/api/admin/message-templates')
        .send({ slug: `new-${shop.mark}`, label: 'New', channel: 'sms', category: 'reminder', body: 'Hello' });
      known.set('template', idIn(answer.body, 'data', 'id'));
      return answer;
    },
  },
  {
    name: 'a template is changed',
    act: (known) => owner.patch(`/api/admin/message-templates/${known.get('template')}`).send({ label: 'Newer' }),
  },
  {
    name: 'a template is used',
    act: (known) => owner.post('/api/admin/template-usage').send({ template_id: known.get('template'), channel: 'sms' }),
  },
  {
    name: 'a template is deleted',
    act: () => owner.delete(`/api/admin/message-templates/${shop.template.slug}`),
  },
  { name: 'the settings are changed', act: () => owner.patch('/api/admin/settings').send({ public_catalog: false }) },
];

test('every kind of write › each cached reply is at once what it would be without a cache; each table of each route was written', async () => {
  const known = new Map<string, string>();
  const stranger = app.agent().set('X-Tenant-Id', shop.tenant.id);
  const readAll = async () => {
    const answers = new Map<string, { body: string; from: string }>();
    for (const endpoint of cached) {
      const readers = endpoint.allow === 'public' ? { owner, stranger } : { owner };
      for (const [name, agent] of Object.entries(readers)) {
        const { status, body, headers } = await agent.get(pathOf(endpoint));
        answers.set(`${endpoint.id} ${name}`, {
          body: `${status} ${status === 200 ? bodyOf(body) : ''}`,
          from: String(headers['x-cache']),
        });
      }
    }
    return answers;
  };
  const withoutCache = async () => {
    const backend = replyBackend();
    setReplyBackend(null);
    try {
      return await readAll();
    } finally {
      setReplyBackend(backend);
    }
  };
  const written = new Map<string, Set<CachedTable>>();
  const changed = new Set<string>();
  for (const { name, act } of WRITES) {
    await readAll();
    const before = await readAll();
    expect([name, [...before.values()].filter(({ from, body }) => from !== 'hit' && body.startsWith('200'))]).toEqual([name, []]);
    const touched = new Set<CachedTable>();
    const stop = observeStatements(({ text }) => {
      for (const table of writtenTables(text)) touched.add(table);
    });
    const answer = await act(known);
    stop();
    expect([name, answer.status, answer.status < 300 ? '' : answer.body]).toEqual([name, answer.status < 300 ? answer.status : 200, '']);
    const after = await readAll();
    const fresh = await withoutCache();
    for (const { id, cache } of cached) {
      const mine = cache.reads.filter((table) => touched.has(table));
      written.set(id, new Set([...(written.get(id) ?? []), ...mine]));
      expect([name, id, after.get(`${id} owner`)?.body]).toEqual([name, id, fresh.get(`${id} owner`)?.body]);
      if (after.has(`${id} stranger`)) expect([name, after.get(`${id} stranger`)?.body]).toEqual([name, fresh.get(`${id} stranger`)?.body]);
      if (mine.length > 0) expect([name, id, after.get(`${id} owner`)?.from]).toEqual([name, id, 'miss']);
      if (before.get(`${id} owner`)?.body !== after.get(`${id} owner`)?.body) changed.add(id);
    }
  }
  for (const { id, cache } of cached) expect([id, [...(written.get(id) ?? [])].sort()]).toEqual([id, [...cache.reads].sort()]);
  expect([...changed].sort()).toEqual(cached.map(({ id }) => id).sort());
}, 120_000);
