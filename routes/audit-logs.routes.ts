/** The audit trail: the owner's to read, nobody's to change. */
import { AuditLogList, ListAuditLogs } from '../schemas/audit-logs.schema';
import { listAuditLogs } from '../services/audit-logs.service';
import { badQuery } from './bad-query';
import { type Endpoint, endpoint, JsonText } from './endpoint';

export const auditLogsEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/admin/audit-logs',
    id: 'listAuditLogs',
    importance: 'background',
    summary: 'Who changed what, newest first',
    tag: 'Audit',
    allow: ['Owner'],
    forbidden: { message: 'Insufficient permissions. Required role: Owner' },
    query: ListAuditLogs,
    invalid: badQuery,
    reply: [200, AuditLogList],
    queries: 1,
    handle: async ({ query }) => new JsonText(await listAuditLogs(query)),
  }),
];
