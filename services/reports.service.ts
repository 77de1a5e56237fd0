/** Reports as files, streamed from a cursor with constant memory; each is on record before its first byte. */
import { tenant } from '../lib/context';
import { type Cell, csvChunks } from '../lib/csv';
import { addDays, dayOf, isDay, startOfDay } from '../lib/days';
import { inTransaction, query, streamRows } from '../lib/db';
import { BadRequest } from '../lib/errors';
import { jsonChunks } from '../lib/json-rows';
import {
  APPOINTMENT_REPORT,
  type AppointmentReportRow,
  INVOICE_REPORT,
  type InvoiceReportRow,
  PAYMENT_REPORT,
  type PaymentReportRow,
  type ReportSql,
} from '../models/reports.queries';
import { parseStatus } from '../schemas/appointments.schema';
import { INVOICE_STATUSES, type ReportQuery } from '../schemas/reports.schema';
import { recordAudit } from './audit.service';

/** A file with more rows helps nobody and holds a connection for long. */
const MAX_ROWS = 100_000;
const BATCH = 1_000;
const CENTS = 100;

/** What one kind of report is made of. */
interface Report<Row> {
  name: string;
  sql: ReportSql;
  header: readonly string[];
  cells: (row: Row, timeZone: string) => Cell[];
  /** The status as stored, or null for a word that is none. */
  statusOf: (word: string) => string | null;
}

const APPOINTMENTS: Report<AppointmentReportRow> = {
  name: 'appointments',
  sql: APPOINTMENT_REPORT,
  header: [
    'ID',
    'Status',
    'Start',
    'End',
    'Total Amount',
    'Paid Amount',
    'Customer Name',
    'Customer Email',
    'Customer Phone',
    'Vehicle Year',
    'Vehicle Make',
    'Vehicle Model',
    'Vehicle VIN',
    'Services',
  ],
  statusOf: parseStatus,
  cells: (row) => [
    row.id,
    row.status,
    moment(row.start_ts),
    moment(row.end_ts),
    amount(row.total_cents),
    amount(row.paid_cents),
    row.customer_name,
    row.customer_email,
    row.customer_phone,
    row.vehicle_year,
    row.vehicle_make,
    row.vehicle_model,
    row.vehicle_vin,
    row.services,
  ],
};

const PAYMENTS: Report<PaymentReportRow> = {
  name: 'payments',
  sql: PAYMENT_REPORT,
  header: ['ID', 'Appointment ID', 'Amount', 'Payment Method', 'Transaction ID', 'Payment Date', 'Status'],
  statusOf: parseStatus,
  cells: (row, timeZone) => [
    row.id,
    row.appointment_id,
    amount(row.amount_cents),
    row.method,
    row.external_ref,
    dayOf(row.received_at, timeZone),
    row.voided_at ? 'voided' : row.amount_cents < 0 ? 'refund' : 'completed',
  ],
};

const INVOICES: Report<InvoiceReportRow> = {
  name: 'invoices',
  sql: INVOICE_REPORT,
  header: [
    'Invoice ID',
    'Appointment ID',
    'Customer Name',
    'Status',
    'Subtotal',
    'Tax',
    'Total',
    'Paid',
    'Due',
    'Issued At',
    'Paid At',
    'Voided At',
    'Created At',
  ],
  statusOf: (word) => INVOICE_STATUSES.find((status) => status === word.trim().toUpperCase()) ?? null,
  cells: (row) => [
    row.id,
    row.appointment_id,
    row.customer_name,
    row.status,
    amount(row.subtotal_cents),
    amount(row.tax_cents),
    amount(row.total_cents),
    amount(row.amount_paid_cents),
    amount(row.amount_due_cents),
    moment(row.issued_at),
    moment(row.paid_at),
    moment(row.voided_at),
    moment(row.created_at),
  ],
};

const moment = (at: Date | null): string | null => at?.toISOString() ?? null;
const amount = (cents: number | null): string | null => (cents === null ? null : (cents / CENTS).toFixed(2));

export type ReportChunks = AsyncIterable<string>;

/** Appointments by start, newest first. @throws BadRequest `invalid_date_format`, `invalid_status` before anything is sent */
export const appointmentReport = (wanted: ReportQuery): Promise<ReportChunks> => run(APPOINTMENTS, wanted);
/** Payments by the day they were received, newest first; a status is that of the appointment. @throws as {@link appointmentReport} */
export const paymentReport = (wanted: ReportQuery): Promise<ReportChunks> => run(PAYMENTS, wanted);
/** Invoices by creation, newest first. @throws as {@link appointmentReport} */
export const invoiceReport = (wanted: ReportQuery): Promise<ReportChunks> => run(INVOICES, wanted);

async function run<Row extends object>(report: Report<Row>, { from, to, status, format }: ReportQuery): Promise<ReportChunks> {
  const { id, timeZone } = tenant();
  const known = status === undefined ? null : report.statusOf(status);
  if (status !== undefined && known === null) throw new BadRequest('Invalid status', { code: 'invalid_status' });
  const begin = from === undefined ? null : startOfDay(dayIn('from', from), timeZone);
  const end = to === undefined ? null : startOfDay(addDays(dayIn('to', to), 1), timeZone);
  if (begin && end && begin >= end) throw new BadRequest("'from' must not be after 'to'", { code: 'invalid_date_format' });
  const values = [id, begin, end, known];
  const [counted] = await query<{ rows: number }>(report.sql.count, values);
  const rows = Math.min(counted?.rows ?? 0, MAX_ROWS);
  await inTransaction(() =>
    recordAudit({
      action: 'CSV_EXPORT',
      entity: 'export',
      entityId: report.name,
      after: { from: from ?? null, to: to ?? null, status: known, format, rows },
    }),
  );
  const batches = streamRows<Row>(report.sql.rows, [...values, MAX_ROWS], BATCH);
  const cells = (row: Row): Cell[] => report.cells(row, timeZone);
  return format === 'json' ? jsonChunks(report.header, batches, cells) : csvChunks(report.header, batches, cells);
}

function dayIn(name: 'from' | 'to', text: string): string {
  if (!isDay(text)) throw new BadRequest(`Invalid '${name}' date format`, { code: 'invalid_date_format' });
  return text;
}
