/** What the worker thread of {@link file://./pool.ts} loads. Fonts are read once. */
import type { InvoiceDocument } from '../../schemas/invoice-documents.schema';
import { renderInvoicePdf } from './invoice-pdf';

/** The bytes of the file, in memory of their own, so that they are handed over instead of copied. */
export async function renderInvoice(document: InvoiceDocument): Promise<Uint8Array> {
  return new Uint8Array(await renderInvoicePdf(document));
}
