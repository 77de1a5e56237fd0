/**
 * Finds or makes the customer and the vehicle that a booking speaks of. Shared by everything that takes bookings, and always
 * run inside the caller's transaction, so a booking that fails leaves no customer behind.
 */
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { isInTransaction, query } from '../lib/db';
import { Conflict, NotFound, ValidationFailed } from '../lib/errors';
import { Customer } from '../models/customers.model';
import { Vehicle } from '../models/vehicles.model';
import { Email, ModelYear, Phone, Plate, phoneDigits, plateKey, Vin } from '../schemas/identity.schema';
import { recordAudit } from './audit.service';
import { addVehicle, recordVehicleChange } from './vehicle-ownership.service';

/** Fewer digits than this identify nobody. */
const MIN_PHONE_DIGITS = 7;
const UNKNOWN = 'Unknown';
const UNKNOWN_CUSTOMER = 'Unknown Customer';

export interface CustomerInput {
  /** Digits are an id; any other text is a name (the booking page sends the name here). */
  customerId?: string | number | null | undefined;
  name?: string | null | undefined;
  phone?: string | null | undefined;
  email?: string | null | undefined;
}

export interface ResolvedCustomer {
  id: number;
  created: boolean;
}

/**
 * The customer meant by an id, else by phone, e-mail or a name that only one customer has, else a new one. A known customer
 * is never changed.
 * @returns null when nothing was given
 * @throws NotFound 'Customer not found' for an id that the tenant does not have
 * @throws ValidationFailed for a phone or e-mail that could not be stored
 */
export async function resolveCustomer(input: CustomerInput): Promise<ResolvedCustomer | null> {
  assertInTransaction();
  const idOrName = text(input.customerId);
  if (idOrName !== null && /^\d+$/.test(idOrName)) return { id: await existingCustomer(idOrName), created: false };
  const contact = contactOf({ ...input, name: text(input.name) ?? idOrName });
  if (contact.name === null && contact.phone === null && contact.email === null) return null;
  const known = await findCustomer(contact);
  if (known !== null) return { id: known, created: false };
  // Two bookings of one new customer at the same moment make one row: the second waits here and then finds it.
  await query({ text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))' }, [`${tenant().id}:customer:${lockName(contact)}`]);
  const meanwhile = await findCustomer(contact);
  if (meanwhile !== null) return { id: meanwhile, created: false };
  return { id: await insertCustomer({ ...contact, isVerified: true, notes: null }), created: true };
}

/**
 * A customer for a request nobody vouches for (public booking): never matched with a known one, and its e-mail stays out of the
 * unique column, so a stranger can neither touch a customer nor block an address.
 */
export async function createUnverifiedCustomer(input: Omit<CustomerInput, 'customerId'>): Promise<{ id: number; created: true }> {
  assertInTransaction();
  const { name, phone, email } = contactOf(input);
  const id = await insertCustomer({
    name,
    phone,
    email: null,
    isVerified: false,
    notes: email === null ? null : `E-mail given with the booking: ${email}`,
  });
  return { id, created: true };
}

export interface VehicleInput {
  customerId: number | null;
  vehicleId?: string | number | null | undefined;
  vin?: string | null | undefined;
  plate?: string | null | undefined;
  year?: string | number | null | undefined;
  make?: string | null | undefined;
  model?: string | null | undefined;
}

export interface ResolvedVehicle {
  id: number;
  created: boolean;
  /** The owner, which a booking that named no customer may take over. */
  customerId: number;
}

/**
 * The vehicle meant by an id, else by VIN, else by plate among the customer's cars, else a new car of the customer. An empty
 * VIN is filled in; a car of somebody else is never taken over.
 * Without a customer only a car that is known already can be meant (a new one would have no owner).
 * @returns null when nothing was given, or nothing is known and there is no customer to own a new car
 * @throws NotFound 'Vehicle not found'; ValidationFailed 'vehicle does not belong to customer' or a field's reason
 * @throws Conflict 'License plate already belongs to another customer', 'VIN already exists'
 */
export async function resolveVehicle(input: VehicleInput): Promise<ResolvedVehicle | null> {
  assertInTransaction();
  const { customerId } = input;
  const id = text(input.vehicleId);
  if (id !== null) return ownVehicle(id, customerId);
  const vin = checked('vin', Vin, input.vin);
  const plate = checked('license_plate', Plate, input.plate);
  const make = text(input.make);
  const model = text(input.model);
  if (vin === null && plate === null && make === null && model === null) return null;

  const known = await findVehicle({ vin, plate, customerId });
  if (known) {
    if (vin !== null && known.vin === null) await fillVin(known.id, vin);
    return { id: known.id, created: false, customerId: known.customerId };
  }
  if (customerId === null) return null;
  const vehicle = await addVehicle(customerId, {
    make: limited('vehicle_make', make, 100) ?? UNKNOWN,
    model: limited('vehicle_model', model, 100) ?? UNKNOWN,
    year: text(input.year) === null ? null : checked('vehicle_year', ModelYear, input.year),
    vin,
    licensePlate: plate,
  });
  return { id: vehicle.id, created: true, customerId };
}

// ------------------------------------------------------------------ customers

interface Contact {
  name: string | null;
  phone: string | null;
  email: string | null;
}

function contactOf(input: Omit<CustomerInput, 'customerId'>): Contact {
  return {
    name: limited('customer_name', text(input.name), 255),
    phone: checked('customer_phone', Phone, input.phone),
    email: checked('customer_email', Email, input.email),
  };
}

const usablePhone = (phone: string | null): string | null => {
  const digits = phoneDigits(phone ?? '');
  return digits.length >= MIN_PHONE_DIGITS ? digits : null;
};

const lockName = ({ name, phone, email }: Contact): string => usablePhone(phone) ?? email ?? name?.toLowerCase() ?? '';

async function existingCustomer(id: string): Promise<number> {
  const rows = /^\d{1,15}$/.test(id)
    ? await query<{ id: number }>({ text: 'SELECT id FROM customers WHERE tenant_id = $1 AND id = $2::bigint AND deleted_at IS NULL' }, [
        tenant().id,
        id,
      ])
    : [];
  if (!rows[0]) throw new NotFound('Customer not found');
  return rows[0].id;
}

async function findCustomer({ name, phone, email }: Contact): Promise<number | null> {
  const digits = usablePhone(phone);
  if (digits !== null) {
    // A shared phone is allowed: the one with the same name or e-mail first, then verified ones, then the oldest.
    const [row] = await query<{ id: number }>(
      {
        text: `SELECT id FROM customers WHERE tenant_id = $1 AND phone_digits = $2 AND deleted_at IS NULL
          ORDER BY is_verified DESC, (lower(name) = lower($3)) DESC NULLS LAST, (email = $4) DESC NULLS LAST, id LIMIT 1`,
      },
      [tenant().id, digits, name, email],
    );
    if (row) return row.id;
  }
  if (email !== null) {
    const [row] = await query<{ id: number }>(
      { text: 'SELECT id FROM customers WHERE tenant_id = $1 AND email = $2 AND deleted_at IS NULL' },
      [tenant().id, email],
    );
    if (row) return row.id;
  }
  if (name === null) return null;
  const namesakes = await query<{ id: number; phone_digits: string | null; email: string | null }>(
    {
      text: 'SELECT id, phone_digits, email FROM customers WHERE tenant_id = $1 AND lower(name) = lower($2) AND deleted_at IS NULL AND is_verified LIMIT 2',
    },
    [tenant().id, name],
  );
  const [only] = namesakes;
  if (!only || namesakes.length > 1) return null;
  // A different phone or e-mail says that this is a namesake.
  const differs = (mine: string | null, theirs: string | null) => mine !== null && theirs !== null && mine !== theirs;
  return differs(digits, only.phone_digits) || differs(email, only.email) ? null : only.id;
}

async function insertCustomer({
  name,
  phone,
  email,
  isVerified,
  notes,
}: Contact & { isVerified: boolean; notes: string | null }): Promise<number> {
  const customer = await Customer.make<Customer>({ name: name ?? UNKNOWN_CUSTOMER, phone, email, isVerified, notes });
  await recordAudit({
    action: 'CUSTOMER_CREATE',
    entity: 'customer',
    entityId: String(customer.id),
    after: { name: customer.name, phone, email, is_verified: isVerified },
  });
  return customer.id;
}

// ------------------------------------------------------------------ vehicles

interface KnownVehicle {
  id: number;
  customerId: number;
  vin: string | null;
}

const VEHICLE = 'SELECT id, customer_id AS "customerId", vin FROM vehicles WHERE tenant_id = $1';

async function ownVehicle(id: string, customerId: number | null): Promise<ResolvedVehicle> {
  const [vehicle] = /^\d{1,15}$/.test(id) ? await query<KnownVehicle>({ text: `${VEHICLE} AND id = $2::bigint` }, [tenant().id, id]) : [];
  if (!vehicle) throw new NotFound('Vehicle not found');
  if (customerId !== null && vehicle.customerId !== customerId)
    throw new ValidationFailed({ vehicle_id: 'not_owned' }, 'vehicle does not belong to customer');
  return { id: vehicle.id, created: false, customerId: vehicle.customerId };
}

async function findVehicle(wanted: {
  vin: string | null;
  plate: string | null;
  customerId: number | null;
}): Promise<KnownVehicle | undefined> {
  const { vin, plate, customerId } = wanted;
  const isForeign = (vehicle: KnownVehicle) => customerId !== null && vehicle.customerId !== customerId;
  if (vin !== null) {
    const [byVin] = await query<KnownVehicle>({ text: `${VEHICLE} AND vin = $2` }, [tenant().id, vin]);
    if (byVin && isForeign(byVin)) throw new Conflict('VIN already exists', { details: { vin: 'already_exists' } });
    if (byVin) return byVin;
  }
  if (plate === null || plateKey(plate) === '') return undefined;
  const [byPlate] = await query<KnownVehicle>({ text: `${VEHICLE} AND plate_key = $2 AND is_active` }, [tenant().id, plateKey(plate)]);
  if (byPlate && isForeign(byPlate))
    throw new Conflict('License plate already belongs to another customer', { details: { license_plate: 'belongs_to_other' } });
  return byPlate;
}

async function fillVin(id: number, vin: string): Promise<void> {
  const vehicle = await Vehicle.get<Vehicle>(id, { lock: true });
  if (vehicle.vin !== null) return;
  vehicle.set({ vin, updatedAt: clock.now() });
  await vehicle.save();
  await recordVehicleChange(id, { vin: { from: null, to: vin } });
  await recordAudit({ action: 'VEHICLE_UPDATE', entity: 'vehicle', entityId: String(id), before: { vin: null }, after: { vin } });
}

// ------------------------------------------------------------------ input

function assertInTransaction(): void {
  if (!isInTransaction()) throw new Error('A booking is resolved inside the transaction that stores it');
}

/** Trimmed text; blank counts as absent. */
function text(value: string | number | null | undefined): string | null {
  const trimmed = String(value ?? '').trim();
  return trimmed === '' ? null : trimmed;
}

interface Check<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: { issues: readonly { message: string }[] } };
}

function checked<T>(field: string, schema: Check<T>, value: unknown): T {
  const result = schema.safeParse(value ?? null);
  if (!result.success) throw new ValidationFailed({ [field]: result.error.issues[0]?.message ?? 'invalid' });
  return result.data;
}

function limited(field: string, value: string | null, max: number): string | null {
  if (value !== null && value.length > max) throw new ValidationFailed({ [field]: 'too_long' });
  return value;
}
