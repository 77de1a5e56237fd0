/** What became of the automatic messages, and another try for one that failed. */
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { inTransaction, query, type Sql } from '../lib/db';
import { Conflict, NotFound } from '../lib/errors';
import { enqueue } from '../lib/queue';
import {
  LOCK_LOGGED_REMINDER,
  type LoggedReminder,
  NOTIFICATION_STATS,
  NOTIFICATIONS,
  RESET_REMINDER,
} from '../models/notifications.queries';
import type { CountNotifications, ListNotifications, NotificationState } from '../schemas/notifications.schema';
import { recordAudit } from './audit.service';
import { outsideQuietHours } from './reminders.service';

const HOUR_MS = 3_600_000;

/** JSON text: what came up within the last hours, the newest first, and what was asked for. */
export async function listNotifications({ hours, ...wanted }: ListNotifications): Promise<string> {
  const filter = { appointment_id: wanted.appointment_id ?? null, status: wanted.status ?? null, hours };
  const found = await jsonOf(NOTIFICATIONS, [tenant().id, since(hours), filter.appointment_id, filter.status]);
  return `${found.slice(0, -1)},"filtered_by":${JSON.stringify(filter)}}`;
}

/** JSON text of the counts. */
export const countNotifications = ({ hours }: CountNotifications): Promise<string> =>
  jsonOf(NOTIFICATION_STATS, [tenant().id, since(hours)]);

const since = (hours: number): Date => new Date(clock.now().getTime() - hours * HOUR_MS);

async function jsonOf(sql: Sql, values: readonly unknown[]): Promise<string> {
  const [row] = await query<{ json: string }>(sql, [...values]);
  if (!row) throw new Error(`No row from ${sql.name}`);
  return row.json;
}

/**
 * Sends the reminder of an appointment again, as a new message and not within the shop's quiet hours.
 * @throws NotFound without a reminder; Conflict `invalid_state` unless it failed and still says what is true
 */
export function retryNotification(appointmentId: number): Promise<NotificationState> {
  return inTransaction(async () => {
    const now = clock.now();
    const [reminder] = await query<LoggedReminder>(LOCK_LOGGED_REMINDER, [tenant().id, appointmentId, now]);
    if (!reminder) throw new NotFound('Notification not found');
    const { id, status, errorCode, startTs, isCurrent } = reminder;
    if (status !== 'failed') throw new Conflict(`The notification is ${status} already`, { code: 'invalid_state' });
    if (!isCurrent) throw new Conflict('The appointment is no longer as the notification says', { code: 'invalid_state' });
    await query(RESET_REMINDER, [tenant().id, id, now]);
    await enqueue('reminder.send', { appointmentId, startsAt: startTs.toISOString() }, { runAt: await outsideQuietHours(now) });
    await recordAudit({
      action: 'NOTIFICATION_RETRY',
      entity: 'notification',
      entityId: id,
      before: { status, error_code: errorCode },
      after: { status: 'pending' },
    });
    return { appointment_id: String(appointmentId), notification_type: 'reminder_24h', status: 'pending' };
  });
}
