/** What happens in the slots of a seeded shop: appointments in every state, with their service lines, history and messages. */
import wording from '../../models/seeds/wording.json';
import type { Job, Slot } from './calendar';
import type { OperationRow } from './catalog';
import type { CustomerRow, VehicleRow } from './people';
import type { Random } from './random';
import type { StaffMember } from './staff';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Work that counts as finished but not yet handed over. */
const READY_FOR_MS = 75 * MINUTE_MS;
const DAYS_BETWEEN_VISITS = 5;

export type Status = 'SCHEDULED' | 'IN_PROGRESS' | 'READY' | 'COMPLETED' | 'NO_SHOW' | 'CANCELED';

/** The way to each state, as the state machine allows it. */
const PATHS: Readonly<Record<Status, readonly Status[]>> = {
  SCHEDULED: ['SCHEDULED'],
  IN_PROGRESS: ['SCHEDULED', 'IN_PROGRESS'],
  READY: ['SCHEDULED', 'IN_PROGRESS', 'READY'],
  COMPLETED: ['SCHEDULED', 'IN_PROGRESS', 'READY', 'COMPLETED'],
  NO_SHOW: ['SCHEDULED', 'NO_SHOW'],
  CANCELED: ['SCHEDULED', 'CANCELED'],
};

export interface AppointmentRow {
  readonly tenant_id: string;
  readonly id: number;
  readonly customer_id: number;
  readonly vehicle_id: number;
  readonly tech_id: string;
  readonly status: Status;
  readonly start_ts: Date;
  readonly end_ts: Date | null;
  readonly block_end_ts: Date;
  readonly title: string;
  readonly notes: string | null;
  readonly location_address: string;
  readonly primary_operation_id: string | null;
  readonly service_category: string | null;
  readonly total_cents: number;
  paid_cents: number;
  readonly check_in_at: Date | null;
  readonly check_out_at: Date | null;
  readonly started_at: Date | null;
  readonly completed_at: Date | null;
  readonly source: string;
  readonly version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
}

export interface LineRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly appointment_id: number;
  readonly service_operation_id: string;
  readonly name: string;
  readonly notes: string | null;
  readonly estimated_hours: number;
  readonly estimated_price_cents: number;
  readonly category: string;
  readonly created_at: Date;
}

export interface WorkOptions {
  tenantId: string;
  appointmentIds: readonly number[];
  slots: readonly Slot[];
  customers: readonly CustomerRow[];
  vehicles: readonly VehicleRow[];
  /** Vehicles, each as often as it comes; see `visitors`. */
  visitors: readonly VehicleRow[];
  /** Exact number of visits of the first customer, the last of them still to come. */
  regularVisits: number;
  operations: readonly OperationRow[];
  staff: readonly StaffMember[];
  now: Date;
  /** Start of the shop's day today. */
  today: Date;
  dayOf: (at: Date) => string;
}

export interface Work {
  appointments: AppointmentRow[];
  links: object[];
  lines: LineRow[];
  history: object[];
  messages: object[];
}

/** Operations that are ordered more often than others; everything else weighs 1. */
const POPULAR: Readonly<Record<string, number>> = { MAINTENANCE: 6, BRAKES: 3, TIRES_STEERING_SUSPENSION: 2, ELECTRICAL_BATTERY: 2 };
const LONGEST_MINUTES = 240;

/** Draws jobs of one to three operations, and how long they take. */
export function jobs(random: Random, operations: readonly OperationRow[]): () => Job {
  const chargeable = operations.filter((operation) => operation.default_price_cents > 0);
  const weighted = chargeable.map((operation) => [operation, POPULAR[operation.category] ?? 1] as const);
  const checks = operations.filter((operation) => operation.default_price_cents === 0);
  return () => {
    const chosen = new Set([random.weighted(weighted)]);
    if (random.chance(0.35)) chosen.add(random.weighted(weighted));
    if (random.chance(0.25)) chosen.add(random.pick(checks));
    const hours = [...chosen].reduce((sum, operation) => sum + operation.default_hours, 0);
    return {
      minutes: Math.min(LONGEST_MINUTES, Math.max(30, Math.ceil((hours * 60) / 15) * 15)),
      operations: [...chosen].map(({ id, default_price_cents: price }) => ({
        id,
        // Most pay the catalogue price, some a round discount or surcharge.
        priceCents: random.chance(0.85) ? price : Math.round((price * random.int(90, 115)) / 10_000) * 100,
      })),
    };
  };
}

/** Turns slots into appointments with everything that belongs to them. */
export function inventWork(random: Random, options: WorkOptions): Work {
  const work: Work = { appointments: [], links: [], lines: [], history: [], messages: [] };
  const statusOf = statuses(random, options);
  const vehicleOf = assignVehicles(random, options);
  const customers = new Map(options.customers.map((customer) => [customer.id, customer]));
  const operations = new Map(options.operations.map((operation) => [operation.id, operation]));
  const shift = stampShift(options);
  for (const [index, slot] of options.slots.entries()) {
    const id = options.appointmentIds[index];
    const vehicle = vehicleOf(slot, index);
    const customer = customers.get(vehicle.customer_id);
    if (id === undefined || !customer) throw new Error('Every slot needs an id and a customer');
    const appointment = appoint(random, options, { id, slot, vehicle, customer, operations, status: statusOf(slot, index), shift });
    work.appointments.push(appointment);
    work.lines.push(...linesOf(random, appointment, slot, operations));
    work.history.push(...historyOf(random, appointment, options.staff));
    work.messages.push(...messagesOf(random, appointment, customer, options));
    if (appointment.status === 'COMPLETED') countService(vehicle, appointment, options);
    work.links.push({
      tenant_id: options.tenantId,
      appointment_id: id,
      vehicle_id: vehicle.id,
      mileage_at_service: mileage(vehicle, appointment, options),
    });
    rememberSince(customer, vehicle, appointment.created_at);
  }
  return work;
}

/** How far work done today lies in the past: early in the morning the day's jobs were brought forward rather than left undone. */
function stampShift({ now, today }: WorkOptions): { middle: number; backMs: number } {
  const hour = 60 * MINUTE_MS;
  const opening = today.getTime() + 8 * hour;
  const progress = Math.min(0.65, Math.max(0.4, (now.getTime() - opening) / (10 * hour)));
  const middle = opening + progress * 10 * hour;
  return { middle, backMs: Math.max(0, middle - now.getTime()) };
}

/** Today's column by where the moment lies in the slot; mostly done work before, booked work after. */
function statuses(random: Random, options: WorkOptions): (slot: Slot, index: number) => Status {
  const { middle } = stampShift(options);
  const latestPastDay = Math.max(...options.slots.filter((slot) => slot.day < 0).map((slot) => slot.day));
  const carried: Status[] = ['IN_PROGRESS', 'READY', 'IN_PROGRESS'];
  const today = new Map<number, Status>();
  for (const [index, slot] of options.slots.entries()) {
    if (slot.day !== 0) continue;
    const [start, end] = [slot.start.getTime(), slot.end.getTime()];
    today.set(index, end < middle - READY_FOR_MS ? 'COMPLETED' : end < middle ? 'READY' : start < middle ? 'IN_PROGRESS' : 'SCHEDULED');
  }
  fillColumns(today);
  return (slot, index) => {
    if (slot.day === 0) return today.get(index) ?? 'SCHEDULED';
    if (slot.day > 0) return random.chance(0.95) ? 'SCHEDULED' : 'CANCELED';
    // A few jobs stayed overnight.
    if (slot.day === latestPastDay && carried.length > 0 && random.chance(0.3)) return carried.pop() ?? 'COMPLETED';
    return random.weighted([
      ['COMPLETED', 90],
      ['CANCELED', 6],
      ['NO_SHOW', 4],
    ]);
  };
}

/** Gives every column of the board a card where there are enough jobs, and one booking that was called off. */
function fillColumns(today: Map<number, Status>): void {
  const order = [...today.keys()];
  const last = (status: Status): number | undefined => order.filter((index) => today.get(index) === status).at(-1);
  const turn = (from: Status, to: Status): void => {
    const index = last(from);
    if (index !== undefined && order.filter((each) => today.get(each) === from).length > 1) today.set(index, to);
  };
  if (last('READY') === undefined) turn('COMPLETED', 'READY');
  if (last('IN_PROGRESS') === undefined) turn('SCHEDULED', 'IN_PROGRESS');
  turn('COMPLETED', 'NO_SHOW');
  turn('SCHEDULED', 'CANCELED');
}

/** One vehicle for each slot: never twice on one day, with some days between visits where that can be had. */
function assignVehicles(
  random: Random,
  { slots, vehicles, visitors, regularVisits }: WorkOptions,
): (slot: Slot, index: number) => VehicleRow {
  const regular = vehicles[0];
  const others = visitors.filter((vehicle) => vehicle.customer_id !== regular?.customer_id);
  const pastCount = slots.filter((slot) => slot.day < 0).length;
  const stride = Math.max(1, Math.floor(pastCount / regularVisits));
  const visits = new Map<number, number[]>();
  let visited = 0;
  let lastDay: number | undefined;
  const isRegularsTurn = ({ day }: Slot, index: number): boolean =>
    day !== lastDay && (day < 0 ? index % stride === 0 && visited < regularVisits - 1 : day > 0 && visited < regularVisits);
  return (slot, index) => {
    if (regular && isRegularsTurn(slot, index)) {
      visited += 1;
      lastDay = slot.day;
      return regular;
    }
    for (let attempt = 1; ; attempt += 1) {
      const vehicle = random.pick(others);
      const days = visits.get(vehicle.id) ?? [];
      // After some attempts a short interval is accepted, but never a second visit on the same day.
      const apart = attempt > 20 ? 1 : DAYS_BETWEEN_VISITS;
      if (attempt > 1000) throw new Error('Too few vehicles for this many appointments');
      if (days.some((day) => Math.abs(day - slot.day) < apart)) continue;
      visits.set(vehicle.id, [...days, slot.day]);
      return vehicle;
    }
  };
}

interface Parts {
  id: number;
  slot: Slot;
  vehicle: VehicleRow;
  customer: CustomerRow;
  operations: ReadonlyMap<string, OperationRow>;
  status: Status;
  shift: { backMs: number };
}

function appoint(random: Random, options: WorkOptions, parts: Parts): AppointmentRow {
  const { slot, customer, vehicle, status } = parts;
  const primary = parts.operations.get(slot.job.operations[0]?.id ?? '');
  const steps = new Set(PATHS[status]);
  // Only today's stamps can lie ahead of the clock; they are moved back together.
  const backMs = slot.day === 0 ? parts.shift.backMs : 0;
  const stamp = (at: Date, minutes: number): Date => new Date(Math.min(at.getTime() + minutes * MINUTE_MS - backMs, options.now.getTime()));
  const started = steps.has('IN_PROGRESS') ? stamp(slot.start, random.int(0, 10)) : null;
  const ended = status === 'COMPLETED' ? stamp(slot.end, random.int(-5, 25)) : null;
  const completed = ended && started && ended < started ? started : ended;
  const arrived =
    started ?? (status === 'SCHEDULED' && slot.day === 0 && random.chance(0.25) ? stamp(slot.start, -random.int(5, 20)) : null);
  const created = new Date(
    Math.min(slot.start.getTime() - random.int(1, 20) * DAY_MS, options.now.getTime() - random.int(30, 3000) * MINUTE_MS),
  );
  // A no-show is noticed after the start, a cancellation comes some time after the booking.
  const calledOff =
    status === 'NO_SHOW'
      ? stamp(slot.start, 20)
      : new Date(created.getTime() + random.next() * (Math.min(slot.start.getTime(), options.now.getTime()) - created.getTime()));
  const openEnd = slot.job.minutes >= 60 && random.chance(0.08);
  return {
    tenant_id: options.tenantId,
    id: parts.id,
    customer_id: customer.id,
    vehicle_id: vehicle.id,
    tech_id: slot.technicianId,
    status,
    start_ts: slot.start,
    end_ts: openEnd ? null : slot.end,
    block_end_ts: openEnd ? new Date(slot.start.getTime() + 60 * MINUTE_MS) : slot.end,
    title: primary?.name ?? 'Service',
    notes: random.chance(0.2) ? random.pick(wording.jobNotes) : null,
    location_address: customer.address,
    primary_operation_id: primary?.id ?? null,
    service_category: primary?.category ?? null,
    total_cents: slot.job.operations.reduce((sum, { priceCents }) => sum + priceCents, 0),
    paid_cents: 0,
    check_in_at: arrived,
    check_out_at: completed,
    started_at: started,
    completed_at: completed,
    source: random.weighted([
      ['staff', 75],
      ['customer', 15],
      ['public', 10],
    ]),
    version: steps.size,
    created_at: created,
    updated_at: latest(status, { completed, ready: stamp(slot.end, 0), started, arrived, calledOff, created }),
  };
}

interface Moments {
  completed: Date | null;
  ready: Date;
  started: Date | null;
  arrived: Date | null;
  calledOff: Date;
  created: Date;
}

/** When the appointment came into the state it is in. */
function latest(status: Status, { completed, ready, started, arrived, calledOff, created }: Moments): Date {
  if (status === 'CANCELED' || status === 'NO_SHOW') return calledOff;
  if (status === 'READY' && started && ready > started) return ready;
  return completed ?? started ?? arrived ?? created;
}

function linesOf(random: Random, appointment: AppointmentRow, slot: Slot, operations: ReadonlyMap<string, OperationRow>): LineRow[] {
  return slot.job.operations.map(({ id, priceCents }, index) => {
    const operation = operations.get(id);
    if (!operation) throw new Error(`No operation ${id}`);
    return {
      tenant_id: appointment.tenant_id,
      id: random.uuid(),
      appointment_id: appointment.id,
      service_operation_id: id,
      name: operation.name,
      notes: appointment.status === 'COMPLETED' && random.chance(0.25) ? random.pick(wording.lineNotes) : null,
      estimated_hours: operation.default_hours,
      estimated_price_cents: priceCents,
      category: operation.category,
      created_at: new Date(appointment.created_at.getTime() + index),
    };
  });
}

function historyOf(random: Random, appointment: AppointmentRow, staff: readonly StaffMember[]): object[] {
  const path = PATHS[appointment.status];
  const { created_at: created, started_at: started, completed_at: completed, updated_at: updated } = appointment;
  const readyAt = completed ? new Date((Number(started) + Number(completed)) / 2) : updated;
  const at: Readonly<Record<Status, Date | null>> = {
    SCHEDULED: created,
    IN_PROGRESS: started,
    READY: readyAt,
    COMPLETED: completed,
    NO_SHOW: updated,
    CANCELED: updated,
  };
  return path.map((status, index) => {
    const actor = random.pick(staff);
    return {
      tenant_id: appointment.tenant_id,
      appointment_id: appointment.id,
      from_status: path[index - 1] ?? null,
      to_status: status,
      at: at[status] ?? created,
      actor_id: actor.id,
      actor_role: actor.role,
      source: index === 0 ? 'create' : random.pick(['move', 'quick', 'patch']),
    };
  });
}

function messagesOf(random: Random, appointment: AppointmentRow, customer: CustomerRow, { staff, now }: WorkOptions): object[] {
  const channel = customer.sms_consent && customer.phone ? 'sms' : customer.email ? 'email' : null;
  if (!channel || !random.chance(0.45)) return [];
  const message = (body: string, direction: 'in' | 'out', at: Date) => ({
    tenant_id: appointment.tenant_id,
    id: random.uuid(),
    appointment_id: appointment.id,
    customer_id: customer.id,
    channel,
    direction,
    status: direction === 'in' || random.chance(0.95) ? 'delivered' : 'failed',
    body,
    sent_at: at,
    delivered_at: at,
    created_by: direction === 'out' ? random.pick(staff).id : null,
    created_at: at,
  });
  const { created_at: created, completed_at: completed, start_ts: start } = appointment;
  const found = [message(random.pick(wording.confirmations), 'out', created)];
  const reminder = new Date(start.getTime() - DAY_MS);
  if (reminder < now && reminder > created) found.push(message(random.pick(wording.reminders), 'out', reminder));
  if (reminder < now && random.chance(0.4))
    found.push(message(random.pick(wording.replies), 'in', new Date(Number(found.at(-1)?.sent_at) + 7 * MINUTE_MS)));
  if (completed) found.push(message(random.pick(wording.readiness), 'out', completed));
  return found.map((row) =>
    row.status === 'failed' ? { ...row, delivered_at: null, error_code: 'unreachable' } : { ...row, error_code: null },
  );
}

function countService(vehicle: VehicleRow, { start_ts: start, completed_at: completed }: AppointmentRow, { dayOf }: WorkOptions): void {
  vehicle.total_services += 1;
  vehicle.last_service_date = dayOf(start);
  if (completed && completed > vehicle.updated_at) vehicle.updated_at = completed;
}

/** The vehicle's distance now, less what it has been driven since; nothing for a visit that has not happened. */
function mileage(vehicle: VehicleRow, { started_at: started }: AppointmentRow, { now }: WorkOptions): number | null {
  if (!started) return null;
  const MILES_PER_DAY = 31;
  return Math.max(10, vehicle.mileage - Math.round(((now.getTime() - started.getTime()) / DAY_MS) * MILES_PER_DAY));
}

/** Nobody's first booking lies before the day the shop came to know them. */
function rememberSince(customer: CustomerRow, vehicle: VehicleRow, booked: Date): void {
  if (booked < customer.created_at) {
    const since = new Date(booked.getTime() - MINUTE_MS);
    customer.created_at = since;
    customer.customer_since = since;
    if (customer.sms_consent_date) customer.sms_consent_date = since;
    if (customer.updated_at < since) customer.updated_at = since;
  }
  if (vehicle.created_at > customer.created_at) vehicle.created_at = customer.created_at;
}
