/** Reading the service catalogue. */
import { createHash } from 'node:crypto';
import { context, tenant } from '../lib/context';
import { query } from '../lib/db';
import { BadRequest, Forbidden, Unauthenticated } from '../lib/errors';
import { type CatalogConditions, listOperationsSql } from '../models/service-operations.queries';
import { CATEGORY_ALIASES, FILTERED_CATEGORIES, type ListServiceOperations } from '../schemas/service-operations.schema';
import { INSUFFICIENT } from './appointments.policy';
import { likePattern } from './service-packages.service';
import { tenantSettings } from './tenant-settings.service';

const SORTS = ['display_order', 'name', 'category'] as const;
/** Shorter searches are ignored. */
const SEARCH_MIN = 2;
const SEARCH_LIMIT = 50;
const MAX_LIMIT = 500;

export interface CatalogReply {
  /** JSON array of operations. */
  json: string;
  /** Matches, those beyond the limit included. */
  total: number;
  etag: string;
}

/**
 * The active operations. Without a session, or as a customer, only the public columns and only in a shop that shows its catalogue.
 * @throws BadRequest for sort, direction or limit; Unauthenticated or Forbidden while the catalogue is not public
 */
export async function listServiceOperations(given: ListServiceOperations): Promise<CatalogReply> {
  const isPublic = context().actor.kind !== 'staff';
  if (isPublic) await assertPublic();
  const [row] = await query<{ json: string; total: number }>(...listOperationsSql({ ...conditionsOf(given), isPublic }, tenant().id));
  if (!row) throw new Error('The catalogue has no row');
  const etag = createHash('sha1').update(`${row.total}:${row.json}`).digest('base64url');
  return { ...row, etag };
}

async function assertPublic(): Promise<void> {
  if ((await tenantSettings()).publicCatalog) return;
  throw context().actor.kind === 'customer' ? new Forbidden(INSUFFICIENT) : new Unauthenticated();
}

function conditionsOf({
  q,
  category,
  sort = 'display_order',
  dir = 'asc',
  limit,
}: ListServiceOperations): Omit<CatalogConditions, 'isPublic'> {
  const column = SORTS.find((name) => name === sort);
  if (!column) throw new BadRequest('Invalid sort column', { details: { sort: 'invalid' } });
  const direction = dir.toLowerCase();
  if (direction !== 'asc' && direction !== 'desc') throw new BadRequest('Invalid sort direction', { details: { dir: 'invalid' } });
  const isSearch = q !== undefined && q.length >= SEARCH_MIN;
  const chosen = category ?? '';
  return {
    pattern: isSearch ? likePattern(q) : null,
    categories: chosen === '' || chosen === 'OTHER' ? null : (CATEGORY_ALIASES[chosen] ?? [chosen]),
    notCategories: chosen === 'OTHER' ? FILTERED_CATEGORIES : null,
    sort: column,
    descending: direction === 'desc',
    limit: limitOf(limit, isSearch ? SEARCH_LIMIT : MAX_LIMIT),
  };
}

function limitOf(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1) throw new BadRequest("Invalid 'limit' parameter", { details: { limit: 'invalid' } });
  return Math.min(limit, MAX_LIMIT);
}
