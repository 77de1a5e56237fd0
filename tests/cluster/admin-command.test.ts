import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { admin as adminDatabase } from '../support/database';
import { createStaff, createTenant, PASSWORD, type Tenant } from '../support/factories';
import { login, startApp, type TestApp } from '../support/server';

const COMMAND = join(__dirname, '..', '..', 'dist', 'scripts', 'admin.js');

interface Run {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function run(
  parameters: readonly string[],
  { input = '', env = {} }: { input?: string; env?: Record<string, string> } = {},
): Promise<Run> {
  const child = spawn(process.execPath, [COMMAND, ...parameters], { env: { ...process.env, ...env } });
  const read = async (stream: NodeJS.ReadableStream) => {
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return text;
  };
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([read(child.stdout), read(child.stderr), once(child, 'close')]);
  return { code: code as number | null, stdout, stderr };
}

let app: TestApp;
let shop: Tenant;
beforeAll(async () => {
  app = await startApp();
  shop = await createTenant();
});

const unique = () => `person-${Math.random().toString(36).slice(2, 10)}`;
const create = (username: string, ...more: string[]) => [
  'user:create',
  ...['--username', username, '--email', `${username}@staff.example`, '--name', 'Some Body', '--role', 'Owner', '--tenant', shop.slug],
  '--password-stdin',
  ...more,
];
const signIn = (username: string, password: string) => app.agent().post('/api/admin/login').send({ username, password });

it('user:create › the account logs in over HTTP with its role; audited without the password', async () => {
  const username = unique();
  const created = await run(create(username), { input: `${PASSWORD}\n` });
  expect(created).toMatchObject({ code: 0, stdout: expect.stringContaining(`Owner of ${shop.slug}`) });
  const response = await signIn(username, PASSWORD);
  expect(response.body.data.user).toEqual({ username, role: 'Owner' });
  const rows = await adminDatabase<{ user_id: string; after: object }>(
    `SELECT user_id, after FROM audit_logs WHERE tenant_id = $1 AND action = 'STAFF_CREATE' AND after->>'username' = $2`,
    [shop.id, username],
  );
  expect(rows).toEqual([{ user_id: 'admin-command', after: { username, role: 'Owner' } }]);
  expect(await run(create(username), { input: PASSWORD })).toMatchObject({ code: 1, stderr: 'admin: Username already exists\n' });
});

it('a weak password › refused; with --allow-weak accepted, but never in production', async () => {
  const username = unique();
  expect(await run(create(username), { input: 'dev' })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('at least 8 characters'),
  });
  const production = {
    NODE_ENV: 'production',
    JWT_SECRET: 'q3Zt8vLw1Xy6Kp9Rb2Nf5Hs7Dg4Jm0Tc',
    DB_SSL: 'off',
  };
  expect(await run(create(username, '--allow-weak'), { input: 'dev', env: production })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--allow-weak is refused in production'),
  });
  expect(await run(create(username, '--allow-weak'), { input: '', env: {} })).toMatchObject({
    code: 1,
    stderr: 'admin: Password is required\n',
  });
  expect(await run(create(username, '--allow-weak'), { input: 'dev' })).toMatchObject({ code: 0 });
  expect((await signIn(username, 'dev')).status).toBe(200);
});

it('user:password › the new one works, the sessions of the account have ended', async () => {
  const staff = await createStaff({ tenant: shop });
  await login(app, staff);
  expect(await run(['user:password', '--user', staff.email, '--password-stdin'], { input: 'Another-secret-9' })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('1 sessions ended'),
  });
  expect((await signIn(staff.username, PASSWORD)).status).toBe(401);
  expect((await signIn(staff.username, 'Another-secret-9')).status).toBe(200);
});

it('user:role, user:list, session:revoke › act on the named account', async () => {
  const staff = await createStaff({ tenant: shop, role: 'Technician' });
  await login(app, staff);
  expect(await run(['user:role', '--user', staff.username, '--tenant', shop.id, '--role', 'Accountant'])).toMatchObject({ code: 0 });
  const { stdout } = await run(['user:list']);
  expect(stdout.split('\n').find((line) => line.startsWith(staff.username))).toContain(`${shop.slug}:Accountant`);
  expect(await run(['session:revoke', '--user', staff.username])).toMatchObject({ code: 0, stdout: expect.stringContaining('1 sessions') });
  const [row] = await adminDatabase<{ live: number }>(
    `SELECT count(*)::int AS live FROM sessions WHERE actor_id = $1 AND revoked_at IS NULL`,
    [staff.id],
  );
  expect(row).toEqual({ live: 0 });
});

it('tenant:create › listed, with settings; a second of that slug refused', async () => {
  const slug = unique();
  expect(await run(['tenant:create', '--slug', slug, '--name', 'New shop', '--timezone', 'Europe/Paris'])).toMatchObject({ code: 0 });
  expect((await run(['tenant:list'])).stdout).toMatch(new RegExp(`^${slug} .*Europe/Paris`, 'm'));
  const settings = await adminDatabase('SELECT 1 FROM tenant_settings s JOIN tenants t ON t.id = s.tenant_id WHERE t.slug = $1', [slug]);
  expect(settings).toHaveLength(1);
  expect(await run(['tenant:create', '--slug', slug, '--name', 'x'])).toMatchObject({
    code: 1,
    stderr: 'admin: Tenant slug already exists\n',
  });
});

it('tenant:update --sms-number › seen by the owner, audited; a number of another shop or of a wrong form refused; none takes it away', async () => {
  const number = `+1555${String(Date.now() % 10_000_000).padStart(7, '0')}`;
  const set = (key: string, value: string, env = {}) => run(['tenant:update', '--tenant', key, '--sms-number', value], { env });
  const { agent: owner } = await login(app, await createStaff({ tenant: shop, role: 'Owner' }));
  const seen = async () => (await owner.get('/api/admin/settings')).body.data.sms_number;
  expect(await set(shop.slug, number)).toMatchObject({ code: 0, stdout: `texts of ${shop.slug} come from ${number}\n` });
  expect(await seen()).toBe(number);
  // Not the owner's to claim: who has a number reads what is sent to it.
  await owner.patch('/api/admin/settings').send({ sms_number: '+15550100099', tax_basis_points: 5 });
  expect(await seen()).toBe(number);

  const other = await createTenant();
  expect(await set(other.slug, number)).toMatchObject({ code: 1, stderr: 'admin: Another shop has this SMS number\n' });
  for (const wrong of ['5550100', '+0155501000', '+1 555 010 0000', '+1555010000012345'])
    expect(await set(other.slug, wrong)).toMatchObject({ code: 1, stderr: expect.stringContaining('E.164') });
  expect(await set(other.slug, '+15550100055', { SMS_FROM: '+15550100055' })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('SMS_FROM'),
  });
  expect(await adminDatabase('SELECT sms_number FROM tenants WHERE id = $1', [other.id])).toEqual([{ sms_number: null }]);

  expect((await set(shop.slug, 'none')).code).toBe(0);
  expect(await seen()).toBeNull();
  const trail = await adminDatabase(
    `SELECT user_id, before, after FROM audit_logs WHERE tenant_id = $1 AND action = 'TENANT_UPDATE' ORDER BY created_at`,
    [shop.id],
  );
  expect(trail).toEqual([
    { user_id: 'admin-command', before: { sms_number: null }, after: { sms_number: number } },
    { user_id: 'admin-command', before: { sms_number: number }, after: { sms_number: null } },
  ]);
});

it('wrong usage 64, unknown tenant 1, no database 75 › one clear line each', async () => {
  expect(await run(['user:create'])).toMatchObject({ code: 64, stderr: expect.stringContaining('needs --username, --name, --role') });
  expect(await run(create(unique(), '--tenant', 'no-such-shop'), { input: PASSWORD })).toMatchObject({
    code: 1,
    stderr: 'admin: No tenant no-such-shop\n',
  });
  expect(await run(['user:list'], { env: { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' } })).toMatchObject({
    code: 75,
    stderr: expect.stringContaining('ECONNREFUSED'),
  });
});

it('with only the owner’s URL › works as well', async () => {
  const { code, stdout } = await run(['tenant:list'], { env: { DATABASE_URL: '' } });
  expect(code).toBe(0);
  expect(stdout).toContain(shop.slug);
});
