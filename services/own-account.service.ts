/** What a signed-in person sees and changes about themselves. Everything here is about the caller and nobody else. */
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { inTransaction } from '../lib/db';
import { Forbidden, NotFound, ValidationFailed } from '../lib/errors';
import { ownProfile } from '../models/own-account.queries';
import { pendingChanges, side } from '../models/row-changes';
import { Vehicle } from '../models/vehicles.model';
import { vehiclesOfCustomer } from '../models/vehicles.queries';
import type { OwnProfile, OwnVehicleInput, SmsConsent, UpdateOwnProfile } from '../schemas/own-account.schema';
import type { CreateOwnVehicle, VehicleReply } from '../schemas/vehicles.schema';
import { recordAudit } from './audit.service';
import { getCustomerHistory } from './customer-profile.service';
import { lockedCustomer, saveCustomer } from './customers.service';
import { staffProfile } from './staff.service';
import { addVehicles, recordVehicleChange } from './vehicle-ownership.service';
import { createVehicle, type TaggedVehicle } from './vehicles.service';

/** The caller as a customer. @throws Forbidden for staff */
function customerId(): number {
  const { actor } = context();
  if (actor.kind !== 'customer') throw new Forbidden('Insufficient permissions');
  return actor.customerId;
}

/** Who is signed in, staff or customer. @throws NotFound when the account has gone */
export async function getOwnProfile(): Promise<OwnProfile> {
  const { actor } = context();
  if (actor.kind === 'staff') {
    const staff = await staffProfile(actor.id);
    return {
      id: staff.id,
      email: staff.email ?? staff.username,
      name: staff.name,
      phone: null,
      role: actor.role,
      tenant_id: tenant().id,
      sms_consent: false,
      vehicles: [],
      created_at: staff.createdAt.toISOString(),
    };
  }
  const profile = await ownProfile(customerId());
  if (!profile) throw new NotFound('Customer not found');
  return { ...profile, role: 'Customer', tenant_id: tenant().id };
}

/**
 * Merges what is given: known cars are changed, new ones added, those left out stay.
 * @throws NotFound 'Vehicle not found' for a car that is not the caller's; Conflict `already_exists` for an e-mail in use
 */
export function updateOwnProfile({ vehicles = [], ...person }: UpdateOwnProfile): Promise<OwnProfile> {
  const id = customerId();
  return inTransaction(async () => {
    const customer = await lockedCustomer(id);
    if (person.email === null) throw new ValidationFailed({ email: 'required' });
    customer.set(Object.fromEntries(Object.entries(person).filter(([, value]) => value !== undefined)));
    await saveCustomer(customer);
    await mergeVehicles(id, vehicles);
    return getOwnProfile();
  });
}

/** Positive whole ids are known cars; `temp-…` and none are new ones. */
function knownId({ id }: OwnVehicleInput): number | null {
  if (id === null || id === undefined || id === '' || String(id).startsWith('temp-')) return null;
  // What cannot be an id names no car: as id 0 it is found nowhere.
  return /^[1-9]\d{0,14}$/.test(String(id)) ? Number(id) : 0;
}

async function mergeVehicles(ownerId: number, inputs: readonly OwnVehicleInput[]): Promise<void> {
  const known = inputs.flatMap((input) => {
    const id = knownId(input);
    return id === null ? [] : [{ id, input }];
  });
  const ids = [...new Set(known.map(({ id }) => id))];
  // One statement decides about all of them: each is the caller's, or none is touched.
  const rows =
    ids.length === 0 ? [] : await Vehicle.list<Vehicle>({ where: { id: ids, customerId: ownerId }, order: [['id', 'ASC']], lock: true });
  if (rows.length < ids.length) throw new NotFound('Vehicle not found');
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const { id, input } of known) await changeVehicle(byId.get(id), input);
  const added = inputs.flatMap((input, index) => (knownId(input) === null ? [complete(input, index)] : []));
  if (added.length > 0) await addVehicles(ownerId, added);
}

async function changeVehicle(vehicle: Vehicle | undefined, { make, model, year, vin, license_plate }: OwnVehicleInput): Promise<void> {
  if (!vehicle) return;
  const values = { make, model, year, vin, licensePlate: license_plate };
  vehicle.set(Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)));
  const changed = pendingChanges(vehicle);
  if (Object.keys(changed).length === 0) return;
  vehicle.updatedAt = clock.now();
  await vehicle.save();
  await recordVehicleChange(vehicle.id, changed);
  await recordAudit({
    action: 'VEHICLE_UPDATE',
    entity: 'vehicle',
    entityId: String(vehicle.id),
    before: side(changed, 'from'),
    after: side(changed, 'to'),
  });
}

/** A new car needs make, model and year. */
function complete({ make, model, year, vin, license_plate }: OwnVehicleInput, index: number) {
  const missing = Object.entries({ make, model, year }).filter(([, value]) => value === undefined);
  if (make === undefined || model === undefined || year === undefined)
    throw new ValidationFailed(Object.fromEntries(missing.map(([name]) => [`vehicles[${index}].${name}`, 'required'])));
  return { make, model, year, vin, licensePlate: license_plate };
}

/** The caller's active cars, primary first. */
export const listOwnVehicles = (): Promise<VehicleReply[]> => vehiclesOfCustomer(customerId(), { activeOnly: true });

/** @throws Conflict for a known VIN or plate */
export const createOwnVehicle = (body: CreateOwnVehicle): Promise<TaggedVehicle> => createVehicle(customerId(), body);

/** The caller's closed appointments and payments as JSON text. */
export const getOwnHistory = (): Promise<string> => getCustomerHistory(customerId());

/** Stores the caller's decision about text messages, with the address it came from. */
export function decideSmsConsent({ sms_consent, phone }: SmsConsent): Promise<{ smsConsent: boolean; smsConsentDate: Date | null }> {
  const id = customerId();
  return inTransaction(async () => {
    const customer = await lockedCustomer(id);
    if (phone !== undefined) customer.set({ phone });
    customer.decideSmsConsent(sms_consent, { at: clock.now(), ip: context().ip, optOut: 'WEB' });
    await saveCustomer(customer, 'SMS_CONSENT');
    return { smsConsent: customer.smsConsent, smsConsentDate: customer.smsConsentDate };
  });
}
