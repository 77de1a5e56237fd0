/** Payments: rows are only ever added, or marked void. A refund is a row with a negative amount. */
import type { Sql } from '../lib/db';

/** Keys and values of payment `p`. */
export const PAYMENT_FIELDS = `'id', p.id, 'amount_cents', p.amount_cents, 'amount', dollars(p.amount_cents), 'method', p.method, 'note', p.note,
  'received_at', iso_utc(p.received_at), 'created_at', iso_utc(p.created_at), 'voided_at', iso_utc(p.voided_at)`;
const PAYMENT = `json_build_object(${PAYMENT_FIELDS}, 'invoice_id', p.invoice_id, 'appointment_id', p.appointment_id::text, 'void_reason', p.void_reason)`;

/** Values: tenant, invoice, appointment, cents, method, note, received at, recorded by, now. One row with `payment`. */
export const INSERT_PAYMENT: Sql = {
  name: 'payments_insert',
  text: `INSERT INTO payments AS p (tenant_id, invoice_id, appointment_id, amount_cents, method, note, received_at, recorded_by, created_at)
    VALUES ($1, $2::uuid, $3::bigint, $4::bigint, $5, $6, $7::timestamptz, $8, $9::timestamptz) RETURNING ${PAYMENT} AS payment`,
};

/** Values: tenant, invoice, payment. */
export const FIND_PAYMENT: Sql = {
  name: 'payments_find',
  text: `SELECT amount_cents AS "amountCents", voided_at AS "voidedAt" FROM payments WHERE tenant_id = $1 AND invoice_id = $2::uuid AND id = $3::uuid`,
};

/** Values: tenant, payment, now, by, reason. One row with `payment`. */
export const VOID_PAYMENT: Sql = {
  name: 'payments_void',
  text: `UPDATE payments p SET voided_at = $3::timestamptz, voided_by = $4, void_reason = $5
    WHERE p.tenant_id = $1 AND p.id = $2::uuid RETURNING ${PAYMENT} AS payment`,
};
