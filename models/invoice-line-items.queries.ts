/** Lines of invoices: copies of what was done and at which price, never views of the catalogue. */
import type { Sql } from '../lib/db';

/** Keys and values of line `l`. */
export const LINE_FIELDS = `'id', l.id, 'position', l.position, 'service_operation_id', l.service_operation_id, 'name', l.name,
  'description', l.description, 'quantity', l.quantity, 'unit_price_cents', l.unit_price_cents, 'line_subtotal_cents', l.line_subtotal_cents,
  'tax_rate_basis_points', l.tax_rate_basis_points, 'tax_cents', l.tax_cents, 'total_cents', l.total_cents, 'package_id', l.package_id,
  'package_name', l.package_name, 'created_at', iso_utc(l.created_at)`;

/** A line before it has a place and amounts. */
export interface LineDraft {
  serviceOperationId: string | null;
  name: string;
  description: string | null;
  priceCents: number;
  category: string | null;
  subcategory: string | null;
  internalCode: string | null;
}

/** Values: tenant, appointment. What there is to bill, in the order it was agreed. */
export const BILLABLE_LINES: Sql = {
  name: 'invoice_line_items_billable',
  text: `SELECT s.service_operation_id AS "serviceOperationId", s.name, s.notes AS description, coalesce(s.estimated_price_cents, 0) AS "priceCents",
      coalesce(s.category, o.category) AS category, o.subcategory, o.internal_code AS "internalCode"
    FROM appointment_services s LEFT JOIN service_operations o ON o.tenant_id = $1 AND o.id = s.service_operation_id
    WHERE s.tenant_id = $1 AND s.appointment_id = $2::bigint AND s.deleted_at IS NULL ORDER BY s.created_at, s.id`,
};

/** Values: tenant, package. Its children with their extended prices, in the order of the package. */
export const PACKAGE_LINES: Sql = {
  name: 'invoice_line_items_package',
  text: `SELECT o.id AS "serviceOperationId", o.name, CASE WHEN p.qty > 1 THEN 'Quantity ' || p.qty END AS description,
      coalesce(o.default_price_cents, 0) * p.qty AS "priceCents", o.category, o.subcategory, o.internal_code AS "internalCode"
    FROM package_items p JOIN service_operations o ON o.tenant_id = $1 AND o.id = p.child_id
    WHERE p.tenant_id = $1 AND p.service_id = $2::text ORDER BY p.sort_order, o.name, o.id`,
};

/** Values: tenant, service operation. */
export const PACKAGE: Sql = {
  name: 'invoice_line_items_package_head',
  text: `SELECT id, name, is_package AS "isPackage", default_price_cents AS "priceCents" FROM service_operations WHERE tenant_id = $1 AND id = $2::text`,
};

/** Values: tenant, invoice, JSON array of lines in order, now. Behind the lines that are there. One row with `lines`, as on the wire. */
export const INSERT_LINES: Sql = {
  name: 'invoice_line_items_insert',
  text: `WITH added AS (
      INSERT INTO invoice_line_items (tenant_id, invoice_id, position, service_operation_id, name, description, quantity, unit_price_cents,
        line_subtotal_cents, tax_rate_basis_points, tax_cents, total_cents, package_id, package_name, service_category, service_subcategory,
        service_internal_code, created_at)
      SELECT $1, $2::uuid, r.place + (SELECT coalesce(max(position), -1) + 1 FROM invoice_line_items WHERE tenant_id = $1 AND invoice_id = $2::uuid),
        r.service_operation_id, r.name, r.description, r.quantity, r.unit_price_cents, r.line_subtotal_cents, r.tax_rate_basis_points, r.tax_cents,
        r.total_cents, r.package_id, r.package_name, r.category, r.subcategory, r.internal_code, $4::timestamptz
      FROM json_to_recordset($3::json) AS r (place int, service_operation_id text, name text, description text, quantity numeric,
        unit_price_cents bigint, line_subtotal_cents bigint, tax_rate_basis_points int, tax_cents bigint, total_cents bigint, package_id text,
        package_name text, category text, subcategory text, internal_code text)
      RETURNING *)
    SELECT coalesce(json_agg(json_build_object(${LINE_FIELDS}) ORDER BY l.position), '[]'::json) AS lines FROM added l`,
};
