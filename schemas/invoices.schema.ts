/** Shapes of invoices, their lines and payments. Amounts are integer cents, unless a name says dollars. */

import { z } from 'zod';
import { Instant } from './common.schema';
import { optionalText, queryText } from './fields.schema';
import { UUID } from './uuid';

export const InvoiceStatus = z.enum(['DRAFT', 'SENT', 'PARTIALLY_PAID', 'PAID', 'VOID']);
export type InvoiceStatus = z.output<typeof InvoiceStatus>;
export const PaymentMethod = z.enum(['cash', 'card', 'ach', 'check', 'other']);
export type PaymentMethod = z.output<typeof PaymentMethod>;
export const DocumentType = z.enum(['receipt', 'estimate']);
export type DocumentType = z.output<typeof DocumentType>;

// ------------------------------------------------------------------ what names an invoice

const DIGITS = /^[1-9]\d{0,14}$/;

/** An invoice by its own id, or as the one that counts for an appointment; neither names no row. */
export type InvoiceKey = { readonly invoiceId: string } | { readonly appointmentId: number } | null;

export const InvoiceRef = z
  .string()
  .meta({ description: 'Id of the invoice; or of an appointment, for its live invoice, else its newest' })
  .transform((value): { key: InvoiceKey } => {
    if (UUID.test(value)) return { key: { invoiceId: value.toLowerCase() } };
    return { key: DIGITS.test(value) ? { appointmentId: Number(value) } : null };
  });
export const ByInvoice = z.object({ id: InvoiceRef });
export const ByInvoiceAndPayment = z.object({
  id: InvoiceRef,
  pid: z.string().transform((value) => (UUID.test(value) ? value.toLowerCase() : '')),
});

// ------------------------------------------------------------------ requests

/** A page number or size that cannot be read is the default; bounds are kept. */
const lenientCount = (fallback: number, max: number) =>
  z
    .string()
    .optional()
    .transform((value) => {
      const count = Number(value);
      return value !== undefined && Number.isInteger(count) ? Math.min(Math.max(count, 1), max) : fallback;
    });
const MAX_PAGE = 1_000_000;

export const ListInvoices = z
  .object({
    page: lenientCount(1, MAX_PAGE),
    pageSize: z.string().optional(),
    page_size: z.string().optional(),
    customerId: queryText(),
    status: queryText(),
    search: queryText(),
    from: queryText(),
    to: queryText(),
  })
  .transform(({ pageSize, page_size, ...rest }) => ({ ...rest, pageSize: lenientCount(20, 100).parse(pageSize ?? page_size) }));
export type ListInvoices = z.output<typeof ListInvoices>;

export const CreateInvoice = z.object({
  appointment_id: z
    .union([z.string().regex(DIGITS), z.int().positive()], 'invalid')
    .transform(Number)
    .meta({ description: 'A completed appointment without a live invoice' }),
});

const amount = z.int('must_be_a_whole_number_of_cents').optional();
const money = {
  amountCents: amount,
  /** The same under its other name. */
  amount_cents: amount,
  method: z
    .string('invalid')
    .transform((value) => value.trim().toLowerCase())
    .pipe(PaymentMethod)
    .meta({ description: 'In any case' }),
  note: optionalText(500),
};

/** One of the two names of the amount must be there. */
function oneAmount<T extends { amountCents?: number | undefined; amount_cents?: number | undefined }>(
  { amountCents, amount_cents, ...rest }: T,
  ctx: z.RefinementCtx,
) {
  const cents = amountCents ?? amount_cents;
  if (cents === undefined) ctx.addIssue({ code: 'custom', message: 'required', path: ['amountCents'] });
  return { ...rest, amountCents: cents ?? 0 };
}

export const RecordPayment = z
  .object({ ...money, receivedAt: optionalText(10).meta({ description: 'Day of the shop, YYYY-MM-DD; default now' }) })
  .transform(oneAmount);
export type RecordPayment = z.output<typeof RecordPayment>;

export const RefundPayment = z.object(money).transform(oneAmount);
export type RefundPayment = z.output<typeof RefundPayment>;

export const VoidReason = z.object({ reason: optionalText(500) });

const word = optionalText(100);
export const AddPackage = z.object({ package_id: word, packageId: word }).transform(({ package_id, packageId }, ctx) => {
  const id = package_id ?? packageId;
  if (id === null) ctx.addIssue({ code: 'custom', message: 'required', path: ['package_id'] });
  return { packageId: id ?? '' };
});

export const SendInvoice = z.object({
  type: DocumentType.default('receipt'),
  destinationEmail: z
    .union([z.literal('').transform(() => null), z.email().max(254)])
    .nullish()
    .transform((value) => value ?? null)
    .meta({ description: "Default the customer's address" }),
});
export type SendInvoice = z.output<typeof SendInvoice>;

// ------------------------------------------------------------------ replies

const Id = z.string().regex(/^\d+$/).nullable();
const Text = z.string().nullable();
const MaybeInstant = Instant.nullable();
const cents = {
  subtotal_cents: z.int(),
  tax_cents: z.int(),
  total_cents: z.int(),
  amount_paid_cents: z.int(),
  amount_due_cents: z.int(),
};
const head = {
  id: z.guid(),
  appointment_id: Id,
  customer_id: Id,
  customer_name: Text,
  status: InvoiceStatus,
  ...cents,
  currency: z.literal('USD'),
};

const InvoiceItem = z.object({ ...head, issued_at: MaybeInstant, created_at: Instant, updated_at: Instant }).meta({ id: 'InvoiceItem' });

export const InvoicePage = z
  .object({ items: z.array(InvoiceItem), page: z.int(), page_size: z.int(), total_items: z.int(), total_pages: z.int() })
  .meta({ id: 'InvoicePage' });

export const Invoice = z
  .object({
    ...head,
    number: z.int(),
    vehicle_id: Id,
    issued_at: MaybeInstant,
    paid_at: MaybeInstant,
    voided_at: MaybeInstant,
    notes: Text,
    created_at: Instant,
    updated_at: Instant,
  })
  .meta({ id: 'Invoice' });
export type Invoice = z.output<typeof Invoice>;

export const InvoiceLine = z
  .object({
    id: z.guid(),
    position: z.int(),
    service_operation_id: Text,
    name: z.string(),
    description: Text,
    quantity: z.number(),
    unit_price_cents: z.int(),
    line_subtotal_cents: z.int(),
    tax_rate_basis_points: z.int(),
    tax_cents: z.int(),
    total_cents: z.int(),
    package_id: Text,
    package_name: Text,
    created_at: Instant,
  })
  .meta({ id: 'InvoiceLine' });
export type InvoiceLine = z.output<typeof InvoiceLine>;

export const InvoicePayment = z
  .object({
    id: z.guid(),
    amount_cents: z.int().meta({ description: 'Negative for a refund' }),
    amount: z.number().meta({ description: 'Dollars' }),
    method: PaymentMethod,
    note: Text,
    received_at: Instant,
    created_at: Instant,
    voided_at: MaybeInstant,
  })
  .meta({ id: 'InvoicePayment' });
export type InvoicePayment = z.output<typeof InvoicePayment>;

export const InvoiceDetail = z
  .object({
    invoice: Invoice,
    lineItems: z.array(InvoiceLine),
    line_items: z.array(InvoiceLine),
    payments: z.array(InvoicePayment),
  })
  .meta({ id: 'InvoiceDetail' });
export type InvoiceDetail = z.output<typeof InvoiceDetail>;

const summary = { id: z.guid(), appointment_id: Id, status: InvoiceStatus, ...cents, currency: z.literal('USD') };

export const InvoiceCreated = z.object({ ...summary, line_items: z.array(InvoiceLine), invoice: Invoice }).meta({ id: 'InvoiceCreated' });
export type InvoiceCreated = z.output<typeof InvoiceCreated>;

export const InvoiceVoided = z
  .object({
    ...summary,
    voided_at: Instant,
    previous_status: InvoiceStatus,
    details: z.object({ unapplied_cents: z.int().meta({ description: 'Paid before; now credit of the customer' }) }),
    invoice: Invoice,
  })
  .meta({ id: 'InvoiceVoided' });
export type InvoiceVoided = z.output<typeof InvoiceVoided>;

export const Payment = InvoicePayment.extend({ invoice_id: z.guid(), appointment_id: Id, void_reason: Text }).meta({ id: 'Payment' });
export type Payment = z.output<typeof Payment>;
export const PaymentRecorded = z.object({ invoice: Invoice, payment: Payment }).meta({ id: 'PaymentRecorded' });
export type PaymentRecorded = z.output<typeof PaymentRecorded>;

export const PackageAdded = z
  .object({
    invoice: Invoice,
    added_line_items: z.array(InvoiceLine),
    package_id: z.string(),
    package_name: z.string(),
    added_subtotal_cents: z.int(),
  })
  .meta({ id: 'PackageAdded' });
export type PackageAdded = z.output<typeof PackageAdded>;

export const InvoiceQueued = z
  .object({ status: z.literal('QUEUED'), invoice_id: z.guid(), type: DocumentType, queued_at: Instant })
  .meta({ id: 'InvoiceQueued' });
export type InvoiceQueued = z.output<typeof InvoiceQueued>;
