/** Writing one payment row, inside the caller's transaction and under the invoice's lock. */
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { query } from '../lib/db';
import type { Invoice } from '../models/invoices.model';
import { INSERT_PAYMENT } from '../models/payments.queries';
import type { Payment, PaymentMethod } from '../schemas/invoices.schema';

export interface NewPayment {
  /** Negative gives money back. */
  amountCents: number;
  method: PaymentMethod;
  note: string | null;
  receivedAt: Date;
}

export async function insertPayment(invoice: Invoice, { amountCents, method, note, receivedAt }: NewPayment): Promise<Payment> {
  const [row] = await query<{ payment: Payment }>(INSERT_PAYMENT, [
    tenant().id,
    invoice.id,
    invoice.appointmentId,
    amountCents,
    method,
    note,
    receivedAt,
    context().actor.id,
    clock.now(),
  ]);
  if (!row) throw new Error('A payment that was just written cannot be read');
  return row.payment;
}
