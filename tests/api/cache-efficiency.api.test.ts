import { setOpsSource } from '../../lib/ops-source';
import { createCustomer, createStaff, createTenant, createVehicle } from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const PATH = '/api/admin/metrics/304-efficiency';
const NONE = { total: 0, hits_304: 0, efficiency_pct: null };

let app: TestApp;
let owner: Agent;
beforeAll(async () => {
  app = await startApp();
  const tenant = await createTenant();
  owner = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
  const customer = await createCustomer({ tenant });
  const vehicle = await createVehicle({ customer });
  await expectEfficiency({ '/api/customer/profile': NONE, '/api/vehicle/profile': NONE });
  const profile = `/api/admin/customers/${customer.id}/profile`;
  const { headers } = await owner.get(profile);
  for (let index = 0; index < 2; index += 1) await owner.get(profile).set('If-None-Match', headers['etag'] as string);
  await owner.get('/api/admin/customers/999999999/profile');
  await owner.head(profile);
  await owner.get(`/api/admin/vehicles/${vehicle.id}/profile`);
});
afterEach(() => setOpsSource(null));

async function expectEfficiency(routes: object): Promise<void> {
  const { status, body } = await owner.get(PATH);
  expect([status, body.data, body.routes]).toEqual([200, { routes }, routes]);
}

test('pages asked for › how many and how often 304; refusals and HEAD do not count', async () => {
  await expectEfficiency({
    '/api/customer/profile': { total: 3, hits_304: 2, efficiency_pct: 66.67 },
    '/api/vehicle/profile': { total: 1, hits_304: 0, efficiency_pct: 0 },
  });
});

test('in a cluster › the counts of all workers, from the primary', async () => {
  const body = [
    '# TYPE autoshop_http_requests_total counter',
    'autoshop_http_requests_total{method="GET",route="getVehicleProfile",status="200"} 30',
    'autoshop_http_requests_total{method="GET",route="getVehicleProfile",status="304"} 70',
    'autoshop_http_requests_total{method="GET",route="getVehicleProfileOther",status="304"} 900',
  ].join('\n');
  setOpsSource({ get: async () => ({ status: 200, contentType: 'text/plain', body }) });
  await expectEfficiency({ '/api/customer/profile': NONE, '/api/vehicle/profile': { total: 100, hits_304: 70, efficiency_pct: 70 } });
});

test('the primary is silent › 503, no invented numbers', async () => {
  setOpsSource({ get: () => Promise.reject(new Error('no answer')) });
  const { status, body } = await owner.get(PATH);
  expect([status, body.error.code, body.data]).toEqual([503, 'unavailable', null]);
});
