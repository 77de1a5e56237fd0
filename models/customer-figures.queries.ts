/**
 * What a visit, a service and money spent are, in one place for every screen that shows them. Fragments speak of appointments
 * under the alias `a`, and of the present as `$3`.
 */

/** Lifetime spend that makes a customer a VIP without the flag. */
export const VIP_CENTS = 500_000;
/** A car not serviced for this long is overdue. */
export const OVERDUE_DAYS = 180;
/** Newest appointments that a customer's pages show. */
export const APPOINTMENT_LIMIT = 500;

/** Money counts once work has begun: a booking that may still be cancelled is not revenue. */
export const SPENT_STATUSES = `('IN_PROGRESS', 'READY', 'COMPLETED')`;
/** A visit has begun and was not called off; what lies ahead is no visit yet. */
export const VISITED = `a.status NOT IN ('CANCELED', 'NO_SHOW') AND a.start_ts <= $3::timestamptz`;
/** When the last completed service ended. */
export const LAST_SERVICE_AT = `max(COALESCE(a.check_out_at, a.start_ts)) FILTER (WHERE a.status = 'COMPLETED')`;
export const OVERDUE = (lastServiceAt: string): string =>
  `COALESCE(${lastServiceAt} < $3::timestamptz - interval '${OVERDUE_DAYS} days', false)`;

/** "2019 Honda Civic", null unless all three are known. Alias `v`. */
export const VEHICLE_DISPLAY = `CASE WHEN v.year IS NOT NULL AND v.make <> '' AND v.model <> '' THEN v.year || ' ' || v.make || ' ' || v.model END`;
/** The known parts of the same, "Vehicle" when there are none. */
export const VEHICLE_LABEL = `COALESCE(NULLIF(concat_ws(' ', v.year, NULLIF(v.make, ''), NULLIF(v.model, '')), ''), 'Vehicle')`;
export const CUSTOMER_NAME = `COALESCE(NULLIF(btrim(c.name), ''), 'Unknown Customer')`;

/** The address as one line, from its parts where it was given in parts. */
export const CUSTOMER_ADDRESS = `COALESCE(c.address, NULLIF(concat_ws(', ', c.address_line1, c.address_line2, c.city, NULLIF(concat_ws(' ', c.state, c.zip_code), '')), ''))`;
/** The day from which the relationship counts; `$4` is the tenant's time zone. */
export const CUSTOMER_SINCE = `COALESCE(c.customer_since, (c.created_at AT TIME ZONE $4)::date)`;

const SINCE_A_YEAR = `a.start_ts > $3::timestamptz - interval '12 months'`;

/** Aggregates over the appointments of one customer. */
export const METRICS = `COALESCE(sum(a.total_cents) FILTER (WHERE a.status IN ${SPENT_STATUSES}), 0)::bigint AS spent_cents,
      COALESCE(sum(GREATEST(a.total_cents - a.paid_cents, 0)) FILTER (WHERE a.status IN ${SPENT_STATUSES}), 0)::bigint AS unpaid_cents,
      count(*) FILTER (WHERE ${VISITED}) AS visits,
      count(*) FILTER (WHERE a.status = 'COMPLETED') AS completed,
      COALESCE(round(avg(a.total_cents) FILTER (WHERE a.status = 'COMPLETED' AND a.total_cents > 0)), 0)::bigint AS avg_ticket_cents,
      ${LAST_SERVICE_AT} AS last_service_at,
      max(a.start_ts) FILTER (WHERE ${VISITED}) AS last_visit_at,
      COALESCE(sum(a.total_cents) FILTER (WHERE a.status IN ${SPENT_STATUSES} AND ${SINCE_A_YEAR}), 0)::bigint AS year_spent_cents,
      count(*) FILTER (WHERE ${VISITED} AND ${SINCE_A_YEAR}) AS year_visits`;

/** The figures of one customer under their wire names, from a row `f` of {@link METRICS}; `isVip` and `vehicles` are SQL expressions. */
export const METRICS_KEYS = ({ isVip, vehicles }: { isVip: string; vehicles: string }): string =>
  `dollars(f.spent_cents) AS "totalSpent", dollars(f.unpaid_cents) AS "unpaidBalance", f.visits AS "visitsCount",
        f.completed AS "completedCount", dollars(f.avg_ticket_cents) AS "avgTicket", iso_utc(f.last_service_at) AS "lastServiceAt",
        iso_utc(f.last_visit_at) AS "lastVisitAt", dollars(f.year_spent_cents) AS "last12MonthsSpent", f.year_visits AS "last12MonthsVisits",
        ${vehicles} AS "vehiclesCount", ${isVip} AS "isVip", ${OVERDUE('f.last_service_at')} AS "isOverdueForService"`;
