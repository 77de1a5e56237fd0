/** Rows of the customer export, for a cursor: figures are aggregated once and joined. */
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

/** `$1` tenant, `$2` rows at most, `$3` now, `$4`, `$5` half-open range of the creation, each may be null. */
export const customerExport = (filter: CustomerFilter): Sql => ({
  text: `WITH figures AS MATERIALIZED (
    SELECT a.customer_id, count(*) FILTER (WHERE ${VISITED}) AS visits, ${LAST_SERVICE_AT} AS last_service_at,
      COALESCE(sum(a.total_cents) FILTER (WHERE a.status IN ${SPENT_STATUSES}), 0)::bigint AS spent_cents
    FROM appointments a WHERE a.tenant_id = $1 AND a.deleted_at IS NULL AND a.customer_id IS NOT NULL GROUP BY a.customer_id),
  cars AS MATERIALIZED (SELECT v.customer_id, count(*) AS vehicles FROM vehicles v WHERE v.tenant_id = $1 AND v.is_active GROUP BY v.customer_id)
  SELECT c.id, ${CUSTOMER_NAME} AS name, c.email, c.phone, ${CUSTOMER_ADDRESS} AS address, c.is_vip OR COALESCE(f.spent_cents, 0) >= ${VIP_CENTS} AS is_vip,
    c.tags, c.created_at, COALESCE(k.vehicles, 0) AS vehicles, COALESCE(f.visits, 0) AS visits, COALESCE(f.spent_cents, 0) AS spent_cents, f.last_service_at
  FROM customers c LEFT JOIN figures f ON f.customer_id = c.id LEFT JOIN cars k ON k.customer_id = c.id
  WHERE c.tenant_id = $1 AND c.deleted_at IS NULL AND ($4::timestamptz IS NULL OR c.created_at >= $4::timestamptz)
    AND ($5::timestamptz IS NULL OR c.created_at < $5::timestamptz)${CONDITIONS[filter]}
  ORDER BY c.created_at DESC, c.id DESC LIMIT $2::int`,
});
