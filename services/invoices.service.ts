/**
 * Invoices: made from what was done on an appointment, extended by packages, voided. An invoice is a copy: later changes of
 * catalogue, tax rate or customer do not reach it. Its amounts are always the sums of its rows, taken under its lock.
 */
import { randomUUID } from 'node:crypto';
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { isDay, rangeOfDay } from '../lib/days';
import { inTransaction, query } from '../lib/db';
import { BadRequest, Conflict, Forbidden, NotFound } from '../lib/errors';
import { lineAmounts, scaleToTotal } from '../lib/money';
import { BILLABLE_LINES, INSERT_LINES, type LineDraft, PACKAGE, PACKAGE_LINES } from '../models/invoice-line-items.queries';
import { Invoice } from '../models/invoices.model';
import { type Audience, invoiceDetailSql, LIVE_INVOICE, listInvoicesSql, STORE_APPOINTMENT_AMOUNTS } from '../models/invoices.queries';
import {
  type InvoiceCreated,
  type InvoiceKey,
  type InvoiceLine,
  type Invoice as InvoiceReply,
  InvoiceStatus,
  type InvoiceVoided,
  type ListInvoices,
  type PackageAdded,
} from '../schemas/invoices.schema';
import { linesTotal } from './appointment-lines.service';
import { lockAppointment } from './appointment-status.service';
import { recordAudit } from './audit.service';
import { findInvoice, INVOICE_MISSING, lockInvoice, readInvoice, settle } from './invoice-locks.service';
import { takeInvoiceNumber } from './invoice-numbers.service';
import { canVoid } from './invoices.policy';
import { insertPayment } from './payment-rows.service';
import { tenantSettings } from './tenant-settings.service';

// ------------------------------------------------------------------ reading

/** Customers see their own, and no drafts. */
export function audience(): Audience {
  const { actor } = context();
  return actor.kind === 'customer' ? { customerId: actor.customerId } : null;
}

/** JSON of `{invoice, lineItems, line_items, payments}`. @throws NotFound also for what a customer may not see */
export async function getInvoice(key: InvoiceKey): Promise<string> {
  const [row] = key === null ? [] : await query<{ json: string }>(...invoiceDetailSql(key, audience(), tenant().id));
  if (!row) throw new NotFound(INVOICE_MISSING);
  return row.json;
}

export interface InvoiceList {
  /** JSON array. */
  items: string;
  page: number;
  pageSize: number;
  total: number;
}

/** Newest first. @throws BadRequest for a status, customer or day that is none */
export async function listInvoices(wanted: ListInvoices): Promise<InvoiceList> {
  const { page, pageSize, customerId, status, search, from, to } = wanted;
  const known = InvoiceStatus.safeParse(status);
  if (status !== undefined && !known.success) throw new BadRequest('Invalid status', { details: { status: 'invalid' } });
  if (customerId !== undefined && !/^\d{1,15}$/.test(customerId))
    throw new BadRequest('Invalid customerId', { details: { customerId: 'invalid' } });
  const [row] = await query<{ items: string; total: number }>(
    ...listInvoicesSql(
      {
        audience: audience(),
        customerId: customerId === undefined ? null : Number(customerId),
        status: known.success ? known.data : null,
        search: search?.toLowerCase() ?? null,
        from: from === undefined ? null : dayRange('from', from).from,
        to: to === undefined ? null : dayRange('to', to).to,
        limit: pageSize,
        offset: (page - 1) * pageSize,
      },
      tenant().id,
    ),
  );
  if (!row) throw new Error('The list of invoices has no row');
  return { ...row, page, pageSize };
}

function dayRange(name: string, day: string) {
  if (!isDay(day)) throw new BadRequest(`Invalid ${name}`, { details: { [name]: 'invalid' } });
  return rangeOfDay(day, tenant().timeZone);
}

// ------------------------------------------------------------------ making

/**
 * The invoice of a completed appointment: one line for each service line, the next number, money paid in advance carried over.
 * @throws NotFound, BadRequest `invalid_state` unless completed, Conflict `already_exists` with `details.invoice_id`
 */
export function createInvoice(appointmentId: number): Promise<InvoiceCreated> {
  return inTransaction(async () => {
    const { id: tenantId } = tenant();
    const appointment = await lockAppointment(appointmentId);
    if (appointment.status !== 'COMPLETED')
      throw new BadRequest(`Appointment status ${appointment.status} not billable`, { code: 'invalid_state' });
    const [live] = await query<{ id: string }>(LIVE_INVOICE, [tenantId, appointmentId]);
    if (live) throw new Conflict('Invoice already exists for appointment', { code: 'already_exists', details: { invoice_id: live.id } });
    const { taxBasisPoints } = await tenantSettings();
    const drafts = await query<LineDraft>(BILLABLE_LINES, [tenantId, appointmentId]);
    const now = clock.now();
    const invoice = await Invoice.make<Invoice>({
      id: randomUUID(),
      number: await takeInvoiceNumber(),
      appointmentId,
      customerId: appointment.customerId,
      vehicleId: appointment.vehicleId,
      taxRateBasisPoints: taxBasisPoints,
      createdAt: now,
      updatedAt: now,
    });
    await addLines(invoice, drafts, null);
    const depositCents = appointment.paidCents;
    const carriedCents = await carryOverDeposit(invoice, depositCents);
    const detail = await readInvoice(invoice.id);
    await recordAudit({
      action: 'INVOICE_CREATE',
      entity: 'invoice',
      entityId: invoice.id,
      after: {
        ...amountsOf(detail.invoice),
        number: invoice.number,
        appointment_id: detail.invoice.appointment_id,
        ...(depositCents > 0 ? { deposit_cents: depositCents, unapplied_cents: depositCents - carriedCents } : {}),
      },
    });
    return { ...summaryOf(detail.invoice), line_items: detail.line_items, invoice: detail.invoice };
  });
}

/** What was paid before there was an invoice becomes its first payment, as far as the invoice reaches. @returns how much that is */
async function carryOverDeposit(invoice: Invoice, depositCents: number): Promise<number> {
  await settle(invoice);
  const carried = Math.min(depositCents, invoice.totalCents);
  if (carried === 0) return 0;
  await insertPayment(invoice, { amountCents: carried, method: 'other', note: 'Deposit', receivedAt: clock.now() });
  await settle(invoice);
  return carried;
}

interface PackageHead {
  id: string;
  name: string;
  isPackage: boolean;
  priceCents: number | null;
}

/**
 * Adds one line for each child of a package, at prices that sum to the package's own where it has one.
 * @throws NotFound `not_found` or `not_a_package`; BadRequest `invalid_state` for a paid or void invoice; Conflict `empty_package`
 */
export function addPackage(key: InvoiceKey, packageId: string): Promise<PackageAdded> {
  return inTransaction(async () => {
    const { id: tenantId } = tenant();
    const invoice = await lockInvoice(await findInvoice(key));
    const [head] = await query<PackageHead>(PACKAGE, [tenantId, packageId]);
    if (!head) throw new NotFound('Package not found');
    invoice.assertOpen();
    if (!head.isPackage) throw new NotFound('Service operation is not a package', { code: 'not_a_package' });
    const children = await query<LineDraft>(PACKAGE_LINES, [tenantId, packageId]);
    if (children.length === 0) throw new Conflict('Package has no services', { code: 'empty_package' });
    const before = amountsOf((await readInvoice(invoice.id)).invoice);
    const added = await addLines(invoice, priced(children, head.priceCents), head);
    await settle(invoice);
    const detail = await readInvoice(invoice.id);
    await recordAudit({
      action: 'INVOICE_ADD_PACKAGE',
      entity: 'invoice',
      entityId: invoice.id,
      before,
      after: { ...amountsOf(detail.invoice), package_id: head.id, lines: added.map(({ id }) => id) },
    });
    return {
      invoice: detail.invoice,
      added_line_items: added,
      package_id: head.id,
      package_name: head.name,
      added_subtotal_cents: added.reduce((sum, line) => sum + line.line_subtotal_cents, 0),
    };
  });
}

/** A package without a price of its own costs what its children cost. */
function priced(children: readonly LineDraft[], packageCents: number | null): LineDraft[] {
  if (!packageCents) return [...children];
  const prices = scaleToTotal(
    children.map(({ priceCents }) => priceCents),
    packageCents,
  );
  return children.map((child, index) => ({ ...child, priceCents: prices[index] ?? 0 }));
}

async function addLines(invoice: Invoice, drafts: readonly LineDraft[], group: PackageHead | null): Promise<InvoiceLine[]> {
  const taxBasisPoints = invoice.taxRateBasisPoints;
  const rows = drafts.map((draft, place) => {
    const { lineSubtotalCents, taxCents, totalCents } = lineAmounts({ quantity: 1, unitPriceCents: draft.priceCents, taxBasisPoints });
    return {
      place,
      service_operation_id: draft.serviceOperationId,
      name: draft.name,
      description: draft.description,
      quantity: 1,
      unit_price_cents: draft.priceCents,
      line_subtotal_cents: lineSubtotalCents,
      tax_rate_basis_points: taxBasisPoints,
      tax_cents: taxCents,
      total_cents: totalCents,
      package_id: group?.id ?? null,
      package_name: group?.name ?? null,
      category: draft.category,
      subcategory: draft.subcategory,
      internal_code: draft.internalCode,
    };
  });
  const [row] = await query<{ lines: InvoiceLine[] }>(INSERT_LINES, [tenant().id, invoice.id, JSON.stringify(rows), clock.now()]);
  return row?.lines ?? [];
}

// ------------------------------------------------------------------ voiding

/**
 * Takes an invoice back. What was paid on it stays on record as credit of the customer; the appointment may be edited and
 * invoiced again. @throws NotFound; Forbidden where the shop does not let advisors; Conflict `already_paid`, `already_void`
 */
export function voidInvoice(key: InvoiceKey, reason: string | null): Promise<InvoiceVoided> {
  return inTransaction(async () => {
    const ids = await findInvoice(key);
    if (!canVoid(context().actor, await tenantSettings())) throw new Forbidden('Insufficient permissions');
    const invoice = await lockInvoice(ids);
    const previous = invoice.status;
    const now = clock.now();
    invoice.cancel(reason, now);
    await invoice.save();
    if (invoice.appointmentId !== null)
      await query(STORE_APPOINTMENT_AMOUNTS, [tenant().id, invoice.appointmentId, await linesTotal(invoice.appointmentId), 0, now]);
    await recordAudit({
      action: 'INVOICE_VOID',
      entity: 'invoice',
      entityId: invoice.id,
      before: { status: previous },
      after: { status: 'VOID', reason, unapplied_cents: invoice.amountPaidCents },
    });
    const { invoice: reply } = await readInvoice(invoice.id);
    return {
      ...summaryOf(reply),
      voided_at: now.toISOString(),
      previous_status: previous,
      details: { unapplied_cents: invoice.amountPaidCents },
      invoice: reply,
    };
  });
}

// ------------------------------------------------------------------ parts

function amountsOf(invoice: InvoiceReply) {
  const { status, subtotal_cents, tax_cents, total_cents, amount_paid_cents, amount_due_cents } = invoice;
  return { status, subtotal_cents, tax_cents, total_cents, amount_paid_cents, amount_due_cents };
}

const summaryOf = (invoice: InvoiceReply) => ({
  id: invoice.id,
  appointment_id: invoice.appointment_id,
  ...amountsOf(invoice),
  currency: invoice.currency,
});
