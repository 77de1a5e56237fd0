/** Sessions: refresh, rotation, log-out, revocation. @core */
import jwt from 'jsonwebtoken';
import { config } from '../../config';
import { localBus } from '../../lib/cluster-ports';
import { type Revocation, setRevocationBus } from '../../lib/revocation';
import { hashOpaqueToken } from '../../lib/tokens';
import { ROTATION_GRACE_SECONDS } from '../../services/sessions.service';
import { admin } from '../support/database';
import { addMembership, createCustomer, createStaff, createTenant, PASSWORD, type Staff, type Tenant } from '../support/factories';
import { login, startApp, type TestApp } from '../support/server';
import { countStatements } from '../support/statements';

let app: TestApp;
let shop: Tenant;

beforeAll(async () => {
  app = await startApp();
  shop = await createTenant();
});

const VERIFY = '/api/auth/verify-token';

interface Jar {
  access: string;
  refresh: string;
  csrf: string;
}

/** Set-Cookie headers as name -> value, so that a test can present any cookie it likes. */
const cookies = (response: { headers: Record<string, unknown> }): Record<string, string> =>
  Object.fromEntries(
    ((response.headers['set-cookie'] ?? []) as string[]).map((cookie) => {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      return [name, value];
    }),
  );

async function signIn(account: { email: string; password: string; tenant: Tenant }): Promise<Jar> {
  const response = await app
    .agent()
    .set('X-Tenant-Id', account.tenant.id)
    .post('/api/auth/login')
    .send({ email: account.email, password: account.password });
  expect(response.status).toBe(200);
  const jar = cookies(response);
  return { access: jar['__Host_access_token'] ?? '', refresh: jar['__Host_refresh_token'] ?? '', csrf: jar['XSRF-TOKEN'] ?? '' };
}

const cookieHeader = ({ access, refresh }: { access?: string; refresh?: string }) =>
  [access && `__Host_access_token=${access}`, refresh && `__Host_refresh_token=${refresh}`].filter(Boolean).join('; ');
const withCookies = (jar: { access?: string; refresh?: string }) => app.agent().set('Cookie', cookieHeader(jar));
const withBearer = (token: string) => app.agent().set('Authorization', `Bearer ${token}`);
const refreshWith = (refresh: string) => withCookies({ refresh }).post('/api/auth/refresh').send();
const sidOf = (token: string) => (jwt.decode(token) as { sid: string }).sid;

/** The same token as one that has run out: signed with the service's own key. */
function expired(token: string): string {
  const claims = jwt.decode(token) as Record<string, number>;
  const past = Math.floor(Date.now() / 1000) - 60;
  return jwt.sign({ ...claims, iat: past - 900, exp: past }, config.JWT_SECRET, { algorithm: 'HS256' });
}
const rotatedAgo = (refresh: string, seconds: number) =>
  admin('UPDATE refresh_tokens SET rotated_at = now() - make_interval(secs => $2) WHERE token_hash = $1', [
    hashOpaqueToken(refresh),
    seconds,
  ]);

let staff: Staff;
beforeEach(async () => {
  staff = await createStaff({ tenant: shop, role: 'Advisor' });
});

describe('GET /api/auth/verify-token', () => {
  it('a session › 200 with user and end of the token; the alias answers the same', async () => {
    const jar = await signIn(staff);
    for (const path of [VERIFY, '/api/me']) {
      const { status, body } = await withBearer(jar.access).get(path);
      expect(status).toBe(200);
      const { exp } = jwt.decode(jar.access) as { exp: number };
      expect(body.data).toEqual({
        valid: true,
        user: { id: staff.id, email: staff.email, name: staff.name, role: 'Advisor', tenant_id: shop.id },
        expires_at: new Date(exp * 1000).toISOString(),
      });
    }
  });

  it('warm › no statement at all, by bearer, by cookie, for a customer, and with X-Tenant-Id', async () => {
    const jar = await signIn(staff);
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const own = await signIn(customer);
    const requests = [
      () => withBearer(jar.access).get(VERIFY),
      () => withCookies(jar).get(VERIFY),
      () => withBearer(own.access).get(VERIFY),
      () => withBearer(jar.access).set('X-Tenant-Id', shop.slug).get(VERIFY),
    ];
    for (const request of requests) {
      await request();
      const { result, statements } = await countStatements(request);
      expect(result.status).toBe(200);
      expect(statements).toEqual([]);
    }
  });

  it('cold › one read by key', async () => {
    const { access } = await signIn(staff);
    const { statements } = await countStatements(() => withBearer(access).set('X-Tenant-Id', shop.id).get(VERIFY));
    expect(statements).toHaveLength(1);
  });

  it('no credentials › 401 with the words the client looks for, and no statement', async () => {
    const { result, statements } = await countStatements(() => app.agent().get(VERIFY));
    expect(result.status).toBe(401);
    expect(result.body).toMatchObject({ message: 'Missing or invalid authorization token', error: { code: 'auth_required' } });
    expect(result.headers['www-authenticate']).toBe('Bearer');
    expect(statements).toEqual([]);
  });

  it('expired bearer › 401 token_expired; bearers are not renewed', async () => {
    const jar = await signIn(staff);
    const response = await app
      .agent()
      .set('Cookie', cookieHeader({ refresh: jar.refresh }))
      .set('Authorization', `Bearer ${expired(jar.access)}`)
      .get(VERIFY);
    expect(response.status).toBe(401);
    expect(response.body.error).toMatchObject({ code: 'token_expired', message: 'Token has expired' });
    expect(cookies(response)).toEqual({});
  });

  it('a well-signed token that nobody was given › 401: the session decides', async () => {
    const claims = { role: 'Owner', tenant_id: shop.id, typ: 'access', jti: 'x', iat: Math.floor(Date.now() / 1000) };
    const { access } = await signIn(staff);
    const forge = (more: object) => jwt.sign({ ...claims, ...more }, config.JWT_SECRET, { algorithm: 'HS256', expiresIn: 60 });
    const owner = await createStaff({ tenant: shop, role: 'Owner' });
    for (const token of [
      forge({ sub: staff.id, sid: '3b241101-e2bb-4255-8caf-4136c566a962' }),
      forge({ sub: owner.id, sid: sidOf(access) }),
      forge({ sub: staff.id, sid: sidOf(access), tenant_id: (await createTenant()).id }),
    ]) {
      const response = await withBearer(token).get(VERIFY);
      expect([response.status, response.body.error.code]).toEqual([401, 'invalid_token']);
    }
  });

  it('a token that claims a higher role › the membership decides', async () => {
    const { access } = await signIn(staff);
    const claims = jwt.decode(access) as object;
    const raised = jwt.sign({ ...claims, role: 'Owner' }, config.JWT_SECRET, { algorithm: 'HS256' });
    expect((await withBearer(raised).get(VERIFY)).body.data.user.role).toBe('Advisor');
  });

  it.each(['Bearer', 'Bearer '])('"%s" and a valid cookie › the cookie counts', async (authorization) => {
    const jar = await signIn(staff);
    const response = await withCookies(jar).set('Authorization', authorization).get(VERIFY);
    expect(response.status).toBe(200);
  });

  it('a junk bearer and a valid cookie › the bearer counts: 401', async () => {
    const jar = await signIn(staff);
    expect((await withCookies(jar).set('Authorization', 'Bearer dummy-token').get(VERIFY)).status).toBe(401);
  });

  it.each(['DEV_NO_AUTH', 'test-token', 'dummy-token'])('Bearer %s › 401: there is no way around', async (token) => {
    expect((await withBearer(token).set('X-Test-NoAuth', '1').get(`${VERIFY}?e2e_mock=1`)).status).toBe(401);
  });
});

describe('POST /api/auth/refresh', () => {
  it('by cookie › 200 with new cookies, the old token is replaced', async () => {
    const jar = await signIn(staff);
    const response = await refreshWith(jar.refresh);
    expect(response.status).toBe(200);
    expect(response.body.data).toEqual({ token: expect.any(String), expires_at: expect.stringMatching(/Z$/) });
    const fresh = cookies(response);
    expect(Object.keys(fresh)).toEqual(['__Host_access_token', '__Host_refresh_token']);
    expect(fresh['__Host_refresh_token']).not.toBe(jar.refresh);
    expect(sidOf(response.body.data.token)).toBe(sidOf(jar.access));
    expect((await withBearer(response.body.data.token).get(VERIFY)).status).toBe(200);
    expect((await refreshWith(fresh['__Host_refresh_token'] ?? '')).status).toBe(200);
  });

  it('by body › 200, for clients without cookies', async () => {
    const jar = await signIn(staff);
    const response = await app.agent().post('/api/auth/refresh').send({ refresh_token: jar.refresh });
    expect(response.status).toBe(200);
  });

  it('stored › only as a hash', async () => {
    const jar = await signIn(staff);
    const rows = await admin<{ token_hash: string }>('SELECT token_hash FROM refresh_tokens WHERE sid = $1', [sidOf(jar.access)]);
    expect(rows).toEqual([{ token_hash: hashOpaqueToken(jar.refresh) }]);
  });

  it.each([['unknown'], [''], ['x'.repeat(199)]])('%p › 401 invalid_token', async (token) => {
    const response = await app.agent().post('/api/auth/refresh').send({ refresh_token: token });
    expect([response.status, response.body.error.code]).toEqual([401, 'invalid_token']);
  });

  it('nothing presented, not even a body › 401', async () => {
    const response = await app.agent().post('/api/auth/refresh');
    expect([response.status, response.body.error.code]).toEqual([401, 'invalid_token']);
  });

  it('an expired refresh token › 401', async () => {
    const jar = await signIn(staff);
    await admin(`UPDATE refresh_tokens SET expires_at = now() - interval '1 second' WHERE token_hash = $1`, [hashOpaqueToken(jar.refresh)]);
    expect((await refreshWith(jar.refresh)).status).toBe(401);
  });

  it('twenty at once with one token › all succeed, all get the same successor', async () => {
    const jar = await signIn(staff);
    const answers = await Promise.all(Array.from({ length: 20 }, () => refreshWith(jar.refresh)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map((answer) => cookies(answer)['__Host_refresh_token'])).size).toBe(1);
    const rows = await admin('SELECT 1 FROM refresh_tokens WHERE sid = $1', [sidOf(jar.access)]);
    expect(rows).toHaveLength(2);
  });

  it('again within 30 s of its rotation › the same successor; 31 s after › 401 and the whole session ends at once', async () => {
    expect(ROTATION_GRACE_SECONDS).toBe(30);
    const jar = await signIn(staff);
    const first = cookies(await refreshWith(jar.refresh));
    // The clock of the database goes on while the request is on its way.
    await rotatedAgo(jar.refresh, 22);
    expect(cookies(await refreshWith(jar.refresh))['__Host_refresh_token']).toBe(first['__Host_refresh_token']);

    await rotatedAgo(jar.refresh, 31);
    expect((await withBearer(jar.access).get(VERIFY)).status).toBe(200);
    const reuse = await refreshWith(jar.refresh);
    expect([reuse.status, reuse.body.error.code]).toEqual([401, 'invalid_token']);
    expect((await withBearer(jar.access).get(VERIFY)).status).toBe(401);
    expect((await refreshWith(first['__Host_refresh_token'] ?? '')).status).toBe(401);
    const [session] = await admin<{ revoked: boolean }>('SELECT revoked_at IS NOT NULL AS revoked FROM sessions WHERE sid = $1', [
      sidOf(jar.access),
    ]);
    expect(session).toEqual({ revoked: true });
  });

  it('reuse in one session › another session of the same person lives on', async () => {
    const [one, two] = [await signIn(staff), await signIn(staff)];
    await refreshWith(one.refresh);
    await rotatedAgo(one.refresh, 60);
    await refreshWith(one.refresh);
    expect((await withBearer(two.access).get(VERIFY)).status).toBe(200);
  });

  it('of a deactivated account › 401', async () => {
    const jar = await signIn(staff);
    await admin('UPDATE staff_users SET is_active = false WHERE id = $1', [staff.id]);
    expect((await refreshWith(jar.refresh)).status).toBe(401);
  });
});

describe('silent renewal', () => {
  it.each(['missing', 'expired'])(
    'access cookie %s, refresh cookie valid › the request goes on, new cookies come with it',
    async (state) => {
      const jar = await signIn(staff);
      const response = await withCookies(state === 'expired' ? { ...jar, access: expired(jar.access) } : { refresh: jar.refresh }).get(
        VERIFY,
      );
      expect(response.status).toBe(200);
      expect(response.body.data.user.id).toBe(staff.id);
      const fresh = cookies(response);
      expect(Object.keys(fresh)).toEqual(['__Host_access_token', '__Host_refresh_token']);
      const { exp } = jwt.decode(fresh['__Host_access_token'] ?? '') as { exp: number };
      expect(response.body.data.expires_at).toBe(new Date(exp * 1000).toISOString());
      expect((await withCookies({ access: fresh['__Host_access_token'] ?? '' }).get(VERIFY)).status).toBe(200);
    },
  );

  it('a page of ten parallel requests with the old cookies › all succeed', async () => {
    const customer = await createCustomer({ tenant: shop, canLogIn: true });
    const jar = await signIn(customer);
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => withCookies({ access: expired(jar.access), refresh: jar.refresh }).get(VERIFY)),
    );
    for (const { status, body } of answers) expect([status, body.data.user.id]).toEqual([200, String(customer.id)]);
  });

  it('access cookie valid › nothing is rotated', async () => {
    const jar = await signIn(staff);
    expect(cookies(await withCookies(jar).get(VERIFY))).toEqual({});
  });

  it('a forged access cookie beside a valid refresh cookie › 401, nothing is rotated', async () => {
    const jar = await signIn(staff);
    const forged = jwt.sign(jwt.decode(jar.access) as object, 'another-key-that-is-long-enough-for-hs256');
    const response = await withCookies({ access: forged, refresh: jar.refresh }).get(VERIFY);
    expect(response.status).toBe(401);
    expect(cookies(response)).toEqual({});
  });

  it('a dead refresh cookie › 401 once by reading, afterwards without', async () => {
    const jar = await signIn(staff);
    await admin('UPDATE sessions SET revoked_at = now() WHERE sid = $1', [sidOf(jar.access)]);
    expect((await withCookies({ refresh: jar.refresh }).get(VERIFY)).status).toBe(401);
    const { result, statements } = await countStatements(() => withCookies({ refresh: jar.refresh }).get(VERIFY));
    expect(result.status).toBe(401);
    expect(statements).toEqual([]);
  });

  it('a renewed request that writes › still needs its CSRF token', async () => {
    const owner = await createStaff({ tenant: shop, role: 'Owner' });
    const jar = await signIn(owner);
    const write = (csrf: string) =>
      app
        .agent()
        .set('Cookie', `${cookieHeader({ refresh: jar.refresh })}; XSRF-TOKEN=${jar.csrf}`)
        .set('X-CSRF-Token', csrf)
        .post('/api/admin/staff/memberships')
        .send({ staff_id: staff.id, tenant_id: shop.id, role: 'Technician' });
    expect((await write('0'.repeat(32))).status).toBe(403);
    expect((await write(jar.csrf)).status).toBe(200);
  });
});

describe('log-out', () => {
  it.each(['/api/logout', '/api/auth/logout'])('POST %s › 204, three cookies expired, session ended at once, audited', async (path) => {
    const jar = await signIn(staff);
    expect((await withBearer(jar.access).get(VERIFY)).status).toBe(200);
    const response = await withCookies(jar).post(path).send({});
    expect(response.status).toBe(204);
    expect(response.text).toBe('');
    const expiring = (response.headers['set-cookie'] as unknown as string[]).map((cookie) => cookie.replace('; HttpOnly', ''));
    expect(expiring.sort()).toEqual(
      ['XSRF-TOKEN', '__Host_access_token', '__Host_refresh_token'].map(
        (name) => `${name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; SameSite=Lax`,
      ),
    );
    expect((await withBearer(jar.access).get(VERIFY)).status).toBe(401);
    expect((await refreshWith(jar.refresh)).status).toBe(401);
    const rows = await admin(`SELECT 1 FROM audit_logs WHERE tenant_id = $1 AND entity_id = $2 AND action = 'LOGOUT' AND user_id = $2`, [
      shop.id,
      staff.id,
    ]);
    expect(rows).toHaveLength(1);
  });

  it('by bearer › 204, that session ends and no other', async () => {
    const [one, two] = [await signIn(staff), await signIn(staff)];
    expect((await withBearer(one.access).post('/api/auth/logout')).status).toBe(204);
    expect((await withBearer(one.access).get(VERIFY)).status).toBe(401);
    expect((await withBearer(two.access).get(VERIFY)).status).toBe(200);
  });

  it('with an expired access token › the refresh cookie names the session', async () => {
    const jar = await signIn(await createCustomer({ tenant: shop, canLogIn: true }));
    expect((await withCookies({ access: expired(jar.access), refresh: jar.refresh }).post('/api/logout')).status).toBe(204);
    expect((await refreshWith(jar.refresh)).status).toBe(401);
  });

  it.each([
    ['nothing', {}],
    ['junk cookies', { access: 'junk', refresh: 'junk' }],
  ])('with %s › 204 all the same, twice', async (_name, jar) => {
    for (let round = 0; round < 2; round += 1) expect((await withCookies(jar).post('/api/logout')).status).toBe(204);
  });

  it('with an unknown X-Tenant-Id › 204', async () => {
    const jar = await signIn(staff);
    expect((await withCookies(jar).set('X-Tenant-Id', 'no-such-shop').post('/api/logout')).status).toBe(204);
    expect((await withBearer(jar.access).get(VERIFY)).status).toBe(401);
  });

  it('tells the other workers and waits for them before it answers', async () => {
    const seen: Revocation[] = [];
    let acknowledged = false;
    setRevocationBus({
      ...localBus(),
      publish: async (_topic, payload) => {
        seen.push(payload as Revocation);
        await new Promise((resolve) => setTimeout(resolve, 20));
        acknowledged = true;
      },
    });
    try {
      const jar = await signIn(staff);
      await withCookies(jar).post('/api/logout');
      expect(acknowledged).toBe(true);
      expect(seen).toEqual([{ sessions: [sidOf(jar.access)] }]);
    } finally {
      setRevocationBus(localBus());
    }
  });
});

it('a revocation heard from another worker › the cached session is read anew at once', async () => {
  const handlers: ((payload: unknown) => void | Promise<void>)[] = [];
  setRevocationBus({
    ...localBus(),
    subscribe: (_topic, handler) => {
      handlers.push(handler);
      return () => undefined;
    },
  });
  const other = await createTenant();
  await addMembership(staff, other, 'Owner');
  const { agent, token } = await login(app, staff);
  expect((await agent.get(VERIFY)).status).toBe(200);
  await admin('UPDATE sessions SET revoked_at = now() WHERE sid = $1', [sidOf(token)]);
  expect((await agent.get(VERIFY)).status).toBe(200);
  for (const handler of handlers) await handler({ sessions: [sidOf(token)] });
  expect((await agent.get(VERIFY)).status).toBe(401);
  setRevocationBus(localBus());
});

it('an account deactivated while its session lives › ends within the cache time', async () => {
  const { agent } = await login(app, staff);
  expect((await agent.get(VERIFY)).status).toBe(200);
  await admin('UPDATE staff_users SET is_active = false WHERE id = $1', [staff.id]);
  const until = Date.now() + 8_000;
  let status = 200;
  while (status === 200 && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    status = (await agent.get(VERIFY)).status;
  }
  expect(status).toBe(401);
});

it('a wrong password beside a live session › the session is untouched', async () => {
  const jar = await signIn(staff);
  const response = await withCookies(jar)
    .post('/api/admin/login')
    .send({ username: staff.username, password: `${PASSWORD}-no` });
  expect(response.status).toBe(401);
  expect((await withCookies(jar).get(VERIFY)).status).toBe(200);
});
