/** Dashboard and analytics: every number is counted once more here, in plain JavaScript, over random shops. */
import fc from 'fast-check';
import { clock } from '../../lib/clock';
import { formatCycle } from '../../presenters/analytics.presenter';
import { admin } from '../support/database';
import {
  addAppointmentService,
  createAppointment,
  createCustomer,
  createServiceOperation,
  createStaff,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { type Bill, createRandomShop, type RandomShop, ShopPlan, type Work } from '../support/random-shop';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';
import { countWarmStatements } from '../support/warm-statements';

const DAY_MS = 86_400_000;
const SPENT = new Set(['IN_PROGRESS', 'READY', 'COMPLETED']);
/** Half of the last digit, and a little for a tie that is rounded the other way. */
const TWO_DECIMALS = 1.9;
const STATUSES = ['SCHEDULED', 'IN_PROGRESS', 'READY', 'COMPLETED', 'NO_SHOW', 'CANCELED'];

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
const ownerOf = async (tenant: Tenant): Promise<Agent> => actAs(app, await createStaff({ tenant, role: 'Owner' }));

// ------------------------------------------------------------------ counting by hand

const dayIn = (timeZone: string, at: Date): string =>
  new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(at);
const shift = (day: string, days: number): string => new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);
/** Monday is 0. */
const weekdayOf = (day: string): number => (new Date(day).getUTCDay() + 6) % 7;
function bucketOf(day: string, granularity: string): string {
  if (granularity === 'month') return `${day.slice(0, 8)}01`;
  return granularity === 'week' ? shift(day, -weekdayOf(day)) : day;
}
function bucketsOf({ from, to, granularity }: Wanted): string[] {
  const all = new Set<string>();
  for (let day = from; day <= to; day = shift(day, 1)) all.add(bucketOf(day, granularity));
  return [...all];
}
const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
const mean = (values: number[]): number | null => (values.length === 0 ? null : sum(values) / values.length);

interface Wanted {
  from: string;
  to: string;
  granularity: string;
}

/** What the service ought to say of this shop. */
class Expected {
  readonly shop: RandomShop;
  readonly wanted: Wanted;
  readonly now: Date;
  constructor(shop: RandomShop, wanted: Wanted, now: Date) {
    this.shop = shop;
    this.wanted = wanted;
    this.now = now;
  }
  day(at: Date): string {
    return dayIn(this.shop.tenant.timeZone, at);
  }
  covers(at: Date): boolean {
    return this.day(at) >= this.wanted.from && this.day(at) <= this.wanted.to;
  }
  bucket(at: Date): string {
    return bucketOf(this.day(at), this.wanted.granularity);
  }
  get alive(): Work[] {
    return this.shop.work.filter(({ deleted }) => !deleted);
  }
  get found(): Work[] {
    return this.alive.filter(({ start }) => this.covers(start));
  }
  get bills(): Bill[] {
    return this.shop.work.flatMap(({ bill }) => (bill && this.covers(bill.at) ? [bill] : []));
  }
  get payments(): Bill['payments'] {
    return this.shop.work.flatMap(({ bill }) => bill?.payments ?? []).filter(({ voided, at }) => !voided && this.covers(at));
  }
  trend<T extends object>(value: (bucket: string) => T): object[] {
    return bucketsOf(this.wanted).map((bucketStart) => ({ bucketStart, ...value(bucketStart) }));
  }
  count(status: string): number {
    return this.found.filter((one) => one.status === status).length;
  }
  /** Hours. */
  get cycle(): number | null {
    const hours = mean(this.found.flatMap(({ cycleHours }) => (cycleHours === null ? [] : [cycleHours])));
    return hours === null ? null : hours;
  }
  get collected(): number {
    return sum(this.payments.map(({ cents }) => cents));
  }
  get unpaid(): number {
    return sum(
      this.alive
        .filter(({ status }) => SPENT.has(status))
        .map(({ bill, totalCents, paidCents, lines }) => {
          if (bill && bill.status !== 'VOID') return bill.dueCents;
          const price = totalCents !== null && totalCents > 0 ? totalCents : sum(lines.map(({ cents }) => cents ?? 0));
          return Math.max(0, price - paidCents);
        }),
    );
  }
  dashboard(): object {
    const jobs = this.found.length - this.count('CANCELED');
    const completed = this.count('COMPLETED');
    return {
      jobsToday: jobs,
      carsOnPremises: this.alive.filter(({ here }) => here).length,
      scheduled: this.count('SCHEDULED'),
      inProgress: this.count('IN_PROGRESS'),
      ready: this.count('READY'),
      completed,
      noShow: this.count('NO_SHOW'),
      unpaidTotal: this.unpaid / 100,
      today_completed: completed,
      totals: {
        today_completed: completed,
        today_booked: jobs,
        avg_cycle: this.cycle === null ? null : expect.closeTo(this.cycle, TWO_DECIMALS),
        avg_cycle_formatted: expect.any(String),
      },
      completedToday: completed,
      pendingAppointments: this.count('SCHEDULED'),
      todayRevenue: this.collected / 100,
    };
  }
  revenue(): object {
    const live = this.bills.filter(({ status }) => status !== 'VOID');
    const invoiced = sum(live.map(({ totalCents }) => totalCents));
    const methods = [...new Set(this.payments.map(({ method }) => method))].map((method) => {
      const mine = this.payments.filter((one) => one.method === method);
      return { method, amount_cents: sum(mine.map(({ cents }) => cents)), count: mine.length };
    });
    return {
      range: this.wanted,
      totals: {
        invoiced_cents: invoiced,
        collected_cents: this.collected,
        outstanding_cents: sum(live.map(({ dueCents }) => dueCents)),
        voided_cents: sum(this.bills.filter(({ status }) => status === 'VOID').map(({ totalCents }) => totalCents)),
        average_invoice_cents: live.length === 0 ? 0 : Math.round(invoiced / live.length),
      },
      trend: this.trend((bucket) => ({
        invoiced_cents: sum(live.filter(({ at }) => this.bucket(at) === bucket).map(({ totalCents }) => totalCents)),
        collected_cents: sum(this.payments.filter(({ at }) => this.bucket(at) === bucket).map(({ cents }) => cents)),
      })),
      by_method: methods.sort((a, b) => b.amount_cents - a.amount_cents || (a.method < b.method ? -1 : 1)),
    };
  }
  appointments(): object {
    const tally = (list: Work[]) => ({ count: list.length, completed: list.filter(({ status }) => status === 'COMPLETED').length });
    const technicians = [...new Set(this.found.map(({ techId }) => techId))].map((tech_id) => ({
      tech_id,
      name: this.shop.technicians.find(({ id }) => id === tech_id)?.name ?? 'Unassigned',
      ...tally(this.found.filter(({ techId }) => techId === tech_id)),
    }));
    return {
      range: this.wanted,
      totals: {
        total: this.found.length,
        by_status: Object.fromEntries(STATUSES.map((status) => [status, this.count(status)])),
        avg_cycle_hours: this.cycle === null ? null : expect.closeTo(this.cycle, TWO_DECIMALS),
      },
      trend: this.trend((bucket) => tally(this.found.filter(({ start }) => this.bucket(start) === bucket))),
      by_technician: technicians,
      by_weekday: [0, 1, 2, 3, 4, 5, 6].map((index) => this.found.filter(({ start }) => weekdayOf(this.day(start)) === index).length),
    };
  }
  customers(): object {
    const visits = this.alive.filter(
      ({ status, start, customerId }) => !['CANCELED', 'NO_SHOW'].includes(status) && start <= this.now && customerId !== null,
    );
    const of = (id: number) => visits.filter(({ customerId }) => customerId === id);
    const visitors = this.shop.customers
      .map(({ id, name }) => ({ id, name, mine: of(id).filter(({ start }) => this.covers(start)) }))
      .filter(({ mine }) => mine.length > 0);
    const returning = visitors.filter(({ id }) => of(id).filter(({ start }) => this.day(start) <= this.wanted.to).length > 1).length;
    const arrivals = this.shop.customers.filter(({ at }) => this.covers(at));
    const top = visitors.map(({ id, name, mine }) => ({
      customer_id: String(id),
      name,
      visits: mine.length,
      revenue_cents: sum(mine.filter(({ status }) => SPENT.has(status)).map(({ totalCents }) => totalCents ?? 0)),
    }));
    return {
      range: this.wanted,
      totals: {
        customers: visitors.length,
        new: arrivals.length,
        returning,
        repeat_rate: visitors.length === 0 ? null : expect.closeTo(returning / visitors.length, 4),
      },
      trend: this.trend((bucket) => ({ new: arrivals.filter(({ at }) => this.bucket(at) === bucket).length })),
      top: top.sort((a, b) => b.revenue_cents - a.revenue_cents || b.visits - a.visits || Number(a.customer_id) - Number(b.customer_id)),
    };
  }
  topServices(): { service_operation_id: string | null; name: string; count: number; revenue_cents: number }[] {
    const groups = new Map<string, { service_operation_id: string | null; name: string; count: number; revenue_cents: number }>();
    for (const { operationId, name, cents } of this.found.filter(({ status }) => SPENT.has(status)).flatMap(({ lines }) => lines)) {
      const key = `${operationId}|${name}`;
      const group = groups.get(key) ?? { service_operation_id: operationId, name, count: 0, revenue_cents: 0 };
      groups.set(key, { ...group, count: group.count + 1, revenue_cents: group.revenue_cents + (cents ?? 0) });
    }
    const order = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    return [...groups.values()].sort((a, b) => b.count - a.count || b.revenue_cents - a.revenue_cents || order(a, b)).slice(0, 10);
  }
}

const share = (part: number, whole: number) => (whole === 0 ? null : expect.closeTo(part / whole, 4));
const byTechnician = (data: { by_technician: { tech_id: string | null; count: number }[] }) => ({
  ...data,
  by_technician: [...data.by_technician].sort((a, b) => b.count - a.count || String(a.tech_id).localeCompare(String(b.tech_id))),
});

/** Today, and days after changes of the clocks: spring and autumn, north and south, one of them just ahead. */
const Now = fc.constantFrom(null, '2026-04-04T09:00:00Z', '2026-10-20T23:30:00Z', '2026-11-06T03:15:00Z');
const Range = fc.record({
  back: fc.integer({ min: 0, max: 50 }),
  length: fc.integer({ min: 0, max: 49 }),
  granularity: fc.constantFrom('day', 'week', 'month'),
});

test('every figure equals a count by hand, for random shops in several time zones, ranges and granularities', async () => {
  await fc.assert(
    fc.asyncProperty(ShopPlan, fc.array(Range, { minLength: 2, maxLength: 3 }), Now, async (plan, ranges, instant) => {
      const now = instant === null ? new Date() : new Date(instant);
      const shop = await createRandomShop(plan, now);
      const agent = await ownerOf(shop.tenant);
      const read = async (path: string, query: object) => {
        const { status, body } = await agent.get(path).query(query);
        expect([status, body.error]).toEqual([200, null]);
        return body;
      };
      const today = dayIn(shop.tenant.timeZone, now);
      const restore = clock.override(() => now);
      try {
        for (const { back, length, granularity } of ranges) {
          const from = shift(today, -back);
          const wanted = { from, to: shift(from, length), granularity };
          const expected = new Expected(shop, wanted, now);
          const { from: first, to } = wanted;
          expect((await read('/api/admin/dashboard/stats', { from: first, to })).data).toEqual(expected.dashboard());
          expect((await read('/api/admin/analytics/revenue', wanted)).data).toEqual(expected.revenue());
          const work = (await read('/api/admin/analytics/appointments', wanted)).data;
          expect(byTechnician(work)).toEqual(byTechnician(expected.appointments() as never));
          const counts = work.by_technician.map(({ count }: { count: number }) => count);
          expect(counts).toEqual([...counts].sort((a, b) => b - a));
          expect((await read('/api/admin/analytics/customers', wanted)).data).toEqual(expected.customers());
          const { found } = expected;
          const jobs = found.length - expected.count('CANCELED');
          expect((await read('/api/admin/analytics/dashboard', wanted)).data).toEqual({
            range: wanted,
            ...expected.dashboard(),
            revenue_cents: expected.collected,
            outstanding_cents: sum(expected.bills.filter(({ status }) => status !== 'VOID').map(({ dueCents }) => dueCents)),
            appointments_total: found.length,
            completion_rate: share(expected.count('COMPLETED'), jobs),
            no_show_rate: share(expected.count('NO_SHOW'), jobs),
            new_customers: shop.customers.filter(({ at }) => expected.covers(at)).length,
            top_services: expected.topServices(),
          });
        }
      } finally {
        restore();
      }
    }),
    { numRuns: 10, endOnFailure: true },
  );
});

// ------------------------------------------------------------------ dashboard

describe('GET /api/admin/dashboard/stats', () => {
  test('nothing today › zeros, no cycle, and the same at the root', async () => {
    const agent = await ownerOf(await createTenant());
    const { status, body, headers } = await agent.get('/api/admin/dashboard/stats');
    expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
    expect(body.data).toMatchObject({
      jobsToday: 0,
      carsOnPremises: 0,
      unpaidTotal: 0,
      totals: { avg_cycle: null, avg_cycle_formatted: 'N/A' },
    });
    expect(body).toMatchObject(body.data);
  });

  test('default › today of the shop; a write shows at once', async () => {
    const tenant = await createTenant({ timeZone: 'Pacific/Kiritimati' });
    const agent = await ownerOf(tenant);
    const read = async () => (await agent.get('/api/admin/dashboard/stats')).body.jobsToday;
    await createAppointment({ tenant, start: new Date(), columns: { end_ts: null } });
    await createAppointment({ tenant, start: new Date(Date.now() - 2 * DAY_MS) });
    expect(await read()).toBe(1);
    await createAppointment({ tenant, start: new Date(), columns: { end_ts: null } });
    expect(await read()).toBe(2);
  });

  test('only one end given › the other is today, or that very day where today would turn the range around', async () => {
    const tenant = await createTenant({ timeZone: 'UTC' });
    const agent = await ownerOf(tenant);
    const day = (offset: number) => new Date(Date.now() + offset * DAY_MS).toISOString().slice(0, 10);
    for (const offset of [-3, 0, 3]) await createAppointment({ tenant, start: new Date(`${day(offset)}T12:00:00Z`) });
    const jobs = async (query: object) => (await agent.get('/api/admin/dashboard/stats').query(query)).body.data.jobsToday;
    expect(await jobs({ from: day(-3) })).toBe(2);
    expect(await jobs({ to: day(3) })).toBe(2);
    expect(await jobs({ from: day(3) })).toBe(1);
    expect(await jobs({ to: day(-3) })).toBe(1);
    expect(await jobs({ from: `${day(-3)}T13:00:00Z`, to: day(3) })).toBe(2);
  });

  test.each([
    [{ from: 'yesterday' }, "Invalid 'from' date format"],
    [{ to: '2026-02-30' }, "Invalid 'to' date format"],
    [{ from: '2026-02-02', to: '2026-02-01' }, "'from' must not be after 'to'"],
  ])('%j › 400', async (query, message) => {
    const agent = await ownerOf(await createTenant());
    const { status, body } = await agent.get('/api/admin/dashboard/stats').query(query);
    expect([status, body.error]).toEqual([400, { code: 'bad_request', message }]);
  });
});

test.each([
  [null, 'N/A'],
  [-1, 'N/A'],
  [0.5, '30m'],
  [0.995, '1h'],
  [1, '1h'],
  [1.5, '1.5h'],
  [23.96, '1d'],
  [24, '1d'],
  [25.5, '1d 1.5h'],
  [48, '2d'],
])('a cycle of %s hours reads %s', (hours, text) => {
  expect(formatCycle(hours)).toBe(text);
});

describe('GET /api/admin/cars-on-premises', () => {
  test('arrived and not left › listed in order of arrival with car and owner; others are not', async () => {
    const tenant = await createTenant();
    const agent = await ownerOf(tenant);
    const customer = await createCustomer({ tenant });
    const at = (hours: number) => new Date(Date.UTC(2026, 0, 5, hours));
    const vehicle = await createVehicle({ customer });
    const late = await createAppointment({ tenant, vehicle, start: at(9), columns: { check_in_at: at(10) } });
    const early = await createAppointment({ tenant, start: at(9), columns: { check_in_at: at(8), end_ts: null } });
    await createAppointment({ tenant, start: at(9), columns: { check_in_at: at(7), check_out_at: at(8) } });
    await createAppointment({ tenant, start: at(9), columns: { check_in_at: at(7), deleted_at: at(8) } });
    const { body } = await agent.get('/api/admin/cars-on-premises');
    expect(body.cars_on_premises).toEqual([
      {
        id: String(early.id),
        make: null,
        model: null,
        owner: null,
        arrivalTime: at(8).toISOString(),
        status: 'SCHEDULED',
        pickupTime: null,
      },
      {
        id: String(late.id),
        make: vehicle.make,
        model: vehicle.model,
        owner: customer.name,
        arrivalTime: at(10).toISOString(),
        status: 'SCHEDULED',
        pickupTime: at(10).toISOString(),
      },
    ]);
    expect(body.data.cars_on_premises).toEqual(body.cars_on_premises);
  });
});

// ------------------------------------------------------------------ ranges of analytics

const PATHS = ['dashboard', 'revenue', 'appointments', 'customers'].map((name) => `/api/admin/analytics/${name}`);

describe.each(PATHS)('GET %s', (path) => {
  let agent: Agent;
  let tenant: Tenant;
  beforeAll(async () => {
    tenant = await createTenant({ timeZone: 'Pacific/Auckland' });
    agent = await ownerOf(tenant);
  });

  test('no parameters › the last thirty days of the shop', async () => {
    const { body } = await agent.get(path);
    const today = dayIn(tenant.timeZone, new Date());
    expect(body.data.range).toEqual({ from: shift(today, -29), to: today, granularity: 'day' });
    if (body.data.trend) expect(body.data.trend).toHaveLength(30);
  });

  test('weeks and months › begin on Monday and on the first', async () => {
    const starts = async (granularity: string) => {
      const { body } = await agent.get(path).query({ from: '2026-02-27', to: '2026-03-10', granularity });
      return body.data.trend?.map(({ bucketStart }: { bucketStart: string }) => bucketStart);
    };
    if (path.endsWith('dashboard')) return expect(await starts('week')).toBeUndefined();
    expect(await starts('week')).toEqual(['2026-02-23', '2026-03-02', '2026-03-09']);
    expect(await starts('month')).toEqual(['2026-02-01', '2026-03-01']);
  });

  test.each([
    [{ from: '2026-13-01' }, "Invalid 'from' date format"],
    [{ to: 'soon' }, "Invalid 'to' date format"],
    [{ from: '2026-03-02', to: '2026-03-01' }, "'from' must not be after 'to'"],
    [{ from: '2025-01-01', to: '2026-01-02' }, 'The range must not be longer than 366 days'],
    [{ granularity: 'hour' }, "Invalid 'granularity' parameter"],
  ])('%j › 400', async (query, message) => {
    const { status, body } = await agent.get(path).query(query);
    expect([status, body.error]).toEqual([400, { code: 'bad_request', message }]);
  });

  test('366 days › accepted, and no more statements than for one', async () => {
    const budget = path.endsWith('dashboard') ? 2 : 1;
    for (const from of ['2025-01-01', '2026-01-01']) {
      const { result, statements } = await countWarmStatements(() => agent.get(path).query({ from, to: '2026-01-01' }));
      expect([result.status, statements.length]).toEqual([200, budget]);
    }
  });
});

test('more than the lists hold › the best twenty customers and the ten services most done', async () => {
  const tenant = await createTenant();
  const agent = await ownerOf(tenant);
  const cents = (index: number) => 100 * ((index * 7) % 22) + 1;
  const people: { id: number; cents: number }[] = [];
  for (let index = 0; index < 22; index += 1) {
    const customer = await createCustomer({ tenant });
    const start = new Date(Date.now() - (index + 1) * 60_000);
    const appointment = await createAppointment({
      tenant,
      customer,
      status: 'COMPLETED',
      start,
      columns: { end_ts: null, total_cents: cents(index) },
    });
    people.push({ id: customer.id, cents: cents(index) });
    for (let service = 0; service <= Math.min(index, 11); service += 1)
      await addAppointmentService(appointment, { columns: { name: `Service ${service}` } });
  }
  const { top } = (await agent.get('/api/admin/analytics/customers')).body.data;
  const best = people.sort((a, b) => b.cents - a.cents).slice(0, 20);
  expect(top.map((one: { customer_id: string; revenue_cents: number }) => [one.customer_id, one.revenue_cents])).toEqual(
    best.map((one) => [String(one.id), one.cents]),
  );
  const { top_services } = (await agent.get('/api/admin/analytics/dashboard')).body.data;
  expect(top_services.map(({ name, count }: { name: string; count: number }) => [name, count])).toEqual(
    Array.from({ length: 10 }, (_, service) => [`Service ${service}`, 22 - service]),
  );
});

test('services › a catalogue service under its present name however the lines call it, free text under its own', async () => {
  const tenant = await createTenant();
  const agent = await ownerOf(tenant);
  const operation = await createServiceOperation({ tenant });
  const appointment = await createAppointment({ tenant, status: 'COMPLETED', start: new Date(), columns: { end_ts: null } });
  await addAppointmentService(appointment, { operation, columns: { name: 'As it was called', estimated_price_cents: 700 } });
  await addAppointmentService(appointment, { operation });
  await addAppointmentService(appointment, { operation, columns: { deleted_at: new Date() } });
  await addAppointmentService(appointment, { columns: { name: 'Wash', estimated_price_cents: null } });
  await admin(`UPDATE service_operations SET name = 'Renamed' WHERE tenant_id = $1`, [tenant.id]);
  const { body } = await agent.get('/api/admin/analytics/dashboard');
  expect(body.data.top_services).toEqual([
    { service_operation_id: operation.id, name: 'Renamed', count: 2, revenue_cents: 700 + operation.priceCents },
    { service_operation_id: null, name: 'Wash', count: 1, revenue_cents: 0 },
  ]);
});
