/** The status of an invoice follows from its amounts; only creation, sending and voiding are decisions. Pure. */
import type { InvoiceStatus } from '../schemas/invoices.schema';

export interface Standing {
  status: InvoiceStatus;
  totalCents: number;
  paidCents: number;
  /** Sent to the customer, or paid on, at some time. */
  isIssued: boolean;
}

/**
 * The status that amounts imply. A void invoice stays void whatever is given back on it; an invoice over nothing is never paid.
 * Without any payment left it is again what it was before the first one: sent, or a draft.
 */
export function statusOf({ status, totalCents, paidCents, isIssued }: Standing): InvoiceStatus {
  if (status === 'VOID') return 'VOID';
  if (paidCents > 0) return paidCents === totalCents ? 'PAID' : 'PARTIALLY_PAID';
  return isIssued ? 'SENT' : 'DRAFT';
}
