/** Vehicles: create, change, primary flag, deactivate, transfer, lists; for the staff and for their owners. @core */
import { randomBytes } from 'node:crypto';
import { admin } from '../support/database';
import {
  type Customer,
  createAppointment,
  createCustomer,
  createStaff,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { login, loginWithCookies, type Session, startApp, type TestApp } from '../support/server';
import { countWarmStatements } from '../support/warm-statements';

let app: TestApp;
let tenant: Tenant;
let advisor: Session;
let accountant: Session;
let stranger: Session;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  [advisor, accountant, stranger] = await Promise.all([
    login(app, await createStaff({ tenant, role: 'Advisor' })),
    login(app, await createStaff({ tenant, role: 'Accountant' })),
    login(app, await createStaff({ tenant: await createTenant(), role: 'Owner' })),
  ]);
});

/** A well-formed VIN that no other test uses. */
const newVin = (): string => `1HG${randomBytes(7).toString('hex').toUpperCase()}`;
const car = (customer: Pick<Customer, 'id'>, more: Record<string, unknown> = {}) => ({
  customer_id: customer.id,
  make: 'Honda',
  model: 'Civic',
  year: 2020,
  ...more,
});
const row = async (id: number) =>
  (
    await admin<{ customer_id: string; is_primary: boolean; is_active: boolean; version: number; notes: string | null }>(
      'SELECT customer_id, is_primary, is_active, version, notes FROM vehicles WHERE id = $1',
      [id],
    )
  )[0];
const primariesOf = async (customer: Customer) =>
  (
    await admin<{ id: string }>('SELECT id FROM vehicles WHERE tenant_id = $1 AND customer_id = $2 AND is_primary', [
      tenant.id,
      customer.id,
    ])
  ).map(({ id }) => Number(id));
const vehicleAudits = (id: number) =>
  admin<{ fields_changed: Record<string, unknown> }>('SELECT fields_changed FROM vehicle_audits WHERE vehicle_id = $1 ORDER BY id', [id]);

describe('POST /api/admin/vehicles', () => {
  test('numeric text as customer_id › 201, ids as numbers, repeated at the root, the first one primary', async () => {
    const customer = await createCustomer({ tenant });
    const vin = newVin();
    const { status, body, headers } = await advisor.agent
      .post('/api/admin/vehicles')
      .send(car({ id: String(customer.id) as never }, { vin: ` ${vin.toLowerCase()} `, license_plate: ' abc-1 ', notes: '' }));
    expect(status).toBe(201);
    expect(body.data).toEqual({
      id: expect.any(Number),
      customer_id: customer.id,
      make: 'Honda',
      model: 'Civic',
      year: 2020,
      vin,
      license_plate: 'ABC-1',
      notes: null,
      is_primary: true,
      is_active: true,
    });
    expect(body).toMatchObject(body.data);
    expect(body.error).toBeNull();
    expect(headers['location']).toBe(`/api/admin/vehicles/${body.data.id}`);
    await advisor.agent.patch(`/api/admin/vehicles/${body.data.id}`).send({ license_plate: null });
  });

  test('a second one › not primary, unless asked for: then the first is no longer', async () => {
    const customer = await createCustomer({ tenant });
    const send = async (more = {}) => (await advisor.agent.post('/api/admin/vehicles').send(car(customer, more))).body.data;
    const [first, second] = [await send(), await send()];
    expect([first.is_primary, second.is_primary]).toEqual([true, false]);
    const third = await send({ is_primary: true });
    expect(await primariesOf(customer)).toEqual([third.id]);
  });

  test('eight first vehicles at once › exactly one primary', async () => {
    const customer = await createCustomer({ tenant });
    const answers = await Promise.all(Array.from({ length: 8 }, () => advisor.agent.post('/api/admin/vehicles').send(car(customer))));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(201));
    expect(await primariesOf(customer)).toHaveLength(1);
  });

  test.each<[string, Record<string, unknown>, string, Record<string, string>]>([
    ['nothing', {}, 'Missing required fields', { customer_id: 'required', make: 'required', model: 'required', year: 'required' }],
    ['a blank make', { customer_id: 1, make: ' ', model: 'X', year: 2020 }, 'Missing required fields', { make: 'required' }],
    [
      'a short VIN',
      { customer_id: 1, make: 'A', model: 'X', year: 2020, vin: '123' },
      'VIN must be exactly 17 characters',
      { vin: 'length' },
    ],
    ['a VIN with O', { customer_id: 1, make: 'A', model: 'X', year: 2020, vin: 'O'.repeat(17) }, 'Validation failed', { vin: 'invalid' }],
    ['a year too far off', { customer_id: 1, make: 'A', model: 'X', year: 2999 }, 'Validation failed', { year: 'out_of_range' }],
    [
      'more miles than a column holds',
      { customer_id: 1, make: 'A', model: 'X', year: 2020, mileage: 99_999_999_999 },
      'Validation failed',
      { mileage: 'invalid' },
    ],
    ['a year long ago', { customer_id: 1, make: 'A', model: 'X', year: 1899 }, 'Validation failed', { year: 'out_of_range' }],
    [
      'a long plate',
      { customer_id: 1, make: 'A', model: 'X', year: 2020, license_plate: 'X'.repeat(21) },
      'Validation failed',
      { license_plate: 'too_long' },
    ],
    ['a name as customer', { customer_id: 'Bob', make: 'A', model: 'X', year: 2020 }, 'Validation failed', { customer_id: 'invalid' }],
  ])('%s › 400 validation_failed', async (_case, body, message, details) => {
    const response = await advisor.agent.post('/api/admin/vehicles').send(body);
    expect(response.status).toBe(400);
    expect(response.body.error).toEqual({ code: 'validation_failed', message, details });
  });

  test('the years 1900 and next year › 201', async () => {
    const customer = await createCustomer({ tenant });
    for (const year of [1900, new Date().getUTCFullYear() + 1]) {
      expect((await advisor.agent.post('/api/admin/vehicles').send(car(customer, { year }))).status).toBe(201);
    }
  });

  test('an unknown customer, or another shop’s › 404, no vehicle and no customer made', async () => {
    const foreign = await createCustomer({ tenant });
    const unknown = await advisor.agent.post('/api/admin/vehicles').send(car({ id: 999_999_999 }));
    expect([unknown.status, unknown.body.message]).toEqual([404, 'Customer not found']);
    expect((await stranger.agent.post('/api/admin/vehicles').send(car(foreign))).status).toBe(404);
    expect(await admin('SELECT id FROM vehicles WHERE customer_id = ANY ($1)', [[foreign.id, 999_999_999]])).toEqual([]);
  });

  test('a known VIN, a known plate written otherwise › 409 with their sentences', async () => {
    const customer = await createCustomer({ tenant });
    const known = await createVehicle({ customer });
    const vin = await advisor.agent.post('/api/admin/vehicles').send(car(customer, { vin: known.vin.toLowerCase() }));
    expect([vin.status, vin.body.error.code, vin.body.message]).toEqual([409, 'conflict', 'VIN already exists']);
    const plate = await advisor.agent
      .post('/api/admin/vehicles')
      .send(car(customer, { license_plate: `${known.plate.slice(0, 2)} - ${known.plate.slice(2)}` }));
    expect([plate.status, plate.body.message]).toEqual([409, 'License plate already exists']);
  });

  test('the plate of a deactivated vehicle, and of another shop › free', async () => {
    const customer = await createCustomer({ tenant });
    const retired = await createVehicle({ customer, columns: { is_active: false } });
    expect((await advisor.agent.post('/api/admin/vehicles').send(car(customer, { license_plate: retired.plate }))).status).toBe(201);
  });

  test('accountant › 403', async () => {
    const customer = await createCustomer({ tenant });
    expect((await accountant.agent.post('/api/admin/vehicles').send(car(customer))).status).toBe(403);
  });

  test('a cookie session from the same origin, no CSRF header, no tenant header, an empty Bearer › 201; from a foreign origin › 403', async () => {
    const customer = await createCustomer({ tenant });
    const { agent } = await loginWithCookies(app, await createStaff({ tenant, role: 'Advisor' }));
    const send = (origin: string) =>
      agent
        .post('/api/admin/vehicles')
        .unset('X-CSRF-Token')
        .unset('X-Tenant-Id')
        .set('Authorization', 'Bearer ')
        .set('Sec-Fetch-Site', origin === app.url ? 'same-origin' : 'cross-site')
        .set('Origin', origin)
        .send(car(customer));
    expect((await send(app.url)).status).toBe(201);
    expect((await send('https://evil.example')).status).toBe(403);
  });
});

describe('PATCH /api/admin/vehicles/:id', () => {
  test('the modal’s five texts › blanks clear VIN, plate and notes and keep make, model and year', async () => {
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer, columns: { notes: 'Dent' } });
    const { status, body, headers } = await advisor.agent
      .patch(`/api/admin/vehicles/${vehicle.id}`)
      .send({ make: '', model: 'Wagon', year: null, vin: '', license_plate: '', notes: '' });
    expect(status).toBe(200);
    expect(body.data).toMatchObject({ make: 'Aurora', model: 'Wagon', year: 2019, vin: null, license_plate: null, notes: null });
    expect(body).toMatchObject(body.data);
    const [audit] = await vehicleAudits(vehicle.id);
    expect(audit?.fields_changed).toEqual({
      model: { from: 'Hatch', to: 'Wagon' },
      vin: { from: vehicle.vin, to: null },
      license_plate: { from: vehicle.plate, to: null },
      notes: { from: 'Dent', to: null },
    });
    expect((await advisor.agent.get(`/api/admin/vehicles/${vehicle.id}`)).headers['etag']).toBe(headers['etag']);
  });

  test('nothing different › 200, same tag, no version, no audit', async () => {
    const vehicle = await createVehicle({ customer: await createCustomer({ tenant }) });
    const path = `/api/admin/vehicles/${vehicle.id}`;
    const before = await advisor.agent.get(path);
    const { status, headers } = await advisor.agent.patch(path).send({ make: 'Aurora', vin: vehicle.vin, is_active: true });
    expect([status, headers['etag']]).toEqual([200, before.headers['etag']]);
    expect((await row(vehicle.id))?.version).toBe(1);
    expect(await vehicleAudits(vehicle.id)).toEqual([]);
  });

  test('is_primary › the other one loses it, both on record; then deactivated › no primary; inactive to primary › 400', async () => {
    const customer = await createCustomer({ tenant });
    const first = await createVehicle({ customer, columns: { is_primary: true } });
    const second = await createVehicle({ customer });
    const path = `/api/admin/vehicles/${second.id}`;
    expect((await advisor.agent.patch(path).send({ is_primary: true })).body.data).toMatchObject({ is_primary: true, is_active: true });
    expect(await primariesOf(customer)).toEqual([second.id]);
    expect((await vehicleAudits(first.id))[0]?.fields_changed).toEqual({ is_primary: { from: true, to: false } });
    expect((await advisor.agent.patch(path).send({ is_active: false })).body.data).toMatchObject({ is_primary: false, is_active: false });
    expect(await primariesOf(customer)).toEqual([]);
    const refused = await advisor.agent.patch(path).send({ is_primary: true });
    expect([refused.status, refused.body.error.code]).toEqual([400, 'validation_failed']);
    expect((await advisor.agent.patch(path).send({ is_primary: true, is_active: true })).status).toBe(200);
  });

  test('six vehicles made primary at once › exactly one is, all answered 200', async () => {
    const customer = await createCustomer({ tenant });
    const vehicles = await Promise.all(Array.from({ length: 6 }, () => createVehicle({ customer })));
    const answers = await Promise.all(
      vehicles.map(({ id }) => advisor.agent.patch(`/api/admin/vehicles/${id}`).send({ is_primary: true })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200));
    expect(await primariesOf(customer)).toHaveLength(1);
  });

  test('If-Match: absent, current without quotes, * › 200; stale › 412 with the current vehicle, nothing stored', async () => {
    const vehicle = await createVehicle({ customer: await createCustomer({ tenant }) });
    const path = `/api/admin/vehicles/${vehicle.id}`;
    const tag = async () => ((await advisor.agent.get(path)).headers['etag'] as string).replace(/^W\/|"/g, '');
    const stale = await tag();
    expect((await advisor.agent.patch(path).send({ notes: 'one' })).status).toBe(200);
    expect(
      (
        await advisor.agent
          .patch(path)
          .set('If-Match', await tag())
          .send({ notes: 'two' })
      ).status,
    ).toBe(200);
    expect((await advisor.agent.patch(path).set('If-Match', '*').send({ notes: 'three' })).status).toBe(200);
    const { status, body } = await advisor.agent.patch(path).set('If-Match', stale).send({ notes: 'four' });
    expect([status, body.error.code, body.data.current.notes]).toEqual([412, 'conflict', 'three']);
    expect((await row(vehicle.id))?.notes).toBe('three');
  });

  test.each<[Record<string, unknown>, Record<string, string>]>([
    [{ year: 1800 }, { year: 'out_of_range' }],
    [{ vin: '1' }, { vin: 'length' }],
    [{ vin: 'I'.repeat(17) }, { vin: 'invalid' }],
    [{ license_plate: 'X'.repeat(21) }, { license_plate: 'too_long' }],
    [{ notes: 'x'.repeat(1001) }, { notes: 'too_long' }],
    [{ is_primary: 'yes' }, { is_primary: 'must_be_boolean' }],
  ])('%p › 400 %p', async (change, details) => {
    const vehicle = await createVehicle({ customer: await createCustomer({ tenant }) });
    const { status, body } = await advisor.agent.patch(`/api/admin/vehicles/${vehicle.id}`).send(change);
    expect([status, body.error.details]).toEqual([400, details]);
  });

  test('another’s VIN › 409; another shop › 404; no id › 404', async () => {
    const customer = await createCustomer({ tenant });
    const [one, two] = [await createVehicle({ customer }), await createVehicle({ customer })];
    expect((await advisor.agent.patch(`/api/admin/vehicles/${one.id}`).send({ vin: two.vin })).status).toBe(409);
    expect((await stranger.agent.patch(`/api/admin/vehicles/${one.id}`).send({ notes: 'x' })).status).toBe(404);
    expect((await advisor.agent.patch('/api/admin/vehicles/abc').send({ notes: 'x' })).status).toBe(404);
  });
});

describe('DELETE /api/admin/vehicles/:id', () => {
  test('twice › 204 both times, inactive and not primary, appointments kept; unknown › 404', async () => {
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer, columns: { is_primary: true } });
    await createAppointment({ tenant, vehicle });
    const path = `/api/admin/vehicles/${vehicle.id}`;
    expect((await advisor.agent.delete(path)).status).toBe(204);
    expect((await advisor.agent.delete(path)).status).toBe(204);
    expect(await row(vehicle.id)).toMatchObject({ is_active: false, is_primary: false, version: 2 });
    expect(await vehicleAudits(vehicle.id)).toHaveLength(1);
    expect(await admin('SELECT id FROM appointments WHERE vehicle_id = $1', [vehicle.id])).toHaveLength(1);
    expect((await advisor.agent.delete('/api/admin/vehicles/999999999')).status).toBe(404);
    expect((await stranger.agent.delete(path)).status).toBe(404);
  });
});

describe('POST /api/admin/vehicles/:id/transfer', () => {
  const transfers = (id: number) =>
    admin<{ action: string; old_customer_id: string; new_customer_id: string }>(
      'SELECT action, old_customer_id, new_customer_id FROM vehicle_audit_log WHERE vehicle_id = $1',
      [id],
    );

  test('to another customer › moved, no longer primary, on record; appointments stay', async () => {
    const [from, to] = [await createCustomer({ tenant }), await createCustomer({ tenant })];
    const vehicle = await createVehicle({ customer: from, columns: { is_primary: true } });
    const appointment = await createAppointment({ tenant, vehicle });
    const { status, body } = await advisor.agent.post(`/api/admin/vehicles/${vehicle.id}/transfer`).send({ customer_id: String(to.id) });
    expect(status).toBe(200);
    expect(body.data).toEqual({
      success: true,
      vehicle: {
        id: vehicle.id,
        customer_id: to.id,
        make: 'Aurora',
        model: 'Hatch',
        year: 2019,
        vin: vehicle.vin,
        license_plate: vehicle.plate,
        is_primary: false,
        is_active: true,
      },
    });
    expect(body.vehicle).toEqual(body.data.vehicle);
    expect(await transfers(vehicle.id)).toEqual([{ action: 'TRANSFER', old_customer_id: String(from.id), new_customer_id: String(to.id) }]);
    const [kept] = await admin<{ customer_id: string }>('SELECT customer_id FROM appointments WHERE id = $1', [appointment.id]);
    expect(kept?.customer_id).toBe(String(from.id));
  });

  test('the same transfer eight times at once › all 200, on record once', async () => {
    const [from, to] = [await createCustomer({ tenant }), await createCustomer({ tenant })];
    const vehicle = await createVehicle({ customer: from });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => advisor.agent.post(`/api/admin/vehicles/${vehicle.id}/transfer`).send({ customer_id: to.id })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(answers.map(({ body }) => body.vehicle.customer_id)).toEqual(Array(8).fill(to.id));
    expect(await transfers(vehicle.id)).toHaveLength(1);
  });

  test('to the present owner › 200, nothing on record, primary kept', async () => {
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer, columns: { is_primary: true } });
    const { status } = await advisor.agent.post(`/api/admin/vehicles/${vehicle.id}/transfer`).send({ customer_id: customer.id });
    expect(status).toBe(200);
    expect(await transfers(vehicle.id)).toEqual([]);
    expect(await row(vehicle.id)).toMatchObject({ is_primary: true, version: 1 });
  });

  test.each<[unknown, string]>([
    [undefined, 'customer_id is required'],
    ['', 'customer_id is required'],
    ['abc', 'Invalid customer_id'],
    [-1, 'Invalid customer_id'],
    [1.5, 'Invalid customer_id'],
    [{}, 'Invalid customer_id'],
  ])('customer_id %p › 400 "%s"', async (customerId, message) => {
    const vehicle = await createVehicle({ customer: await createCustomer({ tenant }) });
    const { status, body } = await advisor.agent.post(`/api/admin/vehicles/${vehicle.id}/transfer`).send({ customer_id: customerId });
    expect([status, body.error.code, body.message]).toEqual([400, 'bad_request', message]);
  });

  test('unknown vehicle, unknown customer, those of another shop › 404, nothing moved', async () => {
    const customer = await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer });
    const away = await createCustomer({ tenant: await createTenant() });
    const send = async (session: Session, id: number, to: number) => {
      const { status, body } = await session.agent.post(`/api/admin/vehicles/${id}/transfer`).send({ customer_id: to });
      return [status, body.message];
    };
    expect(await send(advisor, 999_999_999, customer.id)).toEqual([404, 'Vehicle not found']);
    expect(await send(advisor, vehicle.id, 999_999_999)).toEqual([404, 'Customer not found']);
    expect(await send(advisor, vehicle.id, away.id)).toEqual([404, 'Customer not found']);
    expect(await send(stranger, vehicle.id, customer.id)).toEqual([404, 'Vehicle not found']);
    expect((await row(vehicle.id))?.customer_id).toBe(String(customer.id));
  });

  test('the audit row cannot be written › no 2xx, the vehicle stays', async () => {
    const [from, to] = [await createCustomer({ tenant }), await createCustomer({ tenant })];
    const vehicle = await createVehicle({ customer: from });
    await admin('REVOKE INSERT ON vehicle_audit_log FROM autoshop_app');
    try {
      const { status, body } = await advisor.agent.post(`/api/admin/vehicles/${vehicle.id}/transfer`).send({ customer_id: to.id });
      expect(status).toBe(500);
      expect(body.error).toEqual({ code: 'internal', message: 'An unexpected internal server error occurred.' });
    } finally {
      await admin('GRANT INSERT ON vehicle_audit_log TO autoshop_app');
    }
    expect((await row(vehicle.id))?.customer_id).toBe(String(from.id));
  });
});

describe('POST /api/admin/vehicles/transfer', () => {
  test.each([1, 20, 100])('%i vehicles › all moved by one ownership statement and a constant number of others', async (count) => {
    const [from, to] = [await createCustomer({ tenant }), await createCustomer({ tenant })];
    const made = await admin<{ id: string }>(
      `INSERT INTO vehicles (tenant_id, customer_id, make, model, year) SELECT $1, $2, 'A', 'B', 2020 FROM generate_series(1, $3::int) RETURNING id`,
      [tenant.id, from.id, count],
    );
    const ids = made.map(({ id }) => Number(id));
    await advisor.agent.get(`/api/admin/vehicles/${ids[0]}`);
    const { result, statements } = await countWarmStatements(() =>
      advisor.agent.post('/api/admin/vehicles/transfer').send({ vehicle_ids: ids, customer_id: to.id }),
    );
    expect(result.status).toBe(200);
    expect(result.body.data.transferred.sort()).toEqual([...ids].sort());
    expect(statements).toHaveLength(5);
    expect(statements.filter((text) => /SELECT id, customer_id FROM vehicles/.test(text))).toHaveLength(1);
    const [counted] = await admin<{ moved: number; logged: number }>(
      `SELECT (SELECT count(*)::int FROM vehicles WHERE customer_id = $1) AS moved,
        (SELECT count(*)::int FROM vehicle_audit_log WHERE new_customer_id = $1) AS logged`,
      [to.id],
    );
    expect(counted).toEqual({ moved: count, logged: count });
  });

  test('one of them unknown › 404, none moved', async () => {
    const [from, to] = [await createCustomer({ tenant }), await createCustomer({ tenant })];
    const vehicle = await createVehicle({ customer: from });
    const { status } = await advisor.agent
      .post('/api/admin/vehicles/transfer')
      .send({ vehicle_ids: [vehicle.id, 999_999_999], customer_id: to.id });
    expect(status).toBe(404);
    expect((await row(vehicle.id))?.customer_id).toBe(String(from.id));
  });

  test('some are the new owner’s already › only the others are moved', async () => {
    const [from, to] = [await createCustomer({ tenant }), await createCustomer({ tenant })];
    const [mine, theirs] = [await createVehicle({ customer: to }), await createVehicle({ customer: from })];
    const { body } = await advisor.agent
      .post('/api/admin/vehicles/transfer')
      .send({ vehicle_ids: [mine.id, theirs.id, theirs.id], customer_id: to.id });
    expect(body.data).toEqual({ transferred: [theirs.id] });
  });

  test('no list, an empty one, more than a hundred › 400', async () => {
    for (const vehicleIds of [undefined, 'all', [], Array.from({ length: 101 }, (_, index) => index + 1), ['x']]) {
      const { status } = await advisor.agent.post('/api/admin/vehicles/transfer').send({ vehicle_ids: vehicleIds, customer_id: 1 });
      expect([vehicleIds, status]).toEqual([vehicleIds, 400]);
    }
  });

  test('two crossing transfers at once › both answered, each car with one owner, no deadlock', async () => {
    const [one, two] = [await createCustomer({ tenant }), await createCustomer({ tenant })];
    const [a, b] = [await createVehicle({ customer: one }), await createVehicle({ customer: two })];
    const started = Date.now();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        advisor.agent.post('/api/admin/vehicles/transfer').send({ vehicle_ids: [a.id, b.id], customer_id: index % 2 ? one.id : two.id }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(Date.now() - started).toBeLessThan(5000);
  });
});

describe('lists of vehicles', () => {
  test('filters › substring, exact year, plate without its marks, owner, activity; % is a literal', async () => {
    const shop = await createTenant();
    const { agent } = await login(app, await createStaff({ tenant: shop, role: 'Accountant' }));
    const [ann, bob] = [await createCustomer({ tenant: shop }), await createCustomer({ tenant: shop })];
    const civic = await createVehicle({ customer: ann, columns: { make: 'Honda', model: 'Civic', year: 2020, license_plate: 'AB-12 C' } });
    const golf = await createVehicle({ customer: bob, columns: { make: 'Volkswagen', model: 'Golf', year: 2015, is_active: false } });
    const ids = async (query: Record<string, unknown>) =>
      (await agent.get('/api/admin/vehicles').query(query)).body.data.items.map(({ id }: { id: number }) => id);
    expect(await ids({})).toEqual([golf.id, civic.id]);
    expect(await ids({ make: 'hon' })).toEqual([civic.id]);
    expect(await ids({ model: 'GOLF' })).toEqual([golf.id]);
    expect(await ids({ year: '2015' })).toEqual([golf.id]);
    expect(await ids({ year: '201' })).toEqual([]);
    expect(await ids({ q: 'ab12' })).toEqual([civic.id]);
    expect(await ids({ q: '%' })).toEqual([]);
    expect(await ids({ vin: golf.vin.slice(3, 10).toLowerCase() })).toEqual([golf.id]);
    expect(await ids({ customer_id: ann.id })).toEqual([civic.id]);
    expect(await ids({ customer_id: 'x' })).toEqual([]);
    expect(await ids({ active: 'true' })).toEqual([civic.id]);
    expect(await ids({ active: '0' })).toEqual([golf.id]);
    expect((await agent.get('/api/admin/vehicles?limit=1&page=2')).body.data).toMatchObject({
      total: 2,
      total_pages: 2,
      page_size: 1,
      page: 2,
    });
    const byVin = await agent.get('/api/admin/vehicles/search').query({ vin: civic.vin.slice(0, 12) });
    expect(byVin.body.data.map(({ id }: { id: number }) => id)).toEqual([civic.id]);
    expect((await agent.get('/api/admin/vehicles/search')).status).toBe(400);
    const owned = await agent.get(`/api/admin/customers/${bob.id}/vehicles`);
    expect(owned.body.data.vehicles).toEqual([expect.objectContaining({ id: golf.id, is_active: false })]);
  });

  test.each([1, 20, 500])('%i vehicles › one statement', async (count) => {
    const shop = await createTenant();
    const { agent } = await login(app, await createStaff({ tenant: shop, role: 'Advisor' }));
    const customer = await createCustomer({ tenant: shop });
    await admin(`INSERT INTO vehicles (tenant_id, customer_id, make, model) SELECT $1, $2, 'A', 'B' FROM generate_series(1, $3::int)`, [
      shop.id,
      customer.id,
      count,
    ]);
    await agent.get('/api/admin/vehicles');
    for (const path of ['/api/admin/vehicles?limit=100', '/api/vehicles?limit=100']) {
      const { statements, result } = await countWarmStatements(() => agent.get(path));
      expect(statements).toHaveLength(1);
      expect(result.body.data.total).toBe(count);
    }
  });
});

describe('/api/vehicles', () => {
  test('a customer › own vehicles only: list, read, add, change; a foreign one is 404', async () => {
    const me = await createCustomer({ tenant, canLogIn: true });
    const other = await createCustomer({ tenant });
    const [mine, foreign] = [await createVehicle({ customer: me }), await createVehicle({ customer: other })];
    const { agent } = await login(app, me);
    const listed = (await agent.get(`/api/vehicles?customer_id=${other.id}`)).body.data;
    expect(listed.items.map(({ id }: { id: number }) => id)).toEqual([mine.id]);
    expect((await agent.get(`/api/vehicles/${mine.id}`)).body.data).toMatchObject({ id: mine.id, customer_id: me.id });
    expect((await agent.get(`/api/vehicles/${foreign.id}`)).status).toBe(404);
    const made = await agent.post('/api/vehicles').send(car(other));
    expect([made.status, made.body.data.customer_id]).toEqual([201, me.id]);
    expect(made.body).not.toHaveProperty('make');
    const changed = await agent
      .put(`/api/vehicles/${mine.id}`)
      .send({ make: 'Saab', model: '900', year: 1990, notes: 'Old', is_active: false });
    expect(changed.body.data).toMatchObject({ make: 'Saab', year: 1990, notes: 'Old', is_active: true });
    expect((await agent.put(`/api/vehicles/${foreign.id}`).send({ make: 'Mine' })).status).toBe(404);
    expect((await agent.get(`/api/admin/vehicles/${mine.id}`)).status).toBe(403);
  });

  test('staff › must name the owner; an accountant reads but does not write', async () => {
    const customer = await createCustomer({ tenant });
    const nobody = await advisor.agent.post('/api/vehicles').send({ make: 'A', model: 'B', year: 2020 });
    expect([nobody.status, nobody.body.error.details]).toEqual([400, { customer_id: 'required' }]);
    expect((await advisor.agent.post('/api/vehicles').send(car(customer))).status).toBe(201);
    expect((await accountant.agent.get('/api/vehicles')).status).toBe(200);
    expect((await accountant.agent.post('/api/vehicles').send(car(customer))).status).toBe(403);
  });
});
