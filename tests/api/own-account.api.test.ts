/** What a signed-in person sees and changes about themselves. @core */
import { admin } from '../support/database';
import { createAppointment, createCustomer, createStaff, createTenant, createVehicle, type Tenant } from '../support/factories';
import { login, loginWithCookies, startApp, type TestApp } from '../support/server';
import { countWarmStatements } from '../support/warm-statements';

let app: TestApp;
let tenant: Tenant;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
});

const me = async () => {
  const customer = await createCustomer({ tenant, canLogIn: true });
  return { customer, agent: (await login(app, customer)).agent };
};

describe('GET /api/customers/profile', () => {
  test('a customer by cookie › themselves with active vehicles, everything at the root too', async () => {
    const customer = await createCustomer({ tenant, canLogIn: true });
    const second = await createVehicle({ customer });
    const first = await createVehicle({ customer, columns: { is_primary: true } });
    await createVehicle({ customer, columns: { is_active: false } });
    const { agent } = await loginWithCookies(app, customer);
    const { status, body } = await agent.get('/api/customers/profile');
    expect(status).toBe(200);
    expect(body.data).toEqual({
      id: customer.id,
      email: customer.email,
      name: customer.name,
      phone: customer.phone,
      role: 'Customer',
      tenant_id: tenant.id,
      sms_consent: false,
      vehicles: [first, second].map((vehicle) => ({
        id: vehicle.id,
        make: vehicle.make,
        model: vehicle.model,
        year: vehicle.year,
        license_plate: vehicle.plate,
        vin: vehicle.vin,
        is_primary: vehicle === first,
      })),
      created_at: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/),
    });
    expect(body).toMatchObject(body.data);
  });

  test.each(['Owner', 'Technician'] as const)('%s › 200 with the role at the root and no vehicles', async (role) => {
    const staff = await createStaff({ tenant, role });
    const { body, status } = await (await login(app, staff)).agent.get('/api/customers/profile');
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: staff.id, email: staff.email, name: staff.name, role, vehicles: [], tenant_id: tenant.id });
  });

  test('nobody › 401, also by the path without /api', async () => {
    for (const path of ['/api/customers/profile', '/api/customers/profile/', '/customers/profile']) {
      expect([path, (await app.agent().get(path)).status]).toEqual([path, 401]);
    }
  });
});

describe('PUT /api/customers/profile', () => {
  test('known cars are changed, temp- ones added, those left out stay', async () => {
    const { customer, agent } = await me();
    const [kept, changed] = [await createVehicle({ customer }), await createVehicle({ customer })];
    const { status, body } = await agent.put('/api/customers/profile').send({
      name: 'New Name',
      vehicles: [
        { id: String(changed.id), make: 'Saab', model: '900', year: '1991' },
        { id: 'temp-1f0c', make: 'Honda', model: 'Jazz', year: 2012, license_plate: '' },
      ],
    });
    expect(status).toBe(200);
    expect(body.data.name).toBe('New Name');
    expect(body).not.toHaveProperty('name');
    const cars = body.data.vehicles as { id: number; make: string; year: number; vin: string | null }[];
    expect(cars.map(({ make }) => make).sort()).toEqual(['Aurora', 'Honda', 'Saab']);
    expect(cars.find(({ id }) => id === changed.id)).toMatchObject({ make: 'Saab', year: 1991, vin: changed.vin });
    expect(cars.find(({ id }) => id === kept.id)).toMatchObject({ make: 'Aurora' });
  });

  test('the most new cars there may be › all added, the first one primary; one lock on the person for all of them', async () => {
    const { agent } = await me();
    const vehicles = Array.from({ length: 50 }, (_, n) => ({ make: 'Saab', model: `${n}`, year: 1991 }));
    const { result, statements } = await countWarmStatements(() => agent.put('/api/customers/profile').send({ vehicles }));
    expect([result.status, result.text.slice(0, 200)]).toEqual([200, result.text.slice(0, 200)]);
    const cars = result.body.data.vehicles as { model: string; is_primary: boolean }[];
    expect(cars).toHaveLength(50);
    expect(cars.filter(({ is_primary }) => is_primary).map(({ model }) => model)).toEqual(['0']);
    expect(statements.filter((text) => /FOR NO KEY UPDATE/.test(text))).toHaveLength(1);
  });

  test('ten known cars › one ownership statement', async () => {
    const { customer, agent } = await me();
    const cars = await Promise.all(Array.from({ length: 10 }, () => createVehicle({ customer })));
    const vehicles = cars.map(({ id, make, model, year }) => ({ id, make, model, year }));
    await agent.get('/api/customers/profile');
    const { result, statements } = await countWarmStatements(() => agent.put('/api/customers/profile').send({ vehicles }));
    expect(result.status).toBe(200);
    expect(statements.filter((text) => /FROM "?vehicles"?.*customer_id/s.test(text) && /FOR UPDATE/.test(text))).toHaveLength(1);
    // The lock on the person, the ownership of all cars, and the reply.
    expect(statements).toHaveLength(3);
  });

  test('a car of somebody else among own ones › 404, nothing changed', async () => {
    const { customer, agent } = await me();
    const mine = await createVehicle({ customer });
    const foreign = await createVehicle({ customer: await createCustomer({ tenant }) });
    for (const id of [foreign.id, 'nonsense', '999999999']) {
      const { status } = await agent.put('/api/customers/profile').send({
        name: 'Thief',
        vehicles: [
          { id: mine.id, make: 'Changed' },
          { id, make: 'Stolen' },
        ],
      });
      expect([id, status]).toEqual([id, 404]);
    }
    const rows = await admin<{ make: string }>('SELECT make FROM vehicles WHERE id = ANY ($1)', [[mine.id, foreign.id]]);
    expect(rows.map(({ make }) => make)).toEqual(['Aurora', 'Aurora']);
    const [person] = await admin<{ name: string }>('SELECT name FROM customers WHERE id = $1', [customer.id]);
    expect(person?.name).toBe(customer.name);
  });

  test('an e-mail › the log-in follows; one in use › 409 already_exists; none › 400', async () => {
    const { customer, agent } = await me();
    const taken = await createCustomer({ tenant });
    const email = `moved-${customer.id}@customer.example`;
    expect((await agent.put('/api/customers/profile').send({ email: ` ${email.toUpperCase()} ` })).body.data.email).toBe(email);
    await expect(login(app, { ...customer, email })).resolves.toHaveProperty('token');
    const conflict = await agent.put('/api/customers/profile').send({ email: taken.email });
    expect([conflict.status, conflict.body.error.code]).toEqual([409, 'already_exists']);
    expect((await agent.put('/api/customers/profile').send({ email: '' })).body.error.details).toEqual({ email: 'required' });
  });

  test('a new car without its year › 400 that names it', async () => {
    const { agent } = await me();
    const { status, body } = await agent.put('/api/customers/profile').send({ vehicles: [{ make: 'A', model: 'B' }] });
    expect([status, body.error]).toMatchObject([400, { code: 'validation_failed', details: { 'vehicles[0].year': 'required' } }]);
  });

  test('staff › 403', async () => {
    const { agent } = await login(app, await createStaff({ tenant, role: 'Owner' }));
    expect((await agent.put('/api/customers/profile').send({ name: 'x' })).status).toBe(403);
  });
});

describe('own vehicles and history', () => {
  test('the first vehicle › 201 and primary; the list has it with the total; the VIN of another › 409', async () => {
    const { agent } = await me();
    const other = await createVehicle({ customer: await createCustomer({ tenant }) });
    const made = await agent
      .post('/api/customers/vehicles')
      .send({ make: 'Honda', model: 'Jazz', year: 2012, customer_id: other.customer.id });
    expect([made.status, made.body.data.is_primary]).toEqual([201, true]);
    expect((await agent.get('/api/customers/vehicles')).body.data).toEqual({ items: [made.body.data], total: 1 });
    expect((await agent.post('/api/customers/vehicles').send({ make: 'A', model: 'B', year: 2000, vin: other.vin })).status).toBe(409);
    expect((await agent.post('/api/customers/vehicles').send({ make: 'A' })).body.message).toBe('Missing required fields');
  });

  test('history › own closed appointments only', async () => {
    const { customer, agent } = await me();
    const done = await createAppointment({ tenant, customer, status: 'COMPLETED', start: new Date(Date.now() - 1000) });
    await createAppointment({ tenant, customer });
    await createAppointment({ tenant, customer: await createCustomer({ tenant }), status: 'COMPLETED' });
    await agent.get('/api/customers/profile');
    const { result, statements } = await countWarmStatements(() => agent.get('/api/customers/history'));
    expect(result.body.data.pastAppointments.map(({ id }: { id: string }) => id)).toEqual([String(done.id)]);
    expect(statements).toHaveLength(1);
  });
});

describe('PUT /api/customers/sms-consent', () => {
  test('yes, then no › date and address stamped, then opt-out by WEB; again no › nothing new on record', async () => {
    const { customer, agent } = await me();
    const send = (smsConsent: unknown) =>
      agent.put('/api/customers/sms-consent').send({ sms_consent: smsConsent, phone: '(555) 000-1111' });
    const yes = await send(true);
    expect(yes.body.data).toEqual({ sms_consent: true, sms_consent_date: expect.stringMatching(/Z$/) });
    const read = async () =>
      (
        await admin<Record<string, unknown>>(
          `SELECT sms_consent, host(sms_consent_ip) AS ip, sms_opt_out, sms_opt_out_method, phone FROM customers WHERE id = $1`,
          [customer.id],
        )
      )[0];
    expect(await read()).toEqual({
      sms_consent: true,
      ip: expect.stringMatching(/^10\./),
      sms_opt_out: false,
      sms_opt_out_method: null,
      phone: '(555) 000-1111',
    });
    expect((await send(false)).body.data.sms_consent).toBe(false);
    await send(false);
    expect(await read()).toMatchObject({ sms_consent: false, sms_opt_out: true, sms_opt_out_method: 'WEB' });
    expect(await admin('SELECT id FROM customer_audits WHERE customer_id = $1', [customer.id])).toHaveLength(2);
    expect((await send('yes')).body.error.details).toEqual({ sms_consent: 'must_be_boolean' });
  });
});
