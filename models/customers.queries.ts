/**
 * Reads of one customer, as JSON built in SQL: the detail and its pieces. Children are fetched
 * once for all appointments, so neither statements nor rows multiply.
 */
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import {
  APPOINTMENT_LIMIT,
  CUSTOMER_ADDRESS,
  CUSTOMER_NAME,
  CUSTOMER_SINCE,
  LAST_SERVICE_AT,
  METRICS,
  METRICS_KEYS,
  OVERDUE,
  SPENT_STATUSES,
  VEHICLE_DISPLAY,
  VIP_CENTS,
  VISITED,
} from './customer-figures.queries';

/** `$1` tenant, `$2` customer, `$3` now, `$4` the tenant's time zone. */
export type DetailValues = readonly [tenantId: string, customerId: number, now: Date, timeZone: string];

/** Every appointment of the customer once; the rest of the statement reads from here. */
const APPOINTMENTS_OF_CUSTOMER = `appts AS MATERIALIZED (
    SELECT a.id, a.vehicle_id, a.status, a.start_ts, a.end_ts, COALESCE(a.total_cents, 0) AS total_cents, a.paid_cents,
      a.check_in_at, a.check_out_at, a.notes, a.tech_id, av.mileage_at_service
    FROM appointments a
    LEFT JOIN appointment_vehicles av ON av.tenant_id = a.tenant_id AND av.appointment_id = a.id AND av.vehicle_id = a.vehicle_id
    WHERE a.tenant_id = $1 AND a.customer_id = $2 AND a.deleted_at IS NULL)`;

const VEHICLES = `vehicle_figures AS MATERIALIZED (
    SELECT a.vehicle_id, count(*) FILTER (WHERE ${VISITED}) AS visits, count(*) FILTER (WHERE a.status = 'COMPLETED') AS completed,
      COALESCE(sum(a.total_cents) FILTER (WHERE a.status IN ${SPENT_STATUSES}), 0)::bigint AS spent_cents,
      ${LAST_SERVICE_AT} AS last_service_at,
      (array_agg(a.mileage_at_service ORDER BY a.start_ts DESC) FILTER (WHERE a.mileage_at_service IS NOT NULL))[1] AS mileage
    FROM appts a WHERE a.vehicle_id IS NOT NULL GROUP BY a.vehicle_id),
  vehicle_list AS (
    SELECT COALESCE(json_agg(r), '[]') AS list, count(*) FILTER (WHERE r.is_active) AS active FROM (
      SELECT v.id::text AS id, v.license_plate AS plate, v.license_plate, v.year, v.make, v.model, v.vin, ${VEHICLE_DISPLAY} AS display,
        v.is_primary AS "isPrimary", v.is_primary, v.is_active AS "isActive", v.is_active,
        COALESCE(f.visits, 0) AS visits, COALESCE(f.completed, 0) AS "completedServices", dollars(COALESCE(f.spent_cents, 0)) AS "totalSpent",
        iso_utc(f.last_service_at) AS "lastServiceDate",
        CASE WHEN f.last_service_at IS NOT NULL
          THEN GREATEST(floor(extract(epoch FROM $3::timestamptz - f.last_service_at) / 86400), 0)::int END AS "daysSinceLastService",
        ${OVERDUE('f.last_service_at')} AS "isOverdueForService", COALESCE(f.mileage, v.mileage) AS "lastRecordedMileage",
        v.notes, iso_utc(v.created_at) AS "addedAt"
      FROM vehicles v LEFT JOIN vehicle_figures f ON f.vehicle_id = v.id
      WHERE v.tenant_id = $1 AND v.customer_id = $2
      ORDER BY v.is_active DESC, v.is_primary DESC, v.created_at DESC, v.id DESC) r)`;

/** Each appointment shown as JSON text, without its children. */
const SHOWN = `shown AS MATERIALIZED (SELECT * FROM appts ORDER BY start_ts DESC, id DESC LIMIT ${APPOINTMENT_LIMIT}),
  base AS (
    SELECT a.id, a.start_ts, row_to_json(r)::text AS item FROM shown a LEFT JOIN vehicles v ON v.tenant_id = $1 AND v.id = a.vehicle_id,
      LATERAL (SELECT a.id::text AS id, a.status, iso_utc(a.start_ts) AS start, iso_utc(a.end_ts) AS "end", dollars(a.total_cents) AS "totalAmount",
        dollars(a.paid_cents) AS "paidAmount", dollars(GREATEST(a.total_cents - a.paid_cents, 0)) AS "unpaidAmount",
        iso_utc(a.check_in_at) AS "checkInAt", iso_utc(a.check_out_at) AS "checkOutAt", a.notes, a.tech_id AS "techId",
        a.mileage_at_service AS "mileageAtService",
        CASE WHEN v.id IS NOT NULL THEN json_build_object('id', v.id::text, 'plate', v.license_plate, 'year', v.year, 'make', v.make,
          'model', v.model, 'vin', v.vin, 'display', ${VEHICLE_DISPLAY}) END AS vehicle) r)`;

const PLAIN_LIST = `appointment_list AS (
    SELECT '[' || COALESCE(string_agg(item, ',' ORDER BY start_ts DESC, id DESC), '') || ']' AS list FROM base)`;

/**
 * Appointments and children as one heap of pieces, put together by one GROUP BY. Joining lists that were aggregated before would
 * read as well, but once the planner takes the customer for a small one it would aggregate anew for each appointment.
 */
const LIST_WITH_CHILDREN = `pieces AS (
    SELECT b.id AS appointment_id, 'a' AS kind, b.start_ts AS at, NULL::uuid AS id, b.item FROM base b
    UNION ALL
    SELECT s.appointment_id, 's', s.created_at, s.id, row_to_json(r)::text
    FROM shown a JOIN appointment_services s ON s.tenant_id = $1 AND s.appointment_id = a.id,
      LATERAL (SELECT s.id, s.name, s.notes, dollars(s.estimated_price_cents) AS estimated_price, s.estimated_hours, s.category, s.service_operation_id) r
    WHERE s.deleted_at IS NULL
    UNION ALL
    SELECT p.appointment_id, 'p', p.created_at, p.id, row_to_json(r)::text
    FROM shown a JOIN payments p ON p.tenant_id = $1 AND p.appointment_id = a.id,
      LATERAL (SELECT p.id, dollars(p.amount_cents) AS amount, p.method, iso_utc(p.created_at) AS created_at, p.note) r
    WHERE p.voided_at IS NULL
    UNION ALL
    SELECT m.appointment_id, 'm', m.created_at, m.id, row_to_json(r)::text
    FROM shown a JOIN messages m ON m.tenant_id = $1 AND m.appointment_id = a.id,
      LATERAL (SELECT m.id, m.channel, m.direction, m.body, m.status, iso_utc(m.created_at) AS created_at) r
    WHERE m.deleted_at IS NULL),
  assembled AS (
    SELECT appointment_id, max(at) FILTER (WHERE kind = 'a') AS start_ts, left(max(item) FILTER (WHERE kind = 'a'), -1)
      || ',"services":[' || COALESCE(string_agg(item, ',' ORDER BY at, id) FILTER (WHERE kind = 's'), '')
      || '],"payments":[' || COALESCE(string_agg(item, ',' ORDER BY at DESC, id) FILTER (WHERE kind = 'p'), '')
      || '],"messages":[' || COALESCE(string_agg(item, ',' ORDER BY at DESC, id) FILTER (WHERE kind = 'm'), '') || ']}' AS item
    FROM pieces GROUP BY appointment_id),
  appointment_list AS (
    SELECT '[' || COALESCE(string_agg(item, ',' ORDER BY start_ts DESC, appointment_id DESC), '') || ']' AS list FROM assembled)`;

/** One statement for the whole detail; `etag` is the row version and a hash of everything shown. */
const detailSql = (withChildren: boolean): string => `WITH ${APPOINTMENTS_OF_CUSTOMER},
  ${SHOWN},
  ${withChildren ? LIST_WITH_CHILDREN : PLAIN_LIST},
  ${VEHICLES},
  figures AS MATERIALIZED (SELECT ${METRICS} FROM appts a),
  customer AS (
    SELECT c.version, c.is_vip OR f.spent_cents >= ${VIP_CENTS} AS is_vip, row_to_json(r)::text AS text
    FROM customers c, figures f, LATERAL (
      SELECT c.id::text AS id, ${CUSTOMER_NAME} AS name,
        ${CUSTOMER_NAME} AS full_name, c.phone, c.email, ${CUSTOMER_ADDRESS} AS address,
        c.is_vip OR f.spent_cents >= ${VIP_CENTS} AS "isVip", iso_utc(c.created_at) AS "createdAt", iso_utc(c.updated_at) AS "updatedAt",
        ${CUSTOMER_SINCE} AS "customerSince", GREATEST(($3::timestamptz AT TIME ZONE $4)::date - ${CUSTOMER_SINCE}, 0) AS "relationshipDurationDays",
        c.preferred_contact_method AS "preferredContactMethod", c.preferred_contact_time AS "preferredContactTime", c.tags, c.notes,
        c.sms_consent) r
    WHERE c.tenant_id = $1 AND c.id = $2 AND c.deleted_at IS NULL),
  parts AS (
    SELECT c.version, c.text AS customer, v.list::text AS vehicles, a.list AS appointments, row_to_json(m)::text AS metrics
    FROM customer c, vehicle_list v, appointment_list a, figures f, LATERAL (
      SELECT ${METRICS_KEYS({ isVip: 'c.is_vip', vehicles: 'v.active' })}) m),
  tagged AS (SELECT *, version || '.' || left(md5(customer || vehicles || appointments || metrics), 16) AS etag FROM parts)
  SELECT etag, version, '{"customer":' || left(customer, -1) || ',"_etag":"' || etag || '"},"vehicles":' || vehicles || ',"appointments":' || appointments
    || ',"metrics":' || metrics || ',"includes":${withChildren ? '["appointmentDetails"]' : '[]'}}' AS json
  FROM tagged`;

export const CUSTOMER_DETAIL = { name: 'customer_detail', text: detailSql(false) };
export const CUSTOMER_DETAIL_WITH_CHILDREN = { name: 'customer_detail_children', text: detailSql(true) };

export interface TaggedJson {
  json: string;
  etag: string;
  version: number;
}

/** The detail of a customer with at most 500 appointments, or undefined when the tenant has no such customer. One statement. */
export async function customerDetail(
  id: number,
  { now, withChildren }: { now: Date; withChildren: boolean },
): Promise<TaggedJson | undefined> {
  const values: DetailValues = [tenant().id, id, now, tenant().timeZone];
  const [row] = await query<TaggedJson>(withChildren ? CUSTOMER_DETAIL_WITH_CHILDREN : CUSTOMER_DETAIL, values);
  return row;
}

/** The fields of a customer that forms show, under their wire names. */
export interface CustomerFields {
  id: string;
  name: string;
  email: string | null;
  phone: string | null;
  is_vip: boolean;
  address: string | null;
  tags: string[];
  created_at: string;
  updated_at: string;
  notes: string | null;
  sms_consent: boolean;
  preferred_contact_method: 'phone' | 'email' | 'sms';
  preferred_contact_time: string | null;
}

/** One customer without any figures, or undefined. */
export async function customerFields(id: number): Promise<CustomerFields | undefined> {
  const [row] = await query<CustomerFields>(
    {
      name: 'customer_fields',
      text: `SELECT c.id::text AS id, ${CUSTOMER_NAME} AS name, c.email, c.phone, c.is_vip, ${CUSTOMER_ADDRESS} AS address, c.tags,
          iso_utc(c.created_at) AS created_at, iso_utc(c.updated_at) AS updated_at, c.notes, c.sms_consent, c.preferred_contact_method, c.preferred_contact_time
        FROM customers c WHERE c.tenant_id = $1 AND c.id = $2 AND c.deleted_at IS NULL`,
    },
    [tenant().id, id],
  );
  return row;
}

/** True for a customer of the tenant that is not deleted. */
export async function customerExists(id: number): Promise<boolean> {
  const rows = await query(
    { name: 'customer_exists', text: 'SELECT c.id FROM customers c WHERE c.tenant_id = $1 AND c.id = $2 AND c.deleted_at IS NULL' },
    [tenant().id, id],
  );
  return rows.length > 0;
}
