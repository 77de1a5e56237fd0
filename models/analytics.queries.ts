/**
 * Analytics: each report is one statement that builds its part of the reply as JSON. Rows are found by instants (so the
 * indexes serve) and put into buckets by the shop's own clock; buckets without a row are there with zeros.
 * Values of all of them: `$1` tenant, `$2` time zone, `$3`, `$4` half-open range, `$5` granularity, `$6`, `$7` first and last
 * day of the range, `$8` now.
 */
import type { Sql } from '../lib/db';
import { CUSTOMER_NAME, SPENT_STATUSES } from './customer-figures.queries';
import { CYCLE_HOURS } from './dashboard.queries';

const TOP_SERVICES = 10;
const TOP_CUSTOMERS = 20;
const UNASSIGNED = 'Unassigned';

export const inRange = (column: string): string => `${column} >= $3::timestamptz AND ${column} < $4::timestamptz`;
export const bucketOf = (column: string): string => `date_trunc($5::text, ${column} AT TIME ZONE $2::text)`;
/** Every bucket that the range touches; the first may begin before it (a week that began earlier). */
export const BUCKETS = `buckets AS (SELECT generate_series(date_trunc($5::text, $6::date::timestamp), $7::date::timestamp, ('1 ' || $5::text)::interval) AS at)`;
export const BUCKET_START = `'bucketStart', to_char(b.at, 'YYYY-MM-DD')`;
/** Gives each value its type, also in a report that has no use for it. */
const GIVEN = `given AS (SELECT $2::text AS time_zone, $5::text AS granularity, $6::date AS first_day, $7::date AS last_day, $8::timestamptz AS now)`;

const VISIT = `a.status NOT IN ('CANCELED', 'NO_SHOW') AND a.start_ts <= $8::timestamptz`;

/** What the dashboard's analytics know beyond the dashboard's own figures. */
export const DASHBOARD_DETAILS: Sql = {
  name: 'analytics_dashboard',
  text: `WITH ${GIVEN},
    done AS MATERIALIZED (SELECT s.service_operation_id, s.name, count(*) AS count, coalesce(sum(s.estimated_price_cents), 0) AS cents
      FROM appointments a
      CROSS JOIN LATERAL (SELECT * FROM appointment_services l WHERE l.tenant_id = $1 AND l.appointment_id = a.id AND l.deleted_at IS NULL OFFSET 0) s
      WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND ${inRange('a.start_ts')} AND a.status IN ${SPENT_STATUSES}
      GROUP BY s.service_operation_id, s.name)
    SELECT json_build_object(
      'outstanding_cents', (SELECT coalesce(sum(i.amount_due_cents), 0) FROM invoices i
        WHERE i.tenant_id = $1 AND i.status <> 'VOID' AND ${inRange('i.created_at')}),
      'new_customers', (SELECT count(*) FROM customers c WHERE c.tenant_id = $1 AND c.deleted_at IS NULL AND ${inRange('c.created_at')}),
      'top_services', coalesce((SELECT json_agg(top) FROM (
        SELECT s.service_operation_id, coalesce(o.name, s.name) AS name, sum(s.count)::bigint AS count, sum(s.cents)::bigint AS revenue_cents
        FROM done s LEFT JOIN service_operations o ON o.tenant_id = $1 AND o.id = s.service_operation_id
        GROUP BY 1, 2 ORDER BY count DESC, revenue_cents DESC, name, service_operation_id LIMIT ${TOP_SERVICES}) top), '[]')
    )::text AS json`,
};

export const REVENUE: Sql = {
  name: 'analytics_revenue',
  text: `WITH ${GIVEN}, ${BUCKETS},
    issued AS MATERIALIZED (SELECT ${bucketOf('i.created_at')} AS at, i.status, i.total_cents, i.amount_due_cents FROM invoices i
      WHERE i.tenant_id = $1 AND ${inRange('i.created_at')}),
    received AS MATERIALIZED (SELECT ${bucketOf('p.received_at')} AS at, p.method, p.amount_cents FROM payments p
      WHERE p.tenant_id = $1 AND p.voided_at IS NULL AND ${inRange('p.received_at')})
    SELECT json_build_object(
      'totals', (SELECT json_build_object(
          'invoiced_cents', coalesce(sum(total_cents) FILTER (WHERE status <> 'VOID'), 0),
          'collected_cents', (SELECT coalesce(sum(amount_cents), 0) FROM received),
          'outstanding_cents', coalesce(sum(amount_due_cents) FILTER (WHERE status <> 'VOID'), 0),
          'voided_cents', coalesce(sum(total_cents) FILTER (WHERE status = 'VOID'), 0),
          'average_invoice_cents', coalesce(round(avg(total_cents) FILTER (WHERE status <> 'VOID')), 0)) FROM issued),
      'trend', (SELECT json_agg(json_build_object(${BUCKET_START},
          'invoiced_cents', coalesce(i.cents, 0), 'collected_cents', coalesce(r.cents, 0)) ORDER BY b.at)
        FROM buckets b
        LEFT JOIN (SELECT at, sum(total_cents) AS cents FROM issued WHERE status <> 'VOID' GROUP BY at) i ON i.at = b.at
        LEFT JOIN (SELECT at, sum(amount_cents) AS cents FROM received GROUP BY at) r ON r.at = b.at),
      'by_method', coalesce((SELECT json_agg(m) FROM (
        SELECT method, sum(amount_cents)::bigint AS amount_cents, count(*) AS count FROM received GROUP BY method ORDER BY amount_cents DESC, method) m), '[]')
    )::text AS json`,
};

const STATUS_COUNT = (status: string): string => `'${status}', count(*) FILTER (WHERE a.status = '${status}')`;

export const APPOINTMENTS: Sql = {
  name: 'analytics_appointments',
  text: `WITH ${GIVEN}, ${BUCKETS},
    found AS MATERIALIZED (SELECT a.status, a.tech_id, a.started_at, a.completed_at, a.start_ts AT TIME ZONE $2::text AS local FROM appointments a
      WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND ${inRange('a.start_ts')})
    SELECT json_build_object(
      'totals', (SELECT json_build_object('total', count(*), 'by_status', json_build_object(
          ${['SCHEDULED', 'IN_PROGRESS', 'READY', 'COMPLETED', 'NO_SHOW', 'CANCELED'].map(STATUS_COUNT).join(', ')}),
          'avg_cycle_hours', round(${CYCLE_HOURS}::numeric, 2)) FROM found a),
      'trend', (SELECT json_agg(json_build_object(${BUCKET_START}, 'count', coalesce(t.count, 0), 'completed', coalesce(t.completed, 0)) ORDER BY b.at)
        FROM buckets b LEFT JOIN (SELECT date_trunc($5::text, local) AS at, count(*) AS count, count(*) FILTER (WHERE status = 'COMPLETED') AS completed
          FROM found GROUP BY 1) t ON t.at = b.at),
      'by_technician', coalesce((SELECT json_agg(json_build_object('tech_id', t.tech_id, 'name', coalesce(e.name, '${UNASSIGNED}'), 'count', t.count, 'completed', t.completed)
          ORDER BY t.count DESC, e.name NULLS LAST, t.tech_id)
        FROM (SELECT tech_id, count(*) AS count, count(*) FILTER (WHERE status = 'COMPLETED') AS completed FROM found GROUP BY tech_id) t
        LEFT JOIN technicians e ON e.tenant_id = $1 AND e.id = t.tech_id), '[]'),
      'by_weekday', (SELECT json_agg(coalesce(t.count, 0) ORDER BY d.day) FROM generate_series(1, 7) d (day)
        LEFT JOIN (SELECT extract(isodow FROM local)::int AS day, count(*) AS count FROM found GROUP BY 1) t ON t.day = d.day)
    )::text AS json`,
};

/** Who came back: the first visit of a customer in the range is no first visit when an earlier one is found by its index. */
export const CUSTOMERS: Sql = {
  name: 'analytics_customers',
  text: `WITH ${GIVEN}, ${BUCKETS},
    visitors AS MATERIALIZED (SELECT a.customer_id, count(*) AS visits, min(a.start_ts) AS first_at,
        coalesce(sum(a.total_cents) FILTER (WHERE a.status IN ${SPENT_STATUSES}), 0)::bigint AS revenue_cents
      FROM appointments a WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND ${inRange('a.start_ts')} AND ${VISIT} AND a.customer_id IS NOT NULL
      GROUP BY a.customer_id),
    counted AS MATERIALIZED (SELECT count(*) AS customers, count(*) FILTER (WHERE r.visits > 1 OR EXISTS (
        SELECT FROM appointments a WHERE a.tenant_id = $1 AND a.customer_id = r.customer_id AND a.deleted_at IS NULL
          AND a.start_ts < r.first_at AND ${VISIT})) AS came_back FROM visitors r),
    arrivals AS MATERIALIZED (SELECT ${bucketOf('c.created_at')} AS at, count(*) AS count FROM customers c
      WHERE c.tenant_id = $1 AND c.deleted_at IS NULL AND ${inRange('c.created_at')} GROUP BY 1)
    SELECT json_build_object(
      'totals', (SELECT json_build_object('customers', customers, 'new', (SELECT coalesce(sum(count), 0) FROM arrivals), 'returning', came_back,
          'repeat_rate', round(came_back::numeric / nullif(customers, 0), 4)) FROM counted),
      'trend', (SELECT json_agg(json_build_object(${BUCKET_START}, 'new', coalesce(n.count, 0)) ORDER BY b.at)
        FROM buckets b LEFT JOIN arrivals n ON n.at = b.at),
      'top', coalesce((SELECT json_agg(json_build_object('customer_id', t.customer_id::text, 'name', ${CUSTOMER_NAME}, 'visits', t.visits, 'revenue_cents', t.revenue_cents)
          ORDER BY t.revenue_cents DESC, t.visits DESC, t.customer_id)
        FROM (SELECT * FROM visitors ORDER BY revenue_cents DESC, visits DESC, customer_id LIMIT ${TOP_CUSTOMERS}) t
        LEFT JOIN LATERAL (SELECT name FROM customers WHERE tenant_id = $1 AND id = t.customer_id LIMIT 1) c ON true), '[]')
    )::text AS json`,
};
