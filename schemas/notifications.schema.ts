/** Shapes of the log of automatic messages. */
import { z } from 'zod';
import { Instant, NumericId } from './common.schema';
import { queryText } from './fields.schema';

export const NOTIFICATION_TYPES = ['appointment_confirmation', 'reminder_24h', 'appointment_cancelled'] as const;
export const NOTIFICATION_STATUSES = ['sent', 'failed', 'pending'] as const;
/** The log keeps thirty days. */
const [HOURS_DEFAULT, HOURS_MAX] = [24, 720];

const blankToUndefined = (value: unknown): unknown => (value === '' ? undefined : value);
const Hours = z.preprocess(blankToUndefined, z.coerce.number().int().min(1).max(HOURS_MAX).default(HOURS_DEFAULT));

export const ListNotifications = z.object({
  appointment_id: queryText(20).pipe(
    z
      .string()
      .regex(/^[1-9]\d{0,15}$/)
      .optional(),
  ),
  status: z.preprocess(blankToUndefined, z.enum(NOTIFICATION_STATUSES).optional()),
  hours: Hours.meta({ description: 'How far back, at most thirty days' }),
});
export type ListNotifications = z.output<typeof ListNotifications>;

export const CountNotifications = z.object({ hours: Hours });
export type CountNotifications = z.output<typeof CountNotifications>;

const Notification = z
  .object({
    id: z.uuid(),
    appointment_id: z.string().regex(/^\d+$/),
    notification_type: z.enum(NOTIFICATION_TYPES),
    status: z.enum(NOTIFICATION_STATUSES),
    /** When its status was last set. */
    timestamp: Instant,
    /** Why it failed, in the provider's or the service's word. */
    error_message: z.string().nullable(),
    customer_name: z.string(),
    /** The last four digits; the others are stars. */
    customer_phone: z.string().nullable(),
    /** The start of the appointment that it speaks of. */
    start_ts: Instant,
  })
  .meta({ id: 'Notification' });

const Count = z.int().min(0);
export const NotificationList = z
  .object({
    notifications: z.array(Notification),
    count: Count,
    filtered_by: z.object({ appointment_id: z.string().nullable(), status: z.enum(NOTIFICATION_STATUSES).nullable(), hours: Count }),
  })
  .meta({ id: 'NotificationList' });

export const NotificationStats = z
  .object({
    total: Count,
    sent: Count,
    failed: Count,
    pending: Count,
    /** Share of the sent ones among those that were tried, 0 to 1; null before the first. */
    success_rate: z.number().min(0).max(1).nullable(),
    by_type: z.record(z.enum(NOTIFICATION_TYPES), Count),
    recent_failures: z.array(Notification),
  })
  .meta({ id: 'NotificationStats' });

export const ByAppointmentId = z.object({ appointmentId: NumericId });
export const NotificationState = z
  .object({ appointment_id: z.string(), notification_type: z.enum(NOTIFICATION_TYPES), status: z.literal('pending') })
  .meta({ id: 'NotificationState' });
export type NotificationState = z.output<typeof NotificationState>;
