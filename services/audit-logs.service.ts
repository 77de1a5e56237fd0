/** The audit trail, for the owner of the shop. */
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import { BadRequest } from '../lib/errors';
import { listAuditLogsSql } from '../models/audit-logs.queries';
import type { ListAuditLogs } from '../schemas/audit-logs.schema';
import { boundary } from './appointments.service';

const POSITION = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z)\|([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** One page as JSON text, newest first. @throws BadRequest for a date or cursor that cannot be read */
export async function listAuditLogs({ entity, entity_id, action, user_id, from, to, limit, cursor }: ListAuditLogs): Promise<string> {
  const { id, timeZone } = tenant();
  const conditions = {
    entity,
    entityId: entity_id,
    action,
    userId: user_id,
    from: from === undefined ? undefined : boundary(from, 'from', timeZone),
    to: to === undefined ? undefined : boundary(to, 'to', timeZone),
    after: cursor === undefined ? undefined : positionOf(cursor),
  };
  const [row] = await query<{ json: string }>(...listAuditLogsSql(conditions, limit, id));
  if (!row) throw new Error('The audit trail has no row');
  return row.json;
}

function positionOf(cursor: string): { at: string; id: string } {
  const [, at, id] = POSITION.exec(Buffer.from(cursor, 'base64url').toString('utf8')) ?? [];
  if (at === undefined || id === undefined || Number.isNaN(Date.parse(at))) throw new BadRequest('Invalid cursor');
  return { at, id };
}
