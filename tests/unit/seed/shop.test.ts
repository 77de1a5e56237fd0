import { DateTime } from 'luxon';
import { passwordWeakness } from '../../../lib/passwords';
import { vinCheckDigit } from '../../../scripts/seed/people';
import { accountsOf, demoPlans, loadPlans } from '../../../scripts/seed/plans';
import { Random } from '../../../scripts/seed/random';
import { inventShop, type ShopPlan, type TableRows } from '../../../scripts/seed/shop';
import { newPassword } from '../../../scripts/seed/staff';
import type { AppointmentRow } from '../../../scripts/seed/work';

const ZONE = 'America/Los_Angeles';
const [demo] = demoPlans();
if (!demo) throw new Error('there is no demo plan');
const plan: ShopPlan = demo;

function invent(now: Date, chosen: ShopPlan = plan): Record<string, readonly Record<string, unknown>[]> {
  const count = (length: number) => Array.from({ length }, (_, index) => index + 1);
  const hashes = new Map([...chosen.staff, ...chosen.logins].map(({ password }) => [password, `hash of ${password}`]));
  const tables: TableRows[] = inventShop(
    chosen,
    { customers: count(chosen.customers), vehicles: count(chosen.vehicles), appointments: count(chosen.appointments) },
    hashes,
    now,
  );
  return Object.fromEntries(tables.map(({ table, rows }) => [table, rows as readonly Record<string, unknown>[]]));
}

const appointmentsOf = (tables: ReturnType<typeof invent>) => tables['appointments'] as unknown as AppointmentRow[];

/** Pairs of open appointments of one technician or vehicle that overlap, as the exclusion constraints would find them. */
function overlaps(appointments: readonly AppointmentRow[], key: 'tech_id' | 'vehicle_id'): number {
  const open = appointments.filter(({ status }) => ['SCHEDULED', 'IN_PROGRESS', 'READY'].includes(status));
  const ordered = open.toSorted((a, b) => String(a[key]).localeCompare(String(b[key])) || Number(a.start_ts) - Number(b.start_ts));
  return ordered.filter((row, index) => {
    const before = ordered[index - 1];
    return before !== undefined && before[key] === row[key] && before.block_end_ts > row.start_ts;
  }).length;
}

/** Moments at which a naive schedule breaks: around midnight, on a Sunday, and on the days the clocks change. */
const MOMENTS = [
  '2026-03-08T00:05:00',
  '2026-03-09T03:30:00',
  '2026-06-17T07:59:00',
  '2026-06-17T12:30:00',
  '2026-06-17T23:55:00',
  '2026-11-01T13:00:00',
  '2027-01-01T10:00:00',
];

describe.each(MOMENTS)('a demo shop seeded at %s shop time', (local) => {
  const now = DateTime.fromISO(local, { zone: ZONE }).toJSDate();
  const tables = invent(now);
  const appointments = appointmentsOf(tables);

  test('has the promised size', () => {
    expect([tables['customers']?.length, tables['vehicles']?.length, appointments.length]).toEqual([200, 300, 1000]);
    expect(tables['technicians']).toHaveLength(5);
    expect(tables['service_operations']).toHaveLength(52);
  });

  test('shows a card in every column of the board of today', () => {
    const day = DateTime.fromJSDate(now, { zone: ZONE }).toISODate();
    const today = appointments.filter(({ start_ts }) => DateTime.fromJSDate(start_ts, { zone: ZONE }).toISODate() === day);
    expect(new Set(today.map(({ status }) => status))).toEqual(
      new Set(['SCHEDULED', 'IN_PROGRESS', 'READY', 'COMPLETED', 'NO_SHOW', 'CANCELED']),
    );
    expect(today.some(({ status, check_in_at }) => status === 'SCHEDULED' && check_in_at !== null)).toBe(true);
    expect(today.length).toBeGreaterThan(12);
  });

  test('books nobody twice at one time', () => {
    expect(overlaps(appointments, 'tech_id')).toBe(0);
    expect(overlaps(appointments, 'vehicle_id')).toBe(0);
  });

  test('tells nothing of the future, and everything in order', () => {
    const ordered = (...moments: (Date | null)[]): boolean => {
      const known = moments.filter((moment) => moment !== null).map(Number);
      return known.every((moment, index) => moment >= (known[index - 1] ?? 0));
    };
    // Collected first: an assertion for each of some thousand rows would take longer than all the rest.
    const wrong = appointments.filter(
      ({ created_at, updated_at, check_in_at, started_at, completed_at, start_ts, status }) =>
        !ordered(check_in_at, now) ||
        !ordered(started_at, completed_at, now) ||
        !ordered(created_at, updated_at, now) ||
        !ordered(created_at, start_ts) ||
        (completed_at !== null) !== (status === 'COMPLETED'),
    );
    expect(wrong).toEqual([]);
    for (const table of ['messages', 'payments', 'invoices', 'customer_notes', 'customers', 'vehicles'])
      expect(tables[table]?.filter((row) => (row['created_at'] as Date) > now)).toEqual([]);
  });

  test('works in the daytime of its own zone', () => {
    const atNight = appointments.filter(({ start_ts, block_end_ts }) => {
      const start = DateTime.fromJSDate(start_ts, { zone: ZONE });
      return start.hour < 8 || Number(block_end_ts) > start.startOf('day').set({ hour: 19 }).toMillis();
    });
    expect(atNight).toEqual([]);
  });
});

describe('the books of a demo shop', () => {
  const tables = invent(new Date('2026-06-17T19:00:00Z'));
  const invoices = tables['invoices'] ?? [];
  const sumBy = (rows: readonly Record<string, unknown>[], key: string, value: string): Map<unknown, number> => {
    const sums = new Map<unknown, number>();
    for (const row of rows) sums.set(row[key], (sums.get(row[key]) ?? 0) + Number(row[value]));
    return sums;
  };

  test('number invoices from 1 without gaps, in the order they were made', () => {
    expect(invoices.map(({ number }) => number)).toEqual(invoices.map((_, index) => index + 1));
    const made = invoices.map(({ created_at }) => Number(created_at));
    expect(made).toEqual(made.toSorted((a, b) => a - b));
    expect(invoices.length).toBeGreaterThan(500);
  });

  test('agree: lines with totals, payments with what is paid, invoices with appointments', () => {
    const lines = sumBy(tables['invoice_line_items'] ?? [], 'invoice_id', 'total_cents');
    const payments = sumBy(tables['payments'] ?? [], 'invoice_id', 'amount_cents');
    const paidByAppointment = new Map(appointmentsOf(tables).map(({ id, paid_cents }) => [id, paid_cents]));
    for (const invoice of invoices) {
      expect(lines.get(invoice['id'])).toBe(invoice['total_cents']);
      expect(payments.get(invoice['id']) ?? 0).toBe(invoice['amount_paid_cents']);
      expect(invoice['amount_due_cents']).toBe(Number(invoice['total_cents']) - Number(invoice['amount_paid_cents']));
      if (invoice['status'] !== 'VOID')
        expect(paidByAppointment.get(invoice['appointment_id'] as number)).toBe(invoice['amount_paid_cents']);
    }
    const live = invoices.filter(({ status }) => status !== 'VOID').map(({ appointment_id }) => appointment_id);
    expect(new Set(live).size).toBe(live.length);
  });

  test('price an appointment by its lines', () => {
    const lines = sumBy(tables['appointment_services'] ?? [], 'appointment_id', 'estimated_price_cents');
    for (const { id, total_cents } of appointmentsOf(tables)) expect(lines.get(id)).toBe(total_cents);
  });
});

describe('a plan', () => {
  test('gives the same rows again for the same moment', () => {
    const now = new Date('2026-06-17T19:00:00Z');
    expect(invent(now)).toEqual(invent(now));
  });

  test('gives the first customer exactly the visits it promises', () => {
    const visits = appointmentsOf(invent(new Date('2026-06-17T19:00:00Z'))).filter(({ customer_id }) => customer_id === 1);
    expect(visits).toHaveLength(plan.regularVisits);
  });

  test('fails loudly when there are too few vehicles for the work', () => {
    expect(() => invent(new Date(), { ...plan, customers: 3, vehicles: 3 })).toThrow('Too few vehicles');
  });

  test('names demo passwords anew on every call, load passwords never', () => {
    const passwords = (plans: readonly ShopPlan[]) => plans.flatMap(accountsOf).map(({ password }) => password);
    expect(passwords(demoPlans())).not.toEqual(passwords(demoPlans()));
    expect(passwords(loadPlans())).toEqual(passwords(loadPlans()));
  });

  test('keeps catalogue text searchable: no hyphen that a keyboard lacks, prices for all but the free checks', () => {
    const operations = invent(new Date('2026-06-17T19:00:00Z'))['service_operations'] ?? [];
    expect(JSON.stringify(operations)).not.toContain('\u2011');
    expect(operations.filter(({ default_price_cents }) => default_price_cents === 0)).toHaveLength(2);
    expect(operations.find(({ id }) => id === 'OIL_HIGH_MILE')).toMatchObject({
      name: 'High-Mileage Oil Change',
      keywords: ['oil', 'high-mileage', 'seal'],
      display_order: 30,
    });
  });
});

test('generated passwords keep every rule', () => {
  const passwords = Array.from({ length: 300 }, newPassword);
  expect(passwords.filter((password) => passwordWeakness(password) !== null)).toEqual([]);
  expect(new Set(passwords).size).toBe(300);
});

test.each([
  ['1M8GDM9A_KP042788', 'X'],
  ['11111111_11111111', '1'],
  ['5GZCZ43D_3S812715', '1'],
])('the check digit of %s is %s', (number, digit) => {
  expect(vinCheckDigit(number.replace('_', '0'))).toBe(digit);
});

describe('random choices', () => {
  test('spread evenly enough and stay inside their bounds', () => {
    const random = new Random(7);
    const counts = new Map<number, number>();
    for (let draw = 0; draw < 6_000; draw += 1) {
      const value = random.int(1, 6);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    expect([...counts.keys()].toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(120);
  });

  test('make UUIDs of version 4 that differ', () => {
    const random = new Random(7);
    const found = new Set(Array.from({ length: 1_000 }, () => random.uuid()));
    expect(found.size).toBe(1_000);
    for (const id of found) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('never pick from nothing', () => {
    expect(() => new Random(1).pick([])).toThrow('Nothing to pick from');
    expect(() => new Random(1).weighted([])).toThrow('Nothing to pick from');
  });
});
