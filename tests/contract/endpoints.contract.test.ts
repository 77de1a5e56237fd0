/** Every endpoint of the list, called in the ways that must not work. A new endpoint is covered the moment it is listed. */
import type { Role } from '../../lib/context';
import { overrideRate } from '../../lib/rate-limit';
import { endpoints } from '../../routes';
import type { Endpoint } from '../../routes/endpoint';
import { createCustomer, createStaff, createTenant, type StaffRole } from '../support/factories';
import { type Agent, loginWithCookies, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const STAFF: readonly StaffRole[] = ['Owner', 'Advisor', 'Accountant', 'Technician'];
const ROLES: readonly Role[] = [...STAFF, 'Customer'];
const VERBS = ['get', 'post', 'put', 'patch', 'delete'] as const;
const MEBIBYTE = 1024 * 1024;

const served = endpoints.flatMap((endpoint) =>
  [endpoint.path, ...(endpoint.aliases ?? [])].map((path) => ({ endpoint, path, name: `${endpoint.method.toUpperCase()} ${path}` })),
);
type Served = (typeof served)[number];
const rows = (list: readonly Served[]): [string, Served][] => list.map((one) => [one.name, one]);

/** A path with something in the place of each parameter; no such row exists. */
const fill = (path: string): string => path.replace(/:\w+/g, '999999999');
const mayCall = ({ allow }: Endpoint): Role => (typeof allow === 'string' ? 'Owner' : (allow[0] as Role));

let app: TestApp;
const sessions = new Map<Role, Agent>();
const session = (role: Role): Agent => {
  const agent = sessions.get(role);
  if (!agent) throw new Error(`No session for ${role}`);
  return agent;
};
let browser: Agent;

beforeAll(async () => {
  app = await startApp();
  // Here one session calls every endpoint several times over.
  for (const limiter of ['session', 'export'] as const) overrideRate(limiter, { limit: 100_000, windowMs: 60_000 });
  const tenant = await createTenant();
  for (const role of STAFF) sessions.set(role, await actAs(app, await createStaff({ tenant, role })));
  sessions.set('Customer', await actAs(app, await createCustomer({ tenant, canLogIn: true })));
  const owner = await createStaff({ tenant, role: 'Owner' });
  ({ agent: browser } = await loginWithCookies(app, owner));
});

const closed = served.filter(({ endpoint }) => endpoint.allow !== 'public');
const withRoles = served.filter(({ endpoint }) => typeof endpoint.allow !== 'string');
const withBody = served.filter(({ endpoint }) => endpoint.body);
const writes = served.filter(({ endpoint }) => endpoint.method !== 'get');

test('the list is not empty, and ids, paths and verbs are unique', () => {
  expect(endpoints.length).toBeGreaterThan(30);
  const ids = endpoints.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(new Set(served.map(({ name }) => name)).size).toBe(served.length);
});

test('only these endpoints are open to everybody', () => {
  const open = endpoints.filter(({ allow }) => allow === 'public').map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  expect(open.sort()).toEqual([
    'GET /api/admin/service-operations',
    'GET /api/csrf-token',
    'POST /api/admin/appointments',
    'POST /api/admin/login',
    'POST /api/auth/login',
    'POST /api/auth/logout',
    'POST /api/auth/refresh',
    'POST /api/auth/register',
    'POST /api/auth/request-password-reset',
    'POST /api/auth/reset-password',
    'POST /api/customers/login',
    'POST /api/customers/register',
    'POST /api/telemetry',
    'POST /api/webhooks/sms',
    'POST /api/webhooks/sms/status',
  ]);
});

test.each(rows(closed))('%s › nobody › 401 with WWW-Authenticate', async (_name, { endpoint, path }) => {
  const { status, headers, body } = await app.agent()[endpoint.method](fill(path));
  expect([status, body.error.code, body.message, body.data]).toEqual([
    401,
    'auth_required',
    'Missing or invalid authorization token',
    null,
  ]);
  expect(headers['www-authenticate']).toBe('Bearer');
});

test.each(rows(closed))('%s › a token that is none › 401', async (_name, { endpoint, path }) => {
  const { status, body } = await app.agent().set('Authorization', 'Bearer dummy-token')[endpoint.method](fill(path));
  expect([status, body.error.code]).toEqual([401, 'invalid_token']);
});

test.each(rows(withRoles))('%s › every other role › 403, before its input is looked at', async (_name, { endpoint, path }) => {
  const others = ROLES.filter((role) => !(endpoint.allow as readonly Role[]).includes(role));
  for (const role of others) {
    const { status, body } = await session(role)[endpoint.method](fill(path));
    expect([role, status, body.error?.message]).toEqual([role, 403, endpoint.forbidden?.message ?? 'Insufficient permissions']);
  }
});

test.each(rows(writes.filter(({ endpoint }) => endpoint.csrf !== 'exempt')))(
  '%s › cookie session without proof › 403',
  async (_name, { endpoint, path }) => {
    const { status, body } = await browser.set('X-CSRF-Token', 'f'.repeat(32))[endpoint.method](fill(path));
    // A role that may not write is refused first, with its own words.
    expect(status).toBe(403);
    if (endpoint.allow === 'public' || endpoint.allow === 'session' || endpoint.allow.includes('Owner'))
      expect(body.message).toBe('CSRF token invalid or missing');
  },
);

/** Nobody where an endpoint is open and needs no shop (this database has no default one), else somebody who may. */
const callerOf = ({ endpoint }: Served): Agent =>
  endpoint.allow === 'public' && endpoint.tenant === 'optional' ? app.agent() : session(mayCall(endpoint));
/** Ids are judged before bodies: only paths without parameters show what a bad body is answered. */
const plain = withBody.filter(({ path }) => !path.includes(':'));

test.each(rows(plain))('%s › a body that is not JSON › 400', async (_name, one) => {
  const { status, body } = await callerOf(one)[one.endpoint.method](one.path).set('Content-Type', 'application/json').send('{"name": ');
  expect([status, body.error.code, body.ok]).toEqual([400, 'invalid_json', false]);
});

test.each(rows(plain))('%s › a body of another type › 415', async (_name, one) => {
  const { status, body } = await callerOf(one)[one.endpoint.method](one.path).set('Content-Type', 'application/xml').send('<a/>');
  expect([status, body.error.code]).toEqual([415, 'unsupported_media_type']);
});

test.each(rows(plain))('%s › a body over the limit › 413', async (_name, one) => {
  const size = (one.endpoint.bodyLimit ?? MEBIBYTE) + 1;
  const { status, body } = await callerOf(one)
    [one.endpoint.method](one.path)
    .set('Content-Type', 'application/json')
    .send(`"${'x'.repeat(size)}"`);
  expect([status, body.error.code]).toEqual([413, 'payload_too_large']);
});

test.each(rows(plain))('%s › JSON of the wrong shape › a refusal, never a 500', async (_name, one) => {
  for (const wrong of ['[]', 'null', '"text"', '5', '{"id":{"a":[1]},"name":{"b":2},"customer_id":[[]],"email":[]}']) {
    const { status } = await callerOf(one)[one.endpoint.method](one.path).set('Content-Type', 'application/json').send(wrong);
    expect(`${wrong} ${status}`).toMatch(/ (200|204|400|401|403)$/);
  }
});

/** The verbs of all endpoints that a path fits: `/vehicles/transfer` is also a `/vehicles/:id`. */
function verbsOf(target: string): Set<string> {
  const fits = ({ path }: Served) => new RegExp(`^${path.replace(/:\w+/g, '[^/]+')}$`).test(target);
  return new Set(served.filter(fits).map(({ endpoint }) => endpoint.method));
}

test.each([...new Set(served.map(({ path }) => fill(path)))])(
  '%s › a verb it does not know › 405 with Allow, also for nobody',
  async (target) => {
    const known = verbsOf(target);
    const unknown = VERBS.filter((verb) => !known.has(verb));
    expect(unknown).not.toEqual([]);
    for (const verb of unknown) {
      const { status, headers, body } = await app.agent()[verb](target);
      expect([verb, status, body.error.code]).toEqual([verb, 405, 'method_not_allowed']);
      expect(headers['allow']?.split(', ').sort()).toEqual(
        [...known, ...(known.has('get') ? ['head'] : []), 'options'].map((one) => one.toUpperCase()).sort(),
      );
    }
  },
);

test.each(rows(served.filter(({ endpoint }) => endpoint.params)))('%s › an id that is none › 404, never a 500', async (_name, one) => {
  for (const id of ['abc', '0', '-1', '1.5', '99999999999999999999', "1'--", '%00', '..%2f']) {
    const path = one.path.replace(/:\w+/g, id);
    const { status, body } = await session(mayCall(one.endpoint))
      [one.endpoint.method](path)
      .send(one.endpoint.body ? {} : undefined);
    expect(`${id} ${status}`).toMatch(/ (200|400|404)$/);
    expect(body.ok).toBe(status === 200);
  }
});

test.each(rows(served.filter(({ endpoint, path }) => endpoint.method === 'get' && endpoint.params && !path.includes(':plate'))))(
  '%s › an id that is none › the very words of an id that no row has',
  async (_name, { endpoint, path }) => {
    const [odd, unknown] = ['abc', '999999999'].map((id) => session(mayCall(endpoint)).get(path.replace(/:\w+/g, id)));
    expect((await odd)?.body.error).toEqual((await unknown)?.body.error);
  },
);

/** A client reads these at the root of the body; everything else only under `data`. */
const MIRRORED: Readonly<Record<string, 'all' | readonly string[]>> = {
  login: 'all',
  getOwnProfile: 'all',
  getCustomerProfile: 'all',
  createVehicle: 'all',
  updateVehicle: 'all',
  transferVehicle: 'all',
  searchCustomers: ['items'],
  createAdminAppointment: ['id', 'appointment'],
  createAppointment: ['id', 'appointment'],
  updateAppointment: ['id', 'appointment'],
  putAppointment: ['id', 'appointment'],
  readBoard: 'all',
  readDashboardStats: 'all',
  listCarsOnPremises: 'all',
  listTechnicians: 'all',
  createTechnician: 'all',
  updateTechnician: 'all',
  listServiceLines: 'all',
  addServiceLine: 'all',
  updateServiceLine: 'all',
  deleteServiceLine: 'all',
  createServiceOperation: 'all',
  updateServiceOperation: 'all',
  deleteServiceOperation: 'all',
  addInvoicePackage: 'all',
  listMessages: 'all',
  sendMessage: 'all',
  readTemplateAnalytics: 'all',
  readCacheEfficiency: 'all',
};

test('these endpoints repeat their payload at the root, and no other', () => {
  expect(Object.fromEntries(endpoints.flatMap(({ id, mirror }) => (mirror === undefined ? [] : [[id, mirror]])))).toEqual(MIRRORED);
});

/** Of these an unchanged answer is a 304, and a write tells the tag of what it made; everything else is never kept. */
const REVALIDATED = [
  'getCustomer',
  'updateCustomer',
  'getCustomerProfile',
  'getVehicle',
  'updateVehicle',
  'getVehicleProfile',
  'readBoard',
  'updateAppointment',
  'putAppointment',
  'listServiceOperations',
  'listServicePackages',
];

test('these answers carry an ETag and may be asked for again, and no other', () => {
  expect(
    endpoints
      .filter(({ revalidate }) => revalidate)
      .map(({ id }) => id)
      .sort(),
  ).toEqual([...REVALIDATED].sort());
});

/** What creates, or moves money or ownership: done once, however often it is sent. */
const ONCE = [
  'createOwnVehicle',
  'createCustomer',
  'createCustomerNote',
  'createVehicle',
  'transferVehicles',
  'transferVehicle',
  'createRoleVehicle',
  'createAdminAppointment',
  'createAppointment',
  'createServiceOperation',
  'addServiceLine',
  'invoiceAppointment',
  'createInvoice',
  'recordPayment',
  'voidPayment',
  'refundPayment',
  'voidInvoice',
  'addInvoicePackage',
  'sendInvoice',
  'sendMessage',
];

test('these requests honour an Idempotency-Key, and no other', () => {
  expect(
    endpoints
      .filter(({ idempotent }) => idempotent)
      .map(({ id }) => id)
      .sort(),
  ).toEqual([...ONCE].sort());
});

test.each([
  '/api/nothing',
  '/api/admin/nothing/at/all',
  '/api/customers/1/nothing',
  '/nothing',
  '/api/debug/routes',
  '/api/v1/test',
  '/admin/appointments',
  '/admin/appointments/board',
  '/admin/dashboard/stats',
  '/appointments/1',
  '/admin/invoices/1/estimate.pdf',
])('%s › 404 in JSON, also for nobody', async (path) => {
  for (const verb of VERBS) {
    const { status, body } = await app.agent()[verb](path);
    expect([status, body.error]).toEqual([404, { code: 'not_found', message: 'Not found' }]);
  }
});

test.each(rows(served.filter(({ endpoint, path }) => endpoint.method === 'get' && !path.includes(':'))))(
  '%s › HEAD › as GET, without a body',
  async (_name, one) => {
    const agent = callerOf(one);
    const [get, head] = [await agent.get(one.path), await agent.head(one.path)];
    expect([head.status, head.text]).toEqual([get.status, undefined]);
  },
);

test.each(rows(closed.filter(({ endpoint }) => endpoint.tenant !== 'optional')))(
  '%s › a tenant that is not the caller’s › 403',
  async (_name, { endpoint, path }) => {
    const foreign = await createTenant();
    const { status, body } = await session(mayCall(endpoint))[endpoint.method](fill(path)).set('X-Tenant-Id', foreign.id);
    expect([status, body.message]).toEqual([403, 'tenant_access_denied']);
  },
);

test('every answer carries the request id in header and body', async () => {
  const id = '3f0c2f1e-5b1c-4c59-9c4b-0a9d5b7e1a11';
  for (const { endpoint, path } of served) {
    const { headers, body } = await app.agent()[endpoint.method](fill(path)).set('X-Request-Id', id);
    expect(headers['x-request-id']).toBe(id);
    if (body && 'meta' in body) expect([body.meta.request_id, body.correlation_id]).toEqual([id, id]);
  }
});
