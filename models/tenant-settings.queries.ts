/** The shop's switches. A shop without a row has the defaults of the table. */
import type { Sql } from '../lib/db';

export interface TenantSettings {
  /** Minutes that an appointment without an end occupies. */
  defaultBlockMinutes: number;
  publicBooking: boolean;
  publicCatalog: boolean;
  advisorCanEditCatalog: boolean;
  advisorCanVoid: boolean;
  taxBasisPoints: number;
}

/** Values: tenant. One row, or none. */
export const TENANT_SETTINGS: Sql = {
  name: 'tenant_settings',
  text: `SELECT default_block_minutes AS "defaultBlockMinutes", public_booking AS "publicBooking", public_catalog AS "publicCatalog",
      advisor_can_edit_catalog AS "advisorCanEditCatalog", advisor_can_void AS "advisorCanVoid", tax_basis_points AS "taxBasisPoints"
    FROM tenant_settings WHERE tenant_id = $1`,
};
