/** The service counters of a car: a visit counts when it is completed, not when it is booked. */
import { tenant } from '../lib/context';
import { dayOf } from '../lib/days';
import { query } from '../lib/db';

/**
 * Adds completed visits to a car, or takes them back, in the open transaction.
 * @param at when the visit was completed: the car's last service is the latest such day in the shop's zone
 */
export async function countServices(vehicleId: number, by: 1 | -1, at: Date | null = null): Promise<void> {
  const { id, timeZone } = tenant();
  await query(
    {
      name: 'vehicles_count_services',
      text: `UPDATE vehicles SET total_services = greatest(0, total_services + $3::int), last_service_date = greatest(last_service_date, $4::date),
          updated_at = now() WHERE tenant_id = $1 AND id = $2::bigint`,
    },
    [id, vehicleId, by, at === null ? null : dayOf(at, timeZone)],
  );
}
