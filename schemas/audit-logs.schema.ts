/** Shapes of the audit trail as its reader shows it. */
import { z } from 'zod';
import { Instant } from './common.schema';
import { queryText } from './fields.schema';

const [LIMIT_DEFAULT, LIMIT_MAX] = [50, 200];

export const ListAuditLogs = z.object({
  entity: queryText(),
  entity_id: queryText(),
  action: queryText(),
  user_id: queryText(),
  from: queryText().meta({ description: 'Day of the shop, or instant' }),
  to: queryText().meta({ description: 'Day of the shop, or instant; inclusive' }),
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT),
  cursor: queryText(),
});
export type ListAuditLogs = z.output<typeof ListAuditLogs>;

const AuditLog = z
  .object({
    id: z.uuid(),
    /** Upper-case verb phrase, for example STATUS_CHANGE. */
    action: z.string(),
    entity: z.string(),
    entity_id: z.string(),
    user_id: z.string(),
    role: z.string().nullable(),
    /** The changed fields alone. */
    before: z.unknown(),
    after: z.unknown(),
    ip: z.string().nullable(),
    created_at: Instant,
  })
  .meta({ id: 'AuditLog' });

export const AuditLogList = z.object({ items: z.array(AuditLog), nextCursor: z.string().nullable() }).meta({ id: 'AuditLogList' });
