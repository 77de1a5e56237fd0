/** Log-in, registration, lock-out and forgotten passwords. @core */
import { hash } from '@node-rs/argon2';
import { overrideRate } from '../../lib/rate-limit';
import { deliverRevocation } from '../../lib/revocation';
import { admin } from '../support/database';
import { addMembership, createCustomer, createStaff, createTenant, PASSWORD, type Tenant } from '../support/factories';
import { type Agent, login, loginWithCookies, startApp, type TestApp } from '../support/server';

let app: TestApp;
let shop: Tenant;

beforeAll(async () => {
  app = await startApp();
  shop = await createTenant();
});

const cookiesOf = ({ headers }: { headers: Record<string, unknown> }): string[] => (headers['set-cookie'] ?? []) as string[];
const cookieNamed = (response: { headers: Record<string, unknown> }, name: string) =>
  cookiesOf(response).find((cookie) => cookie.startsWith(`${name}=`));
const actionsOf = async (tenant: Tenant, entityId: string | number) =>
  (
    await admin<{ action: string }>('SELECT action FROM audit_logs WHERE tenant_id = $1 AND entity_id = $2 ORDER BY created_at, action', [
      tenant.id,
      String(entityId),
    ])
  ).map(({ action }) => action);
const unique = () => Math.random().toString(36).slice(2, 10);

describe('POST /api/admin/login', () => {
  const path = '/api/admin/login';

  it.each(['username', 'email'] as const)('right password with the %s › 200, token, three cookies, audited', async (field) => {
    const staff = await createStaff({ tenant: shop, role: 'Owner' });
    const response = await app
      .agent()
      .post(path)
      .send({ username: ` ${staff[field].toUpperCase()} `, password: PASSWORD });
    expect(response.status).toBe(200);
    expect(response.body).toMatchObject({
      ok: true,
      error: null,
      data: { token: expect.any(String), user: { username: staff.username, role: 'Owner' } },
    });
    expect(response.body).not.toHaveProperty('token');
    expect(cookiesOf(response)).toHaveLength(3);
    expect(cookieNamed(response, '__Host_access_token')).toMatch(/; Max-Age=900; Path=\/; SameSite=Lax; HttpOnly$/);
    expect(cookieNamed(response, '__Host_refresh_token')).toMatch(/=[\w-]{43}; Max-Age=1209600; Path=\/; SameSite=Lax; HttpOnly$/);
    expect(cookieNamed(response, 'XSRF-TOKEN')).toMatch(/=[0-9a-f]{32}; Max-Age=28800; Path=\/; SameSite=Lax$/);
    expect(await actionsOf(shop, staff.id)).toEqual(['LOGIN_SUCCESS']);
  });

  it('audit row of a log-in › actor, role, address and program of the caller', async () => {
    const staff = await createStaff({ tenant: shop, role: 'Advisor' });
    const response = await app.agent().set('User-Agent', 'probe/1').post(path).send({ username: staff.username, password: PASSWORD });
    const [row] = await admin<Record<string, unknown>>(
      'SELECT user_id, role, entity, user_agent, ip::text, request_id::text FROM audit_logs WHERE tenant_id = $1 AND entity_id = $2',
      [shop.id, staff.id],
    );
    expect(row).toMatchObject({ user_id: staff.id, role: 'Advisor', entity: 'staff', user_agent: 'probe/1' });
    expect(row).toMatchObject({ ip: expect.stringMatching(/^10\./), request_id: response.headers['x-request-id'] });
  });

  it.each([
    [{}],
    [{ username: 'x' }],
    [{ password: 'x' }],
    [{ username: '  ', password: 'x' }],
    [{ username: 'x', password: '' }],
    [{ username: 7, password: true }],
    [{ username: 'x', password: 'y'.repeat(129) }],
    [[]],
  ])('%j › 400 invalid_credentials', async (body) => {
    const response = await app.agent().post(path).send(body);
    expect(response.status).toBe(400);
    expect(response.body.error.code).toBe('invalid_credentials');
  });

  it('wrong password, unknown account, inactive account › one and the same 401', async () => {
    const staff = await createStaff({ tenant: shop });
    const inactive = await createStaff({ tenant: shop, isActive: false });
    const answers = [];
    for (const [username, password] of [
      [staff.username, 'Wrong-password-1'],
      [`nobody-${unique()}`, PASSWORD],
      [inactive.username, PASSWORD],
    ])
      answers.push(await app.agent().post(path).send({ username, password }));
    for (const response of answers) {
      expect(response.status).toBe(401);
      expect(response.body).toMatchObject({
        ok: false,
        data: null,
        message: 'Invalid email or password',
        error: { code: 'invalid_credentials', message: 'Invalid email or password' },
      });
      expect(cookiesOf(response)).toEqual([]);
    }
    expect(await actionsOf(shop, staff.id)).toEqual(['LOGIN_FAILURE']);
  });

  it('only membership in a suspended tenant › right password 403, wrong one 401', async () => {
    const staff = await createStaff({ tenant: await createTenant({ status: 'suspended' }) });
    const attempt = (password: string) => app.agent().post(path).send({ username: staff.username, password });
    const refused = await attempt(PASSWORD);
    expect(refused.status).toBe(403);
    expect(refused.body.error.code).toBe('forbidden');
    expect((await attempt('Wrong-password-1')).status).toBe(401);
  });

  it('two memberships › the default tenant; with X-Tenant-Id that one; a foreign one 403', async () => {
    const [other, foreign] = [await createTenant(), await createTenant()];
    const staff = await createStaff({ tenant: shop, role: 'Advisor' });
    await addMembership(staff, other, 'Owner');
    const attempt = (tenant?: string) => {
      const agent = app.agent();
      if (tenant) agent.set('X-Tenant-Id', tenant);
      return agent.post(path).send({ username: staff.username, password: PASSWORD });
    };
    expect((await attempt()).body.data.user.role).toBe('Advisor');
    expect((await attempt(other.slug)).body.data.user.role).toBe('Owner');
    expect((await attempt(foreign.id)).status).toBe(403);
    expect((await attempt('no-such-shop')).status).toBe(403);
  });

  it('a password that begins like the right one › 401', async () => {
    const staff = await createStaff({ tenant: shop });
    const response = await app
      .agent()
      .post(path)
      .send({ username: staff.username, password: `${PASSWORD}x` });
    expect(response.status).toBe(401);
  });
});

describe('POST /api/auth/login', () => {
  const path = '/api/auth/login';

  it('staff by e-mail › 200, whole payload also at the root', async () => {
    const staff = await createStaff({ tenant: shop, role: 'Accountant' });
    const { status, body } = await app.agent().post(path).send({ email: staff.email, password: PASSWORD });
    expect(status).toBe(200);
    expect(body.data.user).toEqual({ id: staff.id, email: staff.email, name: staff.name, role: 'Accountant', tenant_id: shop.id });
    expect(body.data.expires_at).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(Date.parse(body.data.expires_at) - Date.now()).toBeGreaterThan(14 * 60_000);
    expect(body).toMatchObject({ token: body.data.token, expires_at: body.data.expires_at, user: body.data.user });
  });

  it('a customer of the named tenant › 200; of another tenant › 401', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const attempt = (tenant: Tenant) =>
      app.agent().set('X-Tenant-Id', tenant.slug).post(path).send({ email: customer.email.toUpperCase(), password: PASSWORD });
    expect((await attempt(shop)).body.data.user).toMatchObject({ id: String(customer.id), role: 'Customer', tenant_id: shop.id });
    expect((await attempt(await createTenant())).status).toBe(401);
  });

  it.each([[{}], [{ email: 'a@b.example' }], [{ password: 'x' }], [{ email: '', password: 'x' }]])(
    '%j › 400 invalid_request',
    async (body) => {
      const response = await app.agent().post(path).send(body);
      expect(response.status).toBe(400);
      expect(response.body.error.code).toBe('invalid_request');
    },
  );

  it.each([
    ['no-such-shop', 'tenant_not_found'],
    ["x' OR '1'='1", 'tenant_not_found'],
  ])('a customer naming tenant %s › 403 %s', async (tenant, message) => {
    const response = await app.agent().set('X-Tenant-Id', tenant).post(path).send({ email: 'a@b.example', password: 'x' });
    expect(response.status).toBe(403);
    expect(response.body.message).toBe(message);
  });
});

describe('POST /api/customers/login', () => {
  it('right password › 200 with numeric id; also without the prefix', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    for (const path of ['/api/customers/login', '/customers/login']) {
      const response = await app
        .agent()
        .set('X-Tenant-Id', shop.id)
        .post(path)
        .send({ email: ` ${customer.email} `, password: PASSWORD });
      expect(response.status).toBe(200);
      const { id, email, name } = customer;
      expect(response.body.data).toEqual({ token: expect.any(String), customer: { id, email, name }, customer_id: id, name });
      expect(cookiesOf(response)).toHaveLength(3);
    }
  });

  it('blank fields › 400 with the words the client shows', async () => {
    const response = await app.agent().post('/api/customers/login').send({ email: '', password: '' });
    expect(response.status).toBe(400);
    expect(response.body).toMatchObject({ message: 'Email and password required', error: { code: 'invalid_request' } });
  });

  it('staff, a deleted customer, a customer without a log-in › 401', async () => {
    const staff = await createStaff({ tenant: shop });
    const deleted = await createCustomer({ tenant: shop, canLogIn: true, columns: { deleted_at: new Date() } });
    const without = await createCustomer({ tenant: shop });
    for (const email of [staff.email, deleted.email, without.email]) {
      const response = await app.agent().set('X-Tenant-Id', shop.id).post('/api/customers/login').send({ email, password: PASSWORD });
      expect(response.status).toBe(401);
    }
  });
});

describe('limits and lock of log-ins', () => {
  const path = '/api/admin/login';
  const attempt = (agent: Agent, username: string, password: string) => agent.post(path).send({ username, password });

  it('eleventh failure within the window › 429 with Retry-After, also with the right password', async () => {
    const staff = await createStaff({ tenant: shop });
    const agent = app.agent();
    for (let count = 0; count < 10; count += 1) expect((await attempt(agent, staff.username, 'Wrong-1!')).status).toBe(401);
    const response = await attempt(agent, staff.username, PASSWORD);
    expect(response.status).toBe(429);
    expect(response.body).toMatchObject({ message: 'Rate limit exceeded', error: { code: 'rate_limited' } });
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(response.headers['retry-after'])).toBeLessThanOrEqual(300);
    expect(response.body.retry_after).toBe(Number(response.headers['retry-after']));
  });

  it('an e-mail that the endpoint does not read, another each time › the eleventh is refused all the same', async () => {
    const agent = app.agent();
    const [username, password] = [`nobody-${unique()}`, 'Wrong-1!'];
    const answers: number[] = [];
    for (let count = 0; count < 11; count += 1)
      answers.push((await agent.post(path).send({ email: `${unique()}@customer.example`, username, password })).status);
    expect(answers).toEqual([...Array(10).fill(401), 429]);
  });

  it('log-ins that name nobody › 400 however many, not counted against anybody', async () => {
    const agent = app.agent();
    for (const to of [path, '/api/auth/login', '/api/customers/login'])
      for (let count = 0; count < 5; count += 1) expect((await agent.post(to).send({ username: ' ', email: '' })).status).toBe(400);
  });

  it('a success in between › clears the count', async () => {
    const staff = await createStaff({ tenant: shop });
    const agent = app.agent();
    for (let round = 0; round < 2; round += 1) {
      for (let count = 0; count < 9; count += 1) expect((await attempt(agent, staff.username, 'Wrong-1!')).status).toBe(401);
      expect((await attempt(agent, staff.username, PASSWORD)).status).toBe(200);
    }
  });

  it('ten failures in a row from ten addresses › locked for 15 minutes, refused like a wrong password, audited', async () => {
    const staff = await createStaff({ tenant: shop });
    for (let count = 0; count < 10; count += 1) expect((await attempt(app.agent(), staff.username, 'Wrong-1!')).status).toBe(401);
    const refused = await attempt(app.agent(), staff.username, PASSWORD);
    expect(refused.status).toBe(401);
    expect(refused.body.message).toBe('Invalid email or password');
    expect((await actionsOf(shop, staff.id)).filter((action) => action === 'ACCOUNT_LOCKED')).toHaveLength(1);
    const [row] = await admin<{ minutes: number }>(
      'SELECT extract(epoch FROM locked_until - now())::float8 / 60 AS minutes FROM staff_users WHERE id = $1',
      [staff.id],
    );
    expect(row?.minutes).toBeGreaterThan(14);
    expect(row?.minutes).toBeLessThanOrEqual(15);

    await admin(`UPDATE staff_users SET locked_until = now() - interval '1 second' WHERE id = $1`, [staff.id]);
    expect((await attempt(app.agent(), staff.username, 'Wrong-1!')).status).toBe(401);
    expect((await attempt(app.agent(), staff.username, PASSWORD)).status).toBe(200);
    const [after] = await admin<Record<string, unknown>>('SELECT failed_logins, locked_until FROM staff_users WHERE id = $1', [staff.id]);
    expect(after).toEqual({ failed_logins: 0, locked_until: null });
  });

  it('a customer is locked in the same way', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const enter = (password: string) =>
      app.agent().set('X-Tenant-Id', shop.id).post('/api/customers/login').send({ email: customer.email, password });
    for (let count = 0; count < 10; count += 1) expect((await enter('Wrong-1!')).status).toBe(401);
    expect((await enter(PASSWORD)).status).toBe(401);
    expect(await actionsOf(shop, customer.id)).toContain('ACCOUNT_LOCKED');
  });

  it('thirty wrong passwords at once › all refused, the lock is not outrun', async () => {
    const staff = await createStaff({ tenant: shop });
    const answers = await Promise.all(Array.from({ length: 30 }, () => attempt(app.agent(), staff.username, 'Wrong-1!')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    expect((await actionsOf(shop, staff.id)).filter((action) => action === 'ACCOUNT_LOCKED')).toHaveLength(1);
    expect((await attempt(app.agent(), staff.username, PASSWORD)).status).toBe(401);
  });

  it('many accounts from one address › limited by the address as well', async () => {
    const restore = overrideRate('loginIp', { limit: 3, windowMs: 60_000 });
    try {
      const agent = app.agent();
      for (let count = 0; count < 3; count += 1) expect((await attempt(agent, `nobody-${unique()}`, 'x')).status).toBe(401);
      expect((await attempt(agent, `nobody-${unique()}`, 'x')).status).toBe(429);
    } finally {
      restore();
    }
  });
});

describe('registration', () => {
  const address = () => `new-${unique()}@customer.example`;
  const register = (body: object, { path = '/api/customers/register', tenant = shop.id } = {}) =>
    app.agent().set('X-Tenant-Id', tenant).post(path).send(body);

  it('POST /api/customers/register › new address › 200, signed in, rows and audit', async () => {
    const email = address();
    const response = await register({ email: email.toUpperCase(), password: PASSWORD, phone: '' }, { tenant: shop.slug });
    expect(response.status).toBe(200);
    const { id } = response.body.data.customer;
    expect(response.body.data).toEqual({ token: expect.any(String), customer: { id, email, name: email.split('@')[0] } });
    expect(Number.isInteger(id)).toBe(true);
    expect(cookiesOf(response)).toHaveLength(3);
    const rows = await admin<Record<string, unknown>>(
      `SELECT c.name, c.email, c.phone, c.customer_since IS NOT NULL AS since, a.email AS login, m.role
        FROM customers c JOIN customer_auth a ON (a.tenant_id, a.customer_id) = (c.tenant_id, c.id)
        JOIN user_tenant_memberships m ON (m.tenant_id, m.user_id) = (c.tenant_id, c.id) WHERE c.tenant_id = $1 AND c.id = $2`,
      [shop.id, id],
    );
    expect(rows).toEqual([{ name: email.split('@')[0], email, phone: null, since: true, login: email, role: 'Customer' }]);
    expect(await actionsOf(shop, id)).toEqual(['CUSTOMER_CREATE', 'LOGIN_SUCCESS']);
  });

  it('then › the token works, and the log-in too', async () => {
    const email = address();
    const { body } = await register({ email, password: PASSWORD });
    const verified = await app.agent().set('Authorization', `Bearer ${body.data.token}`).get('/api/auth/verify-token');
    expect(verified.body.data.user).toMatchObject({ email, role: 'Customer', tenant_id: shop.id });
    const again = await app.agent().set('X-Tenant-Id', shop.id).post('/api/customers/login').send({ email, password: PASSWORD });
    expect(again.status).toBe(200);
  });

  it('POST /api/auth/register › name required › 400; with a name › 201, Location and message', async () => {
    const path = '/api/auth/register';
    const refused = await register({ email: address(), password: PASSWORD }, { path });
    expect(refused.status).toBe(400);
    expect(refused.body).toMatchObject({ message: 'Name is required', error: { code: 'invalid_request', details: { name: 'required' } } });
    const response = await register({ email: address(), password: PASSWORD, name: ' Ada Example ', phone: '555 0100' }, { path });
    expect(response.status).toBe(201);
    expect(response.body.data).toMatchObject({ customer: { name: 'Ada Example' }, message: expect.any(String) });
    expect(response.headers['location']).toBeTruthy();
  });

  it.each([
    [{ email: 'not-an-address', password: PASSWORD }, 'A valid email is required'],
    [{ password: PASSWORD }, 'A valid email is required'],
    [{ email: 'a@b.example' }, 'Password is required'],
    [{ email: 'a@b.example', password: 'short' }, 'Password must be at least 8 characters long'],
    [{ email: 'a@b.example', password: 'alllowercase1!' }, 'Password must contain at least one uppercase letter'],
    [{ email: 'a@b.example', password: PASSWORD, name: 'n'.repeat(121) }, 'Name is too long'],
  ])('%j › 400 invalid_request, one sentence', async (body, message) => {
    const response = await register(body);
    expect(response.status).toBe(400);
    expect(response.body).toMatchObject({ message, error: { code: 'invalid_request', message } });
    expect(response.body.error.details).toBeDefined();
  });

  it('unknown tenant › 400 Invalid tenant; suspended likewise', async () => {
    const suspended = await createTenant({ status: 'suspended' });
    for (const tenant of ['no-such-shop', suspended.id]) {
      const response = await register({ email: address(), password: PASSWORD }, { tenant });
      expect(response.status).toBe(400);
      expect(response.body).toMatchObject({ message: 'Invalid tenant', error: { code: 'invalid_request' } });
    }
  });

  it('an address with a log-in › 409 already_exists; the same address in another tenant › 200', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const response = await register({ email: customer.email, password: PASSWORD });
    expect(response.status).toBe(409);
    expect(response.body).toMatchObject({ message: 'Email already registered', error: { code: 'already_exists' } });
    expect((await register({ email: customer.email, password: PASSWORD }, { tenant: (await createTenant()).id })).status).toBe(200);
  });

  it('a customer whom the staff entered › 409 like any taken address, no log-in made, a job left for the mailbox', async () => {
    const customer = await createCustomer({ tenant: shop });
    const response = await register({ email: customer.email, password: PASSWORD });
    expect(response.status).toBe(409);
    expect(response.body).toMatchObject({ message: 'Email already registered', error: { code: 'already_exists' } });
    expect(await admin('SELECT 1 FROM customer_auth WHERE tenant_id = $1 AND customer_id = $2', [shop.id, customer.id])).toEqual([]);
    const jobs = await admin<{ payload: object }>(`SELECT payload FROM graphile_worker._private_jobs WHERE key = $1`, [
      `password-reset:customer:${customer.id}`,
    ]);
    expect(jobs).toEqual([
      { payload: { tenantId: shop.id, requestId: response.headers['x-request-id'], kind: 'customer', userId: String(customer.id) } },
    ]);
  });

  it('twenty registrations of one address at once › exactly one succeeds', async () => {
    const email = address();
    const answers = await Promise.all(Array.from({ length: 20 }, () => register({ email, password: PASSWORD })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 19 }, () => 409)]);
    expect(await admin('SELECT 1 FROM customers WHERE tenant_id = $1 AND email = $2', [shop.id, email])).toHaveLength(1);
  });
});

describe('GET /api/csrf-token', () => {
  it('no cookie › a new token, readable by script; with a valid one › the same again; with junk › a new one', async () => {
    const agent = app.agent();
    const first = await agent.get('/api/csrf-token');
    expect(first.status).toBe(200);
    const { csrfToken } = first.body.data;
    expect(csrfToken).toMatch(/^[0-9a-f]{32}$/);
    expect(cookieNamed(first, 'XSRF-TOKEN')).toBe(`XSRF-TOKEN=${csrfToken}; Max-Age=28800; Path=/; SameSite=Lax`);
    expect((await agent.get('/api/csrf-token')).body.data.csrfToken).toBe(csrfToken);
    const junk = await app.agent().set('Cookie', 'XSRF-TOKEN=<script>').get('/api/csrf-token');
    expect(junk.body.data.csrfToken).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe('POST /api/admin/staff/memberships', () => {
  const path = '/api/admin/staff/memberships';

  it('Owner changes a role › 200, effective for a live session at once, audited', async () => {
    const owner = await login(app, await createStaff({ tenant: shop, role: 'Owner' }));
    const staff = await createStaff({ tenant: shop, role: 'Technician' });
    const session = await login(app, staff);
    const roleNow = async () => (await session.agent.get('/api/auth/verify-token')).body.data.user.role;
    expect(await roleNow()).toBe('Technician');
    const response = await owner.agent.post(path).send({ staff_id: staff.id, tenant_id: shop.slug, role: 'Owner' });
    expect(response.status).toBe(200);
    expect(response.body.data).toEqual({ staff_id: staff.id, tenant_id: shop.id, role: 'Owner' });
    expect(await roleNow()).toBe('Owner');
    const [row] = await admin<Record<string, unknown>>(
      `SELECT before, after FROM audit_logs WHERE tenant_id = $1 AND entity_id = $2 AND action = 'ROLE_CHANGE'`,
      [shop.id, staff.id],
    );
    expect(row).toEqual({ before: { role: 'Technician' }, after: { role: 'Owner' } });
  });

  it('staff of another shop › becomes a member, role Advisor by default', async () => {
    const owner = await login(app, await createStaff({ tenant: shop, role: 'Owner' }));
    const staff = await createStaff({ tenant: await createTenant() });
    const session = await login(app, staff);
    const here = () => session.agent.set('X-Tenant-Id', shop.id).get('/api/auth/verify-token');
    expect((await here()).status).toBe(403);
    const response = await owner.agent.post(path).send({ staff_id: staff.id, tenant_id: shop.id });
    expect(response.body.data.role).toBe('Advisor');
    expect((await here()).body.data.user).toMatchObject({ role: 'Advisor', tenant_id: shop.id });
  });

  it.each(['Advisor', 'Accountant', 'Technician'] as const)('%s › 403', async (role) => {
    const staff = await createStaff({ tenant: shop, role });
    const { agent } = await login(app, staff);
    const response = await agent.post(path).send({ staff_id: staff.id, tenant_id: shop.id, role: 'Owner' });
    expect(response.status).toBe(403);
  });

  it('bad input › 400 with the contract words; another tenant › 403; unknown staff › 404', async () => {
    const staff = await createStaff({ tenant: shop, role: 'Owner' });
    const { agent } = await login(app, staff);
    const other = await createTenant();
    const cases: [object, number, string][] = [
      [{}, 400, 'staff_id and tenant_id required'],
      [{ staff_id: staff.id }, 400, 'staff_id and tenant_id required'],
      [{ staff_id: staff.id, tenant_id: 'no-such-shop' }, 400, 'tenant not found'],
      [{ staff_id: staff.id, tenant_id: shop.id, role: 'Customer' }, 400, 'role must be Owner, Advisor, Accountant or Technician'],
      [{ staff_id: staff.id, tenant_id: other.id }, 403, 'tenant_access_denied'],
      [{ staff_id: 'nobody', tenant_id: shop.id }, 404, 'Staff not found'],
    ];
    for (const [body, status, message] of cases) {
      const response = await agent.post(path).send(body);
      expect([response.status, response.body.message]).toEqual([status, message]);
    }
  });

  it('the last Owner › cannot be demoted, also not by two requests at once', async () => {
    const own = await createTenant();
    const [first, second] = [await createStaff({ tenant: own, role: 'Owner' }), await createStaff({ tenant: own, role: 'Owner' })];
    const [a, b] = [await login(app, first), await login(app, second)];
    const demote = (agent: Agent, id: string) => agent.post(path).send({ staff_id: id, tenant_id: own.id, role: 'Advisor' });
    const answers = await Promise.all([demote(a.agent, second.id), demote(b.agent, first.id)]);
    const owners = await admin(`SELECT 1 FROM staff_tenant_memberships WHERE tenant_id = $1 AND role = 'Owner'`, [own.id]);
    expect(owners).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('by cookie without the CSRF header › 403', async () => {
    const staff = await createStaff({ tenant: shop, role: 'Owner' });
    const { agent } = await loginWithCookies(app, staff);
    const response = await agent.post(path).unset('X-CSRF-Token').send({ staff_id: staff.id, tenant_id: shop.id });
    expect(response.status).toBe(403);
    expect(response.body.message).toBe('CSRF token invalid or missing');
  });
});

describe('tenant of a request', () => {
  const verify = (agent: Agent) => agent.get('/api/auth/verify-token');

  it('X-Tenant-Id by id and by slug › the role of that membership; unknown › tenant_not_found; foreign › tenant_access_denied', async () => {
    const other = await createTenant();
    const staff = await createStaff({ tenant: shop, role: 'Advisor' });
    await addMembership(staff, other, 'Accountant');
    const { token } = await login(app, staff);
    const as = (tenant?: string) => {
      const agent = app.agent().set('Authorization', `Bearer ${token}`);
      return verify(tenant === undefined ? agent : agent.set('X-Tenant-Id', tenant));
    };
    expect((await as()).body.data.user).toMatchObject({ role: 'Advisor', tenant_id: shop.id });
    expect((await as('')).body.data.user.tenant_id).toBe(shop.id);
    for (const key of [other.id, other.id.toUpperCase(), other.slug])
      expect((await as(key)).body.data.user).toMatchObject({ role: 'Accountant', tenant_id: other.id });
    for (const [key, message] of [
      ['no-such-shop', 'tenant_not_found'],
      ['../../etc', 'tenant_not_found'],
      [(await createTenant()).slug, 'tenant_access_denied'],
    ] as const) {
      const response = await as(key);
      expect([response.status, response.body.error.code, response.body.message]).toEqual([403, 'forbidden', message]);
    }
  });

  it('a customer naming another tenant › 403, though the same address exists there', async () => {
    const other = await createTenant();
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    await createCustomer({ tenant: other, canLogIn: true, columns: { email: customer.email } });
    const { token } = await login(app, customer);
    const response = await verify(app.agent().set('Authorization', `Bearer ${token}`).set('X-Tenant-Id', other.id));
    expect([response.status, response.body.message]).toEqual([403, 'tenant_access_denied']);
  });

  it('a tenant suspended while a session lives › 403 as soon as it is announced', async () => {
    const own = await createTenant();
    const { agent } = await login(app, await createStaff({ tenant: own }));
    expect((await verify(agent)).status).toBe(200);
    await admin(`UPDATE tenants SET status = 'suspended' WHERE id = $1`, [own.id]);
    deliverRevocation({ tenants: [own.id] });
    expect((await verify(agent)).status).toBe(403);
  });
});

it('a hash of another cost in the table › still verifies', async () => {
  const staff = await createStaff({ tenant: shop });
  await admin('UPDATE staff_users SET password_hash = $2 WHERE id = $1', [
    staff.id,
    await hash('Other-Secret-2', { memoryCost: 8192, timeCost: 3, parallelism: 1 }),
  ]);
  const response = await app.agent().post('/api/auth/login').send({ email: staff.email, password: 'Other-Secret-2' });
  expect(response.status).toBe(200);
});
