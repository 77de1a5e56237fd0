/**
 * The profile pages of a customer and of a car: a header with figures, and a page of appointments behind a keyset cursor.
 * Both are JSON built in SQL; a cursor's instant keeps its microseconds, so no row is skipped or shown twice.
 */
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import {
  CUSTOMER_ADDRESS,
  CUSTOMER_NAME,
  CUSTOMER_SINCE,
  LAST_SERVICE_AT,
  METRICS,
  METRICS_KEYS,
  SPENT_STATUSES,
  VIP_CENTS,
  VISITED,
} from './customer-figures.queries';

/** Where a page starts: after this appointment in the order start DESC, id DESC. */
export interface Position {
  /** ISO instant with microseconds. */
  start: string;
  id: number;
}

export interface PageQuery {
  limit: number;
  after: Position | null;
  /** Half-open. */
  from: Date | null;
  to: Date | null;
}

interface PageRow {
  page: string;
  has_more: boolean;
  last_start: string | null;
  last_id: number | null;
}

export interface Page {
  /** JSON text of an array. */
  items: string;
  hasMore: boolean;
  last: Position | null;
}

function pageOf({ page, has_more, last_start, last_id }: PageRow): Page {
  return { items: page, hasMore: has_more, last: last_start !== null && last_id !== null ? { start: last_start, id: last_id } : null };
}

/** `$3` now, `$5` rows and one more, `$6`, `$7` position, `$8`, `$9` range. */
const PAGE_CONDITIONS = `a.deleted_at IS NULL
      AND ($6::timestamptz IS NULL OR (a.start_ts, a.id) < ($6::timestamptz, $7::bigint))
      AND ($8::timestamptz IS NULL OR a.start_ts >= $8::timestamptz) AND ($9::timestamptz IS NULL OR a.start_ts < $9::timestamptz)`;

const PAGE_CTES = (owner: string, more: string): string => `fetched AS MATERIALIZED (
    SELECT a.id, a.vehicle_id, a.start_ts, a.end_ts, a.status, a.notes, a.check_in_at, a.check_out_at,
      row_number() OVER (ORDER BY a.start_ts DESC, a.id DESC) AS n
    FROM appointments a WHERE a.tenant_id = $1 AND ${owner} = $2 AND ${PAGE_CONDITIONS}${more}
    ORDER BY a.start_ts DESC, a.id DESC LIMIT $5::int + 1),
  shown AS MATERIALIZED (SELECT * FROM fetched WHERE n <= $5::int),
  work AS MATERIALIZED (
    SELECT s.appointment_id, json_agg(json_build_object('service_id', COALESCE(s.service_operation_id, s.id::text), 'name', s.name,
      'display_order', s.place) ORDER BY s.place) AS list
    FROM (SELECT s.*, row_number() OVER (PARTITION BY s.appointment_id ORDER BY s.created_at, s.id) AS place
      FROM shown a JOIN appointment_services s ON s.tenant_id = $1 AND s.appointment_id = a.id WHERE s.deleted_at IS NULL) s
    GROUP BY s.appointment_id)`;

/** At most one invoice of an appointment is not void, so this join adds no row. */
const BILL_JOIN = `LEFT JOIN invoices i ON i.tenant_id = $1 AND i.appointment_id = a.id AND i.status <> 'VOID' AND $10::boolean`;
const BILL = `CASE WHEN i.id IS NOT NULL THEN json_build_object('id', i.id, 'total', dollars(i.total_cents),
        'paid', dollars(i.amount_paid_cents), 'unpaid', dollars(i.amount_due_cents)) END`;

const PAGE_COLUMNS = `(SELECT count(*) > $5::int FROM fetched) AS has_more,
    (SELECT to_char(start_ts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM shown ORDER BY n DESC LIMIT 1) AS last_start,
    (SELECT id FROM shown ORDER BY n DESC LIMIT 1) AS last_id`;

const pageValues = ({ limit, after, from, to }: PageQuery): unknown[] => [limit, after?.start ?? null, after?.id ?? null, from, to];

// ------------------------------------------------------------------ customer

/** `$1` tenant, `$2` customer, `$3` now, `$4` time zone, `$5`–`$9` the page, `$10` with invoices, `$11` vehicle or null. */
const CUSTOMER_PROFILE = {
  name: 'customer_profile',
  text: `WITH ${PAGE_CTES('a.customer_id', ' AND ($11::bigint IS NULL OR a.vehicle_id = $11::bigint)')},
  figures AS MATERIALIZED (SELECT ${METRICS} FROM (
    SELECT a.status, a.start_ts, a.check_out_at, COALESCE(a.total_cents, 0) AS total_cents, a.paid_cents
    FROM appointments a WHERE a.tenant_id = $1 AND a.customer_id = $2 AND a.deleted_at IS NULL) a),
  served AS (
    SELECT count(*) AS visits, max(COALESCE(a.check_out_at, a.start_ts)) AS last_service_at, COALESCE(round(avg(i.total_cents)), 0)::bigint AS avg_cents
    FROM appointments a LEFT JOIN invoices i ON i.tenant_id = $1 AND i.appointment_id = a.id AND i.status <> 'VOID'
    WHERE a.tenant_id = $1 AND a.customer_id = $2 AND a.deleted_at IS NULL AND a.status IN ('COMPLETED', 'READY')),
  billed AS (
    SELECT COALESCE(sum(i.total_cents), 0)::bigint AS total_cents, COALESCE(sum(i.amount_due_cents), 0)::bigint AS due_cents
    FROM invoices i WHERE i.tenant_id = $1 AND i.customer_id = $2 AND i.status <> 'VOID'),
  cars AS (
    SELECT COALESCE(json_agg(r), '[]') AS list, count(*) FILTER (WHERE r.is_active) AS active,
      COALESCE(bool_or(r.id = $11::bigint::text), false) AS owns FROM (
      SELECT v.id::text AS id, v.year, v.make, v.model, v.license_plate AS plate, v.license_plate, v.vin, v.notes, v.is_primary, v.is_active
      FROM vehicles v WHERE v.tenant_id = $1 AND v.customer_id = $2
      ORDER BY v.is_active DESC, v.is_primary DESC, v.created_at DESC, v.id DESC) r)
  SELECT c.version, row_to_json(k)::text AS customer, row_to_json(m)::text AS stats, cars.list::text AS vehicles, cars.owns, ${PAGE_COLUMNS},
    (SELECT COALESCE(json_agg(r), '[]')::text FROM (
      SELECT a.id::text AS id, a.vehicle_id::text AS vehicle_id, iso_utc(a.start_ts) AS scheduled_at, a.status, COALESCE(w.list, '[]') AS services,
        ${BILL} AS invoice, a.notes, iso_utc(a.check_in_at) AS check_in_at, iso_utc(a.check_out_at) AS check_out_at
      FROM shown a LEFT JOIN work w ON w.appointment_id = a.id ${BILL_JOIN} ORDER BY a.n) r) AS page
  FROM customers c, figures f, served, billed, cars,
    LATERAL (SELECT c.is_vip OR f.spent_cents >= ${VIP_CENTS} AS vip) x,
    LATERAL (SELECT c.id::text AS id, ${CUSTOMER_NAME} AS full_name, ${CUSTOMER_NAME} AS name, c.phone, c.email, ${CUSTOMER_ADDRESS} AS address,
      c.is_vip, x.vip AS "isVip", iso_utc(c.created_at) AS created_at, ${CUSTOMER_SINCE} AS "customerSince",
      GREATEST(($3::timestamptz AT TIME ZONE $4)::date - ${CUSTOMER_SINCE}, 0) AS "relationshipDurationDays", c.tags, c.notes, c.sms_consent,
      c.preferred_contact_method, c.preferred_contact_method AS "preferredContactMethod", c.preferred_contact_time,
      c.preferred_contact_time AS "preferredContactTime") k,
    LATERAL (SELECT dollars(billed.total_cents) AS lifetime_spend, dollars(billed.due_cents) AS unpaid_balance, served.visits AS total_visits,
      iso_utc(f.last_visit_at) AS last_visit_at, iso_utc(served.last_service_at) AS last_service_at, dollars(served.avg_cents) AS avg_ticket,
      ${METRICS_KEYS({ isVip: 'x.vip', vehicles: 'cars.active' })}) m
  WHERE c.tenant_id = $1 AND c.id = $2 AND c.deleted_at IS NULL`,
};

export interface CustomerProfile {
  version: number;
  /** JSON texts. */
  customer: string;
  stats: string;
  vehicles: string;
  /** Whether the vehicle asked for is one of the customer's. */
  ownsVehicle: boolean;
  page: Page;
}

/** The profile with one page of appointments, or undefined without such a customer. One statement. */
export async function customerProfile(
  id: number,
  { now, vehicleId, withInvoices, ...page }: PageQuery & { now: Date; vehicleId: number | null; withInvoices: boolean },
): Promise<CustomerProfile | undefined> {
  const [row] = await query<PageRow & { version: number; customer: string; stats: string; vehicles: string; owns: boolean }>(
    CUSTOMER_PROFILE,
    [tenant().id, id, now, tenant().timeZone, ...pageValues(page), withInvoices, vehicleId],
  );
  if (!row) return undefined;
  return {
    version: row.version,
    customer: row.customer,
    stats: row.stats,
    vehicles: row.vehicles,
    ownsVehicle: row.owns,
    page: pageOf(row),
  };
}

// ------------------------------------------------------------------ vehicle

/** `$1` tenant, `$2` vehicle, `$3` now, `$4` customer the car must belong to or null, `$5`–`$9` the page, `$10` with invoices, `$11` status or null. */
const VEHICLE_PROFILE = {
  name: 'vehicle_profile',
  text: `WITH ${PAGE_CTES('a.vehicle_id', ' AND ($11::text IS NULL OR a.status = $11::text)')},
  figures AS (
    SELECT COALESCE(sum(a.total_cents) FILTER (WHERE a.status IN ${SPENT_STATUSES}), 0)::bigint AS spent_cents, count(*) FILTER (WHERE ${VISITED}) AS visits,
      count(*) FILTER (WHERE a.status = 'COMPLETED') AS completed, ${LAST_SERVICE_AT} AS last_service_at,
      COALESCE(round(avg(a.total_cents) FILTER (WHERE a.status = 'COMPLETED' AND a.total_cents > 0)), 0)::bigint AS avg_cents
    FROM appointments a WHERE a.tenant_id = $1 AND a.vehicle_id = $2 AND a.deleted_at IS NULL)
  SELECT v.version, row_to_json(h)::text AS header, row_to_json(m)::text AS stats, ($4::bigint IS NULL OR v.customer_id = $4::bigint) AS owned, ${PAGE_COLUMNS},
    (SELECT COALESCE(json_agg(r), '[]')::text FROM (
      SELECT a.id::text AS id, 'appointment' AS type, iso_utc(a.start_ts) AS occurred_at, a.status, COALESCE(w.list, '[]') AS services, ${BILL} AS invoice
      FROM shown a LEFT JOIN work w ON w.appointment_id = a.id ${BILL_JOIN} ORDER BY a.n) r) AS page
  FROM vehicles v JOIN customers c ON c.tenant_id = $1 AND c.id = v.customer_id, figures f,
    LATERAL (SELECT v.id::text AS vehicle_id, v.year, v.make, v.model, v.trim, v.license_plate AS plate, v.vin, v.customer_id::text AS customer_id,
      ${CUSTOMER_NAME} AS customer_name) h,
    LATERAL (SELECT dollars(f.spent_cents) AS lifetime_spend, f.visits AS total_visits, f.completed AS completed_visits,
      iso_utc(f.last_service_at) AS last_service_at, dollars(f.avg_cents) AS avg_ticket) m
  WHERE v.tenant_id = $1 AND v.id = $2`,
};

export interface VehicleProfile {
  version: number;
  header: string;
  stats: string;
  /** Whether the car belongs to the customer named in the query (true when none is). */
  owned: boolean;
  page: Page;
}

/** The profile of a car with one page of its time line, or undefined without such a car. One statement. */
export async function vehicleProfile(
  id: number,
  {
    now,
    customerId,
    withInvoices,
    status,
    ...page
  }: PageQuery & { now: Date; customerId: number | null; withInvoices: boolean; status: string | null },
): Promise<VehicleProfile | undefined> {
  const [row] = await query<PageRow & { version: number; header: string; stats: string; owned: boolean }>(VEHICLE_PROFILE, [
    tenant().id,
    id,
    now,
    customerId,
    ...pageValues(page),
    withInvoices,
    status,
  ]);
  return row && { version: row.version, header: row.header, stats: row.stats, owned: row.owned, page: pageOf(row) };
}
