/** Finding customers: search, the recent ones, the look-up by phone. @core */
import { admin } from '../support/database';
import { createAppointment, createCustomer, createStaff, createTenant, createVehicle, type Tenant } from '../support/factories';
import { login, type Session, startApp, type TestApp } from '../support/server';
import { countWarmStatements } from '../support/warm-statements';

const DAY_MS = 86_400_000;
const ago = (days: number): Date => new Date(Date.now() - days * DAY_MS);

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
});

/** A shop of its own, since these lists show everything in a shop. */
async function shop(): Promise<{ tenant: Tenant; agent: Session['agent'] }> {
  const tenant = await createTenant();
  return { tenant, agent: (await login(app, await createStaff({ tenant, role: 'Advisor' }))).agent };
}

describe('GET /api/admin/customers/search', () => {
  test('one row for each matching vehicle and for each customer without one; customers once at the root', async () => {
    const { tenant, agent } = await shop();
    const owner = await createCustomer({ tenant, columns: { name: 'Ada Owner' } });
    const [one, two] = [await createVehicle({ customer: owner }), await createVehicle({ customer: owner, columns: { year: null } })];
    await createVehicle({ customer: owner, columns: { is_active: false } });
    const walker = await createCustomer({ tenant, columns: { name: 'Adam Walker' } });
    await createCustomer({ tenant, columns: { name: 'Zoe', email: null } });
    const { status, body } = await agent.get('/api/admin/customers/search?q=ada');
    expect(status).toBe(200);
    expect(body.data.items.map(({ vehicleId, customerId }: Record<string, unknown>) => [vehicleId, customerId])).toEqual([
      [String(one.id), String(owner.id)],
      [String(two.id), String(owner.id)],
      [null, String(walker.id)],
    ]);
    expect(body.data.items[0]).toMatchObject({
      vehicle: '2019 Aurora Hatch',
      plate: one.plate,
      visitsCount: 0,
      lastVisit: null,
      totalSpent: 0,
    });
    expect(body.data.items[1].vehicle).toBe('Aurora Hatch');
    expect(body.items).toEqual(body.data.items);
    expect(body.customers).toEqual([
      { id: String(owner.id), full_name: 'Ada Owner', phone: owner.phone, email: owner.email },
      { id: String(walker.id), full_name: 'Adam Walker', phone: walker.phone, email: walker.email },
    ]);
    expect(body).not.toHaveProperty('errors');
  });

  test('a plate › its vehicle alone, marks and case apart; both matching › once; starting with it › first', async () => {
    const { tenant, agent } = await shop();
    const customer = await createCustomer({ tenant, columns: { name: 'KX Fleet' } });
    const inside = await createVehicle({ customer, columns: { license_plate: '7KX-123' } });
    const start = await createVehicle({
      customer: await createCustomer({ tenant, columns: { name: 'Zed' } }),
      columns: { license_plate: 'KX 9' },
    });
    await createAppointment({ tenant, vehicle: inside, status: 'COMPLETED', start: ago(1) });
    const ids = async (q: string) =>
      (await agent.get('/api/admin/customers/search').query({ q })).body.data.items.map(({ vehicleId }: { vehicleId: string }) =>
        Number(vehicleId),
      );
    expect(await ids('kx')).toEqual([start.id, inside.id]);
    expect(await ids('7kx123')).toEqual([inside.id]);
    expect(await ids('7kx-1')).toEqual([inside.id]);
  });

  test('%, _ and \\ are literals; digits find a formatted phone, three do not', async () => {
    const { tenant, agent } = await shop();
    const customer = await createCustomer({ tenant, columns: { name: 'Phone Person', email: null, phone: '(555) 123-4567' } });
    await createCustomer({ tenant, columns: { name: '50% off_er\\', email: null, phone: null } });
    const names = async (q: string) =>
      (await agent.get('/api/admin/customers/search').query({ q })).body.customers.map((c: { full_name: string }) => c.full_name);
    expect(await names('%')).toEqual(['50% off_er\\']);
    expect(await names('_')).toEqual(['50% off_er\\']);
    expect(await names('\\')).toEqual(['50% off_er\\']);
    for (const q of ['5551234567', '1234567', '555-123', '+1 (555) 123-4567', '1 555 123 4567', '123-4'])
      expect([q, await names(q)]).toEqual([q, [customer.name]]);
    expect(await names('3456')).toEqual([customer.name]);
    expect(await names('345')).toEqual([]);
    expect(await names("'; DROP TABLE customers --")).toEqual([]);
  });

  test('limit 1000 › at most 100; no number, zero › 25; blank › nothing', async () => {
    const { tenant, agent } = await shop();
    await admin(`INSERT INTO customers (tenant_id, name) SELECT $1, 'Match ' || i FROM generate_series(1, 120) i`, [tenant.id]);
    const count = async (query: string) => {
      const { status, body } = await agent.get(`/api/admin/customers/search?${query}`);
      return [status, body.data.items.length];
    };
    expect(await count('q=match&limit=1000')).toEqual([200, 100]);
    expect(await count('q=match&limit=99999999999999999999')).toEqual([200, 100]);
    expect(await count('q=match&limit=abc')).toEqual([200, 25]);
    expect(await count('q=match&limit=0')).toEqual([200, 25]);
    expect(await count('q=match&limit=7')).toEqual([200, 7]);
    expect(await count('q=%20')).toEqual([200, 0]);
    expect(await count('')).toEqual([200, 0]);
  });

  test('figures of the customer, not of the vehicle row; called-off, future and deleted visits left out', async () => {
    const { tenant, agent } = await shop();
    const customer = await createCustomer({ tenant, columns: { name: 'Figures' } });
    const [one] = [await createVehicle({ customer }), await createVehicle({ customer })];
    const done = await createAppointment({ tenant, vehicle: one, status: 'COMPLETED', start: ago(200), columns: { total_cents: 400_000 } });
    const ready = await createAppointment({ tenant, customer, status: 'READY', start: ago(1), columns: { total_cents: 100_050 } });
    for (const status of ['CANCELED', 'NO_SHOW'] as const)
      await createAppointment({ tenant, customer, status, start: ago(1), columns: { total_cents: 9_999 } });
    await createAppointment({ tenant, customer, columns: { total_cents: 7_777 } });
    await createAppointment({
      tenant,
      customer,
      status: 'COMPLETED',
      start: ago(1),
      columns: { total_cents: 5_555, deleted_at: new Date() },
    });
    const { items } = (await agent.get('/api/admin/customers/search?q=figures')).body.data;
    expect(items).toHaveLength(2);
    for (const item of items) {
      expect(item).toMatchObject({
        totalSpent: 5000.5,
        visitsCount: 2,
        lastVisit: ready.start.toISOString(),
        lastServiceAt: done.start.toISOString(),
        isVip: true,
        isOverdueForService: true,
      });
    }
  });

  test('filters and orders', async () => {
    const { tenant, agent } = await shop();
    const make = async (name: string, columns: Record<string, unknown>, visits: [days: number, cents: number][]) => {
      const customer = await createCustomer({ tenant, columns: { name: `X ${name}`, ...columns } });
      for (const [days, cents] of visits)
        await createAppointment({ tenant, customer, status: 'COMPLETED', start: ago(days), columns: { total_cents: cents } });
    };
    await make('Bee', { is_vip: true }, [[10, 100]]);
    await make('Ant', {}, [[190, 600_000]]);
    await make('Cat', {}, []);
    const names = async (query: string) =>
      (await agent.get(`/api/admin/customers/search?q=x%20&${query}`)).body.data.items.map(({ name }: { name: string }) => name.slice(2));
    expect(await names('')).toEqual(['Bee', 'Ant', 'Cat']);
    expect(await names('sortBy=name_asc')).toEqual(['Ant', 'Bee', 'Cat']);
    expect(await names('sortBy=name_desc')).toEqual(['Cat', 'Bee', 'Ant']);
    expect(await names('sortBy=most_recent_visit')).toEqual(['Bee', 'Ant', 'Cat']);
    expect(await names('sortBy=highest_lifetime_spend')).toEqual(['Ant', 'Bee', 'Cat']);
    expect(await names('sortBy=price;drop')).toEqual(['Bee', 'Ant', 'Cat']);
    expect(await names('filter=vip')).toEqual(['Bee', 'Ant']);
    expect(await names('filter=overdue')).toEqual(['Ant']);
    expect(await names('filter=whatever')).toHaveLength(3);
  });

  test('another shop’s customers › never found', async () => {
    const { tenant } = await shop();
    const customer = await createCustomer({ tenant });
    const { agent } = await shop();
    expect((await agent.get('/api/admin/customers/search').query({ q: customer.name })).body.customers).toEqual([]);
  });

  test.each([1, 20, 500])('%i customers › one statement', async (count) => {
    const { tenant, agent } = await shop();
    await admin(`INSERT INTO customers (tenant_id, name) SELECT $1, 'Match ' || i FROM generate_series(1, $2::int) i`, [tenant.id, count]);
    await agent.get('/api/admin/customers/search?q=x');
    const { statements } = await countWarmStatements(() => agent.get('/api/admin/customers/search?q=match&limit=1000'));
    expect(statements).toHaveLength(1);
  });
});

describe('GET /api/admin/recent-customers', () => {
  test('by the latest appointment, with vehicles and figures; those without appointments left out', async () => {
    const { tenant, agent } = await shop();
    const [early, late] = [await createCustomer({ tenant }), await createCustomer({ tenant })];
    await createCustomer({ tenant });
    const vehicle = await createVehicle({ customer: early, columns: { is_primary: true } });
    await createAppointment({ tenant, vehicle, status: 'COMPLETED', start: ago(9), columns: { total_cents: 2_500 } });
    const newest = await createAppointment({ tenant, customer: early, status: 'CANCELED', start: ago(3) });
    await createAppointment({ tenant, customer: late, status: 'READY', start: ago(1) });
    const { body } = await agent.get('/api/admin/recent-customers');
    expect(body.data.limit).toBe(8);
    expect(body.data.recent_customers.map(({ customerId }: { customerId: string }) => customerId)).toEqual([
      String(late.id),
      String(early.id),
    ]);
    expect(body.data.recent_customers[1]).toMatchObject({
      latestAppointmentId: String(newest.id),
      latestAppointmentAt: newest.end.toISOString(),
      latestStatus: 'CANCELED',
      vehicles: [{ vehicleId: String(vehicle.id), plate: vehicle.plate, vehicle: '2019 Aurora Hatch' }],
      totalSpent: 25,
      visitsCount: 1,
    });
    expect(body.data.recent_customers[0].vehicles).toEqual([]);
    expect(body).not.toHaveProperty('recent_customers');
  });

  test.each([1, 25])('limit %i › that many, one statement', async (limit) => {
    const { tenant, agent } = await shop();
    await admin(
      `WITH made AS (INSERT INTO customers (tenant_id, name) SELECT $1, 'R ' || i FROM generate_series(1, 30) i RETURNING tenant_id, id)
       INSERT INTO appointments (tenant_id, customer_id, start_ts, block_end_ts) SELECT tenant_id, id, now(), now() + interval '1 hour' FROM made`,
      [tenant.id],
    );
    await agent.get('/api/admin/recent-customers');
    const { statements, result } = await countWarmStatements(() => agent.get(`/api/admin/recent-customers?limit=${limit}`));
    expect([result.body.data.recent_customers.length, result.body.data.limit, statements.length]).toEqual([limit, limit, 1]);
  });

  test.each([
    ['0', 8],
    ['x', 8],
    ['-1', 8],
    ['26', 25],
    ['1000', 25],
  ])('limit %s › %i', async (asked, limit) => {
    const { agent } = await shop();
    expect((await agent.get(`/api/admin/recent-customers?limit=${asked}`)).body.data).toEqual({ recent_customers: [], limit });
  });
});

describe('GET /api/customers/lookup', () => {
  test('none, one, many › the three forms, missing texts as blanks, active vehicles only', async () => {
    const { tenant, agent } = await shop();
    const lookup = async (phone: string) => (await agent.get('/api/customers/lookup').query({ phone })).body.data;
    expect(await lookup('555 999 0000')).toEqual({ found: false, multiple_matches: false, customer: null });
    const ann = await createCustomer({ tenant, columns: { name: 'Ann', email: null, phone: '+1-555-999-0000' } });
    const second = await createVehicle({ customer: ann, columns: { vin: null, license_plate: null } });
    const first = await createVehicle({ customer: ann, columns: { is_primary: true, notes: 'Loud' } });
    await createVehicle({ customer: ann, columns: { is_active: false } });
    expect(await lookup('(555) 999 0000')).toEqual({
      found: true,
      multiple_matches: false,
      customer: {
        id: String(ann.id),
        name: 'Ann',
        email: '',
        vehicles: [
          {
            id: String(first.id),
            make: 'Aurora',
            model: 'Hatch',
            year: 2019,
            license_plate: first.plate,
            vin: first.vin,
            is_primary: true,
            notes: 'Loud',
          },
          { id: String(second.id), make: 'Aurora', model: 'Hatch', year: 2019, license_plate: '', vin: '', is_primary: false, notes: '' },
        ],
      },
    });
    const abe = await createCustomer({ tenant, columns: { name: 'Abe', phone: '15559990000' } });
    const { statements, result } = await countWarmStatements(() => agent.get('/api/customers/lookup').query({ phone: '5559990000' }));
    expect(result.body.data).toEqual({
      found: true,
      multiple_matches: true,
      customer: null,
      customers: [
        { id: String(abe.id), name: 'Abe', email: abe.email, phone: '15559990000', vehicle_count: 0 },
        { id: String(ann.id), name: 'Ann', email: '', phone: '+1-555-999-0000', vehicle_count: 2 },
      ],
    });
    expect(statements).toHaveLength(1);
  });

  test('fewer than seven digits, none at all › 400; nobody › 401', async () => {
    const { agent } = await shop();
    for (const phone of ['123456', 'abc', '']) expect((await agent.get('/api/customers/lookup').query({ phone })).status).toBe(400);
    expect((await app.agent().get('/api/customers/lookup?phone=5551234567')).status).toBe(401);
  });
});
