/** Who may do what with an appointment; pure. Which roles reach an endpoint at all is declared with the endpoint. */
import type { Actor } from '../lib/context';
import type { AppointmentStatus } from '../schemas/appointments.schema';

/** Statuses that close a job: the front desk's decision. */
const CLOSING: readonly AppointmentStatus[] = ['COMPLETED', 'NO_SHOW', 'CANCELED'];
/** What the workshop may send in an edit. */
const WORKSHOP_FIELDS: readonly string[] = ['status', 'notes'];

export const INSUFFICIENT = 'Insufficient permissions. Required role: Advisor';

export const canEnter = (actor: Actor, status: AppointmentStatus): boolean => actor.role !== 'Technician' || !CLOSING.includes(status);

export const canEdit = (actor: Actor, fields: readonly string[]): boolean =>
  actor.role !== 'Technician' || fields.every((field) => WORKSHOP_FIELDS.includes(field));

export const canBookForOthers = (actor: Actor): boolean => actor.role === 'Owner' || actor.role === 'Advisor';
