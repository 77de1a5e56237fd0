/**
 * Changing the status of an appointment. Every way to do it (board, quick action, edit) ends in {@link applyStatus}, inside
 * a transaction that holds the row: one history row per step, stamps once, a slot claimed again where work is reopened.
 */
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest, Conflict, Forbidden, InvalidTransition, NotFound, ValidationFailed } from '../lib/errors';
import { isReopening, planTransition, stampsAfter, type TransitionSource } from '../models/appointment-transitions';
import { Appointment } from '../models/appointments.model';
import { pendingChanges, side } from '../models/row-changes';
import type { AppointmentStatus, CheckTime, MoveAppointment } from '../schemas/appointments.schema';
import { claimSlot } from './appointment-slots.service';
import { canEnter, INSUFFICIENT } from './appointments.policy';
import { recordAudit } from './audit.service';
import { rankInColumn } from './board-ranks.service';
import { countServices } from './vehicle-services.service';

export const APPOINTMENT_MISSING = 'Appointment not found';

/** The tenant's appointment, locked until the transaction ends. @throws NotFound when absent or deleted */
export async function lockAppointment(id: number): Promise<Appointment> {
  const appointment = await Appointment.get<Appointment>(id, { lock: true, missing: APPOINTMENT_MISSING });
  if (appointment.deletedAt) throw new NotFound(APPOINTMENT_MISSING);
  return appointment;
}

/** @throws Conflict `version_conflict` when the caller saw another version of the row */
export function assertVersion(appointment: Appointment, version: number | undefined): void {
  if (version === undefined || version === appointment.version) return;
  const seen = { current_version: appointment.version, provided_version: version };
  throw new Conflict('Appointment was changed by somebody else', { code: 'version_conflict', details: seen, root: seen });
}

/** True while an invoice that is not void stands on the appointment: amounts and lines are frozen then. The row must be locked. */
export async function hasLiveInvoice(appointmentId: number): Promise<boolean> {
  const rows = await query(
    {
      name: 'appointments_live_invoice',
      text: `SELECT 1 FROM invoices WHERE tenant_id = $1 AND appointment_id = $2::bigint AND status <> 'VOID'`,
    },
    [tenant().id, appointmentId],
  );
  return rows.length > 0;
}

/**
 * Sets status and stamps on the locked row and writes the history; the caller saves the row. A slot is claimed when a closed
 * appointment opens again, for the times the row holds now.
 * @returns whether anything changed
 * @throws InvalidTransition (BadRequest for quick actions), Forbidden, Conflict
 */
export async function applyStatus(appointment: Appointment, to: AppointmentStatus, source: TransitionSource): Promise<boolean> {
  const { status: from, isBlocking: wasBlocking } = appointment;
  const plan = planTransition(from, to, source);
  if (plan === null) throw refusal(from, to, source);
  if (plan.length === 0) return false;
  if (!canEnter(context().actor, to)) throw new Forbidden(INSUFFICIENT);
  if (isReopening(from, to) && (await hasLiveInvoice(appointment.id)))
    throw new Conflict('An invoiced appointment cannot be reopened', { code: 'invalid_state' });

  const at = clock.now();
  let stamps = appointment.stamps;
  let previous = from;
  for (const next of plan) {
    stamps = stampsAfter(stamps, previous, next, at);
    previous = next;
  }
  // Unranked in its new column: below the cards that were placed by hand, in the order of their start.
  appointment.set({ ...stamps, status: to, position: null });
  if (!wasBlocking && appointment.isBlocking) {
    const { techId, vehicleId, startTs: start, blockEndTs: blockEnd } = appointment;
    await claimSlot({ appointmentId: appointment.id, techId, vehicleId, start, blockEnd });
  }
  await writeHistory(appointment.id, [from, ...plan], at, source);
  if (to === 'COMPLETED' && appointment.vehicleId !== null) await countServices(appointment.vehicleId, 1, appointment.completedAt);
  return true;
}

function refusal(from: AppointmentStatus, to: AppointmentStatus, source: TransitionSource): BadRequest | InvalidTransition {
  return source === 'quick'
    ? new BadRequest(`Invalid transition ${from} -> ${to}`)
    : new InvalidTransition(`Invalid transition ${from} → ${to}`);
}

/** One row for each step of `statuses`; null as the first one for a creation. */
export async function writeHistory(
  appointmentId: number,
  statuses: readonly (AppointmentStatus | null)[],
  at: Date,
  source: TransitionSource | 'create' | 'system',
): Promise<void> {
  const { actor } = context();
  await query(
    {
      name: 'appointment_status_history_insert',
      text: `INSERT INTO appointment_status_history (tenant_id, appointment_id, from_status, to_status, at, actor_id, actor_role, source)
        SELECT $1, $2::bigint, step.from_status, step.to_status, $5::timestamptz, $6, $7, $8
        FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS step (from_status, to_status, nr) ORDER BY step.nr`,
    },
    [tenant().id, appointmentId, statuses.slice(0, -1), statuses.slice(1), at, actor.id, actor.role, source],
  );
}

export interface Moved {
  id: string;
  status: AppointmentStatus;
  /** Place in the column, 1 at the top. */
  position: number;
  version: number;
}

/**
 * Drops a card into a column of the board.
 * @throws InvalidTransition also for the column it is in already
 */
export function moveAppointment(id: number, { status, position, version }: MoveAppointment): Promise<Moved> {
  return inTransaction(async () => {
    const appointment = await lockAppointment(id);
    assertVersion(appointment, version);
    const from = appointment.status;
    await applyStatus(appointment, status, 'move');
    const place = await rankInColumn({ appointmentId: id, status, position });
    appointment.set({ position: place.rank, updatedAt: clock.now() });
    await appointment.save();
    await recordAudit({
      action: 'STATUS_CHANGE',
      entity: 'appointment',
      entityId: id,
      before: { status: from },
      after: { status, position: place.position },
    });
    return { id: String(id), status, position: place.position, version: appointment.version };
  });
}

/** Start, ready, complete: the status the action names; the status that is there already changes nothing. */
export function quickStatus(id: number, to: AppointmentStatus): Promise<{ id: string; status: AppointmentStatus }> {
  return inTransaction(async () => {
    const appointment = await lockAppointment(id);
    const from = appointment.status;
    if (await applyStatus(appointment, to, 'quick')) {
      appointment.set({ updatedAt: clock.now() });
      await appointment.save();
      await recordAudit({ action: 'STATUS_CHANGE', entity: 'appointment', entityId: id, before: { status: from }, after: { status: to } });
    }
    return { id: String(id), status: to };
  });
}

/**
 * Arrival at the shop. The first one counts; only an explicit time replaces it. No change of status.
 * @throws ValidationFailed for an arrival after the departure
 */
export function checkIn(id: number, { at }: CheckTime): Promise<{ id: string; check_in_at: string }> {
  return inTransaction(async () => {
    const appointment = await lockAppointment(id);
    const checkInAt = at ?? appointment.checkInAt ?? clock.now();
    await recordPresence(appointment, { checkInAt, checkOutAt: appointment.checkOutAt }, 'APPT_CHECK_IN');
    return { id: String(id), check_in_at: checkInAt.toISOString() };
  });
}

/** Departure, by the rules of {@link checkIn}. @throws ValidationFailed for a departure before the arrival */
export function checkOut(id: number, { at }: CheckTime): Promise<{ id: string; check_out_at: string }> {
  return inTransaction(async () => {
    const appointment = await lockAppointment(id);
    const checkOutAt = at ?? appointment.checkOutAt ?? clock.now();
    await recordPresence(appointment, { checkInAt: appointment.checkInAt, checkOutAt }, 'APPT_CHECK_OUT');
    return { id: String(id), check_out_at: checkOutAt.toISOString() };
  });
}

type Presence = Pick<Appointment, 'checkInAt' | 'checkOutAt'>;

async function recordPresence(appointment: Appointment, presence: Presence, action: string): Promise<void> {
  assertPresence(presence);
  appointment.set(presence);
  const changes = pendingChanges(appointment);
  if (Object.keys(changes).length === 0) return;
  appointment.set({ updatedAt: clock.now() });
  await appointment.save();
  await recordAudit({ action, entity: 'appointment', entityId: appointment.id, before: side(changes, 'from'), after: side(changes, 'to') });
}

/** @throws ValidationFailed when the car left before it came */
export function assertPresence({ checkInAt, checkOutAt }: Presence): void {
  if (checkInAt && checkOutAt && checkOutAt < checkInAt)
    throw new ValidationFailed({ check_out_at: 'before_check_in' }, 'check_out_at must not be before check_in_at');
}
