/** What the browser client does with a cookie session alone: no tenant header, no CSRF header on some writes, an empty bearer. @core */
import {
  type Customer,
  createAppointment,
  createCustomer,
  createStaff,
  createTenant,
  createVehicle,
  PASSWORD,
  type Vehicle,
} from '../support/factories';
import { startApp, type TestApp } from '../support/server';
import { countStatements } from '../support/statements';

let app: TestApp;
let customer: Customer;
let vehicle: Vehicle;
let cookie: string;

beforeAll(async () => {
  app = await startApp();
  const tenant = await createTenant();
  const advisor = await createStaff({ tenant, role: 'Advisor' });
  customer = await createCustomer({ tenant });
  vehicle = await createVehicle({ customer });
  await createAppointment({ tenant, vehicle });
  const response = await app.agent().post('/api/admin/login').send({ username: advisor.username, password: PASSWORD });
  cookie = (response.headers['set-cookie'] as unknown as string[]).map((line) => line.split(';')[0]).join('; ');
});

/** As its plain fetch calls leave the browser. */
const browser = (headers: Record<string, string> = {}) => app.agent().set({ Cookie: cookie, Authorization: 'Bearer ', ...headers });
const SAME_ORIGIN = { 'Sec-Fetch-Site': 'same-origin' };

it('reads › customer profile, notes and vehicle profile load', async () => {
  for (const path of [
    `/api/admin/customers/${customer.id}/profile`,
    `/api/admin/customers/${customer.id}/notes`,
    `/api/admin/vehicles/${vehicle.id}/profile`,
  ]) {
    const response = await browser().get(path);
    expect([path, response.status]).toEqual([path, 200]);
  }
});

describe('writes without the CSRF header', () => {
  const note = () => ({ path: `/api/admin/customers/${customer.id}/notes`, body: { content: 'Prefers mornings' }, status: 200 });
  const car = () => ({
    path: '/api/admin/vehicles',
    body: { customer_id: customer.id, make: 'Aurora', model: 'Wagon', year: 2020 },
    status: 201,
  });

  it.each([
    ['a note', note],
    ['a vehicle', car],
  ])('%s from the same origin › written', async (_name, write) => {
    const { path, body, status } = write();
    expect((await browser(SAME_ORIGIN).post(path).send(body)).status).toBe(status);
    expect((await browser({ Origin: app.url }).post(path).send(body)).status).toBe(status);
  });

  it.each([
    ['a note', note],
    ['a vehicle', car],
  ])('%s from a foreign origin, or from nowhere › 403', async (_name, write) => {
    const { path, body } = write();
    const strangers: Record<string, string>[] = [
      { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site' },
      { Origin: 'https://evil.example' },
      { 'Sec-Fetch-Site': 'same-site' },
      { Origin: 'null' },
      {},
    ];
    for (const headers of strangers) {
      const response = await browser(headers).post(path).send(body);
      expect([response.status, response.body.message]).toEqual([403, 'CSRF token invalid or missing']);
    }
  });
});

it('who am I › staff 200 with the role at the root; anonymous 401 without a statement', async () => {
  const staff = await browser().get('/api/customers/profile');
  expect(staff.status).toBe(200);
  expect(staff.body).toMatchObject({ role: 'Advisor', vehicles: [], data: { role: 'Advisor' } });
  const anonymous = app.agent();
  const { result, statements } = await countStatements(async () => await anonymous.get('/api/customers/profile'));
  expect(result.status).toBe(401);
  expect(statements).toEqual([]);
});
