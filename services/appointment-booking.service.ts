/**
 * New appointments: by staff, by a customer for himself, and by strangers on the public booking page. Everything a booking
 * brings along (customer, car, service lines, history, audit) is stored in one transaction, so a refusal leaves nothing behind.
 */

import { clock } from '../lib/clock';
import { type Actor, context, tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest, Forbidden, NotFound, Unauthenticated, ValidationFailed } from '../lib/errors';
import { isBlocking, stampsAtCreation } from '../models/appointment-transitions';
import { Appointment, blockEnd } from '../models/appointments.model';
import { WRITTEN_APPOINTMENT } from '../models/appointments.queries';
import type { AppointmentStatus, CreateAppointment } from '../schemas/appointments.schema';
import { UUID } from '../schemas/uuid';
import { addOperationLines } from './appointment-lines.service';
import { claimSlot } from './appointment-slots.service';
import { writeHistory } from './appointment-status.service';
import { canBookForOthers, INSUFFICIENT } from './appointments.policy';
import { recordAudit } from './audit.service';
import { createUnverifiedCustomer, resolveCustomer, resolveVehicle } from './customer-resolution.service';
import { tenantSettings } from './tenant-settings.service';
import { countServices } from './vehicle-services.service';

const MINUTE_MS = 60_000;
/** A start that was fixed earlier than this before now is a mistake of typing, not a booking. */
const LATE_ENTRY_MS = 15 * MINUTE_MS;
/** How far ahead people outside the shop may book. */
const BOOKING_HORIZON_DAYS = 180;
const BOOKING_HORIZON_MS = BOOKING_HORIZON_DAYS * 24 * 60 * MINUTE_MS;

export interface Created {
  id: string;
  appointment: Record<string, unknown>;
}

/** A booking from whoever is asking: staff book anything, strangers only what the booking page offers. */
export async function createAppointment(booking: CreateAppointment): Promise<Created | BookingReceipt> {
  const { actor } = context();
  if (actor.kind === 'anonymous') return bookPublicly(booking);
  if (!canBookForOthers(actor)) throw new Forbidden(INSUFFICIENT);
  return bookAsStaff(booking);
}

/** The same by the path without `admin`: staff book anything, a customer books for himself. */
export function createOwnAppointment(booking: CreateAppointment): Promise<Created> {
  const { actor } = context();
  return actor.kind === 'customer' ? bookAsCustomer(actor, booking) : bookAsStaff(booking);
}

// ------------------------------------------------------------------ staff

async function bookAsStaff(booking: CreateAppointment): Promise<Created> {
  const { start: fixed, requestedTime, status } = booking;
  const start = fixed ?? requestedTime;
  if (start === null) throw startMissing();
  if (fixed !== null && isBlocking(status) && fixed.getTime() < clock.now().getTime() - LATE_ENTRY_MS)
    throw new ValidationFailed({ start_ts: 'too_far_in_past' }, 'start_ts too far in past');
  assertPaid(booking.paidCents, booking.totalCents);
  return inTransaction(async () => {
    const techId = await checkedReferences(booking);
    const customer = await resolveCustomer({ ...booking.customer, customerId: booking.customer.id });
    if (customer?.created && booking.smsConsent) await recordConsent(customer.id);
    const { id: vehicleId, ...car } = booking.vehicle;
    const vehicle = await resolveVehicle({ ...car, vehicleId, customerId: customer?.id ?? null });
    return store({
      ...booking,
      start,
      techId,
      customerId: customer?.id ?? vehicle?.customerId ?? null,
      vehicleId: vehicle?.id ?? null,
      source: 'staff',
    });
  });
}

// ------------------------------------------------------------------ a customer, for himself

/** Own car only; price, technician and status are the shop's. */
async function bookAsCustomer({ customerId }: Extract<Actor, { kind: 'customer' }>, booking: CreateAppointment): Promise<Created> {
  const start = assertBookable(booking);
  return inTransaction(async () => {
    const { id: vehicleId, ...car } = booking.vehicle;
    const vehicle = await resolveVehicle({ ...car, vehicleId, customerId });
    return store({
      ...booking,
      start,
      end: null,
      status: 'SCHEDULED',
      customerId,
      vehicleId: vehicle?.id ?? null,
      techId: null,
      primaryOperationId: null,
      totalCents: 0,
      paidCents: 0,
      mileage: null,
      source: 'customer',
    });
  });
}

// ------------------------------------------------------------------ strangers

export interface BookingReceipt {
  id: string;
  status: AppointmentStatus;
  start_ts: string;
  appointment: { id: string; status: AppointmentStatus; start_ts: string };
}

/**
 * A request from the booking page: an unverified customer and free text, nothing that touches a known row, an amount or
 * somebody's time.
 * @throws Unauthenticated while the shop takes no public bookings
 */
async function bookPublicly(booking: CreateAppointment): Promise<BookingReceipt> {
  if (!(await tenantSettings()).publicBooking) throw new Unauthenticated();
  const start = assertBookable(booking);
  return inTransaction(async () => {
    const { id: given, name, phone, email } = booking.customer;
    // The page sends the name in the id field; an id is not for strangers to choose.
    const named = name ?? (given !== null && !/^\d+$/.test(given) ? given : null);
    const isKnownAtAll = named !== null || phone !== null || email !== null;
    const customer = isKnownAtAll ? await createUnverifiedCustomer({ name: named, phone, email }) : null;
    if (customer && booking.smsConsent) await recordConsent(customer.id);
    const { year, make, model, plate } = booking.vehicle;
    const car = [year, make, model, plate].filter((part) => part !== null).join(' ');
    const notes = [booking.notes, car === '' ? null : `Vehicle: ${car}`].filter((text) => text !== null).join('\n') || null;
    const { title, locationAddress, serviceCategory } = booking;
    const { id } = await store({
      title,
      notes,
      locationAddress,
      serviceCategory,
      start,
      end: null,
      status: 'SCHEDULED',
      customerId: customer?.id ?? null,
      vehicleId: null,
      techId: null,
      primaryOperationId: null,
      operationIds: [],
      totalCents: 0,
      paidCents: 0,
      mileage: null,
      source: 'public',
    });
    const receipt = { id, status: 'SCHEDULED' as const, start_ts: start.toISOString() };
    return { ...receipt, appointment: receipt };
  });
}

// ------------------------------------------------------------------ shared

interface NewAppointment {
  start: Date;
  end: Date | null;
  status: AppointmentStatus;
  customerId: number | null;
  vehicleId: number | null;
  techId: string | null;
  title: string | null;
  notes: string | null;
  locationAddress: string | null;
  primaryOperationId: string | null;
  serviceCategory: string | null;
  operationIds: readonly string[];
  totalCents: number;
  paidCents: number;
  mileage: number | null;
  source: 'staff' | 'public' | 'customer';
}

async function store({ operationIds, mileage, ...values }: NewAppointment): Promise<Created> {
  const { start, end, status, customerId, vehicleId, techId } = values;
  const { defaultBlockMinutes } = await tenantSettings();
  const blockEndTs = blockEnd(start, end, defaultBlockMinutes);
  if (isBlocking(status)) await claimSlot({ techId, vehicleId, start, blockEnd: blockEndTs });
  const now = clock.now();
  const appointment = await Appointment.make<Appointment>({
    ...values,
    ...stampsAtCreation(status, { start, end, now }),
    startTs: start,
    endTs: end,
    blockEndTs,
    createdAt: now,
    updatedAt: now,
  });
  if (vehicleId !== null) await linkVehicle(appointment.id, vehicleId, mileage);
  if (operationIds.length > 0) await addOperationLines(appointment.id, operationIds);
  await writeHistory(appointment.id, [null, status], now, 'create');
  if (status === 'COMPLETED' && vehicleId !== null) await countServices(vehicleId, 1, appointment.completedAt);
  await recordAudit({
    action: 'APPT_CREATE',
    entity: 'appointment',
    entityId: appointment.id,
    after: {
      status,
      start_ts: start.toISOString(),
      customer_id: customerId,
      vehicle_id: vehicleId,
      tech_id: techId,
      source: values.source,
    },
  });
  return readBack(appointment.id);
}

async function readBack(id: number): Promise<Created> {
  const [row] = await query<{ appointment: Record<string, unknown>; vehicle: unknown }>(WRITTEN_APPOINTMENT, [tenant().id, id]);
  if (!row) throw new Error('An appointment that was just written cannot be read');
  return { id: String(id), appointment: { ...row.appointment, vehicle: row.vehicle } };
}

/** Ties the car to the visit, with its mileage at that time. */
async function linkVehicle(appointmentId: number, vehicleId: number, mileage: number | null): Promise<void> {
  await query(
    {
      name: 'appointment_vehicles_insert',
      text: 'INSERT INTO appointment_vehicles (tenant_id, appointment_id, vehicle_id, mileage_at_service) VALUES ($1, $2::bigint, $3::bigint, $4::int)',
    },
    [tenant().id, appointmentId, vehicleId, mileage],
  );
}

/**
 * The technician to store, once it and the headline operation are known to exist.
 * @throws BadRequest naming the one that does not
 */
async function checkedReferences({ techId, primaryOperationId }: CreateAppointment): Promise<string | null> {
  if (techId !== null) await assertTechnician(techId);
  if (primaryOperationId !== null) await assertOperation(primaryOperationId);
  return techId?.toLowerCase() ?? null;
}

/** @throws BadRequest 'tech_id not found or inactive' */
export async function assertTechnician(techId: string): Promise<void> {
  const found = UUID.test(techId)
    ? await query({ name: 'technicians_active', text: 'SELECT 1 FROM technicians WHERE tenant_id = $1 AND id = $2::uuid AND is_active' }, [
        tenant().id,
        techId,
      ])
    : [];
  if (found.length === 0) throw new BadRequest('tech_id not found or inactive', { details: { tech_id: 'not_found' } });
}

/** @throws BadRequest 'primary_operation_id not found' */
export async function assertOperation(operationId: string): Promise<void> {
  const found = await query(
    { name: 'service_operations_exists', text: 'SELECT 1 FROM service_operations WHERE tenant_id = $1 AND id = $2' },
    [tenant().id, operationId],
  );
  if (found.length === 0) throw new BadRequest('primary_operation_id not found', { details: { primary_operation_id: 'not_found' } });
}

/** @throws ValidationFailed when more was paid than is charged */
export function assertPaid(paidCents: number, totalCents: number): void {
  if (paidCents > totalCents) throw new ValidationFailed({ paid_amount: 'exceeds_total' }, 'paid_amount cannot exceed total_amount');
}

/** The start of a booking from outside: in the future, and not too far ahead. */
function assertBookable({ start: fixed, requestedTime }: CreateAppointment): Date {
  const start = fixed ?? requestedTime;
  if (start === null) throw startMissing();
  const ahead = start.getTime() - clock.now().getTime();
  if (ahead <= 0) throw new ValidationFailed({ start_ts: 'must_be_in_future' }, 'start must be in the future');
  if (ahead > BOOKING_HORIZON_MS)
    throw new ValidationFailed({ start_ts: 'too_far_ahead' }, `start must be within ${BOOKING_HORIZON_DAYS} days`);
  return start;
}

const startMissing = (): BadRequest =>
  new BadRequest('start_ts is required', { code: 'invalid_request', details: { start_ts: 'required' } });

/** Consent is proven by where it came from, so the address is the connection's and never the body's. */
async function recordConsent(customerId: number): Promise<void> {
  const changed = await query(
    {
      text: `UPDATE customers SET sms_consent = true, sms_consent_date = $3::timestamptz, sms_consent_ip = $4::inet
        WHERE tenant_id = $1 AND id = $2::bigint RETURNING id`,
    },
    [tenant().id, customerId, clock.now(), context().ip],
  );
  if (changed.length === 0) throw new NotFound('Customer not found');
}
