/** What happened to a customer or a car: the closed appointments with their payments, and the visits with their work. */
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import { APPOINTMENT_LIMIT } from './customer-figures.queries';

const VISIT_LIMIT = 200;

/**
 * `$1` tenant, `$2` customer. Appointments and payments are pieces that one GROUP BY puts together: no join that could be
 * repeated for each appointment.
 */
export const CUSTOMER_HISTORY = {
  name: 'customer_history',
  text: `WITH past AS MATERIALIZED (
    SELECT a.id, a.status, a.start_ts, a.end_ts, a.total_cents, a.paid_cents, a.created_at FROM appointments a
    WHERE a.tenant_id = $1 AND a.customer_id = $2 AND a.deleted_at IS NULL AND a.status IN ('COMPLETED', 'NO_SHOW', 'CANCELED')
    ORDER BY a.start_ts DESC, a.id DESC LIMIT ${APPOINTMENT_LIMIT}),
  pieces AS MATERIALIZED (
    SELECT a.id AS appointment_id, false AS is_payment, a.start_ts AS at, NULL::uuid AS id, row_to_json(r)::text AS item
    FROM past a, LATERAL (SELECT a.id::text AS id, a.status, iso_utc(a.start_ts) AS start, iso_utc(a.end_ts) AS "end",
      dollars(COALESCE(a.total_cents, 0)) AS total_amount, dollars(a.paid_cents) AS paid_amount, iso_utc(a.created_at) AS created_at) r
    UNION ALL
    SELECT p.appointment_id, true, p.created_at, p.id, row_to_json(r)::text
    FROM past a JOIN payments p ON p.tenant_id = $1 AND p.appointment_id = a.id,
      LATERAL (SELECT p.id, dollars(p.amount_cents) AS amount, p.method, iso_utc(p.created_at) AS created_at) r
    WHERE p.voided_at IS NULL),
  assembled AS (
    SELECT appointment_id, max(at) FILTER (WHERE NOT is_payment) AS start_ts, left(max(item) FILTER (WHERE NOT is_payment), -1)
      || ',"payments":[' || COALESCE(string_agg(item, ',' ORDER BY at DESC, id) FILTER (WHERE is_payment), '') || ']}' AS item
    FROM pieces GROUP BY appointment_id)
  SELECT '{"pastAppointments":[' || COALESCE((SELECT string_agg(item, ',' ORDER BY start_ts DESC, appointment_id DESC) FROM assembled), '')
    || '],"payments":[' || COALESCE((SELECT string_agg(item, ',' ORDER BY at DESC, id) FROM pieces WHERE is_payment), '') || ']}' AS json
  FROM customers c WHERE c.tenant_id = $1 AND c.id = $2 AND c.deleted_at IS NULL`,
};

/** Closed appointments and their payments as JSON text, or undefined without such a customer. One statement. */
export async function customerHistory(id: number): Promise<string | undefined> {
  const [row] = await query<{ json: string }>(CUSTOMER_HISTORY, [tenant().id, id]);
  return row?.json;
}

export interface VisitRow {
  id: number;
  status: string;
  start_ts: Date;
  end_ts: Date | null;
  total_cents: number;
  check_in_at: Date | null;
  check_out_at: Date | null;
  notes: string | null;
  vehicle: string | null;
  plate: string | null;
  services: {
    id: string;
    name: string;
    notes: string | null;
    estimated_price: number | null;
    category: string | null;
    service_operation_id: string | null;
  }[];
}

const visitsSql = (name: string, owner: string) => ({
  name,
  text: `WITH visited AS MATERIALIZED (
    SELECT a.id, a.status, a.start_ts, a.end_ts, COALESCE(a.total_cents, 0) AS total_cents, a.check_in_at, a.check_out_at, a.notes, a.vehicle_id
    FROM appointments a WHERE a.tenant_id = $1 AND ${owner} = $2 AND a.deleted_at IS NULL
    ORDER BY a.start_ts DESC, a.id DESC LIMIT ${VISIT_LIMIT}),
  work AS MATERIALIZED (
    SELECT s.appointment_id, json_agg(json_build_object('id', s.id, 'name', s.name, 'notes', s.notes, 'estimated_price', dollars(s.estimated_price_cents),
      'category', s.category, 'service_operation_id', s.service_operation_id) ORDER BY s.created_at, s.id) AS list
    FROM visited a JOIN appointment_services s ON s.tenant_id = $1 AND s.appointment_id = a.id WHERE s.deleted_at IS NULL GROUP BY s.appointment_id)
  SELECT a.*, NULLIF(concat_ws(' ', v.year, NULLIF(v.make, ''), NULLIF(v.model, '')), '') AS vehicle, v.license_plate AS plate,
    COALESCE(w.list, '[]') AS services
  FROM visited a LEFT JOIN vehicles v ON v.tenant_id = $1 AND v.id = a.vehicle_id LEFT JOIN work w ON w.appointment_id = a.id
  ORDER BY a.start_ts DESC, a.id DESC`,
});
const BY_CUSTOMER = visitsSql('customer_visits', 'a.customer_id');
const BY_VEHICLE = visitsSql('vehicle_visits', 'a.vehicle_id');

/** The newest 200 appointments of a customer with their work; one statement. */
export const visitsOfCustomer = (id: number): Promise<VisitRow[]> => query<VisitRow>(BY_CUSTOMER, [tenant().id, id]);
/** The same for a car, whoever owned it then. */
export const visitsOfVehicle = (id: number): Promise<VisitRow[]> => query<VisitRow>(BY_VEHICLE, [tenant().id, id]);
