/**
 * Money received and given back. Rows are added or marked void, never changed; what an invoice says is paid is their sum, taken
 * while it is locked, so two clicks cannot pay it twice.
 */
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { addDays, dayOf, isDay, startOfDay } from '../lib/days';
import { inTransaction, query } from '../lib/db';
import { BadRequest, Conflict, Forbidden, NotFound, ValidationFailed } from '../lib/errors';
import type { Invoice } from '../models/invoices.model';
import { FIND_PAYMENT, VOID_PAYMENT } from '../models/payments.queries';
import type { InvoiceKey, Payment, PaymentRecorded, RecordPayment, RefundPayment } from '../schemas/invoices.schema';
import { recordAudit } from './audit.service';
import { findInvoice, lockInvoice, readInvoice, settle, sumsOf } from './invoice-locks.service';
import { canVoid } from './invoices.policy';
import { insertPayment } from './payment-rows.service';
import { tenantSettings } from './tenant-settings.service';

const PAYMENT_MISSING = 'Payment not found';

/**
 * Records what a customer paid.
 * @throws NotFound; BadRequest `invalid_amount`, `invalid_state`, `already_paid`, `overpayment`; ValidationFailed for the day
 */
export function recordPayment(key: InvoiceKey, { amountCents, method, note, receivedAt }: RecordPayment): Promise<PaymentRecorded> {
  return inTransaction(async () => {
    const invoice = await lockInvoice(await findInvoice(key));
    assertPositive(amountCents, 'Payment');
    invoice.assertPayable(amountCents);
    const payment = await insertPayment(invoice, { amountCents, method, note, receivedAt: instantOf(receivedAt) });
    return settled(invoice, payment, 'PAYMENT_RECORD');
  });
}

/**
 * Gives back at most what was paid, as a row of its own; also on a void invoice, whose payments are the customer's credit.
 * @throws NotFound; BadRequest `invalid_amount`, `refund_exceeds_paid`
 */
export function refundPayment(key: InvoiceKey, { amountCents, method, note }: RefundPayment): Promise<PaymentRecorded> {
  return inTransaction(async () => {
    const invoice = await lockInvoice(await findInvoice(key));
    assertPositive(amountCents, 'Refund');
    if (amountCents > invoice.amountPaidCents) throw new BadRequest('Refund exceeds amount paid', { code: 'refund_exceeds_paid' });
    const payment = await insertPayment(invoice, { amountCents: -amountCents, method, note, receivedAt: clock.now() });
    return settled(invoice, payment, 'PAYMENT_REFUND');
  });
}

/**
 * Marks a payment, or a refund, as never made.
 * @throws NotFound also for a payment of another invoice; Conflict `already_void`, and `invalid_state` when the remaining rows
 *   would say that less than nothing, or more than the total, was paid
 */
export function voidPayment(key: InvoiceKey, paymentId: string, reason: string | null): Promise<PaymentRecorded> {
  return inTransaction(async () => {
    const ids = await findInvoice(key);
    if (paymentId === '') throw new NotFound(PAYMENT_MISSING);
    if (!canVoid(context().actor, await tenantSettings())) throw new Forbidden('Insufficient permissions');
    const invoice = await lockInvoice(ids);
    const { id: tenantId } = tenant();
    const [found] = await query<{ amountCents: number; voidedAt: Date | null }>(FIND_PAYMENT, [tenantId, invoice.id, paymentId]);
    if (!found) throw new NotFound(PAYMENT_MISSING);
    if (found.voidedAt) throw new Conflict('Payment already void', { code: 'already_void' });
    const remaining = (await sumsOf(invoice.id)).paidCents - found.amountCents;
    if (remaining < 0) throw new Conflict('Payment was refunded: void the refund first', { code: 'invalid_state' });
    if (remaining > invoice.totalCents)
      throw new Conflict('Without this refund more than the total would be paid', { code: 'invalid_state' });
    const [row] = await query<{ payment: Payment }>(VOID_PAYMENT, [tenantId, paymentId, clock.now(), context().actor.id, reason]);
    if (!row) throw new Error('A payment under lock has gone');
    return settled(invoice, row.payment, 'PAYMENT_VOID');
  });
}

function assertPositive(amountCents: number, what: string): void {
  if (amountCents <= 0)
    throw new BadRequest(`${what} amount must be positive`, { code: 'invalid_amount', details: { amountCents: 'must_be_positive' } });
}

/** Today is now; any other day is its beginning in the shop. */
function instantOf(day: string | null): Date {
  const now = clock.now();
  const { timeZone } = tenant();
  const today = dayOf(now, timeZone);
  if (day === null || day === today) return now;
  if (!isDay(day)) throw new ValidationFailed({ receivedAt: 'invalid' });
  if (day > addDays(today, 1)) throw new ValidationFailed({ receivedAt: 'in_the_future' });
  return startOfDay(day, timeZone);
}

async function settled(invoice: Invoice, payment: Payment, action: string): Promise<PaymentRecorded> {
  const before = { status: invoice.status, amount_paid_cents: invoice.amountPaidCents };
  await settle(invoice);
  await recordAudit({
    action,
    entity: 'payment',
    entityId: payment.id,
    before,
    after: {
      invoice_id: invoice.id,
      amount_cents: payment.amount_cents,
      method: payment.method,
      reason: payment.void_reason,
      status: invoice.status,
      amount_paid_cents: invoice.amountPaidCents,
    },
  });
  return { invoice: (await readInvoice(invoice.id)).invoice, payment };
}
