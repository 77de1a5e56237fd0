/** Message threads, the limits on them, and what is read before a message leaves. */
import type { Sql } from '../lib/db';
import type { Channel } from '../schemas/messages.schema';
import { CUSTOMER_NAME, VEHICLE_LABEL } from './customer-figures.queries';

const THREAD_MAX = 500;

/** Values: tenant, appointment. One row with `json`: `{messages}`, the latest ones, oldest first; none when the appointment is absent. */
export const THREAD: Sql = {
  name: 'messages_thread',
  text: `SELECT json_build_object('messages', coalesce((
      SELECT json_agg(json_build_object('id', m.id, 'appointment_id', m.appointment_id::text, 'channel', m.channel, 'direction', m.direction,
        'body', m.body, 'status', m.status, 'sent_at', iso_utc(m.sent_at)) ORDER BY m.sent_at NULLS LAST, m.id)
      FROM (SELECT * FROM messages WHERE tenant_id = $1 AND appointment_id = $2::bigint AND deleted_at IS NULL
        ORDER BY sent_at DESC NULLS FIRST, id DESC LIMIT ${THREAD_MAX}) m), '[]'::json))::text AS json
    FROM appointments WHERE tenant_id = $1 AND id = $2::bigint AND deleted_at IS NULL`,
};

export interface Recipient {
  customerId: number | null;
  phone: string | null;
  email: string | null;
  smsOptOut: boolean;
}

/** Values: tenant, appointment. The appointment's customer; nobody when deleted. */
export const RECIPIENT: Sql = {
  name: 'messages_recipient',
  text: `SELECT c.id AS "customerId", c.phone, c.email, coalesce(c.sms_opt_out, false) AS "smsOptOut"
    FROM appointments a LEFT JOIN customers c ON c.tenant_id = $1 AND c.id = a.customer_id AND c.deleted_at IS NULL
    WHERE a.tenant_id = $1 AND a.id = $2::bigint AND a.deleted_at IS NULL`,
};

/** Ends with the transaction. One caller of a shop counts and adds at a time, so that two cannot both be the last one allowed. */
export const LOCK_SENDING: Sql = {
  name: 'messages_lock',
  text: `SELECT pg_advisory_xact_lock(hashtextextended('messages:' || $1::text, 0))`,
};

export interface SendingLimits {
  customerAt: Date | null;
  shopAt: Date | null;
}

/**
 * Values: tenant, customer, start of the customer's window, number allowed in it, start of the shop's window, number allowed in it.
 * One row: when the oldest message was written whose place must become free; null where there is room.
 */
export const SENDING_LIMITS: Sql = {
  name: 'messages_limits',
  text: `SELECT
    (SELECT created_at FROM messages WHERE tenant_id = $1 AND customer_id = $2::bigint AND direction = 'out' AND created_at > $3::timestamptz
      ORDER BY created_at DESC OFFSET $4::int - 1 LIMIT 1) AS "customerAt",
    (SELECT created_at FROM messages WHERE tenant_id = $1 AND direction = 'out' AND created_at > $5::timestamptz
      ORDER BY created_at DESC OFFSET $6::int - 1 LIMIT 1) AS "shopAt"`,
};

export interface Envelope extends Recipient {
  channel: Channel;
  shopName: string;
  shopNumber: string | null;
  /** Set for a reminder: the appointment is no longer what it speaks of. */
  isOutdated: boolean;
}

/** Values: tenant, message. To whom a message goes as things are now. */
export const ENVELOPE: Sql = {
  name: 'messages_envelope',
  text: `SELECT m.channel, c.id AS "customerId", c.phone, c.email, coalesce(c.sms_opt_out, false) AS "smsOptOut", t.name AS "shopName",
      t.sms_number AS "shopNumber",
      coalesce(n.start_ts <> a.start_ts OR a.status <> 'SCHEDULED' OR a.deleted_at IS NOT NULL, false) AS "isOutdated"
    FROM messages m
    JOIN tenants t ON t.id = m.tenant_id
    JOIN appointments a ON a.tenant_id = $1 AND a.id = m.appointment_id
    LEFT JOIN customers c ON c.tenant_id = $1 AND c.id = m.customer_id AND c.deleted_at IS NULL
    LEFT JOIN notification_log n ON n.tenant_id = $1 AND n.message_id = m.id
    WHERE m.tenant_id = $1 AND m.id = $2::uuid`,
};

/** Values: tenant, message, status, error code or null, now. What became of an automatic message. */
export const MARK_NOTIFICATION: Sql = {
  name: 'notification_log_mark',
  text: `UPDATE notification_log SET status = $3, error_code = $4, updated_at = $5::timestamptz WHERE tenant_id = $1 AND message_id = $2::uuid`,
};

// ------------------------------------------------------------------ what comes in

/** Tenants that a number belongs to: the one that has it, else all that share the service's. Values: number, whether it is the service's. */
export const TENANTS_BY_NUMBER: Sql = {
  name: 'tenants_by_sms_number',
  text: `SELECT id, slug, name, timezone, status FROM tenants WHERE status IN ('active', 'trial') AND (sms_number = $1 OR ($2::boolean AND sms_number IS NULL)) ORDER BY id`,
};

/** Values: tenant, provider's id, outcome. A row when it is heard of for the first time. */
export const ADD_INBOUND: Sql = {
  name: 'inbound_messages_add',
  text: `INSERT INTO inbound_messages (tenant_id, provider_id, outcome) VALUES ($1, $2, $3)
    ON CONFLICT ON CONSTRAINT inbound_messages_pk DO NOTHING RETURNING provider_id`,
};

/** Values: tenant, number. Customers who have it. */
export const CUSTOMERS_BY_NUMBER: Sql = {
  name: 'customers_by_sms_number',
  text: `SELECT id FROM customers WHERE tenant_id = $1 AND phone_digits = phone_digits($2::text) AND deleted_at IS NULL ORDER BY id`,
};

/** Values: tenant, number. The latest open appointment of a customer with that number, and when the shop last wrote to it. */
export const OPEN_THREAD: Sql = {
  name: 'messages_open_thread',
  text: `SELECT a.id AS "appointmentId", c.id AS "customerId",
      (SELECT max(m.created_at) FROM messages m WHERE m.tenant_id = $1 AND m.customer_id = c.id AND m.direction = 'out') AS "writtenAt"
    FROM customers c JOIN appointments a ON a.tenant_id = $1 AND a.customer_id = c.id
    WHERE c.tenant_id = $1 AND c.phone_digits = phone_digits($2::text) AND c.deleted_at IS NULL AND a.deleted_at IS NULL
      AND a.status IN ('SCHEDULED', 'IN_PROGRESS', 'READY')
    ORDER BY a.start_ts DESC, a.id DESC LIMIT 1`,
};

// ------------------------------------------------------------------ reminders

/**
 * Claims the reminders that are due. Values: tenant, from, to, booked before, now. A row for each appointment that has none for its present
 * start; rivals wait for each other at the unique constraint, so each is claimed once.
 */
export const CLAIM_REMINDERS: Sql = {
  name: 'reminders_claim',
  text: `INSERT INTO notification_log AS n (tenant_id, appointment_id, notification_type, status, start_ts, created_at, updated_at)
    SELECT a.tenant_id, a.id, 'reminder_24h', 'pending', a.start_ts, $5::timestamptz, $5::timestamptz
    FROM appointments a JOIN customers c ON c.tenant_id = $1 AND c.id = a.customer_id
    WHERE a.tenant_id = $1 AND a.start_ts >= $2::timestamptz AND a.start_ts < $3::timestamptz AND a.status = 'SCHEDULED' AND a.deleted_at IS NULL
      AND a.created_at <= a.start_ts - $4::interval AND c.phone_digits IS NOT NULL AND c.sms_consent AND NOT c.sms_opt_out AND c.deleted_at IS NULL
    ORDER BY a.id
    ON CONFLICT ON CONSTRAINT notification_log_tenant_id_appointment_id_type_key DO UPDATE
      SET start_ts = excluded.start_ts, status = 'pending', message_id = NULL, error_code = NULL, created_at = excluded.created_at, updated_at = excluded.updated_at
      WHERE n.start_ts <> excluded.start_ts
    RETURNING appointment_id AS "appointmentId", start_ts AS "startTs"`,
};

/** Values: tenant, appointment, start. The claim, locked, while no message was made for it. */
export const LOCK_REMINDER: Sql = {
  name: 'reminders_lock',
  text: `SELECT id FROM notification_log WHERE tenant_id = $1 AND appointment_id = $2::bigint AND notification_type = 'reminder_24h'
    AND start_ts = $3::timestamptz AND message_id IS NULL FOR UPDATE`,
};

export interface ReminderFacts extends Recipient {
  smsConsent: boolean;
  customerName: string;
  vehicle: string;
  service: string | null;
}

/** Values: tenant, appointment, start. None when the appointment is no longer scheduled for that start. */
export const REMINDER_FACTS: Sql = {
  name: 'reminders_facts',
  text: `SELECT c.id AS "customerId", c.phone, c.email, c.sms_opt_out AS "smsOptOut", c.sms_consent AS "smsConsent", ${CUSTOMER_NAME} AS "customerName",
      ${VEHICLE_LABEL} AS vehicle, a.title AS service
    FROM appointments a JOIN customers c ON c.tenant_id = $1 AND c.id = a.customer_id AND c.deleted_at IS NULL
    LEFT JOIN vehicles v ON v.tenant_id = $1 AND v.id = a.vehicle_id
    WHERE a.tenant_id = $1 AND a.id = $2::bigint AND a.start_ts = $3::timestamptz AND a.status = 'SCHEDULED' AND a.deleted_at IS NULL`,
};

/** Values: tenant, claim. */
export const DROP_REMINDER: Sql = { name: 'reminders_drop', text: 'DELETE FROM notification_log WHERE tenant_id = $1 AND id = $2::uuid' };

/** Values: tenant, claim, message, now. */
export const SET_REMINDER_MESSAGE: Sql = {
  name: 'reminders_message',
  text: 'UPDATE notification_log SET message_id = $3::uuid, updated_at = $4::timestamptz WHERE tenant_id = $1 AND id = $2::uuid',
};

/** `$2` tenant, `$3` until: of what is sent and past, under the aliases `n` and `a`. */
const OLD_NOTIFICATIONS = `FROM notification_log n JOIN appointments a ON a.tenant_id = $2 AND a.id = n.appointment_id
    WHERE n.tenant_id = $2 AND n.created_at < $3::timestamptz AND a.start_ts < $3::timestamptz`;

/** Values: rows at most, tenant, until. */
export const PRUNE_NOTIFICATIONS: Sql = {
  name: 'notification_log_prune',
  text: `DELETE FROM notification_log WHERE tenant_id = $2 AND id IN (
    SELECT n.id ${OLD_NOTIFICATIONS} LIMIT $1 FOR UPDATE OF n SKIP LOCKED) RETURNING id`,
};

/** Values: tenant, until. */
export const COUNT_OLD_NOTIFICATIONS: Sql = {
  text: `SELECT count(*)::int AS rows ${OLD_NOTIFICATIONS.replaceAll('$2', '$1').replaceAll('$3', '$2')}`,
};

/** Values: tenant. From when to when the shop is not to disturb anybody, as HH:MM in its zone. */
export const QUIET_HOURS: Sql = {
  name: 'tenant_settings_quiet',
  text: `SELECT to_char(quiet_from, 'HH24:MI') AS "from", to_char(quiet_to, 'HH24:MI') AS "to" FROM tenant_settings WHERE tenant_id = $1`,
};
