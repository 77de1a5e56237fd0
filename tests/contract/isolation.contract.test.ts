/**
 * Every endpoint, called by the owner of one shop with the ids of another: 404, and nothing of the other shop read or changed.
 * Then all of it once more with the application's own tenant filter taken out of every statement: row-level security alone.
 */
import pg from 'pg';
import { InstrumentedClient } from '../../lib/db-client';
import { overrideRate } from '../../lib/rate-limit';
import { endpoints } from '../../routes';
import type { Endpoint } from '../../routes/endpoint';
import { admin } from '../support/database';
import { type Appointment, createAppointment } from '../support/factories';
import { createFullShop, type FullShop, fingerprint } from '../support/full-shop';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const byParams = endpoints.filter(({ path }) => path.includes(':'));
const lists = endpoints.filter(({ path, method, allow }) => method === 'get' && !path.includes(':') && allow !== 'session');

/** The other shop's row that a path parameter would name. */
function foreignId({ path }: Endpoint, name: string, shop: FullShop): string {
  if (name === 'sid') return shop.line.id;
  if (name === 'mid') return shop.message.id;
  if (name === 'idOrSlug') return shop.template.id;
  if (name === 'pid') return shop.payment.id;
  if (name === 'plate') return shop.vehicle.plate;
  if (path.includes('/customers/:')) return String(shop.customer.id);
  if (path.includes('/vehicles/:')) return String(shop.vehicle.id);
  if (path.includes('/appointments/:')) return String(shop.appointment.id);
  if (path.includes('/invoices/:')) return shop.invoice.id;
  if (path.includes('/technicians/:')) return shop.technician.id;
  if (path.includes('/service-operations/:')) return shop.operation.id;
  throw new Error(`Say here which row :${name} of ${path} names`);
}

/** A body that would be accepted for a row of one's own, where the empty one is not. */
const BODIES: Readonly<Record<string, (own: FullShop) => object>> = {
  updateCustomer: () => ({ name: 'Changed' }),
  createCustomerNote: () => ({ content: 'Changed' }),
  updateVehicle: () => ({ make: 'Changed' }),
  replaceVehicle: () => ({ make: 'Changed', model: 'Changed', year: 2020 }),
  transferVehicle: (own) => ({ customer_id: own.customer.id }),
  updateAppointment: () => ({ title: 'Changed' }),
  putAppointment: () => ({ title: 'Changed' }),
  moveAppointment: () => ({ status: 'IN_PROGRESS', position: 1 }),
  addServiceLine: () => ({ name: 'Changed' }),
  updateServiceLine: () => ({ name: 'Changed' }),
  updateServiceOperation: () => ({ name: 'Changed' }),
  recordPayment: () => ({ amountCents: 100, method: 'cash' }),
  refundPayment: () => ({ amountCents: 100, method: 'cash' }),
  addInvoicePackage: (own) => ({ package_id: own.operation.id }),
  updateTechnician: () => ({ name: 'Changed' }),
  sendMessage: () => ({ channel: 'sms', body: 'Changed' }),
  markMessage: () => ({ status: 'failed' }),
  updateMessageTemplate: () => ({ label: 'Changed' }),
};

/** Our shop has an appointment without an invoice too, because an invoice freezes the lines. */
type Own = FullShop & { free: Appointment };

interface InBody {
  name: string;
  method: Endpoint['method'];
  path: (own: Own) => string;
  body: (foreign: FullShop, own: FullShop) => object;
  /** Statuses that refuse; where an id is merely ignored, 201 with nothing of the other shop in it. */
  status: number[];
}
const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString();

/** Ids of the other shop inside a body. */
const inBodies: InBody[] = [
  {
    name: 'invoice for their appointment',
    method: 'post',
    path: () => '/api/invoices',
    body: (f) => ({ appointment_id: String(f.appointment.id) }),
    status: [404],
  },
  {
    name: 'their package on our invoice',
    method: 'post',
    path: (own) => `/api/admin/invoices/${own.invoice.id}/add-package`,
    body: (f) => ({ package_id: f.operation.id }),
    status: [404],
  },
  {
    name: 'vehicle for their customer',
    method: 'post',
    path: () => '/api/admin/vehicles',
    body: (f) => ({ customer_id: f.customer.id, make: 'A', model: 'B', year: 2020 }),
    status: [404],
  },
  {
    name: 'our vehicle to their customer',
    method: 'post',
    path: (own) => `/api/admin/vehicles/${own.vehicle.id}/transfer`,
    body: (f) => ({ customer_id: f.customer.id }),
    status: [404],
  },
  {
    name: 'our vehicles to their customer',
    method: 'post',
    path: () => '/api/admin/vehicles/transfer',
    body: (f, own) => ({ vehicle_ids: [own.vehicle.id], customer_id: f.customer.id }),
    status: [404],
  },
  {
    name: 'their vehicles to our customer',
    method: 'post',
    path: () => '/api/admin/vehicles/transfer',
    body: (f, own) => ({ vehicle_ids: [f.vehicle.id], customer_id: own.customer.id }),
    status: [404],
  },
  {
    name: 'appointment of their customer',
    method: 'post',
    path: () => '/api/admin/appointments',
    body: (f) => ({ start_ts: inDays(20), customer_id: String(f.customer.id) }),
    status: [404],
  },
  {
    name: 'appointment with their vehicle',
    method: 'post',
    path: () => '/api/admin/appointments',
    body: (f, own) => ({ start_ts: inDays(21), customer_id: String(own.customer.id), vehicle_id: f.vehicle.id }),
    status: [400, 404],
  },
  {
    name: 'appointment with their technician',
    method: 'post',
    path: () => '/api/admin/appointments',
    body: (f) => ({ start_ts: inDays(22), tech_id: f.technician.id }),
    status: [400],
  },
  {
    name: 'appointment with their primary operation',
    method: 'post',
    path: () => '/api/admin/appointments',
    body: (f) => ({ start_ts: inDays(23), primary_operation_id: f.operation.id }),
    status: [400],
  },
  {
    name: 'package of their operation',
    method: 'post',
    path: () => '/api/admin/service-operations',
    body: (f) => ({ name: 'Package', category: 'OTHER', package_items: [{ child_id: f.operation.id }] }),
    status: [400],
  },
  {
    name: 'appointment with their operations',
    method: 'post',
    path: () => '/api/admin/appointments',
    body: (f) => ({ start_ts: inDays(24), service_operation_ids: [f.operation.id] }),
    status: [201],
  },
  {
    name: 'our appointment for their technician',
    method: 'patch',
    path: (own) => `/api/admin/appointments/${own.appointment.id}`,
    body: (f) => ({ tech_id: f.technician.id }),
    status: [400, 404],
  },
  {
    name: 'service line of their operation',
    method: 'post',
    path: (own) => `/api/appointments/${own.free.id}/services`,
    body: (f) => ({ service_operation_id: f.operation.id }),
    status: [400, 404],
  },
  {
    name: 'use of their template',
    method: 'post',
    path: () => '/api/admin/template-usage',
    body: (f) => ({ template_id: f.template.id }),
    status: [404],
  },
  {
    name: 'use of their template, by slug',
    method: 'post',
    path: () => '/api/admin/template-usage',
    body: (f) => ({ template_slug: f.template.slug }),
    status: [404],
  },
  {
    name: 'use of our template for their appointment',
    method: 'post',
    path: () => '/api/admin/template-usage',
    body: (f, own) => ({ template_id: own.template.id, appointment_id: f.appointment.id }),
    status: [404],
  },
  {
    name: 'their line under our appointment',
    method: 'patch',
    path: (own) => `/api/appointments/${own.free.id}/services/`,
    body: () => ({ name: 'Changed' }),
    status: [404],
  },
];

/** Statements as they left, with the tenant's filter taken out: `tenant_id = $1` (ours) and `"tenant_id" = '…'` (the ORM's). */
let unfiltered = 0;
const FILTERS: [RegExp, string][] = [
  [/(?:\b\w+\.|"\w+"\.)?"?tenant_id"?\s*=\s*\$(\d+)(?:::uuid)?/g, '($$$1::uuid IS NOT NULL)'],
  [/(?:\b\w+\.|"\w+"\.)?"?tenant_id"?\s*=\s*'[0-9a-f-]{36}'/g, 'TRUE'],
];
/** Read before a tenant is known; there the filter is a key like any other, and no policy stands behind it. */
const OUTSIDE = /\b(tenants|staff_users|staff_tenant_memberships|sessions|refresh_tokens|password_resets)\b/;

function removeFilter(text: string): string {
  if (OUTSIDE.test(text)) return text;
  return FILTERS.reduce(
    (sql, [filter, replacement]) =>
      sql.replace(filter, (...match) => {
        unfiltered += 1;
        return replacement.replace('$$$1', `$${match[1]}`);
      }),
    text,
  );
}

interface Statement {
  text: string;
  name?: string;
}
const isStatement = (query: unknown): query is Statement => typeof (query as Statement | null)?.text === 'string';

/** Puts itself before the driver's own `query`. Returns the function that takes it out again. */
function withoutFilters(): () => void {
  const original = pg.Client.prototype.query as (this: pg.Client, ...args: unknown[]) => unknown;
  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    // The tests' own clients look past all of this.
    if (!(this instanceof InstrumentedClient)) return original.apply(this, args);
    const [query] = args;
    if (typeof query === 'string') args[0] = removeFilter(query);
    else if (isStatement(query)) {
      const text = removeFilter(query.text);
      // Another text needs another name: the connection has prepared the one with the filter.
      if (query.name && text !== query.text) query.name = `${query.name}_open`;
      query.text = text;
    }
    return original.apply(this, args);
  } as typeof pg.Client.prototype.query;
  return () => {
    pg.Client.prototype.query = original as typeof pg.Client.prototype.query;
  };
}

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
  overrideRate('export', { limit: 1000, windowMs: 1000 });
});

describe.each([
  ['with the service’s own filter', false],
  ['by row-level security alone', true],
])('%s', (_title, alone) => {
  let own: Own;
  let foreign: FullShop;
  let owner: Agent;
  let customer: Agent;
  let tables: string[];
  let before: Record<string, string>;
  let restore: () => void = () => undefined;

  beforeAll(async () => {
    const shop = await createFullShop();
    own = { ...shop, free: await createAppointment({ tenant: shop.tenant }) };
    foreign = await createFullShop();
    tables = (
      await admin<{ name: string }>(
        `SELECT DISTINCT table_name AS name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
          WHERE table_schema = 'public' AND column_name = 'tenant_id' AND table_type = 'BASE TABLE'`,
      )
    ).map(({ name }) => name);
    owner = await actAs(app, own.owner);
    customer = await actAs(app, own.customer);
    await actAs(app, foreign.owner);
    before = await fingerprint(foreign.tenant.id, tables);
    if (alone) restore = withoutFilters();
  });
  afterAll(() => restore());
  afterEach(async () => {
    expect(await fingerprint(foreign.tenant.id, tables)).toEqual(before);
  });

  const callerFor = ({ allow }: Endpoint): Agent =>
    typeof allow === 'string' || (allow as readonly string[]).includes('Owner') ? owner : customer;

  test.each(byParams.map((endpoint): [string, Endpoint] => [`${endpoint.method.toUpperCase()} ${endpoint.path}`, endpoint]))(
    '%s › ids of another shop › 404, nothing of it read or changed',
    async (_name, endpoint) => {
      for (const pattern of [endpoint.path, ...(endpoint.aliases ?? [])]) {
        const path = pattern.replace(/:(\w+)/g, (_match, name: string) => foreignId({ ...endpoint, path: pattern }, name, foreign));
        const body = BODIES[endpoint.id]?.(own) ?? {};
        // A refused body would hide what the id is answered: say a good one in BODIES.
        if (endpoint.body) expect(endpoint.body.safeParse(body).error?.issues).toBeUndefined();
        const response = await callerFor(endpoint)[endpoint.method](path).send(body);
        expect([response.status, response.body.error?.code]).toEqual([404, 'not_found']);
        // The plate is what the caller sent; everything else with the mark is the other shop's.
        expect(response.text.replaceAll(foreign.vehicle.plate, '')).not.toContain(foreign.mark);
      }
    },
  );

  test.each(inBodies.map((one): [string, InBody] => [one.name, one]))(
    '%s › refused, or as if it did not exist',
    async (_name, { method, path, body, status }) => {
      const target = path(own);
      const response = await owner[method](target.endsWith('/') ? target + foreign.line.id : target).send(body(foreign, own));
      expect(status).toContain(response.status);
      expect(response.text).not.toContain(foreign.mark);
    },
  );

  test.each(lists.map((endpoint): [string, Endpoint] => [`GET ${endpoint.path}`, endpoint]))(
    '%s › nothing of the other shop, whatever is asked for',
    async (_name, endpoint) => {
      const { customer: person, vehicle, technician, mark } = foreign;
      const asked = [
        {},
        { q: mark },
        { q: person.phone, limit: 100 },
        { phone: person.phone, email: person.email },
        { customer_id: person.id, customerId: person.id },
        { vin: vehicle.vin },
        { tech_id: technician.id, techId: technician.id },
        { from: '2020-01-01', to: '2099-01-01' },
      ];
      for (const query of asked) {
        const { status, text } = await callerFor(endpoint).get(endpoint.path).query(query);
        expect(`${JSON.stringify(query)} ${status}`).toMatch(/ (200|400|404)$/);
        const echoed = Object.values(query).reduce<string>((rest, value) => rest.replaceAll(String(value), ''), text ?? '');
        for (const secret of [mark, person.email, vehicle.vin]) expect(echoed).not.toContain(secret);
      }
    },
  );

  test('the filter really was taken out', () => {
    expect(unfiltered > 50).toBe(alone);
  });
});
