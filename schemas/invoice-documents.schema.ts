/**
 * A receipt or an estimate as it is to be read: every amount and date already written out for people. The PDF and the HTML page
 * are two drawings of this, so they cannot say different things; and its JSON names the content, for the cache.
 */
import { z } from 'zod';
import { DocumentType } from './invoices.schema';

const Pair = z.object({ label: z.string(), value: z.string() });

export const InvoiceDocument = z.object({
  type: DocumentType,
  /** `Invoice Receipt` or `Invoice Estimate`. */
  title: z.string(),
  shop: z.string(),
  invoiceId: z.string(),
  number: z.int(),
  /** Printed across every page of a void invoice. */
  watermark: z.string().nullable(),
  /** Number, status, dates. */
  facts: z.array(Pair),
  customer: z.array(z.string()),
  vehicle: z.array(z.string()),
  lines: z.array(
    z.object({
      name: z.string(),
      description: z.string().nullable(),
      group: z.string().nullable(),
      quantity: z.string(),
      unitPrice: z.string(),
      tax: z.string(),
      total: z.string(),
    }),
  ),
  totals: z.array(Pair),
  /** Absent on an estimate. */
  payments: z.array(z.object({ date: z.string(), method: z.string(), note: z.string().nullable(), amount: z.string() })).nullable(),
  /** ISO instant: the date inside the file, so that the same content gives the same bytes. */
  updatedAt: z.string(),
});
export type InvoiceDocument = z.output<typeof InvoiceDocument>;
