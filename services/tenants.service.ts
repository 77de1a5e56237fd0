/**
 * Tenants: looked up before a tenant is known (hence outside row-level security, and `unsafe` in the names), cached for a few
 * seconds in each process and dropped at once when the row changes here or in another process.
 */

import { LRUCache } from 'lru-cache';
import { config } from '../config';
import type { Tenant } from '../lib/context';
import { inTransaction, unsafeQuery } from '../lib/db';
import { BadRequest } from '../lib/errors';
import { announceRevocation, onRevocation } from '../lib/revocation';
import { UUID } from '../schemas/uuid';
import { unsafeAddFirstTemplates } from './message-templates.service';

const SLUG = /^[a-z0-9][a-z0-9-]*[a-z0-9]$/;
const SLUG_MAX = 100;
const CACHE_MS = 5_000;

export interface TenantRecord extends Tenant {
  /** Suspended and cancelled tenants are closed to everybody. */
  readonly isOpen: boolean;
}

export interface TenantRow {
  id: string;
  slug: string;
  name: string;
  timezone: string;
  status: string;
}

export const toTenant = ({ id, slug, name, timezone, status }: TenantRow): TenantRecord =>
  Object.freeze({ id, slug, name, timeZone: timezone, isOpen: status === 'active' || status === 'trial' });

/** Keyed by what was asked for, id or slug; null remembers that there is none. */
const cache = new LRUCache<string, { tenant: TenantRecord | null }>({ max: 10_000, ttl: CACHE_MS });
let epoch = 0;
onRevocation(({ tenants }) => {
  if (!tenants?.length) return;
  epoch += 1;
  cache.clear();
});

const COLUMNS = 'id, slug, name, timezone, status';
const BY_ID = { name: 'tenants_by_id', text: `SELECT ${COLUMNS} FROM tenants WHERE id = $1::uuid` };
const BY_SLUG = { name: 'tenants_by_slug', text: `SELECT ${COLUMNS} FROM tenants WHERE slug = $1` };

/** The tenant with this id or slug, open or not; null when there is none, and for what can be neither. Warm cost: no statement. */
export async function unsafeFindTenant(idOrSlug: string): Promise<TenantRecord | null> {
  const key = idOrSlug.trim().toLowerCase();
  const isId = UUID.test(key);
  if (!isId && (key.length > SLUG_MAX || !SLUG.test(key))) return null;
  const known = cache.get(key);
  if (known) return known.tenant;
  const startedIn = epoch;
  const [row] = await unsafeQuery<TenantRow>({ ...(isId ? BY_ID : BY_SLUG), values: [key] });
  const found = row ? toTenant(row) : null;
  // A change announced while the row was being read may be newer than what was read.
  if (startedIn === epoch) cache.set(key, { tenant: found });
  return found;
}

/** The tenant of callers who name none. */
export const unsafeDefaultTenant = (): Promise<TenantRecord | null> => unsafeFindTenant(config.DEFAULT_TENANT_ID);

/** A new, active tenant with default settings and the first message templates. @throws Conflict when the slug is taken, BadRequest for a slug or zone of a wrong form */
export async function unsafeCreateTenant({
  slug,
  name,
  timeZone = 'America/Los_Angeles',
  id,
}: {
  slug: string;
  name: string;
  timeZone?: string;
  id?: string;
}): Promise<TenantRecord> {
  if (!SLUG.test(slug) || slug.length > SLUG_MAX) throw new BadRequest('A slug has lower-case letters, digits and inner hyphens only');
  if (!isTimeZone(timeZone)) throw new BadRequest(`Unknown time zone: ${timeZone}`);
  const created = await inTransaction(async () => {
    const [row] = await unsafeQuery<TenantRow>({
      text: `INSERT INTO tenants (id, slug, name, timezone) VALUES (coalesce($1::uuid, gen_random_uuid()), $2, $3, $4) RETURNING ${COLUMNS}`,
      values: [id ?? null, slug, name, timeZone],
    });
    const tenant = toTenant(row as TenantRow);
    // Settings are under row-level security, which shows and takes only the rows of the tenant in scope.
    await unsafeQuery({ text: `SELECT set_config('app.tenant_id', $1, true)`, values: [tenant.id] });
    await unsafeQuery({ text: 'INSERT INTO tenant_settings (tenant_id) VALUES ($1::uuid)', values: [tenant.id] });
    await unsafeAddFirstTemplates(tenant.id);
    return tenant;
  });
  await announceRevocation({ tenants: [created.id] });
  return created;
}

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

export interface TenantSummary extends TenantRow {
  staff: number;
}

/** All tenants that are not suspended or cancelled, for work that goes from shop to shop. */
export async function unsafeListOpenTenants(): Promise<TenantRecord[]> {
  const rows = await unsafeQuery<TenantRow>({ text: `SELECT ${COLUMNS} FROM tenants WHERE status IN ('active', 'trial') ORDER BY slug` });
  return rows.map(toTenant);
}

export const unsafeListTenants = (): Promise<TenantSummary[]> =>
  unsafeQuery<TenantSummary>({
    text: `SELECT ${COLUMNS}, (SELECT count(*) FROM staff_tenant_memberships m WHERE m.tenant_id = t.id) AS staff FROM tenants t ORDER BY slug`,
  });
