/**
 * Double booking. The exclusion constraints of the table are the guarantee; this module makes the refusal orderly: whoever is
 * about to occupy a technician or a vehicle takes a lock on both in one order, reads who is in the way, then writes. Without
 * the locks, many writers of one slot would deadlock on the constraint instead of being refused.
 */
import { tenant } from '../lib/context';
import { isInTransaction, query } from '../lib/db';
import { Conflict } from '../lib/errors';
import { BLOCKING_STATUSES } from '../models/appointment-transitions';

export interface Slot {
  /** The appointment that wants the slot, when it exists already. */
  appointmentId?: number | undefined;
  techId: string | null;
  vehicleId: number | null;
  start: Date;
  blockEnd: Date;
}

// Sorted by the lock's own key, so that two slots never wait for one another crosswise.
const LOCK = {
  name: 'slots_lock',
  text: `SELECT pg_advisory_xact_lock(key) FROM (
      SELECT DISTINCT hashtextextended('slot:' || $1 || ':' || resource, 0) AS key FROM unnest($2::text[]) AS resource ORDER BY 1) keys`,
};
// No block is longer than 48 hours, which bounds the range of the index.
const CONFLICTS = {
  name: 'slots_conflicts',
  text: `SELECT id::text AS id, coalesce(tech_id = $2::uuid, false) AS tech, coalesce(vehicle_id = $3::bigint, false) AS vehicle
    FROM appointments
    WHERE tenant_id = $1 AND (tech_id = $2::uuid OR vehicle_id = $3::bigint) AND deleted_at IS NULL
      AND status = ANY ('{${BLOCKING_STATUSES.join(',')}}'::text[])
      AND start_ts < $5::timestamptz AND start_ts > $4::timestamptz - interval '48 hours' AND block_end_ts > $4::timestamptz
      AND id <> $6::bigint
    ORDER BY start_ts, id LIMIT 20`,
};

/**
 * Makes sure that technician and vehicle are free in [start, blockEnd) and stay so until the transaction ends.
 * Appointments of another status than scheduled, in progress or ready occupy nobody: do not call it for them.
 * @throws Conflict 'Scheduling conflict detected' with the ids in the way
 */
export async function claimSlot({ appointmentId = 0, techId, vehicleId, start, blockEnd }: Slot): Promise<void> {
  if (!isInTransaction()) throw new Error('A slot is claimed inside the transaction that occupies it');
  const resources = [...(techId === null ? [] : [`tech:${techId}`]), ...(vehicleId === null ? [] : [`vehicle:${vehicleId}`])];
  if (resources.length === 0) return;
  const { id: tenantId } = tenant();
  await query(LOCK, [tenantId, resources]);
  const found = await query<{ id: string; tech: boolean; vehicle: boolean }>(CONFLICTS, [
    tenantId,
    techId,
    vehicleId,
    start,
    blockEnd,
    appointmentId,
  ]);
  if (found.length === 0) return;
  const ids = (by: 'tech' | 'vehicle') => found.filter((row) => row[by]).map(({ id }) => id);
  throw new Conflict('Scheduling conflict detected', { details: { conflicts: { tech: ids('tech'), vehicle: ids('vehicle') } } });
}
