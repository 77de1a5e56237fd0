/** The shop's own switches, as other services ask for them. */
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import { TENANT_SETTINGS, type TenantSettings } from '../models/tenant-settings.queries';

/** What the columns default to, for a shop that never changed a setting. */
const DEFAULTS: TenantSettings = Object.freeze({
  defaultBlockMinutes: 60,
  publicBooking: false,
  publicCatalog: false,
  advisorCanEditCatalog: false,
  advisorCanVoid: true,
  taxBasisPoints: 0,
});

/** The settings of the tenant in the context; one statement. */
export async function tenantSettings(): Promise<TenantSettings> {
  const [row] = await query<TenantSettings>(TENANT_SETTINGS, [tenant().id]);
  return row ?? DEFAULTS;
}
