/** The service closed for maintenance: who still gets in, and what everybody else is told. */

import { factsAlone, type Maintenance } from '../../lib/cluster-ports';
import { setMaintenanceSource } from '../../server/http/middleware/maintenance';
import { setProbeSource } from '../../server/ops/probes';
import { createCustomer, createStaff, createTenant, PASSWORD, type Tenant } from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const CLOSED: Maintenance = { reason: 'New disk until noon', since: '2026-01-01T00:00:00.000Z' };

let app: TestApp;
let shop: Tenant;
let closed: Maintenance | null = null;
beforeAll(async () => {
  app = await startApp();
  shop = await createTenant();
  setMaintenanceSource(() => closed);
  setProbeSource({ facts: () => factsAlone(false, closed), slot: () => 0 });
});
beforeEach(() => {
  closed = CLOSED;
});
afterAll(() => setMaintenanceSource(() => null));

const asStaff = async (role: 'Owner' | 'Advisor' | 'Accountant' | 'Technician'): Promise<Agent> =>
  actAs(app, await createStaff({ tenant: shop, role }));

const REFUSAL = { ok: false, data: null, error: { code: 'maintenance', message: 'New disk until noon' } };

test.each(['Advisor', 'Accountant', 'Technician'] as const)('%s › 503 with the reason and Retry-After', async (role) => {
  const reply = await (await asStaff(role)).get('/api/admin/customers');
  expect(reply.status).toBe(503);
  expect(reply.headers).toMatchObject({ 'retry-after': '60', 'cache-control': 'no-store' });
  expect(reply.body).toMatchObject(REFUSAL);
});

test('a customer, and nobody › the same', async () => {
  const customer = await actAs(app, await createCustomer({ tenant: shop }));
  for (const agent of [customer, app.agent().set('X-Tenant-Id', shop.id)]) {
    const reply = await agent.get('/api/appointments');
    expect([reply.status, reply.body.error.code]).toEqual([503, 'maintenance']);
  }
  const registration = await app.agent().set('X-Tenant-Id', shop.id).post('/api/customers/register').send({});
  expect([registration.status, registration.body.error.code]).toEqual([503, 'maintenance']);
});

test('an owner › served as ever, in the own shop', async () => {
  const owner = await asStaff('Owner');
  expect((await owner.get('/api/admin/customers')).status).toBe(200);
  const elsewhere = await createTenant();
  expect((await owner.get('/api/admin/customers').set('X-Tenant-Id', elsewhere.id)).status).not.toBe(200);
});

test('log-in and log-out › open, so that an owner can get in', async () => {
  const { username } = await createStaff({ tenant: shop, role: 'Owner' });
  const agent = app.agent().set('X-Tenant-Id', shop.id);
  const reply = await agent.post('/api/admin/login').send({ username, password: PASSWORD });
  expect(reply.status).toBe(200);
  agent.set('Authorization', `Bearer ${reply.body.data.token}`);
  expect((await agent.get('/api/admin/customers')).status).toBe(200);
  expect((await agent.get('/api/csrf-token')).status).toBe(200);
  expect((await agent.post('/api/auth/logout')).status).toBe(204);
});

test('probes › as ever: closed on purpose is not broken; /ready says that it is', async () => {
  for (const path of ['/health', '/health/live', '/api/health']) expect((await app.agent().get(path)).status).toBe(200);
  const ready = await app.agent().get('/ready');
  expect(ready.body).toMatchObject({ maintenance: true });
  closed = null;
  const open = await app.agent().get('/ready');
  expect(open.body).toMatchObject({ maintenance: false, status: ready.body.status });
  expect(open.status).toBe(ready.status);
});

test('unknown paths and wrong verbs › 404 and 405 as ever', async () => {
  expect((await app.agent().get('/api/nothing-here')).status).toBe(404);
  expect((await app.agent().delete('/api/admin/login')).status).toBe(405);
});

test('no reason given › a sentence all the same; over › served again', async () => {
  closed = { ...CLOSED, reason: null };
  const advisor = await asStaff('Advisor');
  expect((await advisor.get('/api/admin/customers')).body.error.message).toBe('Service is under maintenance');
  closed = null;
  expect((await advisor.get('/api/admin/customers')).status).toBe(200);
});
