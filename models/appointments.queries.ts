/**
 * Reads of appointments. The replies' JSON is built in SQL (wire names), one statement each however many rows there are:
 * prepared by name, since these are the screens the shop lives on.
 */
import type { Sql } from '../lib/db';

/** The total that readers see: as stored, or the sum of the service lines where nothing was stored. Needs `a` and `lines`. */
export const EFFECTIVE_TOTAL_CENTS = 'CASE WHEN a.total_cents > 0 THEN a.total_cents ELSE coalesce(lines.sum_cents, a.total_cents) END';

const CUSTOMER_NAME = `coalesce(c.name, 'Unknown Customer')`;
const VEHICLE_LABEL = `coalesce(concat_ws(' ', v.make, v.model), '')`;

const OWNERS = `LEFT JOIN customers c ON c.tenant_id = a.tenant_id AND c.id = a.customer_id
    LEFT JOIN vehicles v ON v.tenant_id = a.tenant_id AND v.id = a.vehicle_id`;
/**
 * The same for the rows of one page or board. LIMIT keeps the planner on the primary keys: for a few hundred rows it would
 * otherwise read all customers and vehicles of the shop to hash them.
 */
export const OWNERS_BY_KEY = `LEFT JOIN LATERAL (SELECT * FROM customers WHERE tenant_id = $1 AND id = a.customer_id LIMIT 1) c ON true
    LEFT JOIN LATERAL (SELECT * FROM vehicles WHERE tenant_id = $1 AND id = a.vehicle_id LIMIT 1) v ON true`;

const LINE_SUM = `LEFT JOIN LATERAL (
    SELECT sum(s.estimated_price_cents)::bigint AS sum_cents FROM appointment_services s
    WHERE s.tenant_id = a.tenant_id AND s.appointment_id = a.id AND s.deleted_at IS NULL) lines ON true`;

// ------------------------------------------------------------------ list

/** Conditions a list may have. Each brings one parameter after `$1` tenant, `$2` time zone, `$3` limit + 1. */
export interface ListConditions {
  from?: Date | undefined;
  to?: Date | undefined;
  status?: string | undefined;
  techId?: string | undefined;
  /** LIKE pattern in lower case, wildcards of the caller escaped. */
  pattern?: string | undefined;
  customerId?: number | undefined;
  /** Exclusive position of the last row seen; the instant as text, since JavaScript would drop its microseconds. */
  after?: { start: string; id: string } | undefined;
  offset?: number | undefined;
  /** The newest rows instead of the first ones; the reply is ascending all the same. */
  newest?: boolean | undefined;
}

const ITEM = `SELECT a.id::text AS id, a.customer_id::text AS customer_id, a.vehicle_id::text AS vehicle_id, a.status, a.title, a.notes,
      dollars(${EFFECTIVE_TOTAL_CENTS}) AS total_amount, dollars(a.paid_cents) AS paid_amount,
      w.start AS start_ts, w."end" AS end_ts, w.start, w."end",
      ${CUSTOMER_NAME} AS customer_name, ${CUSTOMER_NAME} AS "customerName", c.phone AS customer_phone, c.email AS customer_email,
      ${VEHICLE_LABEL} AS vehicle_label, a.location_address, a.primary_operation_id AS service_id, a.tech_id,
      left(w.local, 10) AS date, right(w.local, 5) AS time,
      round(extract(epoch FROM a.block_end_ts - a.start_ts) / 60)::int AS duration`;
/** The two times as text, each written once although the reply repeats them. OFFSET keeps the planner from dissolving it. */
const WHEN = `CROSS JOIN LATERAL (SELECT iso_utc(a.start_ts) AS start, iso_utc(a.end_ts) AS "end",
      to_char(a.start_ts AT TIME ZONE $2, 'YYYY-MM-DD HH24:MI') AS local OFFSET 0) w`;

/** Opaque position in the order (start, id): base64url of `<instant>|<id>`, microseconds kept. */
const CURSOR = `translate(encode(convert_to(to_char(start_ts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '|' || id, 'UTF8'), 'base64'), E'+/=\\n', '-_')`;

/** One row with `json`: `{appointments, nextCursor}`. The statement's text, and so its name, depends on which conditions are given. */
export function listAppointmentsSql(conditions: ListConditions, limit: number, tenantId: string, timeZone: string): [Sql, unknown[]] {
  const { from, to, status, techId, pattern, customerId, after, offset, newest = false } = conditions;
  const values: unknown[] = [tenantId, timeZone, limit + 1];
  const where: string[] = ['a.tenant_id = $1', 'a.deleted_at IS NULL'];
  const parameter = (value: unknown): string => `$${values.push(value)}`;
  let shape = '';
  const add = (letter: string, value: unknown, condition: (p: string) => string): void => {
    if (value === undefined) return;
    shape += letter;
    where.push(condition(parameter(value)));
  };
  add('f', from, (p) => `a.start_ts >= ${p}::timestamptz`);
  add('t', to, (p) => `a.start_ts < ${p}::timestamptz`);
  add('s', status, (p) => `a.status = ${p}`);
  add('e', techId, (p) => `a.tech_id = ${p}::uuid`);
  add('c', customerId, (p) => `a.customer_id = ${p}::bigint`);
  // Customers and cars are searched once each, not once for every appointment; only digits can be part of an id.
  const byId = (p: string) => (/^%\d+%$/.test(pattern ?? '') ? ` OR a.id::text LIKE ${p}` : '');
  add(
    byId('') ? 'd' : 'q',
    pattern,
    (p) => `(a.customer_id IN (SELECT id FROM customers WHERE tenant_id = $1 AND lower(name) LIKE ${p})
      OR a.vehicle_id IN (SELECT id FROM vehicles WHERE tenant_id = $1
        AND (lower(make) LIKE ${p} OR lower(model) LIKE ${p} OR lower(license_plate) LIKE ${p}))${byId(p)})`,
  );
  if (after) {
    shape += 'a';
    where.push(`(a.start_ts, a.id) > (${parameter(after.start)}::timestamptz, ${parameter(after.id)}::bigint)`);
  }
  const order = newest ? 'a.start_ts DESC, a.id DESC' : 'a.start_ts, a.id';
  const skip = offset === undefined ? '' : ` OFFSET ${parameter(offset)}::bigint`;
  const text = `WITH found AS MATERIALIZED (
    SELECT a.* FROM appointments a WHERE ${where.join(' AND ')} ORDER BY ${order} LIMIT $3::bigint${skip}
  ), page AS (SELECT * FROM found ORDER BY start_ts ${newest ? 'DESC' : 'ASC'}, id ${newest ? 'DESC' : 'ASC'} LIMIT $3::bigint - 1)
  SELECT '{"appointments":' || coalesce((SELECT json_agg(item)::text FROM (
      ${ITEM} FROM page a ${OWNERS_BY_KEY} ${LINE_SUM} ${WHEN} ORDER BY a.start_ts, a.id) item), '[]')
    || ',"nextCursor":' || ${
      newest
        ? `'null'`
        : `CASE WHEN (SELECT count(*) FROM found) = $3::bigint THEN (SELECT to_json(${CURSOR})::text FROM page ORDER BY start_ts DESC, id DESC LIMIT 1) ELSE 'null' END`
    } || '}' AS json`;
  return [{ name: `appointments_list_${shape}${newest ? 'n' : ''}${skip ? 'o' : ''}`, text }, values];
}

// ------------------------------------------------------------------ one appointment

const vehicleJson = (v: string): string =>
  `json_build_object('id', ${v}.id::text, 'plate', ${v}.license_plate, 'license_plate', ${v}.license_plate, 'year', ${v}.year, 'make', ${v}.make,
    'model', ${v}.model, 'vin', ${v}.vin, 'display', coalesce(nullif(concat_ws(' ', ${v}.year, ${v}.make, ${v}.model), ''), ${v}.license_plate))`;

/** `invoice_id` is the live invoice: void ones do not count. */
const APPOINTMENT_JSON = `json_build_object('id', a.id::text, 'status', a.status,
    'start', iso_utc(a.start_ts), 'end', iso_utc(a.end_ts), 'start_ts', iso_utc(a.start_ts), 'end_ts', iso_utc(a.end_ts), 'title', a.title,
    'total_amount', dollars(${EFFECTIVE_TOTAL_CENTS}), 'paid_amount', dollars(a.paid_cents),
    'location_address', a.location_address, 'notes', a.notes, 'check_in_at', iso_utc(a.check_in_at), 'check_out_at', iso_utc(a.check_out_at),
    'started_at', iso_utc(a.started_at), 'completed_at', iso_utc(a.completed_at), 'tech_id', a.tech_id,
    'customer_id', a.customer_id::text, 'vehicle_id', a.vehicle_id::text, 'invoice_id', i.id,
    'primary_operation_id', a.primary_operation_id, 'service_category', a.service_category, 'version', a.version,
    'created_at', iso_utc(a.created_at), 'updated_at', iso_utc(a.updated_at),
    'service_operation_ids', coalesce(lines.operation_ids, '[]'::json), 'customer_name', ${CUSTOMER_NAME}, 'vehicle_label', ${VEHICLE_LABEL})`;

const LIVE_INVOICE = `LEFT JOIN invoices i ON i.tenant_id = a.tenant_id AND i.appointment_id = a.id AND i.status <> 'VOID'`;
const OPERATION_IDS = 'json_agg(s.service_operation_id ORDER BY s.created_at, s.id) FILTER (WHERE s.service_operation_id IS NOT NULL)';

const drawerText = (condition: string): string => `SELECT json_build_object(
    'appointment', ${APPOINTMENT_JSON},
    'customer', CASE WHEN c.id IS NOT NULL THEN json_build_object('id', c.id::text, 'name', c.name, 'email', c.email, 'phone', c.phone,
      'vehicles', coalesce(cars.list, '[]'::json)) END,
    'vehicle', CASE WHEN v.id IS NOT NULL THEN ${vehicleJson('v')} END,
    'services', coalesce(lines.list, '[]'::json),
    'service_operation_ids', coalesce(lines.operation_ids, '[]'::json),
    'meta', json_build_object('version', 1))::text AS json
  FROM appointments a ${OWNERS} ${LIVE_INVOICE}
  LEFT JOIN LATERAL (
    SELECT sum(s.estimated_price_cents)::bigint AS sum_cents, ${OPERATION_IDS} AS operation_ids,
      json_agg(json_build_object('id', s.id, 'appointment_id', s.appointment_id::text, 'name', s.name, 'notes', s.notes,
        'estimated_hours', s.estimated_hours, 'estimated_price', dollars(s.estimated_price_cents), 'category', s.category,
        'service_operation_id', s.service_operation_id,
        'operation', CASE WHEN o.id IS NOT NULL THEN json_build_object('id', o.id, 'name', o.name, 'category', o.category,
          'default_hours', o.default_hours, 'default_price', dollars(o.default_price_cents)) END) ORDER BY s.created_at, s.id) AS list
    FROM appointment_services s LEFT JOIN service_operations o ON o.tenant_id = s.tenant_id AND o.id = s.service_operation_id
    WHERE s.tenant_id = a.tenant_id AND s.appointment_id = a.id AND s.deleted_at IS NULL) lines ON true
  LEFT JOIN LATERAL (
    SELECT json_agg(${vehicleJson('w')} ORDER BY w.is_primary DESC, w.id) AS list FROM (
      SELECT * FROM vehicles w WHERE w.tenant_id = a.tenant_id AND w.customer_id = a.customer_id AND (w.is_active OR w.id = a.vehicle_id)
      ORDER BY w.is_primary DESC, w.id LIMIT 100) w) cars ON true
  WHERE a.tenant_id = $1 AND a.id = $2::bigint AND a.deleted_at IS NULL${condition}`;

/** Values: tenant, id. One row with `json`, or none. */
export const APPOINTMENT_DRAWER: Sql = { name: 'appointments_drawer', text: drawerText('') };
/** Values: tenant, id, customer. Another customer's appointment is no row. */
export const OWN_APPOINTMENT_DRAWER: Sql = { name: 'appointments_drawer_own', text: drawerText(' AND a.customer_id = $3::bigint') };

/** What a write answers with. Values: tenant, id. Columns `appointment` and `vehicle` are JSON. */
export const WRITTEN_APPOINTMENT: Sql = {
  name: 'appointments_written',
  text: `SELECT ${APPOINTMENT_JSON} AS appointment,
      CASE WHEN v.id IS NOT NULL THEN json_build_object('id', v.id::text, 'make', v.make, 'model', v.model, 'year', v.year,
        'license_plate', v.license_plate, 'vin', v.vin, 'is_active', v.is_active, 'total_services', v.total_services,
        'last_service_date', v.last_service_date) END AS vehicle
    FROM appointments a ${OWNERS} ${LIVE_INVOICE}
    LEFT JOIN LATERAL (SELECT sum(s.estimated_price_cents)::bigint AS sum_cents, ${OPERATION_IDS} AS operation_ids
      FROM appointment_services s WHERE s.tenant_id = a.tenant_id AND s.appointment_id = a.id AND s.deleted_at IS NULL) lines ON true
    WHERE a.tenant_id = $1 AND a.id = $2::bigint`,
};
