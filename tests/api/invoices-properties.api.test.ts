/**
 * Random histories of one appointment's invoices, held against a model that only knows lists of amounts. After every step the
 * rows in the database must say what the model says, and keep the promises that no sequence may break.
 */
import fc from 'fast-check';
import { type Context, newWorkStats, withContext } from '../../lib/context';
import { AppError } from '../../lib/errors';
import { addPackage, createInvoice, voidInvoice } from '../../services/invoices.service';
import { recordPayment, refundPayment, voidPayment } from '../../services/payments.service';
import { admin } from '../support/database';
import {
  type Appointment,
  addAppointmentService,
  createAppointment,
  createServiceOperation,
  createStaff,
  createTenant,
  type Staff,
  type Tenant,
} from '../support/factories';
import { startApp } from '../support/server';

const RUNS = 25;
const TAX = 875;
let tenant: Tenant;
let owner: Staff;
const packages: { id: string; prices: number[]; own: number | null }[] = [];

beforeAll(async () => {
  await startApp();
  tenant = await createTenant({ settings: { tax_basis_points: TAX } });
  owner = await createStaff({ tenant, role: 'Owner' });
  for (const [own, prices] of [
    [null, [1_250, 333]],
    [10_001, [3_333, 1, 777]],
    [4_999, [0, 0]],
  ] as [number | null, number[]][]) {
    const bundle = await createServiceOperation({ tenant, columns: { is_package: true, default_price_cents: own } });
    for (const [index, price] of prices.entries()) {
      const child = await createServiceOperation({ tenant, columns: { default_price_cents: price } });
      await admin('INSERT INTO package_items (tenant_id, service_id, child_id, sort_order) VALUES ($1, $2, $3, $4)', [
        tenant.id,
        bundle.id,
        child.id,
        index,
      ]);
    }
    packages.push({ id: bundle.id, prices, own });
  }
});

const asOwner = <T>(work: () => Promise<T>): Promise<T> => {
  const context: Context = {
    requestId: 'test',
    operation: 'test',
    actor: { kind: 'staff', id: owner.id, role: 'Owner', name: owner.name, sessionId: 'test' },
    tenant,
    ip: null,
    userAgent: null,
    stats: newWorkStats(),
  };
  return withContext(context, work);
};
/** The refusal's code, or `ok` with what was returned. */
async function attempt<T>(work: () => Promise<T>): Promise<{ code: string; value?: T }> {
  try {
    return { code: 'ok', value: await asOwner(work) };
  } catch (error) {
    if (error instanceof AppError && error.status < 500) return { code: error.code };
    throw error;
  }
}

type Step =
  | { do: 'generate' }
  | { do: 'package'; which: number }
  | { do: 'pay' | 'refund'; share: number }
  | { do: 'payAll' }
  | { do: 'voidPayment'; which: number }
  | { do: 'voidInvoice' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'generate' }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('package' as const), which: fc.nat(2) }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constantFrom('pay' as const, 'refund' as const), share: fc.integer({ min: -10, max: 120 }) }),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'payAll' }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('voidPayment' as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'voidInvoice' }) },
);

interface Payment {
  id: string;
  cents: number;
  isVoid: boolean;
}
interface Model {
  id: string;
  lines: number[];
  payments: Payment[];
  isVoid: boolean;
  isIssued: boolean;
}

/** Tax of one line by float: exact for amounts this small, and another way than the service's. */
const taxOf = (cents: number) => Math.floor((cents * TAX) / 10_000 + 0.5);
const totalOf = ({ lines }: Model) => lines.reduce((sum, cents) => sum + cents + taxOf(cents), 0);
const paidOf = ({ payments }: Model) => payments.filter(({ isVoid }) => !isVoid).reduce((sum, { cents }) => sum + cents, 0);
function statusOf(model: Model): string {
  const [total, paid] = [totalOf(model), paidOf(model)];
  if (model.isVoid) return 'VOID';
  if (paid > 0) return paid === total ? 'PAID' : 'PARTIALLY_PAID';
  return model.isIssued ? 'SENT' : 'DRAFT';
}

class History {
  readonly invoices: Model[] = [];
  readonly appointment: Appointment;
  readonly services: readonly number[];
  constructor(appointment: Appointment, services: readonly number[]) {
    this.appointment = appointment;
    this.services = services;
  }
  /** The one that the appointment's number names. */
  get current(): Model | undefined {
    return this.invoices.find(({ isVoid }) => !isVoid) ?? this.invoices.at(-1);
  }

  async take(next: Step): Promise<void> {
    const key = { appointmentId: this.appointment.id };
    const model = this.current;
    if (next.do === 'generate') {
      const isLive = model !== undefined && !model.isVoid;
      const { code, value } = await attempt(() => createInvoice(this.appointment.id));
      expect(code).toBe(isLive ? 'already_exists' : 'ok');
      if (value) this.invoices.push({ id: value.id, lines: [...this.services], payments: [], isVoid: false, isIssued: false });
      return;
    }
    if (!model) return;
    const [total, paid] = [totalOf(model), paidOf(model)];
    const [due, status] = [total - paid, statusOf(model)];
    switch (next.do) {
      case 'package': {
        const bundle = packages[next.which]!;
        const { code, value } = await attempt(() => addPackage(key, bundle.id));
        expect(code).toBe(status === 'PAID' || status === 'VOID' ? 'invalid_state' : 'ok');
        if (!value) return;
        const added = value.added_line_items.map(({ line_subtotal_cents }) => line_subtotal_cents);
        expect(added.reduce((sum, cents) => sum + cents, 0)).toBe(bundle.own ?? bundle.prices.reduce((sum, cents) => sum + cents, 0));
        model.lines.push(...added);
        return;
      }
      case 'pay':
      case 'payAll': {
        const amountCents = next.do === 'payAll' ? due : Math.ceil((due * next.share) / 100);
        const { code, value } = await attempt(() => recordPayment(key, { amountCents, method: 'cash', note: null, receivedAt: null }));
        const expected =
          amountCents <= 0
            ? 'invalid_amount'
            : model.isVoid
              ? 'invalid_state'
              : due === 0
                ? 'already_paid'
                : amountCents > due
                  ? 'overpayment'
                  : 'ok';
        expect(code).toBe(expected);
        if (!value) return;
        model.payments.push({ id: value.payment.id, cents: amountCents, isVoid: false });
        model.isIssued = true;
        return;
      }
      case 'refund': {
        const amountCents = Math.ceil((paid * next.share) / 100);
        const { code, value } = await attempt(() => refundPayment(key, { amountCents, method: 'cash', note: null }));
        expect(code).toBe(amountCents <= 0 ? 'invalid_amount' : amountCents > paid ? 'refund_exceeds_paid' : 'ok');
        if (value) model.payments.push({ id: value.payment.id, cents: -amountCents, isVoid: false });
        return;
      }
      case 'voidPayment': {
        const payment = model.payments[next.which % Math.max(1, model.payments.length)];
        if (!payment) return;
        const remaining = paid - payment.cents;
        const { code } = await attempt(() => voidPayment(key, payment.id, null));
        expect(code).toBe(payment.isVoid ? 'already_void' : remaining < 0 || remaining > total ? 'invalid_state' : 'ok');
        if (code === 'ok') payment.isVoid = true;
        return;
      }
      case 'voidInvoice': {
        const { code, value } = await attempt(() => voidInvoice(key, null));
        expect(code).toBe(status === 'PAID' ? 'already_paid' : status === 'VOID' ? 'already_void' : 'ok');
        if (!value) return;
        expect(value.details.unapplied_cents).toBe(paid);
        model.isVoid = true;
      }
    }
  }

  async check(): Promise<void> {
    const rows = await admin<Record<string, string>>(
      `SELECT i.id, i.status, i.subtotal_cents, i.tax_cents, i.total_cents, i.amount_paid_cents, i.amount_due_cents, i.paid_at IS NOT NULL AS paid,
          (SELECT array_agg(l.position ORDER BY l.position) FROM invoice_line_items l WHERE l.invoice_id = i.id) AS positions,
          (SELECT coalesce(sum(p.amount_cents), 0) FROM payments p WHERE p.invoice_id = i.id AND p.voided_at IS NULL) AS received
        FROM invoices i WHERE i.tenant_id = $1 AND i.appointment_id = $2 ORDER BY i.number`,
      [tenant.id, this.appointment.id],
    );
    expect(
      rows.map(({ id, status, subtotal_cents, tax_cents, total_cents, amount_paid_cents, amount_due_cents, received }) => ({
        id,
        status,
        amounts: [subtotal_cents, tax_cents, total_cents, amount_paid_cents, amount_due_cents, received].map(Number),
      })),
    ).toEqual(
      this.invoices.map((model) => {
        const subtotal = model.lines.reduce((sum, cents) => sum + cents, 0);
        const [total, paid] = [totalOf(model), paidOf(model)];
        return { id: model.id, status: statusOf(model), amounts: [subtotal, total - subtotal, total, paid, total - paid, paid] };
      }),
    );
    for (const [index, model] of this.invoices.entries()) {
      expect(rows[index]?.['positions']).toEqual(model.lines.map((_, position) => position));
      if (!model.isVoid) expect(rows[index]?.['paid']).toBe(statusOf(model) === 'PAID');
    }
    const live = this.invoices.find(({ isVoid }) => !isVoid);
    const [row] = await admin<{ total_cents: string | null; paid_cents: string }>(
      'SELECT total_cents, paid_cents FROM appointments WHERE id = $1',
      [this.appointment.id],
    );
    expect(Number(row?.paid_cents)).toBe(live ? paidOf(live) : 0);
    if (live) expect(Number(row?.total_cents)).toBe(totalOf(live));
    else if (this.invoices.length > 0) expect(Number(row?.total_cents)).toBe(this.services.reduce((sum, cents) => sum + cents, 0));
  }
}

test('any sequence of invoice, package, payment, refund and void › amounts, states and sums as in the model', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 99_999 }), { minLength: 1, maxLength: 3 }),
      fc.array(step, { minLength: 4, maxLength: 14 }),
      async (services, steps) => {
        const appointment = await createAppointment({ tenant, status: 'COMPLETED' });
        for (const cents of services) await addAppointmentService(appointment, { columns: { estimated_price_cents: cents } });
        const history = new History(appointment, services);
        for (const next of [{ do: 'generate' } as Step, ...steps]) {
          await history.take(next);
          await history.check();
        }
      },
    ),
    { numRuns: RUNS },
  );
  const [numbers] = await admin<{ gaps: string }>('SELECT max(number) - count(*) AS gaps FROM invoices WHERE tenant_id = $1', [tenant.id]);
  expect(numbers?.gaps).toBe('0');
});

test('everything at once on one invoice › whatever wins, the sums hold', async () => {
  const appointment = await createAppointment({ tenant, status: 'COMPLETED' });
  await addAppointmentService(appointment, { columns: { estimated_price_cents: 100_000 } });
  const { id } = await asOwner(() => createInvoice(appointment.id));
  const key = { invoiceId: id };
  const work = [
    ...Array.from(
      { length: 10 },
      (_, index) => () => recordPayment(key, { amountCents: 20_000 + index, method: 'card', note: null, receivedAt: null }),
    ),
    ...Array.from({ length: 5 }, () => () => refundPayment(key, { amountCents: 9_999, method: 'card', note: null })),
    ...Array.from({ length: 3 }, () => () => addPackage(key, packages[0]!.id)),
    () => createInvoice(appointment.id),
    () => voidInvoice(key, null),
  ];
  const outcomes = await Promise.all(work.map((one) => attempt<unknown>(one)));
  expect(outcomes.filter(({ code }) => code === 'ok').length).toBeGreaterThan(1);
  const [row] = await admin<Record<string, string>>(
    `SELECT amount_paid_cents, total_cents, (SELECT sum(total_cents) FROM invoice_line_items WHERE invoice_id = i.id) AS lines,
        (SELECT coalesce(sum(amount_cents), 0) FROM payments WHERE invoice_id = i.id AND voided_at IS NULL) AS received
      FROM invoices i WHERE id = $1`,
    [id],
  );
  expect([row?.['amount_paid_cents'], row?.['total_cents']]).toEqual([row?.['received'], row?.['lines']]);
});
