/** The log of automatic messages: one row for each appointment and kind, kept for thirty days. */
import type { Sql } from '../lib/db';
import { NOTIFICATION_TYPES } from '../schemas/notifications.schema';
import { CUSTOMER_NAME } from './customer-figures.queries';

const LIST_MAX = 500;
const FAILURES_MAX = 10;

/** Digits but the last four become stars; what stands between them stays. */
const MASKED_PHONE = String.raw`regexp_replace(c.phone, '\d(?=(\D*\d){4})', '*', 'g')`;
const SHOWN = `n.id, n.appointment_id::text AS appointment_id, n.notification_type, n.status, iso_utc(n.updated_at) AS timestamp,
      n.error_code AS error_message, ${CUSTOMER_NAME} AS customer_name, ${MASKED_PHONE} AS customer_phone, iso_utc(n.start_ts) AS start_ts`;
const WITH_CUSTOMER = `LEFT JOIN appointments a ON a.tenant_id = $1 AND a.id = n.appointment_id
      LEFT JOIN customers c ON c.tenant_id = $1 AND c.id = a.customer_id`;

/** Values: tenant, since, appointment or null, status or null. One row with `json`: `{notifications, count}`, the newest first. */
export const NOTIFICATIONS: Sql = {
  name: 'notification_log_list',
  text: `SELECT json_build_object('notifications', coalesce(json_agg(shown), '[]'), 'count', count(*))::text AS json FROM (
    SELECT ${SHOWN} FROM (SELECT * FROM notification_log WHERE tenant_id = $1 AND created_at >= $2::timestamptz
        AND ($3::bigint IS NULL OR appointment_id = $3::bigint) AND ($4::text IS NULL OR status = $4::text)
      ORDER BY created_at DESC, id DESC LIMIT ${LIST_MAX}) n
    ${WITH_CUSTOMER} ORDER BY n.created_at DESC, n.id DESC) shown`,
};

/** Values: tenant, since. One row with `json`: the counts, and the latest failures. */
export const NOTIFICATION_STATS: Sql = {
  name: 'notification_log_stats',
  text: `WITH n AS MATERIALIZED (SELECT * FROM notification_log WHERE tenant_id = $1 AND created_at >= $2::timestamptz)
    SELECT json_build_object('total', count(*),
      'sent', count(*) FILTER (WHERE status = 'sent'), 'failed', count(*) FILTER (WHERE status = 'failed'),
      'pending', count(*) FILTER (WHERE status = 'pending'),
      'success_rate', round(count(*) FILTER (WHERE status = 'sent')::numeric / nullif(count(*) FILTER (WHERE status <> 'pending'), 0), 4),
      'by_type', json_build_object(${NOTIFICATION_TYPES.map((type) => `'${type}', count(*) FILTER (WHERE notification_type = '${type}')`).join(', ')}),
      'recent_failures', (SELECT coalesce(json_agg(shown), '[]') FROM (
        SELECT ${SHOWN} FROM (SELECT * FROM n WHERE status = 'failed' ORDER BY updated_at DESC, id DESC LIMIT ${FAILURES_MAX}) n
        ${WITH_CUSTOMER} ORDER BY n.updated_at DESC, n.id DESC) shown)
    )::text AS json FROM n`,
};

export interface LoggedReminder {
  id: string;
  status: 'sent' | 'failed' | 'pending';
  errorCode: string | null;
  startTs: Date;
  /** The appointment is still to come as the reminder says. */
  isCurrent: boolean;
}

/** Values: tenant, appointment, now. The reminder of an appointment, locked. */
export const LOCK_LOGGED_REMINDER: Sql = {
  name: 'notification_log_lock',
  text: `SELECT n.id, n.status, n.error_code AS "errorCode", n.start_ts AS "startTs",
      (a.status = 'SCHEDULED' AND a.start_ts = n.start_ts AND a.start_ts > $3::timestamptz) AS "isCurrent"
    FROM notification_log n JOIN appointments a ON a.tenant_id = $1 AND a.id = n.appointment_id AND a.deleted_at IS NULL
    WHERE n.tenant_id = $1 AND n.appointment_id = $2::bigint AND n.notification_type = 'reminder_24h' FOR UPDATE OF n`,
};

/** Values: tenant, id, now. As claimed just now; the message that failed stays in its thread. */
export const RESET_REMINDER: Sql = {
  name: 'notification_log_reset',
  text: `UPDATE notification_log SET status = 'pending', message_id = NULL, error_code = NULL, created_at = $3::timestamptz, updated_at = $3::timestamptz
    WHERE tenant_id = $1 AND id = $2::uuid`,
};
