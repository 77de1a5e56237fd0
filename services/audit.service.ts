/** The audit trail: who did what to which row. Rows are written with the change they describe and never rewritten. */
import { type Actor, context, tenant } from '../lib/context';
import { isInTransaction, query } from '../lib/db';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const USER_AGENT_MAX = 300;

export interface AuditEntry {
  /** Upper-case verb phrase, for example `STATUS_CHANGE`. */
  action: string;
  /** Singular noun of the row, for example `appointment`. */
  entity: string;
  entityId: string | number;
  /** The changed fields as they were; never a password, token or hash. */
  before?: unknown;
  after?: unknown;
  /** Who acted, where the context cannot know it yet: at log-in the caller is still anonymous. */
  by?: Pick<Actor, 'id' | 'role'>;
}

const INSERT = {
  name: 'audit_logs_insert',
  text: `INSERT INTO audit_logs (tenant_id, user_id, role, action, entity, entity_id, before, after, request_id, ip, user_agent)
    VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8::jsonb, $9::uuid, $10::inet, $11)`,
};

/**
 * Adds one row to the trail of the context's tenant, in the open transaction: the change and its trace are stored together or not at all.
 * @throws Error outside a transaction, or without a tenant
 */
export async function recordAudit({ action, entity, entityId, before, after, by }: AuditEntry): Promise<void> {
  if (!isInTransaction()) throw new Error(`Audit ${action} outside a transaction: the change could be lost and its trace kept`);
  const { actor, requestId, ip, userAgent } = context();
  const { id, role } = by ?? actor;
  await query(INSERT, [
    tenant().id,
    id,
    role,
    action,
    entity,
    String(entityId),
    jsonOrNull(before),
    jsonOrNull(after),
    UUID.test(requestId) ? requestId : null,
    ip,
    userAgent?.slice(0, USER_AGENT_MAX) ?? null,
  ]);
}

const jsonOrNull = (value: unknown): string | null => (value === undefined || value === null ? null : JSON.stringify(value));
