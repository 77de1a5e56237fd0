/** The signed-in customer as they see themselves. */
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import type { OwnProfile } from '../schemas/own-account.schema';
import { CUSTOMER_NAME } from './customer-figures.queries';

/** Wire names: this row is the reply but for role and tenant. Active cars only, primary first; one statement. */
export async function ownProfile(customerId: number): Promise<Omit<OwnProfile, 'role' | 'tenant_id'> | undefined> {
  const [row] = await query<Omit<OwnProfile, 'role' | 'tenant_id'>>(
    {
      name: 'own_profile',
      text: `SELECT c.id, c.email, ${CUSTOMER_NAME} AS name, c.phone, c.sms_consent, iso_utc(c.created_at) AS created_at,
          (SELECT COALESCE(json_agg(r), '[]') FROM (
            SELECT v.id, v.make, v.model, v.year, v.license_plate, v.vin, v.is_primary FROM vehicles v
            WHERE v.tenant_id = $1 AND v.customer_id = $2 AND v.is_active ORDER BY v.is_primary DESC, v.id) r) AS vehicles
        FROM customers c WHERE c.tenant_id = $1 AND c.id = $2 AND c.deleted_at IS NULL`,
    },
    [tenant().id, customerId],
  );
  return row;
}
