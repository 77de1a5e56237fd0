/** The service catalogue. */
import { ListServiceOperations, ServiceOperationList } from '../schemas/service-operations.schema';
import { listServiceOperations } from '../services/service-operations.service';
import { type Endpoint, endpoint, JsonText, Reply } from './endpoint';

const TRUE = new Set(['1', 'true', 'yes']);

export const serviceOperationsEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/admin/service-operations',
    id: 'listServiceOperations',
    summary: 'The active service operations; public columns without a session, where the shop shows its catalogue',
    tag: 'Catalogue',
    allow: 'public',
    query: ListServiceOperations,
    reply: [200, ServiceOperationList],
    errors: [401, 403],
    revalidate: true,
    queries: 2,
    handle: async ({ query }) => {
      const { json, total, etag } = await listServiceOperations(query);
      const items = new JsonText(json);
      const isLegacy = TRUE.has(query.legacy?.toLowerCase() ?? '');
      return new Reply(isLegacy ? new JsonText(`{"service_operations":${json}}`) : items, {
        etag: isLegacy ? `${etag}-legacy` : etag,
        headers: { 'X-Total-Results': String(total) },
        root: { service_operations: items },
      });
    },
  }),
];
