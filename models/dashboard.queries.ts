/** The dashboard's figures: one statement, of which each part reads its own index. */
import type { Sql } from '../lib/db';
import { EFFECTIVE_TOTAL_CENTS, OWNERS_BY_KEY } from './appointments.queries';
import { SPENT_STATUSES } from './customer-figures.queries';

const CARS_MAX = 200;
const ON_PREMISES = 'a.check_in_at IS NOT NULL AND a.check_out_at IS NULL';

export interface DashboardRow {
  /** Appointments that begin in the window, those called off included. */
  total: number;
  scheduled: number;
  in_progress: number;
  ready: number;
  completed: number;
  no_show: number;
  canceled: number;
  /** Mean of completed work, hours; null without any. */
  cycle_hours: number | null;
  on_premises: number;
  unpaid_cents: number;
  collected_cents: number;
}

/** Hours between the two stamps of completed work. */
export const CYCLE_HOURS = `(avg(extract(epoch FROM a.completed_at - a.started_at)) FILTER (WHERE a.status = 'COMPLETED') / 3600)::float8`;

/**
 * What is owed: the balance of the invoice where there is one, else the appointment's own. The second part reads the partial
 * index of unsettled work, so its condition repeats that of the index.
 */
const UNPAID = `(SELECT coalesce(sum(i.amount_due_cents), 0) FROM invoices i
      CROSS JOIN LATERAL (SELECT FROM appointments a WHERE a.tenant_id = $1 AND a.id = i.appointment_id AND a.deleted_at IS NULL
        AND a.status IN ${SPENT_STATUSES} LIMIT 1) a
      WHERE i.tenant_id = $1 AND i.status IN ('DRAFT', 'SENT', 'PARTIALLY_PAID'))
    + (SELECT coalesce(sum(greatest(coalesce(${EFFECTIVE_TOTAL_CENTS}, 0) - a.paid_cents, 0)), 0) FROM appointments a
      LEFT JOIN LATERAL (SELECT sum(s.estimated_price_cents)::bigint AS sum_cents FROM appointment_services s
        WHERE coalesce(a.total_cents, 0) = 0 AND s.tenant_id = $1 AND s.appointment_id = a.id AND s.deleted_at IS NULL) lines ON true
      WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND a.status IN ${SPENT_STATUSES}
        AND (a.total_cents > a.paid_cents OR coalesce(a.total_cents, 0) = 0)
        AND NOT EXISTS (SELECT FROM invoices i WHERE i.tenant_id = $1 AND i.appointment_id = a.id AND i.status <> 'VOID'))`;

/** One {@link DashboardRow}. Values: tenant, from, to (half-open window). */
export const DASHBOARD: Sql = {
  name: 'dashboard',
  text: `SELECT count(*) AS total,
      count(*) FILTER (WHERE a.status = 'SCHEDULED') AS scheduled, count(*) FILTER (WHERE a.status = 'IN_PROGRESS') AS in_progress,
      count(*) FILTER (WHERE a.status = 'READY') AS ready, count(*) FILTER (WHERE a.status = 'COMPLETED') AS completed,
      count(*) FILTER (WHERE a.status = 'NO_SHOW') AS no_show, count(*) FILTER (WHERE a.status = 'CANCELED') AS canceled,
      ${CYCLE_HOURS} AS cycle_hours,
      (SELECT count(*) FROM appointments a WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND ${ON_PREMISES}) AS on_premises,
      (${UNPAID})::bigint AS unpaid_cents,
      (SELECT coalesce(sum(p.amount_cents), 0)::bigint FROM payments p
        WHERE p.tenant_id = $1 AND p.voided_at IS NULL AND p.received_at >= $2::timestamptz AND p.received_at < $3::timestamptz) AS collected_cents
    FROM appointments a
    WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND a.start_ts >= $2::timestamptz AND a.start_ts < $3::timestamptz`,
};

/** One row with `json`: an array of the cars in the shop, longest first. Values: tenant. */
export const CARS_IN_SHOP: Sql = {
  name: 'dashboard_cars',
  text: `SELECT coalesce(json_agg(car), '[]')::text AS json FROM (
    SELECT a.id::text AS id, v.make, v.model, c.name AS owner, iso_utc(a.check_in_at) AS "arrivalTime", a.status, iso_utc(a.end_ts) AS "pickupTime"
    FROM (SELECT * FROM appointments a WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND ${ON_PREMISES}
      ORDER BY a.check_in_at, a.id LIMIT ${CARS_MAX}) a ${OWNERS_BY_KEY} ORDER BY a.check_in_at, a.id) car`,
};
