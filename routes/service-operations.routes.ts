/** The service catalogue and its packages. */
import type { z } from 'zod';
import { BadRequest, NotFound, ValidationFailed } from '../lib/errors';
import {
  ByOperationId,
  CreateServiceOperation,
  ListServiceOperations,
  ListServicePackages,
  OperationDeleted,
  ServiceOperationList,
  ServiceOperationReply,
  ServicePackageList,
  UpdateServiceOperation,
} from '../schemas/service-operations.schema';
import { createServiceOperation, deleteServiceOperation, updateServiceOperation } from '../services/service-operation-edit.service';
import { listServiceOperations } from '../services/service-operations.service';
import { listServicePackages } from '../services/service-packages.service';
import { type Endpoint, endpoint, JsonText, Reply, STAFF_READ, STAFF_WRITE } from './endpoint';

const TRUE = new Set(['1', 'true', 'yes']);
const tag = 'Catalogue';
const INSUFFICIENT = 'Insufficient permissions. Required role: Advisor';
const ownerOnly = { message: 'Insufficient permissions. Required role: Owner' };
const NUMERIC: readonly PropertyKey[] = ['default_hours', 'default_price', 'base_labor_rate'];
const REQUIRED: readonly PropertyKey[] = ['name', 'category'];

/** `keywords[3]`, as a client would write it. */
const nameOf = (path: readonly PropertyKey[]): string =>
  path.map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index ? '.' : ''}${String(key)}`)).join('');

/** The catalogue's own codes for input that is refused; every one names its fields. */
function invalidOperation({ issues }: z.ZodError, part: string): BadRequest | ValidationFailed {
  if (part === 'body' && issues.some(({ path }) => path.length === 0))
    return new BadRequest('Body must be a JSON object', { code: 'invalid_json' });
  const details = Object.fromEntries(issues.map(({ path, message }) => [nameOf(path) || part, message]));
  const fields = issues.map(({ path }) => path[0] as PropertyKey);
  if (issues.some(({ path, message }) => REQUIRED.includes(path[0] as PropertyKey) && message === 'required'))
    return new BadRequest('name and category are required', { code: 'missing_fields', details });
  if (fields.includes('skill_level')) return new BadRequest('skill_level must be 1 to 5', { code: 'invalid_skill_level', details });
  if (fields.some((field) => NUMERIC.includes(field)))
    return new BadRequest('Hours and prices must be numbers, not negative', { code: 'invalid_numeric', details });
  return new ValidationFailed(details);
}

export const serviceOperationsEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/admin/service-operations',
    id: 'listServiceOperations',
    summary: 'The active service operations; public columns without a session, where the shop shows its catalogue',
    tag,
    allow: 'public',
    query: ListServiceOperations,
    reply: [200, ServiceOperationList],
    errors: [401, 403],
    revalidate: true,
    cache: { reads: ['package_items', 'service_operations', 'tenant_settings'], freshSeconds: 60, staleSeconds: 240, sharedByRole: true },
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
  endpoint({
    method: 'post',
    path: '/api/admin/service-operations',
    id: 'createServiceOperation',
    summary: 'Add an operation, or a package of operations',
    tag,
    allow: STAFF_WRITE,
    forbidden: ownerOnly,
    body: CreateServiceOperation,
    invalid: invalidOperation,
    reply: [201, ServiceOperationReply],
    errors: [409],
    mirror: 'all',
    idempotent: true,
    handle: async ({ body }) => {
      const item = await createServiceOperation(body);
      return new Reply(item, { headers: { Location: `/api/admin/service-operations/${encodeURIComponent(item.id)}` } });
    },
  }),
  endpoint({
    method: 'patch',
    path: '/api/admin/service-operations/:id',
    id: 'updateServiceOperation',
    summary: 'Change the fields that are sent; null clears, lines and invoices keep their copies',
    tag,
    allow: STAFF_WRITE,
    forbidden: ownerOnly,
    params: ByOperationId,
    body: UpdateServiceOperation,
    invalid: (error, part) => (part === 'params' ? new NotFound('Service not found') : invalidOperation(error, part)),
    reply: [200, ServiceOperationReply],
    errors: [404, 409],
    mirror: 'all',
    handle: ({ params, body }) => updateServiceOperation(params.id, body),
  }),
  endpoint({
    method: 'delete',
    path: '/api/admin/service-operations/:id',
    id: 'deleteServiceOperation',
    summary: 'Hide an operation; lines keep their link to it',
    tag,
    allow: STAFF_WRITE,
    forbidden: ownerOnly,
    params: ByOperationId,
    reply: [200, OperationDeleted],
    errors: [404, 409],
    mirror: 'all',
    handle: ({ params }) => deleteServiceOperation(params.id),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/service-packages',
    id: 'listServicePackages',
    summary: 'The active packages, with what they hold and what that costs one by one',
    tag,
    allow: STAFF_READ,
    forbidden: { message: INSUFFICIENT },
    query: ListServicePackages,
    reply: [200, ServicePackageList],
    revalidate: true,
    cache: { reads: ['package_items', 'service_operations'], freshSeconds: 60, staleSeconds: 240, sharedByRole: true },
    queries: 1,
    handle: async ({ query }) => {
      const { json, etag } = await listServicePackages(query);
      const packages = new JsonText(json);
      return new Reply(packages, { etag, root: { service_packages: packages } });
    },
  }),
];
