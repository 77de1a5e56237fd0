/**
 * Who owns which car, and which one is primary. Everything that changes either locks the customer's row first, then vehicles:
 * so at most one car is primary at any moment and two such changes cannot deadlock.
 */
import { context, tenant } from '../lib/context';
import { query } from '../lib/db';
import { NotFound } from '../lib/errors';
import type { Changes } from '../models/row-changes';
import { Vehicle } from '../models/vehicles.model';
import { recordAudit } from './audit.service';

/**
 * Locks customers in id order until the transaction ends. References to them (new appointments) may still be written.
 * @throws NotFound 'Customer not found' when one is absent or deleted
 */
export async function lockCustomers(ids: readonly number[]): Promise<void> {
  const wanted = [...new Set(ids)];
  const rows = await query<{ id: number }>(
    {
      text: `SELECT id FROM customers WHERE tenant_id = $1 AND id = ANY ($2::bigint[]) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE`,
    },
    [tenant().id, wanted],
  );
  if (rows.length < wanted.length) throw new NotFound('Customer not found');
}

export interface NewVehicle {
  make: string;
  model: string;
  year: number | null;
  vin?: string | null | undefined;
  licensePlate?: string | null | undefined;
  trim?: string | null | undefined;
  color?: string | null | undefined;
  mileage?: number | null | undefined;
  notes?: string | null | undefined;
  isPrimary?: boolean | undefined;
}

/**
 * Adds cars to a customer, inside the open transaction, in this order; the first one of all becomes primary whatever was asked. The
 * customer is locked and the primary car looked for once, however many there are.
 * @throws NotFound 'Customer not found'; duplicates of VIN and plate by their constraints
 */
export async function addVehicles(customerId: number, cars: readonly NewVehicle[]): Promise<Vehicle[]> {
  await lockCustomers([customerId]);
  const [primary] = await query<{ id: number }>(
    { text: 'SELECT id FROM vehicles WHERE tenant_id = $1 AND customer_id = $2::bigint AND is_primary' },
    [tenant().id, customerId],
  );
  let hasPrimary = primary !== undefined;
  const added: Vehicle[] = [];
  for (const { isPrimary = false, ...values } of cars) {
    if (hasPrimary && isPrimary) await clearPrimary(customerId);
    added.push(await insertVehicle({ ...values, customerId, isPrimary: isPrimary || !hasPrimary }));
    hasPrimary = true;
  }
  return added;
}

/** The same for one car. */
export async function addVehicle(customerId: number, car: NewVehicle): Promise<Vehicle> {
  const [vehicle] = await addVehicles(customerId, [car]);
  return vehicle as Vehicle;
}

async function insertVehicle(values: NewVehicle & { customerId: number; isPrimary: boolean }): Promise<Vehicle> {
  const vehicle = await Vehicle.make<Vehicle>({ ...values });
  await recordAudit({
    action: 'VEHICLE_CREATE',
    entity: 'vehicle',
    entityId: String(vehicle.id),
    after: { customer_id: values.customerId, make: vehicle.make, model: vehicle.model, year: vehicle.year, is_primary: vehicle.isPrimary },
  });
  return vehicle;
}

/** Takes the primary flag from the customer's car that has it; the customer's row must be locked. */
export async function clearPrimary(customerId: number): Promise<void> {
  const cleared = await query<{ id: number }>(
    {
      text: `UPDATE vehicles SET is_primary = false, version = version + 1, updated_at = now()
        WHERE tenant_id = $1 AND customer_id = $2::bigint AND is_primary RETURNING id`,
    },
    [tenant().id, customerId],
  );
  for (const { id } of cleared) await recordVehicleChange(id, { is_primary: { from: true, to: false } });
}

/** Keeps what changed on a car, with the change. */
export async function recordVehicleChange(vehicleId: number, changes: Changes): Promise<void> {
  await query({ text: 'INSERT INTO vehicle_audits (tenant_id, vehicle_id, actor_id, fields_changed) VALUES ($1, $2, $3, $4::jsonb)' }, [
    tenant().id,
    vehicleId,
    context().actor.id,
    JSON.stringify(changes),
  ]);
}
