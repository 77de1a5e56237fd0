/** Automatic messages (reminders): what became of them, and another try. */
import {
  ByAppointmentId,
  CountNotifications,
  ListNotifications,
  NotificationList,
  NotificationState,
  NotificationStats,
} from '../schemas/notifications.schema';
import { countNotifications, listNotifications, retryNotification } from '../services/notifications.service';
import { badQuery } from './bad-query';
import { type Endpoint, endpoint, JsonText, STAFF_ALL, STAFF_WRITE } from './endpoint';

const tag = 'Notifications';
const forbidden = { message: 'Insufficient permissions. Required role: Advisor' };

export const notificationsEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/admin/notifications',
    id: 'listNotifications',
    summary: 'Automatic messages of the last hours, newest first',
    tag,
    allow: STAFF_ALL,
    forbidden,
    query: ListNotifications,
    invalid: badQuery,
    reply: [200, NotificationList],
    queries: 1,
    handle: async ({ query }) => new JsonText(await listNotifications(query)),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/notifications/stats',
    id: 'readNotificationStats',
    summary: 'How many automatic messages arrived, failed or wait',
    tag,
    allow: STAFF_ALL,
    forbidden,
    query: CountNotifications,
    invalid: badQuery,
    reply: [200, NotificationStats],
    queries: 1,
    handle: async ({ query }) => new JsonText(await countNotifications(query)),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/notifications/:appointmentId/retry',
    id: 'retryNotification',
    summary: 'Send the reminder of an appointment again',
    tag,
    allow: STAFF_WRITE,
    forbidden,
    params: ByAppointmentId,
    reply: [202, NotificationState],
    errors: [404, 409],
    handle: ({ params }) => retryNotification(params.appointmentId ?? 0),
  }),
];
