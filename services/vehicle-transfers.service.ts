/** Cars change hands: all of those named, or none, each with its trace. Appointments and invoices stay with whom they were. */
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest, Conflict, NotFound } from '../lib/errors';
import { vehicleById } from '../models/vehicles.queries';
import type { VehicleReply } from '../schemas/vehicles.schema';
import { recordAudit } from './audit.service';
import { lockCustomers } from './vehicle-ownership.service';

interface Ownership {
  id: number;
  customer_id: number;
}

/** @throws BadRequest 'customer_id is required' or 'Invalid customer_id' */
function newOwner(value: unknown): number {
  if (value === undefined || value === null || value === '') throw new BadRequest('customer_id is required');
  const text = typeof value === 'number' || typeof value === 'string' ? String(value).trim() : '';
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new BadRequest('Invalid customer_id');
  return Number(text);
}

/** Moves one car and answers with it. To its present owner: nothing happens. @throws NotFound for the car or the customer */
export function transferVehicle(id: number, customerId: unknown): Promise<VehicleReply> {
  const owner = newOwner(customerId);
  return inTransaction(async () => {
    const [moved] = await move([id], owner);
    if (moved)
      await recordAudit({
        action: 'VEHICLE_TRANSFER',
        entity: 'vehicle',
        entityId: String(id),
        before: { customer_id: moved.customer_id },
        after: { customer_id: owner },
      });
    const current = await vehicleById(id);
    if (!current) throw new NotFound('Vehicle not found');
    return current.vehicle;
  });
}

/** Moves up to a hundred cars, all or none, in a constant number of statements. @returns the ids that changed hands */
export function transferVehicles(ids: readonly number[], customerId: unknown): Promise<number[]> {
  const owner = newOwner(customerId);
  return inTransaction(async () => {
    const moved = await move(ids, owner);
    if (moved.length > 0)
      await recordAudit({
        action: 'VEHICLE_TRANSFER',
        entity: 'customer',
        entityId: String(owner),
        before: { vehicles: moved },
        after: { customer_id: owner, vehicle_ids: moved.map(({ id }) => id) },
      });
    return moved.map(({ id }) => id);
  });
}

/**
 * @param held customers whose rows are locked already: when this looks again at cars that somebody else moved first. No further
 *   ones are locked then, because locks taken out of order can deadlock.
 * @returns the cars that moved, with their former owner
 * @throws Conflict when a car is with a third person by now
 */
async function move(ids: readonly number[], owner: number, held?: ReadonlySet<number>): Promise<Ownership[]> {
  const tenantId = tenant().id;
  const found = await query<Ownership>(
    {
      name: 'vehicle_ownership',
      text: 'SELECT id, customer_id FROM vehicles WHERE tenant_id = $1 AND id = ANY ($2::bigint[]) ORDER BY id',
    },
    [tenantId, ids],
  );
  if (found.length < ids.length) throw new NotFound('Vehicle not found');
  const customers = new Set([owner, ...found.map((vehicle) => vehicle.customer_id)]);
  if (!held) await lockCustomers([...customers]);
  else if ([...customers].some((id) => !held.has(id))) throw new Conflict('A vehicle was transferred meanwhile');
  const moving = found.filter((vehicle) => vehicle.customer_id !== owner);
  if (moving.length === 0) return [];
  // The former owner is part of the condition: a car that changed hands before the locks were held is not moved from a third person.
  const updated = await query<{ id: number }>(
    {
      name: 'vehicle_transfer',
      text: `UPDATE vehicles v SET customer_id = $4, is_primary = false, version = v.version + 1, updated_at = $5::timestamptz
        FROM unnest($2::bigint[], $3::bigint[]) AS m (id, owner)
        WHERE v.tenant_id = $1 AND v.id = m.id AND v.customer_id = m.owner RETURNING v.id`,
    },
    [tenantId, ...columns(moving), owner, clock.now()],
  );
  const done = new Set(updated.map(({ id }) => id));
  const moved = moving.filter(({ id }) => done.has(id));
  if (moved.length > 0)
    await query(
      {
        name: 'vehicle_transfer_log',
        text: `INSERT INTO vehicle_audit_log (tenant_id, vehicle_id, action, old_customer_id, new_customer_id, performed_by)
        SELECT $1, m.id, 'TRANSFER', m.owner, $4, $5 FROM unnest($2::bigint[], $3::bigint[]) AS m (id, owner)`,
      },
      [tenantId, ...columns(moved), owner, context().actor.id.slice(0, 100)],
    );
  if (moved.length === moving.length) return moved;
  // Somebody was first: the same request twice, for example, whose car is where it should be by now.
  const rest = moving.filter(({ id }) => !done.has(id)).map(({ id }) => id);
  return [...moved, ...(await move(rest, owner, customers))];
}

const columns = (cars: readonly Ownership[]): [ids: number[], owners: number[]] => [
  cars.map(({ id }) => id),
  cars.map(({ customer_id }) => customer_id),
];
