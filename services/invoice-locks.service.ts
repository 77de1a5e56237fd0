/**
 * One invoice, locked, with the sums of its rows. Whoever changes an invoice locks its appointment first and the invoice
 * second, as those do who start from the appointment: so two of them wait for each other and never deadlock.
 */
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import { NotFound } from '../lib/errors';
import { Invoice } from '../models/invoices.model';
import { findInvoiceSql, INVOICE_SUMS, invoiceDetailSql, STORE_APPOINTMENT_AMOUNTS } from '../models/invoices.queries';
import type { InvoiceDetail, InvoiceKey } from '../schemas/invoices.schema';

export const INVOICE_MISSING = 'Invoice not found';

export interface InvoiceIds {
  id: string;
  appointmentId: number | null;
}

/** What a path named. @throws NotFound */
export async function findInvoice(key: InvoiceKey): Promise<InvoiceIds> {
  const [ids] = key === null ? [] : await query<InvoiceIds>(...findInvoiceSql(key, tenant().id));
  if (!ids) throw new NotFound(INVOICE_MISSING);
  return ids;
}

/** Locks an invoice that was found until the transaction ends. */
export async function lockInvoice({ id, appointmentId }: InvoiceIds): Promise<Invoice> {
  if (appointmentId !== null)
    await query(
      { name: 'invoices_lock_appointment', text: 'SELECT 1 FROM appointments WHERE tenant_id = $1 AND id = $2::bigint FOR UPDATE' },
      [tenant().id, appointmentId],
    );
  return Invoice.get<Invoice>(id, { lock: true, missing: INVOICE_MISSING });
}

export interface Sums {
  subtotalCents: number;
  taxCents: number;
  paidCents: number;
}

/** Of the rows as they are now; never of what the invoice says. */
export async function sumsOf(invoiceId: string): Promise<Sums> {
  const [sums] = await query<Sums>(INVOICE_SUMS, [tenant().id, invoiceId]);
  if (!sums) throw new Error('The sums of an invoice have no row');
  return sums;
}

/** Makes the locked invoice, and the appointment it bills, say what its rows say. A void one no longer speaks for the appointment. */
export async function settle(invoice: Invoice): Promise<void> {
  const now = clock.now();
  invoice.recompute(await sumsOf(invoice.id), now);
  await invoice.save();
  if (invoice.appointmentId === null || invoice.status === 'VOID') return;
  await query(STORE_APPOINTMENT_AMOUNTS, [tenant().id, invoice.appointmentId, invoice.totalCents, invoice.amountPaidCents, now]);
}

/** As the wire shows it, also what this transaction has just written. */
export async function readInvoice(invoiceId: string): Promise<InvoiceDetail> {
  const [row] = await query<{ json: string }>(...invoiceDetailSql({ invoiceId }, null, tenant().id));
  if (!row) throw new Error('An invoice that was just written cannot be read');
  return JSON.parse(row.json) as InvoiceDetail;
}
