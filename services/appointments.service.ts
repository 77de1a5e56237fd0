/** Reading appointments (list, drawer) and deleting one. Lists and drawer are JSON built by one statement. */

import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { addDays, dayOf, type InstantRange, isDay, rangeOfDay, startOfDay } from '../lib/days';
import { inTransaction, query } from '../lib/db';
import { BadRequest, NotFound } from '../lib/errors';
import {
  APPOINTMENT_DRAWER,
  type ListConditions,
  listAppointmentsSql,
  OWN_APPOINTMENT_DRAWER,
  WRITTEN_APPOINTMENT,
} from '../models/appointments.queries';
import { type ListAppointments, parseStatus } from '../schemas/appointments.schema';
import { parseInstant } from '../schemas/fields.schema';
import { UUID } from '../schemas/uuid';
import { APPOINTMENT_MISSING, lockAppointment } from './appointment-status.service';
import { recordAudit } from './audit.service';
import { countServices } from './vehicle-services.service';

const DEFAULT_LIMIT = 50;
/** Also the rows of a list that was asked for without any condition: the newest ones. */
const MAX_LIMIT = 200;
const CURSOR = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z)\|([1-9]\d{0,15})$/;

/**
 * A page of appointments by start, as JSON text. A customer sees his own only. Without any condition: the newest 200.
 * @throws BadRequest for a condition that cannot be read
 */
export async function listAppointments(conditions: ListAppointments): Promise<string> {
  const { id, timeZone } = tenant();
  const { actor } = context();
  const isBare = Object.values(conditions).every((value) => value === undefined);
  const where: ListConditions = {
    ...conditionsOf(conditions, timeZone),
    ...(isBare ? { newest: true } : {}),
    ...(actor.kind === 'customer' ? { customerId: actor.customerId } : {}),
  };
  // A day is asked for to see which of its times are taken: half of it would be wrong.
  const limit = conditions.limit ?? (isBare || conditions.date !== undefined ? MAX_LIMIT : DEFAULT_LIMIT);
  const [row] = await query<{ json: string }>(...listAppointmentsSql(where, limit, id, timeZone));
  if (!row) throw new Error('The list of appointments has no row');
  return row.json;
}

/** Today's appointments, at most 200, as JSON text. */
export function listToday(): Promise<string> {
  return listAppointments({ date: dayOf(clock.now(), tenant().timeZone) });
}

function conditionsOf(given: ListAppointments, timeZone: string): ListConditions {
  const { cursor, offset, date, from, to, status, techId, q } = given;
  if (cursor !== undefined && offset !== undefined) throw new BadRequest('cursor and offset exclude each other');
  const range: Partial<InstantRange> = date === undefined ? {} : dayRange(date, timeZone);
  const begin = from === undefined ? undefined : boundary(from, 'from', timeZone);
  const end = to === undefined ? undefined : boundary(to, 'to', timeZone);
  return {
    from: later(range.from, begin),
    to: earlier(range.to, end),
    status: status === undefined ? undefined : knownStatus(status),
    techId: techId === undefined ? undefined : uuid(techId),
    pattern: patternOf(q),
    after: cursor === undefined ? undefined : positionOf(cursor),
    offset,
  };
}

function dayRange(date: string, timeZone: string): InstantRange {
  if (!isDay(date)) throw new BadRequest("Invalid 'date' date format");
  return rangeOfDay(date, timeZone);
}

/**
 * One end of a range: an instant, or a day of the shop, of which `from` begins with its first moment and `to` ends with its last.
 * @throws BadRequest `Invalid 'from' date format`
 */
export function boundary(text: string, end: 'from' | 'to', timeZone: string): Date {
  if (isDay(text)) return startOfDay(end === 'from' ? text : addDays(text, 1), timeZone);
  const instant = parseInstant(text);
  if (!instant) throw new BadRequest(`Invalid '${end}' date format`);
  return instant;
}

const later = (a?: Date, b?: Date): Date | undefined => (a && b ? (a > b ? a : b) : (a ?? b));
const earlier = (a?: Date, b?: Date): Date | undefined => (a && b ? (a < b ? a : b) : (a ?? b));

function knownStatus(word: string): string {
  const status = parseStatus(word);
  if (!status) throw new BadRequest('Invalid status');
  return status;
}

/** @throws BadRequest */
export function uuid(text: string): string {
  if (!UUID.test(text)) throw new BadRequest('Invalid techId');
  return text.toLowerCase();
}

/** Substring search; what the caller types is text, not a pattern. Blank searches for nothing. */
function patternOf(q: string | undefined): string | undefined {
  const wanted = q?.trim().toLowerCase() ?? '';
  return wanted === '' ? undefined : `%${wanted.replace(/[\\%_]/g, '\\$&')}%`;
}

function positionOf(cursor: string): { start: string; id: string } {
  const [, start, id] = CURSOR.exec(Buffer.from(cursor, 'base64url').toString('utf8')) ?? [];
  if (start === undefined || id === undefined || Number.isNaN(Date.parse(start))) throw new BadRequest('Invalid cursor');
  return { start, id };
}

/** Everything the drawer shows, as JSON text. A customer finds his own only. @throws NotFound */
export async function appointmentDrawer(id: number): Promise<string> {
  const { actor } = context();
  const [row] =
    actor.kind === 'customer'
      ? await query<{ json: string }>(OWN_APPOINTMENT_DRAWER, [tenant().id, id, actor.customerId])
      : await query<{ json: string }>(APPOINTMENT_DRAWER, [tenant().id, id]);
  if (!row) throw new NotFound(APPOINTMENT_MISSING);
  return row.json;
}

/**
 * Hides an appointment from every read. Its invoices and payments stay; only a draft that nobody paid anything on is voided
 * along, because it would ask for money for nothing.
 * @throws NotFound also for one that is deleted already
 */
export function deleteAppointment(id: number): Promise<void> {
  return inTransaction(async () => {
    const appointment = await lockAppointment(id);
    const { id: tenantId } = tenant();
    const [snapshot] = await query<{ appointment: object }>(WRITTEN_APPOINTMENT, [tenantId, id]);
    const now = clock.now();
    const voided = await query<{ id: string }>(
      {
        name: 'appointments_void_draft',
        text: `UPDATE invoices i SET status = 'VOID', voided_at = $3::timestamptz, void_reason = 'Appointment deleted', version = version + 1, updated_at = $3::timestamptz
          WHERE tenant_id = $1 AND appointment_id = $2::bigint AND status = 'DRAFT' AND amount_paid_cents = 0
            AND NOT EXISTS (SELECT FROM payments p WHERE p.tenant_id = $1 AND p.invoice_id = i.id AND p.voided_at IS NULL)
          RETURNING id`,
      },
      [tenantId, id, now],
    );
    appointment.set({ deletedAt: now, updatedAt: now });
    await appointment.save();
    if (appointment.status === 'COMPLETED' && appointment.vehicleId !== null) await countServices(appointment.vehicleId, -1);
    await recordAudit({
      action: 'APPT_DELETE',
      entity: 'appointment',
      entityId: id,
      before: snapshot?.appointment,
      after: voided.length > 0 ? { voided_invoices: voided.map((invoice) => invoice.id) } : undefined,
    });
  });
}
