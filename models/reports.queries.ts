/**
 * Rows of the reports, for a cursor: newest first along an index, what belongs to a row looked up by key, so that the first
 * rows are there at once however many follow. Values of all: `$1` tenant, `$2`, `$3` half-open range, each may be null, `$4`
 * status or null, and for the rows `$5` how many at most.
 */
import type { Sql } from '../lib/db';
import { EFFECTIVE_TOTAL_CENTS, OWNERS_BY_KEY } from './appointments.queries';

/** One kind of report: its rows, and how many there are. */
export interface ReportSql {
  rows: Sql;
  count: Sql;
}

const inRange = (column: string): string =>
  `($2::timestamptz IS NULL OR ${column} >= $2::timestamptz) AND ($3::timestamptz IS NULL OR ${column} < $3::timestamptz)`;

export interface AppointmentReportRow {
  id: number;
  status: string;
  start_ts: Date;
  end_ts: Date | null;
  total_cents: number | null;
  paid_cents: number;
  customer_name: string | null;
  customer_email: string | null;
  customer_phone: string | null;
  vehicle_year: number | null;
  vehicle_make: string | null;
  vehicle_model: string | null;
  vehicle_vin: string | null;
  services: string | null;
}

const APPOINTMENTS_FOUND = `FROM appointments a
    WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND ${inRange('a.start_ts')} AND ($4::text IS NULL OR a.status = $4::text)`;

export const APPOINTMENT_REPORT: ReportSql = {
  rows: {
    text: `SELECT a.id, a.status, a.start_ts, a.end_ts, ${EFFECTIVE_TOTAL_CENTS} AS total_cents, a.paid_cents,
      c.name AS customer_name, c.email AS customer_email, c.phone AS customer_phone,
      v.year AS vehicle_year, v.make AS vehicle_make, v.model AS vehicle_model, v.vin AS vehicle_vin, lines.names AS services
    FROM (SELECT a.* ${APPOINTMENTS_FOUND} ORDER BY a.start_ts DESC, a.id DESC LIMIT $5::int) a
    ${OWNERS_BY_KEY}
    LEFT JOIN LATERAL (SELECT sum(s.estimated_price_cents)::bigint AS sum_cents, string_agg(s.name, '; ' ORDER BY s.created_at, s.id) AS names
      FROM appointment_services s WHERE s.tenant_id = $1 AND s.appointment_id = a.id AND s.deleted_at IS NULL) lines ON true
    ORDER BY a.start_ts DESC, a.id DESC`,
  },
  count: { text: `SELECT count(*) AS rows ${APPOINTMENTS_FOUND}` },
};

export interface PaymentReportRow {
  id: string;
  appointment_id: number | null;
  amount_cents: number;
  method: string;
  external_ref: string | null;
  received_at: Date;
  voided_at: Date | null;
}

/** The status is that of the appointment: payments themselves have none to ask for. */
const PAYMENTS_FOUND = `FROM payments p WHERE p.tenant_id = $1 AND ${inRange('p.received_at')}
    AND ($4::text IS NULL OR EXISTS (SELECT FROM appointments a WHERE a.tenant_id = $1 AND a.id = p.appointment_id AND a.status = $4::text))`;

export const PAYMENT_REPORT: ReportSql = {
  rows: {
    text: `SELECT p.id, p.appointment_id, p.amount_cents, p.method, p.external_ref, p.received_at, p.voided_at
    ${PAYMENTS_FOUND} ORDER BY p.received_at DESC, p.id DESC LIMIT $5::int`,
  },
  count: { text: `SELECT count(*) AS rows ${PAYMENTS_FOUND}` },
};

export interface InvoiceReportRow {
  id: string;
  appointment_id: number | null;
  customer_name: string | null;
  status: string;
  subtotal_cents: number;
  tax_cents: number;
  total_cents: number;
  amount_paid_cents: number;
  amount_due_cents: number;
  issued_at: Date | null;
  paid_at: Date | null;
  voided_at: Date | null;
  created_at: Date;
}

const INVOICES_FOUND = `FROM invoices i WHERE i.tenant_id = $1 AND ${inRange('i.created_at')} AND ($4::text IS NULL OR i.status = $4::text)`;

export const INVOICE_REPORT: ReportSql = {
  rows: {
    text: `SELECT i.id, i.appointment_id, c.name AS customer_name, i.status, i.subtotal_cents, i.tax_cents, i.total_cents, i.amount_paid_cents,
      i.amount_due_cents, i.issued_at, i.paid_at, i.voided_at, i.created_at
    FROM (SELECT i.* ${INVOICES_FOUND} ORDER BY i.created_at DESC, i.id DESC LIMIT $5::int) i
    LEFT JOIN LATERAL (SELECT name FROM customers WHERE tenant_id = $1 AND id = i.customer_id LIMIT 1) c ON true
    ORDER BY i.created_at DESC, i.id DESC`,
  },
  count: { text: `SELECT count(*) AS rows ${INVOICES_FOUND}` },
};
