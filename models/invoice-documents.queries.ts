/** What a receipt says beside the invoice itself. */
import type { Sql } from '../lib/db';
import { CUSTOMER_ADDRESS, CUSTOMER_NAME } from './customer-figures.queries';

export interface PartiesRow {
  customer: { name: string; email: string | null; phone: string | null; address: string | null } | null;
  vehicle: { year: number | null; make: string; model: string; plate: string | null; vin: string | null; isTheirs: boolean } | null;
}

/** Values: tenant, invoice. `isTheirs` is false where the vehicle is somebody else's than the customer's. */
export const INVOICE_PARTIES: Sql = {
  name: 'invoice_documents_parties',
  text: `SELECT CASE WHEN c.id IS NOT NULL THEN json_build_object('name', ${CUSTOMER_NAME}, 'email', c.email, 'phone', c.phone, 'address', ${CUSTOMER_ADDRESS}) END AS customer,
      CASE WHEN v.id IS NOT NULL THEN json_build_object('year', v.year, 'make', v.make, 'model', v.model, 'plate', v.license_plate, 'vin', v.vin,
        'isTheirs', i.customer_id IS NOT NULL AND v.customer_id = i.customer_id) END AS vehicle
    FROM invoices i LEFT JOIN customers c ON c.tenant_id = $1 AND c.id = i.customer_id
      LEFT JOIN vehicles v ON v.tenant_id = $1 AND v.id = i.vehicle_id
    WHERE i.tenant_id = $1 AND i.id = $2::uuid`,
};

/** Values: tenant, invoice. The address that its mail goes to. */
export const INVOICE_MAILBOX: Sql = {
  name: 'invoice_documents_mailbox',
  text: `SELECT c.email FROM invoices i JOIN customers c ON c.tenant_id = $1 AND c.id = i.customer_id AND c.deleted_at IS NULL WHERE i.tenant_id = $1 AND i.id = $2::uuid`,
};
