/** A shop with random work, invoices and payments around today, kept as plain objects too, so that a test can count by itself. */
import fc from 'fast-check';
import {
  type Appointment,
  type AppointmentStatus,
  addAppointmentService,
  createAppointment,
  createCustomer,
  createInvoice,
  createPayment,
  createServiceOperation,
  createTechnician,
  createTenant,
  type Tenant,
} from './factories';

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1_440;
const STATUSES: readonly AppointmentStatus[] = ['SCHEDULED', 'IN_PROGRESS', 'READY', 'COMPLETED', 'NO_SHOW', 'CANCELED'];
const INVOICE_STATUSES = ['DRAFT', 'SENT', 'PARTIALLY_PAID', 'PAID', 'VOID'] as const;

/** Minutes before now: from 45 days ago to 3 days ahead. */
const Ago = fc.integer({ min: -3 * DAY_MINUTES, max: 45 * DAY_MINUTES });
const Cents = fc.integer({ min: 0, max: 60_000 });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null, freq: 3 });

const Plan = fc.record({
  ago: Ago,
  status: fc.constantFrom(...STATUSES),
  tech: maybe(fc.nat(2)),
  customer: maybe(fc.nat(5)),
  total: maybe(Cents),
  paidShare: fc.constantFrom(0, 0.5, 1),
  cycleMinutes: maybe(fc.integer({ min: 1, max: 4_000 })),
  deleted: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
  inShop: fc.constantFrom('no', 'here', 'left'),
  lines: fc.array(fc.record({ operation: maybe(fc.nat(3)), price: maybe(Cents) }), { maxLength: 3 }),
  invoice: maybe(
    fc.record({
      ago: Ago,
      status: fc.constantFrom(...INVOICE_STATUSES),
      total: Cents,
      payments: fc.array(
        fc.record({
          ago: Ago,
          cents: fc.integer({ min: -9_000, max: 30_000 }).filter((cents) => cents !== 0),
          method: fc.constantFrom('cash', 'card', 'ach', 'check', 'other'),
          voided: fc.boolean(),
        }),
        { maxLength: 3 },
      ),
    }),
  ),
});

export const ShopPlan = fc.record({
  timeZone: fc.constantFrom('America/Los_Angeles', 'Europe/Berlin', 'Asia/Kathmandu', 'Pacific/Auckland'),
  customers: fc.array(Ago, { minLength: 6, maxLength: 6 }),
  work: fc.array(Plan, { maxLength: 40 }),
});
export type ShopPlan = typeof ShopPlan extends fc.Arbitrary<infer T> ? T : never;

export interface Line {
  operationId: string | null;
  name: string;
  cents: number | null;
}
export interface Bill {
  at: Date;
  status: (typeof INVOICE_STATUSES)[number];
  totalCents: number;
  dueCents: number;
  payments: { at: Date; cents: number; method: string; voided: boolean }[];
}
export interface Work {
  id: number;
  status: AppointmentStatus;
  start: Date;
  techId: string | null;
  customerId: number | null;
  totalCents: number | null;
  paidCents: number;
  cycleHours: number | null;
  deleted: boolean;
  here: boolean;
  lines: Line[];
  bill: Bill | null;
}
export interface RandomShop {
  tenant: Tenant;
  technicians: { id: string; name: string }[];
  customers: { id: number; name: string; at: Date }[];
  work: Work[];
}

const before = (now: Date, minutes: number): Date => new Date(now.getTime() - minutes * MINUTE_MS);

/** Stores the plan as a tenant of its own. */
export async function createRandomShop({ timeZone, customers: ages, work: plans }: ShopPlan, now: Date): Promise<RandomShop> {
  const tenant = await createTenant({ timeZone });
  const customers: RandomShop['customers'] = [];
  for (const ago of ages) {
    const at = before(now, ago);
    const { id, name } = await createCustomer({ tenant, columns: { created_at: at } });
    customers.push({ id, name, at });
  }
  const technicians: RandomShop['technicians'] = [];
  for (let index = 0; index < 3; index += 1) technicians.push(await createTechnician({ tenant }));
  const operations: Awaited<ReturnType<typeof createServiceOperation>>[] = [];
  for (let index = 0; index < 4; index += 1) operations.push(await createServiceOperation({ tenant }));

  const work: Work[] = [];
  for (const [index, plan] of plans.entries()) {
    // A second each, so that no two overlap on one technician.
    const start = new Date(Math.floor(before(now, plan.ago).getTime() / MINUTE_MS) * MINUTE_MS + index * 1000);
    const [techId, customer] = [
      plan.tech === null ? null : technicians[plan.tech]?.id,
      plan.customer === null ? null : customers[plan.customer],
    ];
    const paidCents = Math.floor((plan.total ?? 0) * plan.paidShare);
    const done = plan.status === 'COMPLETED' && plan.cycleMinutes !== null;
    const appointment = await createAppointment({
      tenant,
      status: plan.status,
      start,
      columns: {
        customer_id: customer?.id ?? null,
        tech_id: techId ?? null,
        end_ts: null,
        block_end_ts: new Date(start.getTime() + 1000),
        total_cents: plan.total,
        paid_cents: paidCents,
        started_at: done ? start : null,
        completed_at: done ? new Date(start.getTime() + (plan.cycleMinutes ?? 0) * MINUTE_MS) : null,
        check_in_at: plan.inShop === 'no' ? null : start,
        check_out_at: plan.inShop === 'left' ? new Date(start.getTime() + MINUTE_MS) : null,
        deleted_at: plan.deleted ? now : null,
      },
    });
    const lines: Line[] = [];
    for (const { operation: at, price } of plan.lines) {
      const operation = at === null ? undefined : operations[at];
      const columns = { estimated_price_cents: price, ...(operation ? {} : { name: `Extra ${price}` }) };
      await addAppointmentService(appointment, { ...(operation ? { operation } : {}), columns });
      lines.push({ operationId: operation?.id ?? null, name: operation?.name ?? `Extra ${price}`, cents: price });
    }
    work.push({
      id: appointment.id,
      status: plan.status,
      start,
      techId: techId ?? null,
      customerId: customer?.id ?? null,
      totalCents: plan.total,
      paidCents,
      cycleHours: done ? (plan.cycleMinutes ?? 0) / 60 : null,
      deleted: plan.deleted,
      here: plan.inShop === 'here',
      lines,
      bill: plan.invoice ? await storeBill(appointment, plan.invoice, now) : null,
    });
  }
  return { tenant, technicians, customers, work };
}

async function storeBill(
  appointment: Appointment,
  { ago, status, total, payments }: NonNullable<ShopPlan['work'][number]['invoice']>,
  now: Date,
): Promise<Bill> {
  const paid = status === 'PAID' ? total : status === 'PARTIALLY_PAID' ? Math.floor(total / 2) : 0;
  const at = before(now, ago);
  const invoice = await createInvoice({
    appointment,
    totalCents: total,
    columns: { status, created_at: at, amount_paid_cents: paid, amount_due_cents: total - paid, voided_at: status === 'VOID' ? at : null },
  });
  const stored: Bill['payments'] = [];
  for (const { ago: received, cents, method, voided } of payments) {
    const when = before(now, received);
    await createPayment({
      appointment,
      invoice,
      amountCents: cents,
      columns: { method, received_at: when, voided_at: voided ? now : null },
    });
    stored.push({ at: when, cents, method, voided });
  }
  return { at, status, totalCents: total, dueCents: total - paid, payments: stored };
}
