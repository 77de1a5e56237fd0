/**
 * Service lines of one appointment. Every change locks the appointment, so that its total is always the sum of the lines it
 * has; once a live invoice stands, lines are frozen, because the invoice is a copy of them.
 */

import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest, Conflict, Forbidden, NotFound } from '../lib/errors';
import { AppointmentService } from '../models/appointment-services.model';
import { APPOINTMENT_LINES, ONE_LINE } from '../models/appointment-services.queries';
import type { Appointment } from '../models/appointments.model';
import { pendingChanges, side } from '../models/row-changes';
import type { ServiceLine, ServiceLineFields } from '../schemas/appointment-services.schema';
import { UUID } from '../schemas/uuid';
import { linesTotal } from './appointment-lines.service';
import { APPOINTMENT_MISSING, hasLiveInvoice, lockAppointment } from './appointment-status.service';
import { INSUFFICIENT } from './appointments.policy';
import { recordAudit } from './audit.service';

const LINE_MISSING = 'Service not found';

export interface LineChange {
  service: ServiceLine;
  /** Dollars. */
  appointment_total: number;
}

/** JSON of `{services}`. @throws NotFound */
export async function listLines(appointmentId: number): Promise<string> {
  const [row] = await query<{ json: string }>(APPOINTMENT_LINES, [tenant().id, appointmentId]);
  if (!row) throw new NotFound(APPOINTMENT_MISSING);
  return row.json;
}

/**
 * Adds a line; what is not said comes from the catalogue.
 * @throws BadRequest `invalid` without name and operation, `invalid_operation` for an unknown one; Conflict when invoiced
 */
export async function addLine(appointmentId: number, fields: ServiceLineFields): Promise<LineChange & { id: string }> {
  const { name, service_operation_id: operationId } = fields;
  if (!name && !operationId) throw new BadRequest('name or service_operation_id required', { code: 'invalid' });
  return inTransaction(async () => {
    const appointment = await lockUninvoiced(appointmentId);
    const operation = operationId ? await findOperation(operationId) : null;
    const { id } = await AppointmentService.make<AppointmentService>({
      appointmentId,
      serviceOperationId: operation?.id ?? null,
      name: name || operation?.name,
      notes: fields.notes ?? null,
      estimatedHours: fields.estimated_hours === undefined ? (operation?.hours ?? null) : fields.estimated_hours,
      estimatedPriceCents: fields.estimated_price === undefined ? (operation?.priceCents ?? null) : fields.estimated_price,
      category: fields.category === undefined ? (operation?.category ?? null) : fields.category,
      createdAt: clock.now(),
      updatedAt: clock.now(),
    });
    const service = await readLine(id);
    const appointment_total = await storeTotal(appointment);
    await recordAudit({ action: 'SERVICE_ADD', entity: 'appointment_service', entityId: id, after: service });
    return { id, service, appointment_total };
  });
}

/**
 * Changes the fields that are sent. The workshop may only write notes.
 * @throws BadRequest `invalid` when nothing is sent; NotFound also for a line of another appointment; Conflict when invoiced
 */
export async function changeLine(appointmentId: number, lineId: string, fields: ServiceLineFields): Promise<LineChange> {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (given.length === 0) throw new BadRequest('No valid fields to update', { code: 'invalid' });
  const isNotesOnly = given.every(([field]) => field === 'notes');
  if (context().actor.role === 'Technician' && !isNotesOnly) throw new Forbidden(INSUFFICIENT);
  const { name, notes, category, service_operation_id: operationId, estimated_hours: hours, estimated_price: price } = fields;
  if (name === null) throw new BadRequest('name must not be empty', { code: 'invalid', details: { name: 'required' } });
  return inTransaction(async () => {
    // Notes say nothing about money: they may be written when the rest is frozen.
    const appointment = isNotesOnly ? await lockAppointment(appointmentId) : await lockUninvoiced(appointmentId);
    const line = await lockLine(appointmentId, lineId);
    if (name !== undefined) line.set({ name });
    if (notes !== undefined) line.set({ notes });
    if (category !== undefined) line.set({ category });
    if (hours !== undefined) line.set({ estimatedHours: hours });
    if (price !== undefined) line.set({ estimatedPriceCents: price });
    if (operationId !== undefined) line.set({ serviceOperationId: operationId && (await findOperation(operationId)).id });
    const changes = pendingChanges(line);
    if (Object.keys(changes).length === 0)
      return { service: await readLine(line.id), appointment_total: (await linesTotal(appointmentId)) / 100 };
    line.set({ updatedAt: clock.now() });
    await line.save();
    const appointment_total = isNotesOnly ? (await linesTotal(appointmentId)) / 100 : await storeTotal(appointment);
    await recordAudit({
      action: 'SERVICE_PATCH',
      entity: 'appointment_service',
      entityId: line.id,
      before: side(changes, 'from'),
      after: side(changes, 'to'),
    });
    return { service: await readLine(line.id), appointment_total };
  });
}

/** @throws NotFound also for a line of another appointment; Conflict when invoiced */
export function deleteLine(appointmentId: number, lineId: string): Promise<{ message: 'deleted'; appointment_total: number }> {
  return inTransaction(async () => {
    const appointment = await lockUninvoiced(appointmentId);
    const line = await lockLine(appointmentId, lineId);
    const before = await readLine(line.id);
    line.set({ deletedAt: clock.now(), updatedAt: clock.now() });
    await line.save();
    const appointment_total = await storeTotal(appointment);
    await recordAudit({ action: 'SERVICE_DELETE', entity: 'appointment_service', entityId: line.id, before });
    return { message: 'deleted', appointment_total };
  });
}

// ------------------------------------------------------------------ parts

async function lockUninvoiced(appointmentId: number): Promise<Appointment> {
  const appointment = await lockAppointment(appointmentId);
  if (await hasLiveInvoice(appointmentId))
    throw new Conflict('Service lines are fixed once the appointment is invoiced', { code: 'invalid_state' });
  return appointment;
}

async function lockLine(appointmentId: number, lineId: string): Promise<AppointmentService> {
  if (!UUID.test(lineId)) throw new NotFound(LINE_MISSING);
  const line = await AppointmentService.get<AppointmentService>(lineId, { lock: true, missing: LINE_MISSING });
  if (line.appointmentId !== appointmentId || line.deletedAt) throw new NotFound(LINE_MISSING);
  return line;
}

interface Operation {
  id: string;
  name: string;
  category: string;
  hours: number | null;
  priceCents: number | null;
}

async function findOperation(id: string): Promise<Operation> {
  const [operation] = await query<Operation>(
    {
      name: 'service_operations_defaults',
      text: `SELECT id, name, category, default_hours AS hours, default_price_cents AS "priceCents" FROM service_operations
        WHERE tenant_id = $1 AND id = $2`,
    },
    [tenant().id, id],
  );
  if (!operation) throw new BadRequest('service_operation_id not found', { code: 'invalid_operation' });
  return operation;
}

/** Makes the sum of the lines the appointment's total. @returns dollars */
async function storeTotal(appointment: Appointment): Promise<number> {
  const cents = await linesTotal(appointment.id);
  appointment.set({ totalCents: cents, updatedAt: clock.now() });
  await appointment.save();
  return cents / 100;
}

async function readLine(id: string): Promise<ServiceLine> {
  const [row] = await query<{ line: ServiceLine }>(ONE_LINE, [tenant().id, id]);
  if (!row) throw new Error('A service line that was just written cannot be read');
  return row.line;
}
