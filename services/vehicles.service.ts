/** Vehicles: lists, one, create, change. A customer only ever meets their own; a foreign one does not exist for them. */
import { clock } from '../lib/clock';
import { context } from '../lib/context';
import { inTransaction } from '../lib/db';
import { BadRequest, Conflict, NotFound, PreconditionFailed, ValidationFailed } from '../lib/errors';
import { allowsVersion, etagOf } from '../lib/etag';
import { customerExists } from '../models/customers.queries';
import { pendingChanges, side } from '../models/row-changes';
import { Vehicle } from '../models/vehicles.model';
import {
  type VehicleListQuery,
  type VersionedVehicle,
  vehicleById,
  vehicleList,
  vehiclesByVin,
  vehiclesOfCustomer,
} from '../models/vehicles.queries';
import { pageSize } from '../schemas/customers.schema';
import type { CreateOwnVehicle, ListVehicles, UpdateVehicle, VehicleReply } from '../schemas/vehicles.schema';
import { recordAudit } from './audit.service';
import { addVehicle, clearPrimary, lockCustomers, recordVehicleChange } from './vehicle-ownership.service';

export interface TaggedVehicle {
  vehicle: VehicleReply;
  etag: string;
}

/** The customer whose cars the caller is confined to; null for staff, who see the whole tenant. */
function scopeOf(): number | null {
  const { actor } = context();
  return actor.kind === 'customer' ? actor.customerId : null;
}

const tagged = ({ vehicle, version }: VersionedVehicle): TaggedVehicle => ({ vehicle, etag: etagOf(version, JSON.stringify(vehicle)) });

async function reply(id: number): Promise<TaggedVehicle> {
  const found = await vehicleById(id, scopeOf());
  if (!found) throw new NotFound('Vehicle not found');
  return tagged(found);
}

/** @throws NotFound 'Vehicle not found' */
export const getVehicle = (id: number): Promise<TaggedVehicle> => reply(id);

export interface Listed {
  /** JSON text of an array. */
  items: string;
  page: number;
  pageSize: number;
  total: number;
}

/** One page of vehicles, newest first. A filter that cannot match (a year that is no number) finds nothing. */
export async function listVehicles(wanted: ListVehicles): Promise<Listed> {
  const limit = pageSize(wanted);
  const { page } = wanted;
  const whole = (text: string): number | undefined => (text === '' ? undefined : /^\d{1,15}$/.test(text) ? Number(text) : -1);
  const year = whole(wanted.year);
  const filters: VehicleListQuery = {
    limit,
    offset: (page - 1) * limit,
    customerId: scopeOf() ?? whole(wanted.customer_id),
    vin: wanted.vin || undefined,
    make: wanted.make || undefined,
    model: wanted.model || undefined,
    year: year === undefined ? undefined : Math.min(year, 9999),
    q: wanted.q || undefined,
    active: wanted.active === '' ? undefined : ['1', 'true', 'yes'].includes(wanted.active.toLowerCase()),
  };
  return { ...(await vehicleList(filters)), page, pageSize: limit };
}

/** Vehicles whose VIN contains the text. @throws BadRequest without one */
export async function searchVehicles(vin: string): Promise<VehicleReply[]> {
  if (vin === '') throw new BadRequest('vin is required');
  return vehiclesByVin(vin);
}

/** All vehicles of a customer, deactivated ones last. @throws NotFound 'Customer not found' */
export async function listVehiclesOfCustomer(customerId: number): Promise<VehicleReply[]> {
  const vehicles = await vehiclesOfCustomer(customerId, { activeOnly: false });
  if (vehicles.length === 0 && !(await customerExists(customerId))) throw new NotFound('Customer not found');
  return vehicles;
}

/** @throws NotFound 'Customer not found'; Conflict for a known VIN or plate, by their constraints */
export function createVehicle(customerId: number, { license_plate, is_primary, ...fields }: CreateOwnVehicle): Promise<TaggedVehicle> {
  return inTransaction(async () => {
    const vehicle = await addVehicle(customerId, { ...fields, licensePlate: license_plate, isPrimary: is_primary ?? false });
    return reply(vehicle.id);
  });
}

/** For routes that staff and customers share: a customer's new car is their own, staff must name the owner. */
export function createVehicleAs(customerId: number | undefined, fields: CreateOwnVehicle): Promise<TaggedVehicle> {
  const owner = scopeOf() ?? customerId;
  if (owner === undefined) throw new ValidationFailed({ customer_id: 'required' }, 'Missing required fields');
  return createVehicle(owner, fields);
}

export interface ChangeOptions {
  /** Opaque If-Match; null writes unconditionally. */
  ifMatch: string | null;
  action?: 'VEHICLE_UPDATE' | 'VEHICLE_DEACTIVATE';
}

/**
 * Changes what is given. Nothing different: no write, no trace, the same tag.
 * @throws NotFound; PreconditionFailed with the current vehicle; ValidationFailed for an inactive primary; Conflict for duplicates
 */
export function updateVehicle(
  id: number,
  changes: UpdateVehicle,
  { ifMatch, action = 'VEHICLE_UPDATE' }: ChangeOptions,
): Promise<TaggedVehicle> {
  return inTransaction(async () => {
    const { is_primary, is_active, license_plate, ...fields } = changes;
    const flags = { isPrimary: is_primary ?? undefined, isActive: is_active ?? undefined };
    const before = await reply(id);
    // Whoever touches the primary flag locks the owner first, then the car.
    if (flags.isPrimary !== undefined || flags.isActive !== undefined) await lockCustomers([before.vehicle.customer_id]);
    const vehicle = await Vehicle.get<Vehicle>(id, { lock: true, missing: 'Vehicle not found' });
    if (vehicle.customerId !== before.vehicle.customer_id) throw new Conflict('The vehicle was transferred meanwhile');
    if (!allowsVersion(ifMatch, vehicle.version)) {
      const { vehicle: current, etag } = await reply(id);
      throw new PreconditionFailed({ current, etag }, etag);
    }
    vehicle.set(Object.fromEntries(Object.entries({ ...fields, licensePlate: license_plate }).filter(([, value]) => value !== undefined)));
    vehicle.applyFlags(flags);
    const changed = pendingChanges(vehicle);
    if (Object.keys(changed).length === 0) return reply(id);
    if (changed['is_primary']?.to === true) await clearPrimary(vehicle.customerId);
    vehicle.updatedAt = clock.now();
    await vehicle.save();
    await recordVehicleChange(id, changed);
    await recordAudit({ action, entity: 'vehicle', entityId: String(id), before: side(changed, 'from'), after: side(changed, 'to') });
    return reply(id);
  });
}

/** Takes a car out of use; its history stays. Again changes nothing. @throws NotFound */
export async function deactivateVehicle(id: number): Promise<void> {
  await updateVehicle(
    id,
    { is_active: false, make: undefined, model: undefined, year: undefined },
    { ifMatch: null, action: 'VEHICLE_DEACTIVATE' },
  );
}
