/** Service lines: the list a drawer shows, and the statements that change several lines at once. */
import type { Sql } from '../lib/db';

/** The wire form of line `s`. */
const LINE_JSON = `json_build_object('id', s.id, 'appointment_id', s.appointment_id::text, 'name', s.name, 'notes', s.notes,
  'estimated_hours', s.estimated_hours, 'estimated_price', dollars(s.estimated_price_cents), 'category', s.category,
  'service_operation_id', s.service_operation_id)`;

/** Values: tenant, appointment. One row with `json`: `{services}`; none when the appointment is absent or deleted. */
export const APPOINTMENT_LINES: Sql = {
  name: 'appointment_services_list',
  text: `SELECT json_build_object('services', coalesce((
      SELECT json_agg(${LINE_JSON} ORDER BY s.created_at, s.id) FROM appointment_services s
      WHERE s.tenant_id = $1 AND s.appointment_id = $2::bigint AND s.deleted_at IS NULL), '[]'::json))::text AS json
    FROM appointments WHERE tenant_id = $1 AND id = $2::bigint AND deleted_at IS NULL`,
};

/** Values: tenant, line. One row with `line`. */
export const ONE_LINE: Sql = {
  name: 'appointment_services_one',
  text: `SELECT ${LINE_JSON} AS line FROM appointment_services s WHERE s.tenant_id = $1 AND s.id = $2::uuid`,
};

/** Values: tenant, appointment. One row with `cents`, the sum of the prices; a line without one counts nothing. */
export const LINES_TOTAL: Sql = {
  name: 'appointment_services_total',
  text: `SELECT coalesce(sum(estimated_price_cents), 0)::bigint AS cents FROM appointment_services
    WHERE tenant_id = $1 AND appointment_id = $2::bigint AND deleted_at IS NULL`,
};

/** Catalogue ids among those given that the appointment has no line for yet. Values: tenant, appointment, ids. */
export const MISSING_OPERATIONS: Sql = {
  name: 'appointment_services_missing',
  text: `SELECT o.id FROM service_operations o WHERE o.tenant_id = $1 AND o.id = ANY ($3::text[]) AND NOT EXISTS (
      SELECT FROM appointment_services s
      WHERE s.tenant_id = $1 AND s.appointment_id = $2::bigint AND s.service_operation_id = o.id AND s.deleted_at IS NULL)`,
};

/**
 * One line with the catalogue's defaults for each id that exists, in the order given. Values: tenant, appointment, ids.
 * The creation times differ by a microsecond, so that the order of the list is the order of the request.
 */
export const INSERT_OPERATION_LINES: Sql = {
  name: 'appointment_services_insert_operations',
  text: `INSERT INTO appointment_services (tenant_id, appointment_id, service_operation_id, name, category, estimated_hours, estimated_price_cents, created_at)
    SELECT o.tenant_id, $2::bigint, o.id, o.name, o.category, o.default_hours, o.default_price_cents, clock_timestamp() + wanted.nr * interval '1 microsecond'
    FROM (SELECT id, min(nr) AS nr FROM unnest($3::text[]) WITH ORDINALITY AS given (id, nr) GROUP BY id) wanted
    JOIN service_operations o ON o.tenant_id = $1 AND o.id = wanted.id
    ORDER BY wanted.nr RETURNING id`,
};
