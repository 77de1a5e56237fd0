/** Rows of the customer export, for a cursor. */
import type { Sql } from '../lib/db';
import { CUSTOMER_ADDRESS, CUSTOMER_NAME, LAST_SERVICE_AT, OVERDUE, SPENT_STATUSES, VIP_CENTS, VISITED } from './customer-figures.queries';
import type { CustomerFilter } from './customer-lists.queries';

export interface CustomerExportRow {
  id: number;
  name: string;
  email: string | null;
  phone: string | null;
  address: string | null;
  is_vip: boolean;
  tags: string[];
  created_at: Date;
  vehicles: number;
  visits: number;
  spent_cents: number;
  last_service_at: Date | null;
}

const CONDITIONS: Readonly<Record<CustomerFilter, string>> = {
  all: '',
  vip: ` AND (c.is_vip OR f.spent_cents >= ${VIP_CENTS})`,
  overdue: ` AND ${OVERDUE('f.last_service_at')}`,
};

/** One row of figures for the customer at hand, by key. */
const FIGURES = `LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE ${VISITED}) AS visits, ${LAST_SERVICE_AT} AS last_service_at,
      COALESCE(sum(a.total_cents) FILTER (WHERE a.status IN ${SPENT_STATUSES}), 0)::bigint AS spent_cents
    FROM appointments a WHERE a.tenant_id = $1 AND a.customer_id = c.id AND a.deleted_at IS NULL) f ON true`;

const found = (filter: CustomerFilter): string => `FROM customers c ${filter === 'all' ? '' : FIGURES}
  WHERE c.tenant_id = $1 AND c.deleted_at IS NULL AND ($4::timestamptz IS NULL OR c.created_at >= $4::timestamptz)
    AND ($5::timestamptz IS NULL OR c.created_at < $5::timestamptz)${CONDITIONS[filter]}`;

/**
 * Along the index of creation, figures looked up by key: the first rows are there at once however many follow, and nothing is
 * gathered first. `$1` tenant, `$2` rows at most, `$3` now, `$4`, `$5` half-open range of the creation, each may be null.
 */
export const customerExport = (filter: CustomerFilter): Sql => ({
  text: `SELECT c.id, ${CUSTOMER_NAME} AS name, c.email, c.phone, ${CUSTOMER_ADDRESS} AS address, c.is_vip OR f.spent_cents >= ${VIP_CENTS} AS is_vip,
    c.tags, c.created_at, k.vehicles, f.visits, f.spent_cents, f.last_service_at
  FROM (SELECT c.* ${found(filter)} ORDER BY c.created_at DESC, c.id DESC LIMIT $2::int) c
  ${FIGURES}
  LEFT JOIN LATERAL (
    SELECT count(*) AS vehicles FROM vehicles v WHERE v.tenant_id = $1 AND v.customer_id = c.id AND v.is_active) k ON true
  ORDER BY c.created_at DESC, c.id DESC`,
});

/** How many rows that export has, as of `$3`. The same values. */
export const customerExportCount = (filter: CustomerFilter): Sql => ({
  text: `SELECT count(*) AS rows, $3::timestamptz AS at FROM (SELECT 1 ${found(filter)} LIMIT $2::int) r`,
});
