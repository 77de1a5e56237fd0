/** The catalogue and its packages as JSON, what a package holds, and the import's upsert. */
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

/** One operation as staff see it, inactive ones too. Values: tenant, id. One row with `item`, or none. */
export const OPERATION_BY_ID: Sql = {
  name: 'service_operations_by_id',
  text: `SELECT row_to_json(item) AS item FROM (SELECT ${STAFF} FROM service_operations o ${PACKAGE_ITEMS} WHERE o.tenant_id = $1 AND o.id = $2) item`,
};

/** Who has an id or an internal code already. Values: tenant, id, internal code. */
export const SAME_OPERATION: Sql = {
  name: 'service_operations_same',
  text: `SELECT id, is_active AS "isActive" FROM service_operations WHERE tenant_id = $1 AND (id = $2 OR internal_code = $3)
    ORDER BY is_active DESC LIMIT 1`,
};

/** Operations that a package is to hold, locked against deactivation until the end of the transaction. Values: tenant, ids. */
export const USABLE_CHILDREN: Sql = {
  name: 'service_operations_children',
  text: `SELECT id FROM service_operations WHERE tenant_id = $1 AND id = ANY ($2::text[]) AND is_active AND NOT is_package
    ORDER BY id FOR SHARE`,
};

/** Children of a package, in order. Values: tenant, package. */
export const PACKAGE_CHILDREN: Sql = {
  name: 'package_items_of',
  text: `SELECT child_id, qty AS quantity FROM package_items WHERE tenant_id = $1 AND service_id = $2 ORDER BY sort_order, child_id`,
};

/** Active packages that hold an operation. Values: tenant, operation. */
export const PACKAGES_WITH: Sql = {
  name: 'package_items_with',
  text: `SELECT o.id FROM package_items i JOIN service_operations o ON o.tenant_id = i.tenant_id AND o.id = i.service_id
    WHERE i.tenant_id = $1 AND i.child_id = $2 AND o.is_active ORDER BY o.id`,
};

/** Makes the children of a package those of a JSON array of `{child_id, quantity}`, in its order. Values: tenant, package, array. */
export const REPLACE_PACKAGE_CHILDREN: Sql = {
  name: 'package_items_replace',
  text: `WITH wanted AS (
      SELECT r.item ->> 'child_id' AS child_id, (r.item ->> 'quantity')::int AS qty, r.place::int AS sort_order
      FROM json_array_elements($3::json) WITH ORDINALITY AS r (item, place)),
    gone AS (DELETE FROM package_items WHERE tenant_id = $1 AND service_id = $2 AND child_id NOT IN (SELECT child_id FROM wanted))
    INSERT INTO package_items (tenant_id, service_id, child_id, qty, sort_order) SELECT $1, $2, child_id, qty, sort_order FROM wanted
    ON CONFLICT (tenant_id, service_id, child_id) DO UPDATE SET qty = excluded.qty, sort_order = excluded.sort_order`,
};

/** One row: `json` is the array of active packages with their children. Values: tenant, LIKE pattern or null, category or null, limit. */
export const LIST_PACKAGES: Sql = {
  name: 'service_packages_list',
  text: `SELECT coalesce(json_agg(item)::text, '[]') AS json FROM (
    SELECT o.id, o.name, o.category,
      json_build_object('sum_child_base_labor_rate', dollars(coalesce(p.cents, 0)::bigint)) AS price_preview,
      coalesce(p.items, '[]'::json) AS package_items
    FROM service_operations o LEFT JOIN (
      SELECT i.service_id, sum(i.qty * c.default_price_cents) AS cents,
        json_agg(json_build_object('child_id', c.id, 'name', c.name, 'qty', i.qty, 'base_labor_rate', dollars(c.default_price_cents),
          'default_hours', c.default_hours) ORDER BY i.sort_order, c.id) AS items
      FROM package_items i JOIN service_operations c ON c.tenant_id = i.tenant_id AND c.id = i.child_id
      WHERE i.tenant_id = $1 GROUP BY i.service_id) p ON p.service_id = o.id
    WHERE o.tenant_id = $1 AND o.is_package AND o.is_active AND ($2::text IS NULL OR o.search LIKE $2) AND ($3::text IS NULL OR o.category = $3)
    ORDER BY o.display_order NULLS LAST, o.name, o.id LIMIT $4::int) item`,
};

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
