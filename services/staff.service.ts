/** Staff accounts and their memberships of tenants. Rights are read from the membership, never from a token, so a change holds at once. */
import { context, type StaffRole, tenant } from '../lib/context';
import { inTransaction, unsafeQuery } from '../lib/db';
import { BadRequest, Conflict, Forbidden, NotFound } from '../lib/errors';
import { hashPassword, passwordWeakness } from '../lib/passwords';
import {
  FIND_STAFF,
  INSERT_STAFF,
  LIST_STAFF,
  LOCK_TENANT,
  MEMBERSHIP,
  type MembershipRow,
  SET_MEMBERSHIP,
  SET_STAFF_PASSWORD,
  STAFF_BY_ID,
} from '../models/accounts.queries';
import { recordAudit } from './audit.service';
import { announceActorChange, inScope, unsafeRevokeActorSessions } from './sessions.service';
import { type TenantRecord, unsafeFindTenant } from './tenants.service';

export interface StaffProfile {
  id: string;
  username: string;
  email: string | null;
  name: string;
  createdAt: Date;
}

/** Who a staff member is, whatever the tenant. @throws NotFound */
export async function staffProfile(id: string): Promise<StaffProfile> {
  const [row] = await unsafeQuery<{ id: string; username: string; email: string | null; name: string; created_at: Date }>({
    ...STAFF_BY_ID,
    values: [id],
  });
  if (!row) throw new NotFound('Staff not found');
  return { id: row.id, username: row.username, email: row.email, name: row.name, createdAt: row.created_at };
}

export interface Membership {
  staffId: string;
  tenantId: string;
  role: StaffRole;
}

/**
 * Gives a staff member a role in the caller's tenant, or another one than before. Effective in every process when it returns.
 * @throws BadRequest for an unknown tenant, Forbidden for one that is not the caller's, NotFound for unknown staff,
 *   Conflict when the tenant would be left without an Owner
 */
export async function setMembership({
  staffId,
  tenantKey,
  role,
}: {
  staffId: string;
  /** Id or slug. */
  tenantKey: string;
  role: StaffRole;
}): Promise<Membership> {
  const named = await unsafeFindTenant(tenantKey);
  if (!named) throw new BadRequest('tenant not found', { code: 'invalid_request' });
  if (named.id !== tenant().id) throw new Forbidden('tenant_access_denied');
  return inTransaction(async () => {
    await unsafeQuery({ ...LOCK_TENANT, values: [named.id] });
    const [row] = await unsafeQuery<{ role: StaffRole | null; other_owners: number }>({ ...MEMBERSHIP, values: [staffId, named.id] });
    if (!row) throw new NotFound('Staff not found');
    if (row.role === role) return { staffId, tenantId: named.id, role };
    if (row.role === 'Owner' && row.other_owners === 0) throw new Conflict('The tenant needs at least one Owner');
    await unsafeQuery({ ...SET_MEMBERSHIP, values: [staffId, named.id, role] });
    await recordAudit({
      action: 'ROLE_CHANGE',
      entity: 'staff',
      entityId: staffId,
      before: row.role ? { role: row.role } : null,
      after: { role },
    });
    await announceActorChange('staff', staffId);
    return { staffId, tenantId: named.id, role };
  });
}

/** The id of the staff member with this id, user name or e-mail. @throws NotFound */
export async function unsafeFindStaffId(idOrName: string): Promise<string> {
  const [row] = await unsafeQuery<{ id: string }>({ ...FIND_STAFF, values: [idOrName.trim()] });
  if (!row) throw new NotFound(`No staff account ${idOrName}`);
  return row.id;
}

/**
 * Creates an account with a membership of `home`, which becomes its default tenant. For administration: it needs no caller.
 * @throws BadRequest for a weak password unless allowed, Conflict when user name or e-mail is taken
 */
export async function unsafeCreateStaff({
  home,
  role,
  username,
  email,
  name,
  password,
  allowWeak = false,
}: {
  home: TenantRecord;
  role: StaffRole;
  username: string;
  email: string | null;
  name: string;
  password: string;
  allowWeak?: boolean;
}): Promise<{ id: string }> {
  refuseWeak(password, allowWeak);
  const passwordHash = await hashPassword(password);
  return inScope(home, () =>
    inTransaction(async () => {
      const [row] = await unsafeQuery<{ id: string }>({ ...INSERT_STAFF, values: [username, email, name, passwordHash, home.id] });
      const { id } = row as { id: string };
      await unsafeQuery({ ...SET_MEMBERSHIP, values: [id, home.id, role] });
      await recordAudit({ action: 'STAFF_CREATE', entity: 'staff', entityId: id, after: { username, role } });
      return { id };
    }),
  );
}

/** Sets a password and ends every session of the account. @throws BadRequest for a weak password unless allowed, NotFound */
export async function unsafeSetStaffPassword(
  idOrName: string,
  { password, allowWeak = false }: { password: string; allowWeak?: boolean },
): Promise<{ sessions: number }> {
  refuseWeak(password, allowWeak);
  const id = await unsafeFindStaffId(idOrName);
  const [account] = await unsafeQuery<{ memberships: MembershipRow[] | null }>({ ...STAFF_BY_ID, values: [id] });
  const home = await unsafeFindTenant(account?.memberships?.[0]?.tenantId ?? '');
  const passwordHash = await hashPassword(password);
  const change = () =>
    inTransaction(async () => {
      await unsafeQuery({ ...SET_STAFF_PASSWORD, values: [id, passwordHash] });
      if (home) await recordAudit({ action: 'PASSWORD_RESET', entity: 'staff', entityId: id, after: { by: context().actor.id } });
      return { sessions: await unsafeRevokeActorSessions('staff', id) };
    });
  return home ? inScope(home, change) : change();
}

function refuseWeak(password: string, allowWeak: boolean): void {
  const weakness = passwordWeakness(password);
  if (password === '' || (weakness && !allowWeak)) throw new BadRequest(weakness ?? 'Password is required', { code: 'invalid_request' });
}

export interface StaffSummary {
  id: string;
  username: string;
  email: string | null;
  name: string;
  is_active: boolean;
  locked: boolean;
  /** `slug:Role` of each tenant, separated by blanks. */
  memberships: string;
}

export const unsafeListStaff = (): Promise<StaffSummary[]> => unsafeQuery<StaffSummary>(LIST_STAFF);
