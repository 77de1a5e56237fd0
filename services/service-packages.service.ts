/** Packages of the service catalogue: what they hold, and the rules of holding. */
import { createHash } from 'node:crypto';
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import { BadRequest, Conflict, ValidationFailed } from '../lib/errors';
import {
  LIST_PACKAGES,
  PACKAGE_CHILDREN,
  PACKAGES_WITH,
  REPLACE_PACKAGE_CHILDREN,
  USABLE_CHILDREN,
} from '../models/service-operations.queries';
import { foldHyphens, type ListServicePackages } from '../schemas/service-operations.schema';

const [DEFAULT_LIMIT, MAX_LIMIT] = [250, 500];

export interface PackageChild {
  child_id: string;
  quantity: number;
}

/** The active packages as a JSON array, with a tag that changes with any child's price. @throws BadRequest for the limit */
export async function listServicePackages({ q, category, limit }: ListServicePackages): Promise<{ json: string; etag: string }> {
  const count = limit === undefined ? DEFAULT_LIMIT : Number(limit);
  if (!Number.isInteger(count) || count < 1) throw new BadRequest("Invalid 'limit' parameter", { details: { limit: 'invalid' } });
  const pattern = q === undefined ? null : likePattern(q);
  const [row] = await query<{ json: string }>(LIST_PACKAGES, [tenant().id, pattern, category ?? null, Math.min(count, MAX_LIMIT)]);
  if (!row) throw new Error('The packages have no row');
  return { json: row.json, etag: createHash('sha1').update(row.json).digest('base64url') };
}

/** Text as it occurs anywhere in the search column. */
export const likePattern = (text: string): string => `%${foldHyphens(text.toLowerCase()).replace(/[\\%_]/g, '\\$&')}%`;

/** What a package holds, in its order. */
export const childrenOf = (packageId: string): Promise<PackageChild[]> => query<PackageChild>(PACKAGE_CHILDREN, [tenant().id, packageId]);

/**
 * Makes the children of a package exactly these. In the open transaction, after the package itself.
 * @throws ValidationFailed naming those that are absent, inactive or packages themselves
 */
export async function setChildren(packageId: string, children: readonly PackageChild[]): Promise<void> {
  await assertUsable(children);
  await query(REPLACE_PACKAGE_CHILDREN, [tenant().id, packageId, JSON.stringify(children)]);
}

/** Also holds the children until the commit, so that none of them is deleted meanwhile. @throws ValidationFailed */
export async function assertUsable(children: readonly PackageChild[]): Promise<void> {
  const usable = await query<{ id: string }>(USABLE_CHILDREN, [tenant().id, children.map(({ child_id }) => child_id)]);
  const known = new Set(usable.map(({ id }) => id));
  const faults = children.flatMap(({ child_id }, index) =>
    known.has(child_id) ? [] : [[`package_items[${index}].child_id`, 'not_found']],
  );
  if (faults.length > 0) throw new ValidationFailed(Object.fromEntries(faults));
}

/** An operation that an active package holds must stay. The caller has locked its row. @throws Conflict naming the packages */
export async function assertInNoPackage(operationId: string): Promise<void> {
  const holders = await query<{ id: string }>(PACKAGES_WITH, [tenant().id, operationId]);
  if (holders.length > 0) throw new Conflict('The service is part of a package', { details: { packages: holders.map(({ id }) => id) } });
}
