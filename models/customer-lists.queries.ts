/** Lists of customers: the page by page list, search, the recent ones and the look-up by phone. */
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import { phoneDigits, plateKey } from '../schemas/identity.schema';
import {
  CUSTOMER_ADDRESS,
  CUSTOMER_NAME,
  LAST_SERVICE_AT,
  OVERDUE,
  OVERDUE_DAYS,
  SPENT_STATUSES,
  VEHICLE_LABEL,
  VIP_CENTS,
  VISITED,
} from './customer-figures.queries';

export type CustomerFilter = 'vip' | 'overdue' | 'all';

/** Fewer digits than this are no phone number someone searches for. */
const MIN_SEARCH_DIGITS = 4;
const LOOKUP_LIMIT = 25;

/** The digits of a search text that can only be meant as a phone number, else ''. */
function searchedDigits(text: string): string {
  if (!/^[\d\s+().-]+$/.test(text)) return '';
  const digits = phoneDigits(text.replace(/^\s*\+\s*1/, ''));
  return digits.length >= MIN_SEARCH_DIGITS ? digits : '';
}

// ------------------------------------------------------------------ page by page

const SORTS = {
  created_desc: 'c.created_at DESC, c.id DESC',
  created_asc: 'c.created_at, c.id',
  name_asc: 'lower(c.name), c.id',
  name_desc: 'lower(c.name) DESC, c.id DESC',
} as const;
export type CustomerSort = keyof typeof SORTS;
export const isCustomerSort = (text: string): text is CustomerSort => Object.hasOwn(SORTS, text);

/** `strpos` takes the text literally, so `%` and `_` need no escaping. `$n` text, `$n+1` digits. */
const matchesCustomer = (text: string, digits: string): string =>
  `(strpos(lower(c.name), lower(${text})) > 0 OR strpos(c.email, lower(${text})) > 0 OR strpos(c.phone, ${text}) > 0
        OR (${digits} <> '' AND strpos(c.phone_digits, ${digits}) > 0))`;

const FILTERS: Readonly<Record<CustomerFilter, (now: string) => string>> = {
  all: () => '',
  vip: () => ` AND (c.is_vip OR c.id IN (SELECT a.customer_id FROM appointments a WHERE a.tenant_id = $1 AND a.deleted_at IS NULL
        AND a.status IN ${SPENT_STATUSES} GROUP BY a.customer_id HAVING sum(a.total_cents) >= ${VIP_CENTS}))`,
  overdue: (now) => ` AND c.id IN (SELECT a.customer_id FROM appointments a WHERE a.tenant_id = $1 AND a.deleted_at IS NULL
        GROUP BY a.customer_id HAVING ${LAST_SERVICE_AT} < ${now}::timestamptz - interval '${OVERDUE_DAYS} days')`,
};

/** `$1` tenant, `$2` rows, `$3` offset, then `$4`, `$5` search text and digits, and last the present where the filter needs it. */
export function customerListSql({ sort, filter, searching }: { sort: CustomerSort; filter: CustomerFilter; searching: boolean }): {
  name: string;
  text: string;
} {
  const where = `c.tenant_id = $1 AND c.deleted_at IS NULL${searching ? ` AND ${matchesCustomer('$4', '$5')}` : ''}${FILTERS[filter](searching ? '$6' : '$4')}`;
  return {
    name: `customer_list_${sort}_${filter}${searching ? '_search' : ''}`,
    text: `SELECT (SELECT count(*) FROM customers c WHERE ${where}) AS total, (SELECT COALESCE(json_agg(r), '[]')::text FROM (
      SELECT c.id::text AS id, ${CUSTOMER_NAME} AS name, c.email, c.phone, c.is_vip, ${CUSTOMER_ADDRESS} AS address, c.tags,
        iso_utc(c.created_at) AS created_at, iso_utc(c.updated_at) AS updated_at
      FROM customers c WHERE ${where} ORDER BY ${SORTS[sort]} LIMIT $2::int OFFSET $3::int) r) AS items`,
  };
}

export interface CustomerListQuery {
  limit: number;
  offset: number;
  search: string;
  sort: CustomerSort;
  filter: CustomerFilter;
  now: Date;
}

/** One page and the true total; one statement. `items` is JSON text. */
export async function customerList({
  limit,
  offset,
  search,
  sort,
  filter,
  now,
}: CustomerListQuery): Promise<{ total: number; items: string }> {
  const values: unknown[] = [tenant().id, limit, offset];
  if (search !== '') values.push(search, searchedDigits(search));
  if (filter === 'overdue') values.push(now);
  const [row] = await query<{ total: number; items: string }>(customerListSql({ sort, filter, searching: search !== '' }), values);
  return row ?? { total: 0, items: '[]' };
}

// ------------------------------------------------------------------ search

const SEARCH_ORDERS = {
  relevance: 'plate_first DESC, last_visit_at DESC NULLS LAST, lower(name)',
  name_asc: 'lower(name), plate',
  name_desc: 'lower(name) DESC, plate',
  most_recent_visit: 'last_service_at DESC NULLS LAST, lower(name)',
  highest_lifetime_spend: 'spent_cents DESC, lower(name)',
} as const;
export type SearchOrder = keyof typeof SEARCH_ORDERS;
export const isSearchOrder = (text: string): text is SearchOrder => Object.hasOwn(SEARCH_ORDERS, text);

export interface SearchRow {
  vehicle_id: number | null;
  customer_id: number;
  name: string;
  phone: string | null;
  email: string | null;
  plate: string | null;
  vehicle: string | null;
  visits: number;
  last_visit_at: Date | null;
  spent_cents: number;
  last_service_at: Date | null;
  is_vip: boolean;
  is_overdue: boolean;
}

const FILTER_FIGURES: Readonly<Record<CustomerFilter, string>> = { all: '', vip: 'WHERE is_vip', overdue: 'WHERE is_overdue' };

const FOUND_COLUMNS = `c.id AS customer_id, ${CUSTOMER_NAME} AS name, c.phone, c.email, c.is_vip, v.id AS vehicle_id, v.license_plate AS plate,
      CASE WHEN v.id IS NOT NULL THEN ${VEHICLE_LABEL} END AS vehicle,
      COALESCE(starts_with(v.license_plate, upper($2)) OR ($5 <> '' AND starts_with(v.plate_key, $5)), false) AS plate_first`;
const THEIR_VEHICLES = 'LEFT JOIN vehicles v ON v.tenant_id = $1 AND v.customer_id = h.id AND v.is_active';
const VEHICLES_CUSTOMER =
  'JOIN vehicles v ON v.tenant_id = $1 AND v.id = p.id JOIN customers c ON c.tenant_id = $1 AND c.id = v.customer_id AND c.deleted_at IS NULL';
const FIGURES = `count(*) FILTER (WHERE ${VISITED}) AS visits, max(a.start_ts) FILTER (WHERE ${VISITED}) AS last_visit_at,
      COALESCE(sum(a.total_cents) FILTER (WHERE a.status IN ${SPENT_STATUSES}), 0)::bigint AS spent_cents, ${LAST_SERVICE_AT} AS last_service_at`;

/** Up to here looking up row by row is the cheaper way, above it joining whole tables by hash. */
const FEW = 5_000;

/**
 * `$1` tenant, `$2` text, `$3` now, `$4` digits, `$5` plate key, `$6` rows. Whether a text contains another is not leakproof, so under
 * row-level security it is asked of every row of the tenant, whatever index there is: of two narrow covering indexes that hold nothing
 * else, hence `hits` and `plates` select only what these carry. How many that gives cannot be foreseen, so there are two ways on from
 * there, and the count decides which is taken; the other one is not executed. Figures: ADR 13.
 */
export const customerSearchSql = (order: SearchOrder, filter: CustomerFilter) => ({
  name: `customer_search_${order}_${filter}`,
  text: `WITH hits AS MATERIALIZED (
    SELECT c.id FROM customers c WHERE c.tenant_id = $1 AND c.deleted_at IS NULL AND ${matchesCustomer('$2', '$4')}),
  plates AS MATERIALIZED (
    SELECT v.id, v.customer_id FROM vehicles v
    WHERE v.tenant_id = $1 AND v.is_active AND (strpos(v.license_plate, upper($2)) > 0 OR ($5 <> '' AND strpos(v.plate_key, $5) > 0))
      AND v.customer_id NOT IN (SELECT id FROM hits)),
  few AS MATERIALIZED (SELECT (SELECT count(*) FROM hits) + (SELECT count(*) FROM plates) <= ${FEW} AS yes),
  matched AS MATERIALIZED (
    SELECT ${FOUND_COLUMNS} FROM unnest(ARRAY(SELECT id FROM hits)) h (id) JOIN customers c ON c.tenant_id = $1 AND c.id = h.id ${THEIR_VEHICLES}
      WHERE (SELECT yes FROM few)
    UNION ALL SELECT ${FOUND_COLUMNS} FROM unnest(ARRAY(SELECT id FROM plates)) p (id) ${VEHICLES_CUSTOMER} WHERE (SELECT yes FROM few)
    UNION ALL SELECT ${FOUND_COLUMNS} FROM hits h JOIN customers c ON c.tenant_id = $1 AND c.id = h.id ${THEIR_VEHICLES}
      WHERE NOT (SELECT yes FROM few)
    UNION ALL SELECT ${FOUND_COLUMNS} FROM plates p ${VEHICLES_CUSTOMER} WHERE NOT (SELECT yes FROM few)),
  figures AS MATERIALIZED (
    SELECT m.customer_id, f.* FROM unnest(ARRAY(SELECT DISTINCT customer_id FROM matched)) m (customer_id) CROSS JOIN LATERAL (
      SELECT ${FIGURES} FROM appointments a WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND a.customer_id = m.customer_id) f
      WHERE (SELECT yes FROM few)
    UNION ALL SELECT a.customer_id, ${FIGURES} FROM appointments a
      WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND a.customer_id IN (SELECT customer_id FROM matched) AND NOT (SELECT yes FROM few)
      GROUP BY a.customer_id),
  found AS (
    SELECT m.customer_id, m.name, m.phone, m.email, m.vehicle_id, m.plate, m.vehicle, m.plate_first, COALESCE(f.visits, 0) AS visits,
      f.last_visit_at, COALESCE(f.spent_cents, 0) AS spent_cents, f.last_service_at,
      m.is_vip OR COALESCE(f.spent_cents, 0) >= ${VIP_CENTS} AS is_vip, ${OVERDUE('f.last_service_at')} AS is_overdue
    FROM matched m FULL JOIN figures f ON f.customer_id = m.customer_id)
  SELECT * FROM found ${FILTER_FIGURES[filter]} ORDER BY ${SEARCH_ORDERS[order]}, customer_id, vehicle_id LIMIT $6::int`,
});

/** One row for each matching vehicle, and one for each matching customer without an active vehicle. One statement. */
export function searchCustomers({
  text,
  limit,
  filter,
  order,
  now,
}: {
  text: string;
  limit: number;
  filter: CustomerFilter;
  order: SearchOrder;
  now: Date;
}): Promise<SearchRow[]> {
  return query<SearchRow>(customerSearchSql(order, filter), [tenant().id, text, now, searchedDigits(text), plateKey(text), limit]);
}

// ------------------------------------------------------------------ recent

/** `$1` tenant, `$2` rows, `$3` now. The newest customers are found first, so the rest of the work is for them alone. */
const RECENT = {
  name: 'customers_recent',
  text: `WITH newest AS MATERIALIZED (
    SELECT a.customer_id, max(COALESCE(a.end_ts, a.start_ts)) AS at, max(a.id) AS id
    FROM appointments a JOIN customers c ON c.tenant_id = $1 AND c.id = a.customer_id AND c.deleted_at IS NULL
    WHERE a.tenant_id = $1 AND a.deleted_at IS NULL
    GROUP BY a.customer_id ORDER BY at DESC, id DESC LIMIT $2::int),
  theirs AS MATERIALIZED (
    SELECT a.* FROM newest n JOIN appointments a ON a.tenant_id = $1 AND a.customer_id = n.customer_id WHERE a.deleted_at IS NULL),
  latest AS MATERIALIZED (
    SELECT DISTINCT ON (a.customer_id) a.customer_id, a.id, a.status, COALESCE(a.end_ts, a.start_ts) AS at
    FROM theirs a ORDER BY a.customer_id, COALESCE(a.end_ts, a.start_ts) DESC, a.id DESC),
  figures AS MATERIALIZED (
    SELECT a.customer_id, count(*) FILTER (WHERE ${VISITED}) AS visits, ${LAST_SERVICE_AT} AS last_service_at,
      COALESCE(sum(a.total_cents) FILTER (WHERE a.status IN ${SPENT_STATUSES}), 0)::bigint AS spent_cents
    FROM theirs a GROUP BY a.customer_id),
  cars AS MATERIALIZED (
    SELECT v.customer_id, json_agg(json_build_object('vehicleId', v.id::text, 'plate', v.license_plate, 'vehicle', ${VEHICLE_LABEL})
      ORDER BY v.is_primary DESC, v.id) AS list
    FROM newest n JOIN vehicles v ON v.tenant_id = $1 AND v.customer_id = n.customer_id WHERE v.is_active GROUP BY v.customer_id)
  SELECT COALESCE(json_agg(r), '[]')::text AS json FROM (
    SELECT c.id::text AS "customerId", ${CUSTOMER_NAME} AS name, c.phone, c.email, l.id::text AS "latestAppointmentId",
      iso_utc(l.at) AS "latestAppointmentAt", l.status AS "latestStatus", COALESCE(cars.list, '[]') AS vehicles,
      dollars(f.spent_cents) AS "totalSpent", f.visits AS "visitsCount", iso_utc(f.last_service_at) AS "lastServiceAt",
      c.is_vip OR f.spent_cents >= ${VIP_CENTS} AS "isVip", ${OVERDUE('f.last_service_at')} AS "isOverdueForService"
    FROM latest l JOIN customers c ON c.tenant_id = $1 AND c.id = l.customer_id JOIN figures f ON f.customer_id = l.customer_id
    LEFT JOIN cars ON cars.customer_id = l.customer_id
    ORDER BY l.at DESC, l.id DESC) r`,
};

/** Customers by their latest appointment, as JSON text; one statement whatever the number. */
export async function recentCustomers(limit: number, now: Date): Promise<string> {
  const [row] = await query<{ json: string }>(RECENT, [tenant().id, limit, now]);
  return row?.json ?? '[]';
}

// ------------------------------------------------------------------ look-up by phone

export interface LookupRow {
  id: number;
  name: string;
  email: string | null;
  phone: string | null;
  vehicles: {
    id: number;
    make: string;
    model: string;
    year: number | null;
    license_plate: string | null;
    vin: string | null;
    is_primary: boolean;
    notes: string | null;
  }[];
}

/** Customers with this phone, digits compared with digits, each with its active vehicles; one statement. */
export function customersByPhone(digits: string): Promise<LookupRow[]> {
  return query<LookupRow>(
    {
      name: 'customers_by_phone',
      text: `WITH found AS (
        SELECT c.id, ${CUSTOMER_NAME} AS name, c.email, c.phone FROM customers c
        WHERE c.tenant_id = $1 AND c.phone_digits = $2 AND c.deleted_at IS NULL ORDER BY lower(c.name), c.id LIMIT ${LOOKUP_LIMIT}),
      cars AS MATERIALIZED (
        SELECT v.customer_id, json_agg(json_build_object('id', v.id, 'make', v.make, 'model', v.model, 'year', v.year, 'license_plate', v.license_plate,
          'vin', v.vin, 'is_primary', v.is_primary, 'notes', v.notes) ORDER BY v.is_primary DESC, v.id) AS list
        FROM found f JOIN vehicles v ON v.tenant_id = $1 AND v.customer_id = f.id WHERE v.is_active GROUP BY v.customer_id)
      SELECT f.*, COALESCE(cars.list, '[]') AS vehicles FROM found f LEFT JOIN cars ON cars.customer_id = f.id ORDER BY lower(f.name), f.id`,
    },
    [tenant().id, digits],
  );
}
