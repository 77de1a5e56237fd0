/** The catalogue as JSON text, and the import's upsert. */
import type { Sql } from '../lib/db';

export interface CatalogConditions {
  /** LIKE pattern against the search column. */
  pattern: string | null;
  categories: readonly string[] | null;
  /** Everything but these. */
  notCategories: readonly string[] | null;
  sort: 'display_order' | 'name' | 'category';
  descending: boolean;
  limit: number;
  /** Only the columns that callers without a session may see. */
  isPublic: boolean;
}

const PUBLIC = `o.id, o.name, o.category, o.subcategory, o.default_hours, dollars(o.default_price_cents) AS default_price,
  dollars(o.default_price_cents) AS base_labor_rate, o.keywords, o.is_active, o.display_order, o.is_package`;
const STAFF = `o.id, o.internal_code, o.name, o.category, o.subcategory, o.skill_level, o.default_hours,
  dollars(o.default_price_cents) AS default_price, dollars(o.default_price_cents) AS base_labor_rate, o.keywords, o.flags, o.is_active,
  o.display_order, o.is_package, coalesce(p.items, '[]'::json) AS package_items, iso_utc(o.created_at) AS created_at, iso_utc(o.updated_at) AS updated_at`;
const PACKAGE_ITEMS = `LEFT JOIN (
    SELECT service_id, json_agg(json_build_object('child_id', child_id, 'quantity', qty) ORDER BY sort_order, child_id) AS items
    FROM package_items WHERE tenant_id = $1 GROUP BY service_id) p ON p.service_id = o.id`;

/** One row: `json` is the array of active operations, `total` how many match beyond the limit. */
export function listOperationsSql(conditions: CatalogConditions, tenantId: string): [Sql, unknown[]] {
  const { pattern, categories, notCategories, sort, descending, limit, isPublic } = conditions;
  const direction = descending ? 'DESC' : 'ASC';
  // The sort key is one of three words, never what the caller typed.
  const order = `o.${sort} ${direction} NULLS LAST, o.display_order NULLS LAST, o.name, o.id`;
  const text = `WITH found AS MATERIALIZED (
      SELECT * FROM service_operations o WHERE o.tenant_id = $1 AND o.is_active
        AND ($2::text IS NULL OR o.search LIKE $2) AND ($3::text[] IS NULL OR o.category = ANY ($3)) AND ($4::text[] IS NULL OR o.category <> ALL ($4)))
    SELECT (SELECT count(*)::int FROM found) AS total, coalesce((SELECT json_agg(item)::text FROM (
      SELECT ${isPublic ? PUBLIC : STAFF} FROM found o ${isPublic ? '' : PACKAGE_ITEMS} ORDER BY ${order} LIMIT $5::int) item), '[]') AS json`;
  return [
    { name: `service_operations_list_${sort}_${direction}${isPublic ? '_public' : ''}`, text },
    [tenantId, pattern, categories, notCategories, limit],
  ];
}

/**
 * Inserts and updates by `internal_code`; a row that is as it should be is left alone. Values: tenant, JSON array of rows.
 * Returns `inserted` for each row written.
 */
export const UPSERT_OPERATIONS: Sql = {
  name: 'service_operations_upsert',
  text: `INSERT INTO service_operations AS o (tenant_id, id, internal_code, name, category, keywords, default_hours, default_price_cents, skill_level,
      display_order, is_active, search)
    SELECT $1, r.internal_code, r.internal_code, r.name, r.category, ARRAY(SELECT json_array_elements_text(r.keywords)), r.default_hours,
      r.default_price_cents, r.skill_level, r.display_order, r.is_active, r.search
    FROM json_to_recordset($2::json) AS r (internal_code text, name text, category text, keywords json, default_hours numeric,
      default_price_cents bigint, skill_level int, display_order int, is_active boolean, search text)
    ON CONFLICT (tenant_id, internal_code) DO UPDATE SET name = excluded.name, category = excluded.category, keywords = excluded.keywords,
      default_hours = excluded.default_hours, default_price_cents = excluded.default_price_cents, skill_level = excluded.skill_level,
      display_order = excluded.display_order, is_active = excluded.is_active, search = excluded.search, version = o.version + 1, updated_at = now()
    WHERE (o.name, o.category, o.keywords, o.default_hours, o.default_price_cents, o.skill_level, o.display_order, o.is_active, o.search)
      IS DISTINCT FROM (excluded.name, excluded.category, excluded.keywords, excluded.default_hours, excluded.default_price_cents,
        excluded.skill_level, excluded.display_order, excluded.is_active, excluded.search)
    RETURNING (xmax = 0) AS inserted`,
};
