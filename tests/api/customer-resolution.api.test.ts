/** Who and which car a booking means. @core */
import { randomUUID } from 'node:crypto';
import { type Context, newWorkStats, withContext } from '../../lib/context';
import { inTransaction } from '../../lib/db';
import type { CustomerInput, VehicleInput } from '../../services/customer-resolution.service';
import { createUnverifiedCustomer, resolveCustomer, resolveVehicle } from '../../services/customer-resolution.service';
import { admin } from '../support/database';
import { createCustomer, createTenant, createVehicle, type Tenant } from '../support/factories';
import { startApp } from '../support/server';

let tenant: Tenant;

beforeAll(async () => {
  await startApp();
  tenant = await createTenant();
});

function inShop<T>(work: () => Promise<T>, shop = tenant): Promise<T> {
  const context: Context = {
    requestId: randomUUID(),
    operation: 'test',
    actor: { kind: 'staff', id: 'staff-1', role: 'Advisor', name: 'Test', sessionId: randomUUID() },
    tenant: shop,
    ip: null,
    userAgent: null,
    stats: newWorkStats(),
  };
  return withContext(context, () => inTransaction(work));
}
const customerOf = (input: CustomerInput, shop = tenant) => inShop(() => resolveCustomer(input), shop);
const vehicleOf = (input: VehicleInput) => inShop(() => resolveVehicle(input));
const known = (id: number) => ({ id, created: false });
const phone = (mark: number): string => `(777) ${String(mark).padStart(3, '0')}-${String(Date.now() % 10_000).padStart(4, '0')}`;

describe('resolveCustomer', () => {
  test('digits › that customer; digits of nobody, of another shop, of a deleted one › 404', async () => {
    const customer = await createCustomer({ tenant });
    expect(await customerOf({ customerId: String(customer.id) })).toEqual(known(customer.id));
    expect(await customerOf({ customerId: customer.id, phone: 'not even looked at' })).toEqual(known(customer.id));
    const deleted = await createCustomer({ tenant, columns: { deleted_at: new Date() } });
    const foreign = await createCustomer({ tenant: await createTenant() });
    for (const id of ['999999999', '0', '99999999999999999999', deleted.id, foreign.id]) {
      await expect(customerOf({ customerId: id })).rejects.toMatchObject({ status: 404, message: 'Customer not found' });
    }
  });

  test('nothing, or only blanks › null and no row', async () => {
    const count = async () => (await admin('SELECT id FROM customers WHERE tenant_id = $1', [tenant.id])).length;
    const before = await count();
    expect(await customerOf({})).toBeNull();
    expect(await customerOf({ customerId: ' ', name: '', phone: '', email: null })).toBeNull();
    expect(await count()).toBe(before);
  });

  test('a phone in another writing › its customer, whatever the name; a shared one › the one of that name', async () => {
    const number = phone(1);
    const first = await createCustomer({ tenant, columns: { name: 'Pat One', phone: number } });
    const second = await createCustomer({ tenant, columns: { name: 'Pat Two', phone: number } });
    const digits = number.replace(/\D/g, '');
    expect(await customerOf({ customerId: 'Somebody', phone: `+1 ${digits}` })).toEqual(known(first.id));
    expect(await customerOf({ customerId: 'pat two', phone: digits })).toEqual(known(second.id));
  });

  test('an e-mail in another case › its customer', async () => {
    const customer = await createCustomer({ tenant });
    expect(await customerOf({ name: 'X', email: ` ${customer.email.toUpperCase()} ` })).toEqual(known(customer.id));
  });

  test('a name that one customer has › that one; that two have › a new one; with another phone › a namesake, new', async () => {
    const mark = randomUUID();
    const only = await createCustomer({ tenant, columns: { name: `Only ${mark}` } });
    expect(await customerOf({ customerId: `ONLY ${mark}` })).toEqual(known(only.id));
    const namesake = await customerOf({ name: `Only ${mark}`, phone: phone(2) });
    expect(namesake?.created).toBe(true);
    const third = await customerOf({ name: `Only ${mark}` });
    expect(third?.created).toBe(true);
    expect([only.id, namesake?.id]).not.toContain(third?.id);
  });

  test('somebody new › stored as given, on record, in this shop', async () => {
    const made = await customerOf({ customerId: 'Newt Newcomer', phone: phone(3), email: `newt-${randomUUID()}@X.example` });
    const [row] = await admin<Record<string, unknown>>('SELECT tenant_id, name, is_verified FROM customers WHERE id = $1', [made?.id]);
    expect(row).toEqual({ tenant_id: tenant.id, name: 'Newt Newcomer', is_verified: true });
    expect(await admin(`SELECT id FROM audit_logs WHERE action = 'CUSTOMER_CREATE' AND entity_id = $1`, [String(made?.id)])).toHaveLength(
      1,
    );
  });

  test('a phone without a name › "Unknown Customer"', async () => {
    const made = await customerOf({ phone: phone(4) });
    const [row] = await admin<{ name: string }>('SELECT name FROM customers WHERE id = $1', [made?.id]);
    expect(row?.name).toBe('Unknown Customer');
  });

  test('ten bookings of one new customer at once › one row', async () => {
    const input = { name: 'Crowd', phone: phone(5) };
    const made = await Promise.all(Array.from({ length: 10 }, () => customerOf(input)));
    expect(new Set(made.map((customer) => customer?.id)).size).toBe(1);
    expect(made.filter((customer) => customer?.created)).toHaveLength(1);
  });

  test('the same name and phone in another shop › a customer of that shop', async () => {
    const customer = await createCustomer({ tenant });
    const elsewhere = await customerOf({ name: customer.name, phone: customer.phone }, await createTenant());
    expect(elsewhere?.created).toBe(true);
  });

  test('what could not be stored › 400 that names the field', async () => {
    await expect(customerOf({ name: 'A', email: 'nonsense' })).rejects.toMatchObject({
      status: 400,
      details: { customer_email: 'invalid' },
    });
    await expect(customerOf({ name: 'A', phone: '1'.repeat(30) })).rejects.toMatchObject({ details: { customer_phone: 'too_long' } });
    await expect(customerOf({ name: 'x'.repeat(256) })).rejects.toMatchObject({ details: { customer_name: 'too_long' } });
  });

  test('the booking fails afterwards › no customer left behind', async () => {
    const name = `Ghost ${randomUUID()}`;
    await expect(
      inShop(async () => {
        await resolveCustomer({ name });
        throw new Error('the slot was taken');
      }),
    ).rejects.toThrow('the slot was taken');
    expect(await admin('SELECT id FROM customers WHERE name = $1', [name])).toEqual([]);
  });
});

describe('createUnverifiedCustomer', () => {
  test('contact of a known customer › a row of its own, unverified, the known one untouched, its e-mail free', async () => {
    const customer = await createCustomer({ tenant });
    const made = await inShop(() => createUnverifiedCustomer({ name: customer.name, phone: customer.phone, email: customer.email }));
    expect(made.id).not.toBe(customer.id);
    const [row] = await admin<Record<string, unknown>>('SELECT is_verified, email, phone, notes FROM customers WHERE id = $1', [made.id]);
    expect(row).toEqual({
      is_verified: false,
      email: null,
      phone: customer.phone,
      notes: `E-mail given with the booking: ${customer.email}`,
    });
    // The verified one is still who the staff means.
    expect(await customerOf({ phone: customer.phone })).toEqual(known(customer.id));
    expect(await customerOf({ name: customer.name })).toEqual(known(customer.id));
  });
});

describe('resolveVehicle', () => {
  test('an id › that car; another’s › 400; unknown › 404', async () => {
    const vehicle = await createVehicle({ customer: await createCustomer({ tenant }) });
    const other = await createCustomer({ tenant });
    const mine = { id: vehicle.id, created: false, customerId: vehicle.customer.id };
    expect(await vehicleOf({ customerId: vehicle.customer.id, vehicleId: String(vehicle.id) })).toEqual(mine);
    expect(await vehicleOf({ customerId: null, vehicleId: vehicle.id })).toEqual(mine);
    await expect(vehicleOf({ customerId: other.id, vehicleId: vehicle.id })).rejects.toMatchObject({
      status: 400,
      code: 'validation_failed',
      message: 'vehicle does not belong to customer',
    });
    for (const id of ['999999999', 'abc']) {
      await expect(vehicleOf({ customerId: null, vehicleId: id })).rejects.toMatchObject({ status: 404, message: 'Vehicle not found' });
    }
  });

  test('a VIN, a plate in another writing › the customer’s car; an empty VIN is filled in, on record', async () => {
    const customer = await createCustomer({ tenant });
    const byVin = await createVehicle({ customer });
    expect(await vehicleOf({ customerId: customer.id, vin: byVin.vin.toLowerCase() })).toMatchObject(known(byVin.id));
    const bare = await createVehicle({ customer, columns: { vin: null } });
    const vin = `1HG${randomUUID().replaceAll('-', '').slice(0, 14).toUpperCase()}`;
    const writing = `${bare.plate.slice(0, 3).toLowerCase()}-${bare.plate.slice(3)}`;
    expect(await vehicleOf({ customerId: customer.id, plate: writing, vin })).toMatchObject(known(bare.id));
    const [row] = await admin<{ vin: string; version: number }>('SELECT vin, version FROM vehicles WHERE id = $1', [bare.id]);
    expect(row).toEqual({ vin, version: 2 });
    expect(await admin('SELECT id FROM vehicle_audits WHERE vehicle_id = $1', [bare.id])).toHaveLength(1);
  });

  test('the plate or VIN of another customer › 409, the car stays with its owner', async () => {
    const vehicle = await createVehicle({ customer: await createCustomer({ tenant }) });
    const thief = await createCustomer({ tenant });
    await expect(vehicleOf({ customerId: thief.id, plate: vehicle.plate })).rejects.toMatchObject({
      status: 409,
      message: 'License plate already belongs to another customer',
    });
    await expect(vehicleOf({ customerId: thief.id, vin: vehicle.vin })).rejects.toMatchObject({ status: 409 });
    const [row] = await admin<{ customer_id: string }>('SELECT customer_id FROM vehicles WHERE id = $1', [vehicle.id]);
    expect(row?.customer_id).toBe(String(vehicle.customer.id));
  });

  test('something new › made for the customer with Unknown for what is missing, the first one primary', async () => {
    const customer = await createCustomer({ tenant });
    const made = await vehicleOf({ customerId: customer.id, plate: `n-${randomUUID().slice(0, 8)}`, year: '2018' });
    expect(made).toMatchObject({ created: true, customerId: customer.id });
    const [row] = await admin<Record<string, unknown>>('SELECT make, model, year, is_primary, is_active FROM vehicles WHERE id = $1', [
      made?.id,
    ]);
    expect(row).toEqual({ make: 'Unknown', model: 'Unknown', year: 2018, is_primary: true, is_active: true });
  });

  test('nothing, or a new car without a customer › null; a known one without a customer › it and its owner', async () => {
    const vehicle = await createVehicle({ customer: await createCustomer({ tenant }) });
    expect(await vehicleOf({ customerId: vehicle.customer.id })).toBeNull();
    expect(await vehicleOf({ customerId: null, make: 'Ford' })).toBeNull();
    expect(await vehicleOf({ customerId: null, plate: vehicle.plate })).toEqual({ ...known(vehicle.id), customerId: vehicle.customer.id });
  });

  test('what could not be stored › 400 that names the field', async () => {
    const { id } = await createCustomer({ tenant });
    await expect(vehicleOf({ customerId: id, vin: 'short' })).rejects.toMatchObject({ status: 400, details: { vin: 'length' } });
    await expect(vehicleOf({ customerId: id, make: 'A', year: 'new' })).rejects.toMatchObject({
      details: { vehicle_year: 'out_of_range' },
    });
    await expect(vehicleOf({ customerId: id, make: 'x'.repeat(101) })).rejects.toMatchObject({ details: { vehicle_make: 'too_long' } });
  });
});
