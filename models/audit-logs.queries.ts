/** Reading the audit trail: newest first, page by page along (created_at, id). */
import type { Sql } from '../lib/db';

/** Conditions that are given; each brings its parameter. */
export interface AuditConditions {
  entity?: string | undefined;
  entityId?: string | undefined;
  action?: string | undefined;
  userId?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
  /** Continue behind this row; the instant with microseconds. */
  after?: { at: string; id: string } | undefined;
}

/** Opaque position: base64url of `<instant>|<id>`. */
const CURSOR = `translate(encode(convert_to(to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '|' || id, 'UTF8'), 'base64'), E'+/=\\n', '-_')`;

/** One row with `json`: `{items, nextCursor}`. */
export function listAuditLogsSql(
  { entity, entityId, action, userId, from, to, after }: AuditConditions,
  limit: number,
  tenantId: string,
): [Sql, unknown[]] {
  const values: unknown[] = [tenantId, limit + 1];
  const where = ['tenant_id = $1'];
  let shape = '';
  const add = (letter: string, value: unknown, condition: (place: string) => string): void => {
    if (value === undefined) return;
    shape += letter;
    where.push(condition(`$${values.push(value)}`));
  };
  add('e', entity, (p) => `entity = ${p}::text`);
  add('i', entityId, (p) => `entity_id = ${p}::text`);
  add('a', action, (p) => `action = ${p}::text`);
  add('u', userId, (p) => `user_id = ${p}::text`);
  add('f', from, (p) => `created_at >= ${p}::timestamptz`);
  add('t', to, (p) => `created_at < ${p}::timestamptz`);
  if (after) {
    const [at, id] = [`$${values.push(after.at)}`, `$${values.push(after.id)}`];
    shape += 'c';
    where.push(`created_at <= ${at}::timestamptz AND (created_at < ${at}::timestamptz OR id < ${id}::uuid)`);
  }
  const text = `WITH found AS MATERIALIZED (SELECT * FROM audit_logs WHERE ${where.join(' AND ')} ORDER BY created_at DESC, id DESC LIMIT $2::bigint),
    page AS MATERIALIZED (SELECT * FROM found ORDER BY created_at DESC, id DESC LIMIT $2::bigint - 1)
    SELECT json_build_object('items', coalesce((SELECT json_agg(json_build_object('id', id, 'action', action, 'entity', entity, 'entity_id', entity_id,
        'user_id', user_id, 'role', role, 'before', before, 'after', after, 'ip', host(ip), 'created_at', iso_utc(created_at)) ORDER BY created_at DESC, id DESC) FROM page), '[]'),
      'nextCursor', CASE WHEN (SELECT count(*) FROM found) = $2::bigint THEN (SELECT ${CURSOR} FROM page ORDER BY created_at, id LIMIT 1) END)::text AS json`;
  return [{ name: `audit_logs_${shape}`, text }, values];
}
