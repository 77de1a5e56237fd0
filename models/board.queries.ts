/**
 * The board in one statement: the rows of the day and those carried over from earlier days, their cards, and the five columns.
 * The same few index scans and one aggregate per card however many cards there are.
 */
import type { Sql } from '../lib/db';
import { EFFECTIVE_TOTAL_CENTS, OWNERS_BY_KEY } from './appointments.queries';

/** Rows that each part of the board shows at most. */
const PART_MAX = 500;
/** Services named on a card. */
const SUMMARY_MAX = 3;

export interface BoardRange {
  /** Both may be open in range mode. */
  from: Date | null;
  to: Date | null;
  techId: string | null;
  /** Unfinished work that began before `from` is shown too. */
  carryOver: boolean;
  /** Day mode leaves canceled appointments out. */
  withCanceled: boolean;
}

const COLUMNS = `(VALUES (1, 'SCHEDULED', 'Scheduled'), (2, 'IN_PROGRESS', 'In Progress'), (3, 'READY', 'Ready'), (4, 'COMPLETED', 'Completed'),
  (5, 'NO_SHOW', 'No-Show'))`;
const STATUS_RANK = `array_position('{SCHEDULED,IN_PROGRESS,READY,COMPLETED,NO_SHOW,CANCELED}'::text[], a.status)`;

/** One row with `json`: `{columns, cards}`. Cards are ordered by status, rank, start, id, so a change of status reorders them. */
export function boardSql({ from, to, techId, carryOver, withCanceled }: BoardRange, tenantId: string, timeZone: string): [Sql, unknown[]] {
  const values: unknown[] = [tenantId, timeZone];
  const parameter = (value: unknown): string => `$${values.push(value)}`;
  const always = `a.tenant_id = $1 AND a.deleted_at IS NULL${techId === null ? '' : ` AND a.tech_id = ${parameter(techId)}::uuid`}`;
  const begin = from === null ? null : `${parameter(from)}::timestamptz`;
  const inRange = [
    always,
    ...(begin === null ? [] : [`a.start_ts >= ${begin}`]),
    ...(to === null ? [] : [`a.start_ts < ${parameter(to)}::timestamptz`]),
    ...(withCanceled ? [] : [`a.status <> 'CANCELED'`]),
  ].join(' AND ');
  const parts = [`(SELECT a.* FROM appointments a WHERE ${inRange} ORDER BY a.start_ts, a.id LIMIT ${PART_MAX})`];
  if (carryOver && begin !== null) {
    // Two branches, each with its partial index; the newest work first when there is too much of it.
    parts.push(`(SELECT * FROM (
        SELECT a.* FROM appointments a WHERE ${always} AND a.start_ts < ${begin} AND a.status IN ('IN_PROGRESS', 'READY')
        UNION ALL
        SELECT a.* FROM appointments a WHERE ${always} AND a.start_ts < ${begin} AND a.check_in_at IS NOT NULL AND a.check_out_at IS NULL
          AND a.status NOT IN ('IN_PROGRESS', 'READY', 'CANCELED')) unfinished
      ORDER BY start_ts DESC, id DESC LIMIT ${PART_MAX})`);
  }
  const shape = `${techId === null ? '' : 'e'}${from === null ? '' : 'f'}${to === null ? '' : 't'}${parts.length > 1 ? 'c' : ''}${withCanceled ? 'x' : ''}`;
  const text = `WITH rows AS MATERIALIZED (${parts.join(' UNION ALL ')}),
    priced AS MATERIALIZED (
      SELECT a.*, ${STATUS_RANK} AS status_rank, coalesce(${EFFECTIVE_TOTAL_CENTS}, 0) AS price_cents, lines.summary
      FROM rows a LEFT JOIN LATERAL (
        SELECT sum(s.estimated_price_cents)::bigint AS sum_cents,
          array_to_string((array_agg(s.name ORDER BY s.created_at, s.id))[1:${SUMMARY_MAX}], ', ') AS summary
        FROM appointment_services s WHERE s.tenant_id = a.tenant_id AND s.appointment_id = a.id AND s.deleted_at IS NULL) lines ON true)
    SELECT '{"columns":' || (
      SELECT json_agg(json_build_object('key', k.key, 'title', k.title, 'count', coalesce(t.count, 0), 'sum', dollars(coalesce(t.sum, 0))) ORDER BY k.rank)::text
      FROM ${COLUMNS} k (rank, key, title)
      LEFT JOIN (SELECT status, count(*) AS count, sum(price_cents)::bigint AS sum FROM priced GROUP BY status) t ON t.status = k.key)
    || ',"cards":' || coalesce((SELECT json_agg(card)::text FROM (
      SELECT a.id::text AS id, coalesce(c.name, 'Unknown Customer') AS "customerName",
        coalesce(nullif(concat_ws(' ', v.year, v.make, v.model), ''), v.vin, 'Unknown Vehicle') AS vehicle,
        dollars(a.price_cents) AS price, a.status,
        row_number() OVER (PARTITION BY a.status_rank ORDER BY a.position NULLS LAST, a.start_ts, a.id)::int AS position,
        iso_utc(a.start_ts) AS start, iso_utc(a.end_ts) AS "end", iso_utc(a.started_at) AS "startedAt", iso_utc(a.completed_at) AS "completedAt",
        iso_utc(a.check_in_at) AS "checkInAt", iso_utc(a.check_out_at) AS "checkOutAt",
        a.tech_id AS "techAssigned", a.tech_id AS "technicianId", e.initials AS "techInitials", e.name AS "techName",
        v.year AS "vehicleYear", v.make AS "vehicleMake", v.model AS "vehicleModel",
        a.primary_operation_id AS "primaryOperationId", o.name AS "primaryOperationName", coalesce(a.service_category, o.category) AS "serviceCategory",
        coalesce(a.summary, a.title) AS "servicesSummary",
        right(w.local, 5) AS "scheduledTime", left(w.local, 10) AS "appointmentDate",
        v.last_service_date AS "lastServiceDate", v.mileage
      FROM priced a
      ${OWNERS_BY_KEY}
      LEFT JOIN technicians e ON e.tenant_id = a.tenant_id AND e.id = a.tech_id
      LEFT JOIN service_operations o ON o.tenant_id = a.tenant_id AND o.id = a.primary_operation_id
      CROSS JOIN LATERAL (SELECT to_char(a.start_ts AT TIME ZONE $2, 'YYYY-MM-DD HH24:MI') AS local OFFSET 0) w
      ORDER BY a.status_rank, a.position NULLS LAST, a.start_ts, a.id) card), '[]') || '}' AS json`;
  return [{ name: `board_${shape}`, text }, values];
}

// ------------------------------------------------------------------ ranks

/** Rank of the highest ranked card of a column. Values: tenant, status, the card that is about to move. */
export const COLUMN_TOP: Sql = {
  name: 'board_column_top',
  text: `SELECT position FROM appointments WHERE tenant_id = $1 AND status = $2 AND deleted_at IS NULL AND position IS NOT NULL AND id <> $3::bigint
    ORDER BY position LIMIT 1`,
};

/** The column as today's board shows it, top first. Values: tenant, status, from, to, the card that is about to move. */
export const COLUMN_CARDS: Sql = {
  name: 'board_column_cards',
  text: `SELECT id, position FROM appointments WHERE tenant_id = $1 AND status = $2 AND deleted_at IS NULL AND id <> $5::bigint
      AND start_ts < $4::timestamptz
      AND (start_ts >= $3::timestamptz OR status IN ('IN_PROGRESS', 'READY') OR (check_in_at IS NOT NULL AND check_out_at IS NULL))
    ORDER BY position NULLS LAST, start_ts, id LIMIT ${2 * PART_MAX}`,
};

/** Gives cards new ranks; neither a change of content nor of version. Values: tenant, ids, ranks. */
export const SET_RANKS: Sql = {
  name: 'board_set_ranks',
  text: `UPDATE appointments a SET position = r.position FROM unnest($2::bigint[], $3::float8[]) AS r (id, position)
    WHERE a.tenant_id = $1 AND a.id = r.id`,
};
