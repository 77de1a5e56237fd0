/** Invoices of completed work: numbers without gaps in the order of issue, lines copied from the appointment, payments. */
import wording from '../../models/seeds/wording.json';
import type { OperationRow } from './catalog';
import type { Random } from './random';
import type { StaffMember } from './staff';
import type { AppointmentRow, LineRow } from './work';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export interface BillingOptions {
  tenantId: string;
  appointments: readonly AppointmentRow[];
  lines: readonly LineRow[];
  operations: readonly OperationRow[];
  staff: readonly StaffMember[];
  now: Date;
  /** Share of completed appointments with an invoice; the others were paid on the spot. */
  share: number;
}

interface InvoiceRow {
  readonly tenant_id: string;
  readonly id: string;
  number: number;
  readonly appointment_id: number;
  readonly customer_id: number;
  readonly vehicle_id: number;
  readonly status: string;
  readonly subtotal_cents: number;
  readonly tax_cents: number;
  readonly total_cents: number;
  readonly amount_paid_cents: number;
  readonly amount_due_cents: number;
  readonly issued_at: Date | null;
  readonly paid_at: Date | null;
  readonly voided_at: Date | null;
  readonly void_reason: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

export interface Billing {
  invoices: InvoiceRow[];
  invoiceLines: object[];
  payments: object[];
}

/** Also writes the paid amount back to the appointments. Tax is the default of a new shop: none. */
export function inventBilling(random: Random, options: BillingOptions): Billing {
  const billing: Billing = { invoices: [], invoiceLines: [], payments: [] };
  const codes = new Map(options.operations.map((operation) => [operation.id, operation.internal_code]));
  const linesOf = new Map<number, LineRow[]>();
  for (const line of options.lines) linesOf.set(line.appointment_id, [...(linesOf.get(line.appointment_id) ?? []), line]);
  for (const appointment of options.appointments) {
    if (appointment.status !== 'COMPLETED' || !appointment.completed_at) continue;
    if (!random.chance(options.share)) {
      appointment.paid_cents = appointment.total_cents;
      continue;
    }
    const lines = linesOf.get(appointment.id) ?? [];
    const created = moment(appointment.completed_at, random.int(3, 60), options.now);
    if (random.chance(0.01)) bill(random, options, billing, { appointment, lines, codes, created, outcome: 'VOID' });
    const outcome = outcomeOf(random, appointment, options.now);
    bill(random, options, billing, { appointment, lines, codes, created: moment(created, 1, options.now), outcome });
  }
  billing.invoices.sort((a, b) => a.created_at.getTime() - b.created_at.getTime() || a.appointment_id - b.appointment_id);
  for (const [index, invoice] of billing.invoices.entries()) invoice.number = index + 1;
  return billing;
}

/** Some minutes later, but not in the future. */
const moment = (from: Date, minutes: number, now: Date): Date => new Date(Math.min(from.getTime() + minutes * MINUTE_MS, now.getTime()));

type Outcome = 'DRAFT' | 'SENT' | 'PARTIALLY_PAID' | 'PAID' | 'VOID';

/** What is old is nearly always paid; of the last days some is still open. An invoice over nothing stays a draft. */
function outcomeOf(random: Random, { total_cents: total, completed_at: completed }: AppointmentRow, now: Date): Outcome {
  if (total === 0) return 'DRAFT';
  const isRecent = Number(completed) > now.getTime() - 10 * DAY_MS;
  return random.weighted<Outcome>([
    ['PAID', isRecent ? 60 : 92],
    ['SENT', isRecent ? 20 : 4],
    ['PARTIALLY_PAID', isRecent ? 10 : 3],
    ['DRAFT', isRecent ? 10 : 1],
  ]);
}

interface Bill {
  appointment: AppointmentRow;
  lines: readonly LineRow[];
  codes: ReadonlyMap<string, string>;
  created: Date;
  outcome: Outcome;
}

function bill(random: Random, options: BillingOptions, billing: Billing, { appointment, lines, codes, created, outcome }: Bill): void {
  const { tenantId, now, staff } = options;
  const id = random.uuid();
  const total = appointment.total_cents;
  const paid = outcome === 'PAID' ? total : outcome === 'PARTIALLY_PAID' ? Math.round(total / random.int(2, 4) / 100) * 100 : 0;
  const received = paid > 0 ? moment(created, random.chance(0.7) ? 2 : random.int(60, 4 * 24 * 60), now) : null;
  const isIssued = outcome === 'SENT' || paid > 0;
  billing.invoices.push({
    tenant_id: tenantId,
    id,
    number: 0,
    appointment_id: appointment.id,
    customer_id: appointment.customer_id,
    vehicle_id: appointment.vehicle_id,
    status: outcome,
    subtotal_cents: total,
    tax_cents: 0,
    total_cents: total,
    amount_paid_cents: paid,
    amount_due_cents: total - paid,
    issued_at: isIssued ? created : null,
    paid_at: outcome === 'PAID' ? received : null,
    voided_at: outcome === 'VOID' ? created : null,
    void_reason: outcome === 'VOID' ? random.pick(wording.voidReasons) : null,
    created_at: created,
    updated_at: received ?? created,
  });
  for (const [position, line] of lines.entries())
    billing.invoiceLines.push({
      tenant_id: tenantId,
      id: random.uuid(),
      invoice_id: id,
      position,
      service_operation_id: line.service_operation_id,
      name: line.name,
      description: line.notes,
      quantity: 1,
      unit_price_cents: line.estimated_price_cents,
      line_subtotal_cents: line.estimated_price_cents,
      tax_rate_basis_points: 0,
      tax_cents: 0,
      total_cents: line.estimated_price_cents,
      service_category: line.category,
      service_internal_code: codes.get(line.service_operation_id) ?? null,
      created_at: created,
    });
  if (!received) return;
  appointment.paid_cents = paid;
  const deposit = outcome === 'PAID' && paid > 20_000 && random.chance(0.2) ? Math.round(paid / 200) * 100 : 0;
  for (const amount of [deposit, paid - deposit].filter((cents) => cents > 0))
    billing.payments.push({
      tenant_id: tenantId,
      id: random.uuid(),
      invoice_id: id,
      appointment_id: appointment.id,
      amount_cents: amount,
      method: random.weighted([
        ['card', 60],
        ['cash', 20],
        ['ach', 10],
        ['check', 6],
        ['other', 4],
      ]),
      note: random.chance(0.1) ? random.pick(wording.paymentNotes) : null,
      received_at: received,
      recorded_by: random.pick(staff).id,
      created_at: received,
    });
}
