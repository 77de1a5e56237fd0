/**
 * For which tenant a request works. First hit wins: the X-Tenant-Id header (id or slug), the session's tenant, for anonymous
 * callers the default one. Staff act with the role of their membership in that tenant, whatever their token says.
 */
import type { Request } from 'express';
import type { Actor, Tenant } from '../../../lib/context';
import { Forbidden } from '../../../lib/errors';
import { actorOf } from '../../../services/sessions.service';
import { unsafeDefaultTenant, unsafeFindTenant } from '../../../services/tenants.service';
import type { Authentication } from './authentication';

const notFound = () => new Forbidden('tenant_not_found');
const denied = () => new Forbidden('tenant_access_denied');

export interface Tenancy {
  readonly tenant: Tenant | null;
  readonly actor: Actor;
}

/**
 * Warm cost: no statement.
 * @returns tenant null only for an anonymous caller who names none, when the default tenant does not exist or is closed
 * @throws Forbidden `tenant_not_found` for an unknown header value; `tenant_access_denied` for a tenant that is closed or not the actor's
 */
export async function resolveTenant(req: Request, { actor, session }: Authentication): Promise<Tenancy> {
  const header = req.headers['x-tenant-id'];
  const named = (Array.isArray(header) ? header[0] : header)?.trim();
  if (!session && !named) {
    const tenant = await unsafeDefaultTenant();
    return { tenant: tenant?.isOpen ? tenant : null, actor };
  }
  const tenant = await unsafeFindTenant(named || (session as NonNullable<typeof session>).tenantId);
  if (!tenant) throw notFound();
  if (!tenant.isOpen) throw denied();
  if (!session) return { tenant, actor };
  if (session.kind === 'customer') {
    if (tenant.id !== session.tenantId) throw denied();
    return { tenant, actor };
  }
  const role = session.roles.get(tenant.id);
  if (!role) throw denied();
  return { tenant, actor: actor.role === role ? actor : actorOf(session, role) };
}
