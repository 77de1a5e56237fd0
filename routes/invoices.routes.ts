/** Invoices, their payments and documents. Where a path names an invoice it may name its appointment instead. */
import type { z } from 'zod';
import { BadRequest, NotFound, ValidationFailed } from '../lib/errors';
import { DOCUMENT_POLICY, presentDocument } from '../presenters/invoice-documents.presenter';
import { ById } from '../schemas/common.schema';
import {
  AddPackage,
  ByInvoice,
  ByInvoiceAndPayment,
  CreateInvoice,
  InvoiceCreated,
  InvoiceDetail,
  type InvoiceKey,
  InvoicePage,
  InvoiceQueued,
  InvoiceVoided,
  ListInvoices,
  PackageAdded,
  PaymentRecorded,
  RecordPayment,
  RefundPayment,
  SendInvoice,
  VoidReason,
} from '../schemas/invoices.schema';
import { invoiceDocument, invoicePdfFile, sendInvoice, type WantedDocument } from '../services/invoice-documents.service';
import { addPackage, createInvoice, getInvoice, type InvoiceList, listInvoices, voidInvoice } from '../services/invoices.service';
import { recordPayment, refundPayment, voidPayment } from '../services/payments.service';
import { type Endpoint, endpoint, JsonText, Reply, STAFF_READ, StreamReply } from './endpoint';

const tag = 'Invoices';
/** Reading: the front office, and customers their own. */
const READERS = [...STAFF_READ, 'Customer'] as const;
/** What somebody without a desk in the office reads. */
const forbidden = { message: 'Insufficient permissions. Required role: Advisor' };
/** Undoing what was booked. */
const BOOKKEEPERS = ['Owner', 'Accountant'] as const;

/** A field of the body has a refusal code of its own where clients look at it. */
const refusedFields =
  (codes: Readonly<Record<string, readonly [code: string, message: string]>>) => (error: z.ZodError, part: 'params' | 'query' | 'body') => {
    if (part === 'params') return new NotFound('Invoice not found');
    const fields = error.issues.map(({ path, message }): [string, string] => [path.map(String).join('.') || part, message]);
    const known = fields.map(([field]) => [field, codes[field]] as const).find(([, code]) => code !== undefined);
    if (!known?.[1]) return new ValidationFailed(Object.fromEntries(fields));
    const [field, [code, message]] = known;
    return new BadRequest(message, { code, details: { [field]: 'invalid' } });
  };
const AMOUNT = ['invalid_amount', 'Payment amount must be a whole number of cents'] as const;
const refusedMoney = refusedFields({
  amountCents: AMOUNT,
  amount_cents: AMOUNT,
  method: ['invalid_method', 'Payment method must be one of cash, card, ach, check, other'],
});
const PACKAGE = ['invalid_package_id', 'package_id required'] as const;

const created = async (appointmentId: number | null): Promise<Reply> => {
  if (appointmentId === null) throw new NotFound('Appointment not found');
  const invoice = await createInvoice(appointmentId);
  return new Reply(invoice, { headers: { Location: `/api/admin/invoices/${invoice.id}` } });
};

const pageOf = ({ items, page, pageSize, total }: InvoiceList): JsonText => {
  const counts = { page, page_size: pageSize, total_items: total, total_pages: Math.max(1, Math.ceil(total / pageSize)) };
  return new JsonText(`{"items":${items},${JSON.stringify(counts).slice(1)}`);
};

async function* once(bytes: Uint8Array | string): AsyncGenerator<Uint8Array | string> {
  yield bytes;
}

/** A file for one person's browser, which may show it again for a minute without asking. */
async function pdf(key: InvoiceKey, wanted: WantedDocument): Promise<Reply> {
  const { filename, bytes } = await invoicePdfFile(key, wanted);
  return new Reply(new StreamReply({ contentType: 'application/pdf', chunks: once(bytes) }), {
    headers: {
      'Content-Disposition': `inline; filename=${filename}`,
      'Content-Length': String(bytes.length),
      'Cache-Control': 'private, max-age=60',
      Vary: 'Cookie, Authorization, X-Tenant-Id',
    },
  });
}

async function html(key: InvoiceKey, wanted: WantedDocument): Promise<Reply> {
  const page = presentDocument(await invoiceDocument(key, wanted));
  return new Reply(new StreamReply({ contentType: 'text/html; charset=utf-8', chunks: once(page) }), {
    headers: { 'Content-Security-Policy': DOCUMENT_POLICY },
  });
}

const documents: readonly [
  path: string,
  id: string,
  summary: string,
  allow: typeof READERS | typeof STAFF_READ,
  send: typeof pdf,
  wanted: WantedDocument,
][] = [
  ['/api/admin/invoices/:id/estimate.pdf', 'getEstimatePdf', 'The estimate as PDF', STAFF_READ, pdf, 'estimate'],
  ['/api/admin/invoices/:id/receipt.pdf', 'getReceiptPdf', 'The receipt as PDF', STAFF_READ, pdf, 'receipt'],
  ['/api/admin/invoices/:id/estimate.html', 'getEstimatePage', 'The estimate as a page', STAFF_READ, html, 'estimate'],
  ['/api/admin/invoices/:id/receipt.html', 'getReceiptPage', 'The receipt as a page', STAFF_READ, html, 'receipt'],
  ['/api/admin/invoices/:id/pdf', 'getInvoicePdf', 'The receipt of a paid invoice, else the estimate, as PDF', STAFF_READ, pdf, 'auto'],
  [
    '/api/invoices/:id/pdf',
    'getVisibleInvoicePdf',
    'The receipt of a paid invoice, else the estimate, as PDF; customers their own',
    READERS,
    pdf,
    'auto',
  ],
];

export const invoicesEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'post',
    path: '/api/admin/appointments/:id/invoice',
    id: 'invoiceAppointment',
    summary: 'Make the invoice of a completed appointment',
    tag,
    allow: STAFF_READ,
    forbidden,
    idempotent: true,
    params: ById,
    reply: [201, InvoiceCreated],
    errors: [400, 404, 409],
    handle: ({ params }) => created(params.id),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/invoices',
    id: 'listInvoices',
    summary: 'Invoices, newest first',
    tag,
    allow: STAFF_READ,
    forbidden,
    query: ListInvoices,
    reply: [200, InvoicePage],
    queries: 1,
    handle: async ({ query }) => pageOf(await listInvoices(query)),
  }),
  endpoint({
    method: 'get',
    path: '/api/invoices',
    id: 'listVisibleInvoices',
    summary: 'Invoices, newest first; customers see their own without drafts',
    tag,
    allow: READERS,
    forbidden,
    query: ListInvoices,
    reply: [200, InvoicePage],
    queries: 1,
    handle: async ({ query }) => pageOf(await listInvoices(query)),
  }),
  endpoint({
    method: 'post',
    path: '/api/invoices',
    id: 'createInvoice',
    summary: 'Make the invoice of a completed appointment named in the body',
    tag,
    allow: STAFF_READ,
    forbidden,
    idempotent: true,
    body: CreateInvoice,
    reply: [201, InvoiceCreated],
    errors: [404, 409],
    handle: ({ body }) => created(body.appointment_id),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/invoices/:id',
    id: 'getInvoice',
    summary: 'An invoice with its lines and payments',
    tag,
    allow: STAFF_READ,
    forbidden,
    params: ByInvoice,
    reply: [200, InvoiceDetail],
    errors: [404],
    queries: 1,
    handle: async ({ params }) => new JsonText(await getInvoice(params.id.key)),
  }),
  endpoint({
    method: 'get',
    path: '/api/invoices/:id',
    id: 'getVisibleInvoice',
    summary: 'An invoice with its lines and payments; customers their own',
    tag,
    allow: READERS,
    forbidden,
    params: ByInvoice,
    reply: [200, InvoiceDetail],
    errors: [404],
    queries: 1,
    handle: async ({ params }) => new JsonText(await getInvoice(params.id.key)),
  }),
  ...documents.map(([path, id, summary, allow, send, wanted]) =>
    endpoint({
      method: 'get',
      path,
      id,
      summary,
      tag,
      allow,
      forbidden,
      params: ByInvoice,
      reply: [200],
      media: [send === pdf ? 'application/pdf' : 'text/html'],
      errors: [404],
      queries: 2,
      handle: ({ params }) => send(params.id.key, wanted),
    }),
  ),
  endpoint({
    method: 'post',
    path: '/api/admin/invoices/:id/payments',
    id: 'recordPayment',
    importance: 'critical',
    summary: 'Record a payment',
    tag,
    allow: STAFF_READ,
    forbidden,
    idempotent: true,
    params: ByInvoice,
    body: RecordPayment,
    reply: [201, PaymentRecorded],
    errors: [404],
    invalid: refusedMoney,
    handle: ({ params, body }) => recordPayment(params.id.key, body),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/invoices/:id/payments/:pid/void',
    id: 'voidPayment',
    summary: 'Mark a payment or refund as never made; the invoice owes it again',
    tag,
    allow: STAFF_READ,
    forbidden,
    idempotent: true,
    params: ByInvoiceAndPayment,
    body: VoidReason,
    reply: [200, PaymentRecorded],
    errors: [404, 409],
    handle: ({ params, body }) => voidPayment(params.id.key, params.pid, body.reason),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/invoices/:id/refunds',
    id: 'refundPayment',
    summary: 'Give back some of what was paid, as a payment of a negative amount',
    tag,
    allow: BOOKKEEPERS,
    idempotent: true,
    params: ByInvoice,
    body: RefundPayment,
    reply: [201, PaymentRecorded],
    errors: [404],
    invalid: refusedMoney,
    handle: ({ params, body }) => refundPayment(params.id.key, body),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/invoices/:id/void',
    id: 'voidInvoice',
    summary: 'Void an invoice that is not paid; payments on it become credit of the customer',
    tag,
    allow: STAFF_READ,
    forbidden,
    idempotent: true,
    params: ByInvoice,
    body: VoidReason,
    reply: [200, InvoiceVoided],
    errors: [404, 409],
    handle: ({ params, body }) => voidInvoice(params.id.key, body.reason),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/invoices/:id/add-package',
    id: 'addInvoicePackage',
    summary: 'Add the services of a package at the price of the package',
    tag,
    allow: STAFF_READ,
    forbidden,
    idempotent: true,
    params: ByInvoice,
    body: AddPackage,
    reply: [200, PackageAdded],
    errors: [404, 409],
    mirror: 'all',
    invalid: refusedFields({ package_id: PACKAGE, packageId: PACKAGE }),
    handle: ({ params, body }) => addPackage(params.id.key, body.packageId),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/invoices/:id/send',
    id: 'sendInvoice',
    summary: 'Mail the receipt or estimate; a draft becomes a sent invoice',
    tag,
    allow: STAFF_READ,
    forbidden,
    idempotent: true,
    params: ByInvoice,
    body: SendInvoice,
    reply: [202, InvoiceQueued],
    errors: [404],
    invalid: refusedFields({
      type: ['invalid_type', 'type must be receipt or estimate'],
      destinationEmail: ['invalid_email', 'destinationEmail is not an e-mail address'],
    }),
    handle: ({ params, body }) => sendInvoice(params.id.key, body),
  }),
];
