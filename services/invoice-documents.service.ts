/**
 * Receipts and estimates: what they say, the PDF, and their way to the customer by mail. Amounts come from the invoice's own
 * columns, so a document never says another total than the invoice; days are the shop's.
 */
import { randomUUID } from 'node:crypto';
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { dayOf } from '../lib/days';
import { inTransaction, query } from '../lib/db';
import { BadRequest, NotFound, RateLimited } from '../lib/errors';
import { log } from '../lib/log';
import { sendMail } from '../lib/mail';
import { formatBasisPoints, formatCents } from '../lib/money';
import { invoicePdf } from '../lib/pdf/pool';
import { enqueue } from '../lib/queue';
import { take } from '../lib/rate-limit';
import { INVOICE_MAILBOX, INVOICE_PARTIES, type PartiesRow } from '../models/invoice-documents.queries';
import type { InvoiceDocument } from '../schemas/invoice-documents.schema';
import type { DocumentType, InvoiceDetail, InvoiceKey, InvoiceQueued, SendInvoice } from '../schemas/invoices.schema';
import { recordAudit } from './audit.service';
import { findInvoice, INVOICE_MISSING, lockInvoice } from './invoice-locks.service';
import { getInvoice } from './invoices.service';

const MS_PER_S = 1000;
const TITLES: Readonly<Record<DocumentType, string>> = { receipt: 'Invoice Receipt', estimate: 'Invoice Estimate' };
const STATUSES: Readonly<Record<string, string>> = {
  DRAFT: 'Draft',
  SENT: 'Open',
  PARTIALLY_PAID: 'Partially paid',
  PAID: 'Paid',
  VOID: 'Void',
};
const METHODS: Readonly<Record<string, string>> = { cash: 'Cash', card: 'Card', ach: 'Bank transfer', check: 'Check', other: 'Other' };

/** `auto` is the receipt of a paid invoice, and the estimate of any other. */
export type WantedDocument = DocumentType | 'auto';

/** What a document says. @throws NotFound also for what a customer may not see */
export async function invoiceDocument(key: InvoiceKey, wanted: WantedDocument): Promise<InvoiceDocument> {
  const detail = JSON.parse(await getInvoice(key)) as InvoiceDetail;
  const [parties] = await query<PartiesRow>(INVOICE_PARTIES, [tenant().id, detail.invoice.id]);
  // Deleted between the two statements: rows of a tenant go only with the whole tenant.
  if (!parties) throw new NotFound(INVOICE_MISSING);
  const isPaid = detail.invoice.status === 'PAID';
  return compose(detail, parties, wanted === 'auto' ? (isPaid ? 'receipt' : 'estimate') : wanted);
}

export interface PdfFile {
  filename: string;
  bytes: Buffer;
}

/** The PDF of a document. @throws NotFound, Unavailable */
export async function invoicePdfFile(key: InvoiceKey, wanted: WantedDocument): Promise<PdfFile> {
  const document = await invoiceDocument(key, wanted);
  return { filename: filenameOf(document), bytes: await invoicePdf(tenant().id, document) };
}

const filenameOf = ({ invoiceId, type }: InvoiceDocument): string => `invoice-${invoiceId}-${type}.pdf`;

// ------------------------------------------------------------------ sending

/**
 * Leaves the job that mails a document; a draft becomes a sent invoice with it. Ten mails of one invoice in an hour.
 * @throws NotFound; BadRequest `missing_email` when there is no address, `invalid_state` for a void invoice; RateLimited
 */
export async function sendInvoice(key: InvoiceKey, { type, destinationEmail }: SendInvoice): Promise<InvoiceQueued> {
  const ids = await findInvoice(key);
  if (!(destinationEmail ?? (await mailboxOf(ids.id)))) throw new BadRequest('No e-mail address to send to', { code: 'missing_email' });
  // Counted before the invoice is locked: nobody should wait behind the counter.
  const { allowed, resetMs } = await take('invoiceMail', tenant().id, ids.id);
  if (!allowed) throw new RateLimited(Math.max(1, Math.ceil(resetMs / MS_PER_S)));
  return inTransaction(async () => {
    const invoice = await lockInvoice(ids);
    const now = clock.now();
    const { status } = invoice;
    invoice.issue(now);
    await invoice.save();
    await enqueue('mail.invoice', { mailId: randomUUID(), invoiceId: invoice.id, type, to: destinationEmail });
    await recordAudit({
      action: 'INVOICE_SEND',
      entity: 'invoice',
      entityId: invoice.id,
      before: { status },
      after: { status: invoice.status, type, to: destinationEmail === null ? 'customer' : 'other' },
    });
    return { status: 'QUEUED', invoice_id: invoice.id, type, queued_at: now.toISOString() };
  });
}

const mailboxOf = async (invoiceId: string): Promise<string | null> =>
  (await query<{ email: string | null }>(INVOICE_MAILBOX, [tenant().id, invoiceId]))[0]?.email ?? null;

export interface InvoiceMail {
  /** The same for every attempt, so that a mail program knows a repetition. */
  mailId: string;
  invoiceId: string;
  type: DocumentType;
  /** null is the customer's own address. */
  to: string | null;
}

/** The job: draws the document as it is now and mails it; to the customer's present address unless another was named. */
export async function mailInvoice({ mailId, invoiceId, type, to }: InvoiceMail): Promise<void> {
  const address = to ?? (await mailboxOf(invoiceId));
  if (address === null) {
    log.info('no mailbox for an invoice', { invoiceId });
    return;
  }
  const document = await invoiceDocument({ invoiceId }, type);
  const bytes = await invoicePdf(tenant().id, document);
  const what = type === 'receipt' ? 'receipt' : 'estimate';
  await sendMail({
    to: address,
    subject: `Your ${what} from ${document.shop}: invoice ${document.number}`,
    text: [
      `Hello${document.customer[0] ? ` ${document.customer[0]}` : ''},`,
      '',
      `attached is the ${what} for invoice ${document.number} of ${document.shop}.`,
      '',
      ...document.totals.map(({ label, value }) => `${label}: ${value}`),
      '',
    ].join('\n'),
    dedupeKey: `invoice-${mailId}`,
    attachments: [{ filename: filenameOf(document), content: bytes, contentType: 'application/pdf' }],
  });
}

// ------------------------------------------------------------------ composing

function compose({ invoice, line_items: lines, payments }: InvoiceDetail, parties: PartiesRow, type: DocumentType): InvoiceDocument {
  const { name: shop, timeZone } = tenant();
  const day = (instant: string): string => dayOf(new Date(instant), timeZone);
  const dated = (label: string, instant: string | null) => (instant === null ? [] : [{ label, value: day(instant) }]);
  const rates = [...new Set(lines.map((line) => line.tax_rate_basis_points))];
  const rate = rates.length === 1 && rates[0] ? ` (${formatBasisPoints(rates[0])})` : '';
  return {
    type,
    title: TITLES[type],
    shop,
    invoiceId: invoice.id,
    number: invoice.number,
    watermark: invoice.status === 'VOID' ? 'VOID' : null,
    facts: [
      { label: 'Invoice', value: String(invoice.number) },
      { label: 'Status', value: STATUSES[invoice.status] ?? invoice.status },
      ...dated('Date', invoice.issued_at ?? invoice.created_at),
      ...dated('Paid', invoice.paid_at),
      ...dated('Void since', invoice.voided_at),
    ],
    customer: customerLines(parties),
    vehicle: vehicleLines(parties, invoice.id),
    lines: lines.map((line) => ({
      name: line.name,
      description: line.description,
      group: line.package_name,
      quantity: String(line.quantity),
      unitPrice: formatCents(line.unit_price_cents),
      tax: formatCents(line.tax_cents),
      total: formatCents(line.total_cents),
    })),
    totals: [
      { label: 'Subtotal', value: formatCents(invoice.subtotal_cents) },
      { label: `Tax${rate}`, value: formatCents(invoice.tax_cents) },
      { label: 'Total', value: formatCents(invoice.total_cents) },
      ...(type === 'receipt'
        ? [
            { label: 'Paid', value: formatCents(invoice.amount_paid_cents) },
            { label: 'Due', value: formatCents(invoice.amount_due_cents) },
          ]
        : []),
    ],
    payments:
      type === 'receipt'
        ? payments
            .filter(({ voided_at }) => voided_at === null)
            .map((payment) => ({
              date: day(payment.received_at),
              method: payment.amount_cents < 0 ? `Refund, ${METHODS[payment.method]}` : (METHODS[payment.method] ?? payment.method),
              note: payment.note,
              amount: formatCents(payment.amount_cents),
            }))
        : null,
    updatedAt: invoice.updated_at,
  };
}

const present = (texts: readonly (string | null)[]): string[] => texts.filter((text): text is string => text !== null && text !== '');

const customerLines = ({ customer }: PartiesRow): string[] =>
  customer === null ? [] : present([customer.name, customer.address, customer.phone, customer.email]);

/** A car that is not the customer's is somebody else's business: the document does without it. */
function vehicleLines({ vehicle, customer }: PartiesRow, invoiceId: string): string[] {
  if (vehicle === null) return [];
  if (customer !== null && !vehicle.isTheirs) {
    log.warn('the vehicle of an invoice does not belong to its customer; the document leaves it out', { invoiceId });
    return [];
  }
  return present([
    present([vehicle.year === null ? null : String(vehicle.year), vehicle.make, vehicle.model]).join(' '),
    vehicle.plate === null ? null : `Plate ${vehicle.plate}`,
    vehicle.vin === null ? null : `VIN ${vehicle.vin}`,
  ]);
}
