/** Invoices as JSON text: one with its lines and payments, and a page of the list. */
import type { Sql } from '../lib/db';
import type { InvoiceKey, InvoiceStatus } from '../schemas/invoices.schema';
import { CUSTOMER_NAME } from './customer-figures.queries';
import { LINE_FIELDS } from './invoice-line-items.queries';
import { PAYMENT_FIELDS } from './payments.queries';

/** Of invoice `i` and its customer `c`. */
const HEAD = `'id', i.id, 'appointment_id', i.appointment_id::text, 'customer_id', i.customer_id::text,
  'customer_name', CASE WHEN c.id IS NOT NULL THEN ${CUSTOMER_NAME} END, 'status', i.status,
  'subtotal_cents', i.subtotal_cents, 'tax_cents', i.tax_cents, 'total_cents', i.total_cents, 'amount_paid_cents', i.amount_paid_cents,
  'amount_due_cents', i.amount_due_cents, 'currency', i.currency`;
const TIMES = `'created_at', iso_utc(i.created_at), 'updated_at', iso_utc(i.updated_at)`;
const INVOICE = `json_build_object(${HEAD}, 'number', i.number, 'vehicle_id', i.vehicle_id::text, 'issued_at', iso_utc(i.issued_at),
  'paid_at', iso_utc(i.paid_at), 'voided_at', iso_utc(i.voided_at), 'notes', i.notes, ${TIMES})`;
const LINES = `coalesce((SELECT json_agg(json_build_object(${LINE_FIELDS}) ORDER BY l.position)
  FROM invoice_line_items l WHERE l.tenant_id = $1 AND l.invoice_id = i.id), '[]'::json)`;
const PAYMENTS = `coalesce((SELECT json_agg(json_build_object(${PAYMENT_FIELDS}) ORDER BY p.created_at, p.id)
  FROM payments p WHERE p.tenant_id = $1 AND p.invoice_id = i.id), '[]'::json)`;
/** By primary key for each invoice: joined freely, a page of unknown size would read the whole table of customers. */
const CUSTOMER =
  'LEFT JOIN LATERAL (SELECT c.id, c.name FROM customers c WHERE c.tenant_id = $1 AND c.id = i.customer_id LIMIT 1) c ON true';

/** Whose invoices are visible: a customer sees what was issued to them, and no draft. */
export type Audience = { readonly customerId: number } | null;

/** The condition that finds the invoice, with `$2` as its id or its appointment's. */
function found(key: NonNullable<InvoiceKey>): { name: string; condition: string; value: unknown } {
  if ('invoiceId' in key) return { name: 'id', condition: 'i.id = $2::uuid', value: key.invoiceId };
  return {
    name: 'appointment',
    // The live one: there is at most one. Else the newest of those that were voided.
    condition: `i.id = (SELECT n.id FROM invoices n WHERE n.tenant_id = $1 AND n.appointment_id = $2::bigint
      ORDER BY (n.status = 'VOID'), n.created_at DESC, n.number DESC LIMIT 1)`,
    value: key.appointmentId,
  };
}
const visible = (audience: Audience) => (audience ? ` AND i.customer_id = $3::bigint AND i.status <> 'DRAFT'` : '');

/** At most one row with `json`: `{invoice, lineItems, line_items, payments}`. OFFSET 0 keeps the lines from being read twice. */
export function invoiceDetailSql(key: NonNullable<InvoiceKey>, audience: Audience, tenantId: string): [Sql, unknown[]] {
  const { name, condition, value } = found(key);
  return [
    {
      name: `invoices_detail_${name}${audience ? '_own' : ''}`,
      text: `SELECT json_build_object('invoice', invoice, 'lineItems', lines, 'line_items', lines, 'payments', payments)::text AS json FROM (
        SELECT ${INVOICE} AS invoice, ${LINES} AS lines, ${PAYMENTS} AS payments
        FROM invoices i ${CUSTOMER} WHERE i.tenant_id = $1 AND ${condition}${visible(audience)} OFFSET 0) found`,
    },
    [tenantId, value, ...(audience ? [audience.customerId] : [])],
  ];
}

/** At most one row with `id` and `appointmentId`. */
export function findInvoiceSql(key: NonNullable<InvoiceKey>, tenantId: string): [Sql, unknown[]] {
  const { name, condition, value } = found(key);
  return [
    {
      name: `invoices_find_${name}`,
      text: `SELECT i.id, i.appointment_id AS "appointmentId" FROM invoices i WHERE i.tenant_id = $1 AND ${condition}`,
    },
    [tenantId, value],
  ];
}

/** Values: tenant, appointment. The live invoice's `id`, when there is one. */
export const LIVE_INVOICE: Sql = {
  name: 'invoices_live',
  text: `SELECT id FROM invoices WHERE tenant_id = $1 AND appointment_id = $2::bigint AND status <> 'VOID'`,
};

/**
 * Takes the next number of the tenant; its row stays locked until the transaction ends. Numbers that rows got in another way
 * (seed, import) are stepped over. Values: tenant.
 */
export const NEXT_NUMBER: Sql = {
  name: 'invoice_counters_next',
  text: `INSERT INTO invoice_counters AS c (tenant_id, next)
    SELECT $1, coalesce(max(number), 0) + 2 FROM invoices WHERE tenant_id = $1
    ON CONFLICT (tenant_id) DO UPDATE SET next = greatest(c.next + 1, excluded.next)
    RETURNING next - 1 AS number`,
};

/** Values: tenant, invoice. One row: sums of the lines, and of the payments that count. */
export const INVOICE_SUMS: Sql = {
  name: 'invoices_sums',
  text: `SELECT l.subtotal AS "subtotalCents", l.tax AS "taxCents", p.paid AS "paidCents"
    FROM (SELECT coalesce(sum(line_subtotal_cents), 0)::bigint AS subtotal, coalesce(sum(tax_cents), 0)::bigint AS tax
        FROM invoice_line_items WHERE tenant_id = $1 AND invoice_id = $2::uuid) l,
      (SELECT coalesce(sum(amount_cents), 0)::bigint AS paid FROM payments
        WHERE tenant_id = $1 AND invoice_id = $2::uuid AND voided_at IS NULL) p`,
};

/** Values: tenant, appointment, total or null to keep it, paid, now. */
export const STORE_APPOINTMENT_AMOUNTS: Sql = {
  name: 'invoices_appointment_amounts',
  text: `UPDATE appointments SET total_cents = coalesce($3::bigint, total_cents), paid_cents = $4::bigint, version = version + 1,
      updated_at = $5::timestamptz
    WHERE tenant_id = $1 AND id = $2::bigint
      AND (total_cents, paid_cents) IS DISTINCT FROM (coalesce($3::bigint, total_cents), $4::bigint)`,
};

export interface InvoiceConditions {
  audience: Audience;
  customerId: number | null;
  status: InvoiceStatus | null;
  /** Beginning of an id, part of a customer's name (lower case) or of a plate, however it is written. */
  search: string | null;
  from: Date | null;
  to: Date | null;
  limit: number;
  offset: number;
}

const escapeLike = (text: string): string => text.replace(/[\\%_]/g, '\\$&');

/** One row: `items` is the JSON array of the page, newest first, `total` counts all pages. Only the conditions asked for are in the text. */
export function listInvoicesSql(conditions: InvoiceConditions, tenantId: string): [Sql, unknown[]] {
  const { audience, customerId, status, search, from, to, limit, offset } = conditions;
  const values: unknown[] = [tenantId, limit, offset];
  const place = (value: unknown): string => `$${values.push(value)}`;
  const parts: string[] = [];
  const add = (part: string, sql: string) => {
    parts.push(part);
    return ` AND ${sql}`;
  };
  let where = 'i.tenant_id = $1';
  if (audience) where += add('own', `i.customer_id = ${place(audience.customerId)}::bigint AND i.status <> 'DRAFT'`);
  if (customerId !== null) where += add('customer', `i.customer_id = ${place(customerId)}::bigint`);
  if (status !== null) where += add('status', `i.status = ${place(status)}::text`);
  if (from !== null) where += add('from', `i.created_at >= ${place(from)}::timestamptz`);
  if (to !== null) where += add('to', `i.created_at < ${place(to)}::timestamptz`);
  if (search !== null) {
    const [prefix, part, plate] = [place(`${escapeLike(search)}%`), place(`%${escapeLike(search)}%`), place(search)];
    where += add(
      'search',
      `(i.id::text LIKE ${prefix}::text
        OR i.customer_id IN (SELECT s.id FROM customers s WHERE s.tenant_id = $1 AND lower(s.name) LIKE ${part}::text)
        OR i.vehicle_id IN (SELECT v.id FROM vehicles v WHERE v.tenant_id = $1 AND strpos(v.plate_key, plate_key(${plate}::text)) > 0))`,
    );
  }
  return [
    {
      name: ['invoices_list', ...parts].join('_'),
      text: `WITH page AS MATERIALIZED (
          SELECT i.* FROM invoices i WHERE ${where} ORDER BY i.created_at DESC, i.id DESC LIMIT $2::int OFFSET $3::bigint)
        SELECT (SELECT count(*) FROM invoices i WHERE ${where})::int AS total, coalesce((
          SELECT json_agg(json_build_object(${HEAD}, 'issued_at', iso_utc(i.issued_at), ${TIMES}) ORDER BY i.created_at DESC, i.id DESC)
          FROM page i ${CUSTOMER}), '[]'::json)::text AS items`,
    },
    values,
  ];
}
