/**
 * Editing an appointment. Only what changes is judged: yesterday's job can be completed, a technician can be taken off, and a
 * save without a change writes nothing. Row, car, lines, history and audit change together or not at all.
 */
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest, Conflict, Forbidden, NotFound, PreconditionFailed, ValidationFailed } from '../lib/errors';
import { allowsVersion, etagOf } from '../lib/etag';
import type { Appointment } from '../models/appointments.model';
import { WRITTEN_APPOINTMENT } from '../models/appointments.queries';
import { type Changes, pendingChanges, side } from '../models/row-changes';
import type { AppointmentStatus, UpdateAppointment } from '../schemas/appointments.schema';
import { assertOperation, assertPaid, assertTechnician } from './appointment-booking.service';
import { addOperationLines, linesTotal, missingOperations } from './appointment-lines.service';
import { claimSlot } from './appointment-slots.service';
import { applyStatus, assertPresence, assertVersion, hasLiveInvoice, lockAppointment } from './appointment-status.service';
import { applyVehicleFields, hasVehicleFields, relinkVehicle } from './appointment-vehicle.service';
import { canEdit, INSUFFICIENT } from './appointments.policy';
import { recordAudit } from './audit.service';
import { resolveCustomer, resolveVehicle } from './customer-resolution.service';
import { tenantSettings } from './tenant-settings.service';

const LATE_ENTRY_MS = 15 * 60_000;

type Field = Exclude<keyof UpdateAppointment, 'version'>;

/** Columns by the wire name of the field that sets them. */
const COLUMN_OF: Partial<Record<Field, string>> = { total_amount: 'total_cents', paid_amount: 'paid_cents' };

export interface Updated {
  id: string;
  status: AppointmentStatus;
  appointment: Record<string, unknown>;
  /** Wire names of the fields that were sent and made a difference. */
  updated_fields: string[];
}
export interface UpdatedWithTag {
  updated: Updated;
  etag: string;
}

/**
 * Applies the fields that were sent.
 * @param ifMatch opaque tag of If-Match, null when absent
 * @throws PreconditionFailed for a stale tag, Conflict `version_conflict` for a stale `version`
 */
export async function updateAppointment(id: number, update: UpdateAppointment, ifMatch: string | null): Promise<UpdatedWithTag> {
  const { version, ...fields } = update;
  const given = (Object.keys(fields) as Field[]).filter((field) => fields[field] !== undefined);
  if (given.length === 0) throw new BadRequest('No valid fields to update');
  if (!canEdit(context().actor, given)) throw new Forbidden(INSUFFICIENT);
  return inTransaction(async () => {
    const appointment = await lockAppointment(id);
    if (!allowsVersion(ifMatch, appointment.version)) throw await staleTag(id);
    assertVersion(appointment, version);

    const before = appointment.toJSON() as Record<string, unknown>;
    await applyTimes(appointment, fields);
    await applyReferences(appointment, fields);
    applyTexts(appointment, fields);
    const car = hasVehicleFields(fields) ? await applyVehicleFields(appointment, fields) : [];
    if (fields.status !== undefined) await applyStatus(appointment, fields.status, 'patch');
    await claimIfMoved(appointment, before);
    const added = await applyLines(appointment, fields);
    await applyAmounts(appointment, fields, added);

    const changes = pendingChanges(appointment);
    const updatedFields = given.filter((field) => (COLUMN_OF[field] ?? field) in changes || car.includes(field));
    if (added.length > 0) updatedFields.push('service_operation_ids');
    if (Object.keys(changes).length > 0 || updatedFields.length > 0) await save(appointment, { changes, car, added });
    return answer(id, updatedFields);
  });
}

// ------------------------------------------------------------------ the parts of an edit

type Fields = Omit<UpdateAppointment, 'version'>;

async function applyTimes(
  appointment: Appointment,
  { start_ts: start, end_ts: end, check_in_at, check_out_at, status }: Fields,
): Promise<void> {
  if (start !== undefined || end !== undefined) {
    const isMoved = start !== undefined && start.getTime() !== appointment.startTs.getTime();
    if (isMoved && (status ?? appointment.status) === 'SCHEDULED' && start.getTime() < clock.now().getTime() - LATE_ENTRY_MS)
      throw new ValidationFailed({ start_ts: 'too_far_in_past' }, 'start_ts too far in past');
    const isResized = end !== undefined && end?.getTime() !== appointment.endTs?.getTime();
    if (isMoved || isResized) {
      const { defaultBlockMinutes } = await tenantSettings();
      appointment.reschedule({ start, end }, defaultBlockMinutes);
    }
  }
  if (check_in_at === undefined && check_out_at === undefined) return;
  if (check_in_at !== undefined) appointment.set({ checkInAt: check_in_at });
  if (check_out_at !== undefined) appointment.set({ checkOutAt: check_out_at });
  assertPresence(appointment);
}

async function applyReferences(appointment: Appointment, fields: Fields): Promise<void> {
  const { tech_id: techId, primary_operation_id: operationId, customer_id: customerId, vehicle_id: vehicleId } = fields;
  if (techId !== undefined) {
    const wanted = techId?.toLowerCase() ?? null;
    // A technician who has left since keeps the jobs he has; only a new assignment must find him active.
    if (wanted !== null && wanted !== appointment.techId) await assertTechnician(wanted);
    appointment.set({ techId: wanted });
  }
  if (operationId !== undefined) {
    if (operationId !== null && operationId !== appointment.primaryOperationId) await assertOperation(operationId);
    appointment.set({ primaryOperationId: operationId });
  }
  const isNewCustomer = customerId !== undefined && customerId !== appointment.customerId;
  if (isNewCustomer) {
    if (customerId !== null) await resolveCustomer({ customerId });
    appointment.set({ customerId });
  }
  const wantedCar = vehicleId === undefined ? appointment.vehicleId : vehicleId;
  if (wantedCar !== null && (isNewCustomer || wantedCar !== appointment.vehicleId)) {
    const car = await resolveVehicle({ customerId: appointment.customerId, vehicleId: wantedCar });
    if (car && appointment.customerId === null && customerId === undefined) appointment.set({ customerId: car.customerId });
  }
  if (wantedCar !== appointment.vehicleId) await relinkVehicle(appointment, wantedCar);
}

function applyTexts(appointment: Appointment, { notes, title, location_address: locationAddress }: Fields): void {
  if (notes !== undefined) appointment.set({ notes });
  if (title !== undefined) appointment.set({ title });
  if (locationAddress !== undefined) appointment.set({ locationAddress });
}

/** Time, technician or car changed while the appointment occupies them: the new slot must be free. */
async function claimIfMoved(appointment: Appointment, before: Record<string, unknown>): Promise<void> {
  const { id: appointmentId, techId, vehicleId, startTs: start, blockEndTs: blockEnd } = appointment;
  const isMoved = (['startTs', 'blockEndTs', 'techId', 'vehicleId'] as const).some((key) => !same(appointment[key], before[key]));
  if (isMoved && appointment.isBlocking) await claimSlot({ appointmentId, techId, vehicleId, start, blockEnd });
}

const same = (one: unknown, other: unknown): boolean =>
  one instanceof Date && other instanceof Date ? one.getTime() === other.getTime() : one === other;

/** The edit form posts ids it has seen, linked or not: only what is missing is added, nothing is taken away. @returns the ids added */
async function applyLines(appointment: Appointment, { service_operation_ids: ids }: Fields): Promise<string[]> {
  const missing = await missingOperations(appointment.id, ids ?? []);
  if (missing.length === 0) return [];
  if (await hasLiveInvoice(appointment.id)) throw frozen('Service lines');
  await addOperationLines(appointment.id, missing);
  return missing;
}

async function applyAmounts(
  appointment: Appointment,
  { total_amount: total, paid_amount: paid }: Fields,
  added: readonly string[],
): Promise<void> {
  const ownTotal = added.length > 0 ? await linesTotal(appointment.id) : appointment.totalCents;
  // Screens post the total they were shown; where that is the sum of the lines, it still is and nothing is to be stored.
  const isShown = Boolean(total) && !appointment.totalCents && total === (await linesTotal(appointment.id));
  const wantedTotal = total === undefined || isShown ? ownTotal : total;
  const wantedPaid = paid ?? appointment.paidCents;
  const isChanged = (total !== undefined && wantedTotal !== appointment.totalCents) || wantedPaid !== appointment.paidCents;
  if (isChanged) {
    if (await hasLiveInvoice(appointment.id)) throw frozen('Amounts');
    // Nothing stored as total: what the service lines come to is what can be paid.
    assertPaid(wantedPaid, wantedTotal || (await linesTotal(appointment.id)));
  }
  appointment.set({ totalCents: wantedTotal, paidCents: wantedPaid });
}

const frozen = (what: string): Conflict => new Conflict(`${what} are fixed once the appointment is invoiced`, { code: 'invalid_state' });

// ------------------------------------------------------------------ saving and answering

interface Difference {
  changes: Changes;
  car: readonly string[];
  added: readonly string[];
}

/** One audit row for the edit: a mere change of status is named as such. */
async function save(appointment: Appointment, { changes, car, added }: Difference): Promise<void> {
  appointment.set({ updatedAt: clock.now() });
  await appointment.save();
  const byStatus = new Set(['status', 'started_at', 'completed_at', 'check_in_at', 'check_out_at', 'position']);
  const onlyStatus =
    'status' in changes && car.length === 0 && added.length === 0 && Object.keys(changes).every((name) => byStatus.has(name));
  await recordAudit({
    action: onlyStatus ? 'STATUS_CHANGE' : 'APPT_PATCH',
    entity: 'appointment',
    entityId: appointment.id,
    before: side(changes, 'from'),
    after: {
      ...side(changes, 'to'),
      ...(added.length > 0 ? { service_operation_ids_added: added } : {}),
      ...(car.length > 0 ? { vehicle_fields: car } : {}),
    },
  });
}

async function answer(id: number, updatedFields: string[]): Promise<UpdatedWithTag> {
  const appointment = await current(id);
  const { status, version } = appointment as { status: AppointmentStatus; version: number };
  return {
    updated: { id: String(id), status, appointment, updated_fields: updatedFields },
    etag: etagOf(version, JSON.stringify(appointment)),
  };
}

async function staleTag(id: number): Promise<PreconditionFailed> {
  const appointment = await current(id);
  const etag = etagOf(appointment['version'] as number, JSON.stringify(appointment));
  return new PreconditionFailed({ current: appointment, etag }, `W/"${etag}"`);
}

async function current(id: number): Promise<Record<string, unknown>> {
  const [row] = await query<{ appointment: Record<string, unknown> }>(WRITTEN_APPOINTMENT, [tenant().id, id]);
  if (!row) throw new NotFound('Appointment not found');
  return row.appointment;
}
