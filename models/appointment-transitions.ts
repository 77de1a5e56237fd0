/**
 * The state machine of an appointment: which status may follow which, and which times an entry stamps. Pure; every entry
 * point (board move, quick action, PATCH, creation) goes through it, so stamps and history cannot differ between them.
 */
import type { AppointmentStatus } from '../schemas/appointments.schema';

/** How a change was asked for. Only `patch` may reopen or skip; only `move` refuses the status that is there already. */
export type TransitionSource = 'move' | 'quick' | 'patch';

type Table = Readonly<Record<AppointmentStatus, readonly AppointmentStatus[]>>;

const FORWARD: Table = {
  SCHEDULED: ['IN_PROGRESS', 'READY', 'NO_SHOW', 'CANCELED'],
  IN_PROGRESS: ['READY', 'COMPLETED'],
  READY: ['COMPLETED'],
  COMPLETED: [],
  NO_SHOW: [],
  CANCELED: [],
};

/** Undoing a step; refused once the work is invoiced. */
const REOPEN: Table = {
  SCHEDULED: [],
  IN_PROGRESS: ['SCHEDULED'],
  READY: ['IN_PROGRESS'],
  COMPLETED: [],
  NO_SHOW: ['SCHEDULED'],
  CANCELED: ['SCHEDULED'],
};

/** Appointments in these statuses occupy their technician and vehicle. */
export const BLOCKING_STATUSES = ['SCHEDULED', 'IN_PROGRESS', 'READY'] as const satisfies readonly AppointmentStatus[];

export const isBlocking = (status: AppointmentStatus): boolean => (BLOCKING_STATUSES as readonly AppointmentStatus[]).includes(status);
export const isReopening = (from: AppointmentStatus, to: AppointmentStatus): boolean => REOPEN[from].includes(to);

/**
 * The statuses to enter one after the other, ending with `to`.
 * @returns an empty list when nothing changes, null when the change is not allowed
 */
export function planTransition(from: AppointmentStatus, to: AppointmentStatus, source: TransitionSource): AppointmentStatus[] | null {
  if (from === to) return source === 'move' ? null : [];
  if (FORWARD[from].includes(to)) return [to];
  if (source !== 'patch') return null;
  if (isReopening(from, to)) return [to];
  // Finished without ever being shown as started: the step between is recorded with the same time.
  return from === 'SCHEDULED' && to === 'COMPLETED' ? ['IN_PROGRESS', 'COMPLETED'] : null;
}

/** The times that status changes write. */
export interface Stamps {
  startedAt: Date | null;
  completedAt: Date | null;
  checkInAt: Date | null;
  checkOutAt: Date | null;
}

/** The stamps after going from one status to the next at `at`. A time that is set already is kept: the first entry counts. */
export function stampsAfter(
  { startedAt, completedAt, checkInAt, checkOutAt }: Stamps,
  from: AppointmentStatus | null,
  to: AppointmentStatus,
  at: Date,
): Stamps {
  if (from === 'IN_PROGRESS' && to === 'SCHEDULED') return { startedAt: null, completedAt, checkInAt, checkOutAt };
  if (to === 'IN_PROGRESS') return { startedAt: startedAt ?? at, completedAt, checkInAt: checkInAt ?? at, checkOutAt };
  if (to === 'COMPLETED') return { startedAt, completedAt: completedAt ?? at, checkInAt, checkOutAt: checkOutAt ?? at };
  return { startedAt, completedAt, checkInAt, checkOutAt };
}

/**
 * The stamps of an appointment that is created in this status: work that began is taken to have begun at its start and ended
 * at its end, but never later than now.
 */
export function stampsAtCreation(status: AppointmentStatus, { start, end, now }: { start: Date; end: Date | null; now: Date }): Stamps {
  const NONE: Stamps = { startedAt: null, completedAt: null, checkInAt: null, checkOutAt: null };
  if (status !== 'IN_PROGRESS' && status !== 'COMPLETED' && status !== 'READY') return NONE;
  const began = earlier(start, now);
  const working = stampsAfter(NONE, null, 'IN_PROGRESS', began);
  return status === 'COMPLETED' ? stampsAfter(working, 'IN_PROGRESS', 'COMPLETED', earlier(end ?? now, now)) : working;
}

const earlier = (one: Date, other: Date): Date => (one < other ? one : other);
