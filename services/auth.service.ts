/**
 * Log-in and log-out. One refusal for a wrong password, an unknown account and a locked one, after the same work: neither the
 * words nor the time tell which accounts exist.
 */
import { context, type Role, type StaffRole, tenant } from '../lib/context';
import { inTransaction, query, unsafeQuery } from '../lib/db';
import { Forbidden, Unauthenticated } from '../lib/errors';
import { log } from '../lib/log';
import { verifyPassword } from '../lib/passwords';
import { clearLimit } from '../lib/rate-limit';
import {
  CUSTOMER_BY_ID,
  CUSTOMER_LOGIN,
  CUSTOMER_LOGIN_FAILED,
  CUSTOMER_LOGIN_SUCCEEDED,
  type CustomerLoginRow,
  STAFF_BY_ID,
  STAFF_LOGIN,
  STAFF_LOGIN_FAILED,
  STAFF_LOGIN_SUCCEEDED,
  type StaffLoginRow,
} from '../models/accounts.queries';
import { recordAudit } from './audit.service';
import {
  type ActorKind,
  type Credentials,
  cachedSession,
  inScope,
  openSession,
  renewSession,
  unsafeRevokeSession,
  unsafeSessionOfRefreshToken,
} from './sessions.service';
import { type TenantRecord, unsafeDefaultTenant, unsafeFindTenant } from './tenants.service';

/** So many failures in a row lock the account for so long. */
export const LOCK_AFTER = 10;
export const LOCK_SECONDS = 15 * 60;

export interface SignedIn {
  credentials: Credentials;
  user: { kind: ActorKind; id: string; username: string | null; email: string | null; name: string; role: Role; tenantId: string };
}

const refusal = () => new Unauthenticated('Invalid email or password', { code: 'invalid_credentials' });

/**
 * The tenant that a caller without a session means: the one it names, else the default one.
 * @throws Forbidden `tenant_not_found`, or `tenant_access_denied` when it is closed
 */
export async function unsafeTenantForLogin(named: string | undefined): Promise<TenantRecord> {
  const tenant = await (named?.trim() ? unsafeFindTenant(named) : unsafeDefaultTenant());
  if (!tenant) throw new Forbidden('tenant_not_found');
  if (!tenant.isOpen) throw new Forbidden('tenant_access_denied');
  return tenant;
}

interface Attempt {
  /** User name or e-mail. */
  identifier: string;
  password: string;
  /** X-Tenant-Id as it came. */
  named: string | undefined;
}

/** Staff only. @throws Unauthenticated, Forbidden without a membership in an open tenant */
export async function signInStaff(attempt: Attempt): Promise<SignedIn> {
  const account = await unsafeStaffAccount(attempt.identifier);
  if (account) return enterStaff(account, attempt);
  await verifyPassword(attempt.password, null);
  await recordUnknown('staff', await unsafeDefaultTenant());
  throw refusal();
}

/** Customers of the named or default tenant. @throws Unauthenticated, Forbidden for an unknown or closed tenant */
export async function signInCustomer(attempt: Attempt): Promise<SignedIn> {
  const tenant = await unsafeTenantForLogin(attempt.named);
  return enterCustomer(tenant, await customerAccount(tenant, attempt.identifier), attempt);
}

/** Staff by user name or e-mail, else a customer of the tenant by e-mail. */
export async function signIn(attempt: Attempt): Promise<SignedIn> {
  const account = await unsafeStaffAccount(attempt.identifier);
  return account ? enterStaff(account, attempt) : signInCustomer(attempt);
}

const fold = (identifier: string): string => identifier.trim().toLowerCase();

async function unsafeStaffAccount(identifier: string): Promise<StaffLoginRow | undefined> {
  const [row] = await unsafeQuery<StaffLoginRow>({ ...STAFF_LOGIN, values: [fold(identifier)] });
  return row;
}

async function customerAccount(tenant: TenantRecord, identifier: string): Promise<CustomerLoginRow | undefined> {
  const [row] = await inScope(tenant, () => query<CustomerLoginRow>(CUSTOMER_LOGIN, [tenant.id, fold(identifier)]));
  return row;
}

/** What differs between the two kinds of account. */
interface Account {
  kind: ActorKind;
  id: string;
  role: Role;
  tenant: TenantRecord;
  passwordHash: string;
  locked: boolean;
  succeeded: () => Promise<object[]>;
  failed: () => Promise<{ locked: boolean }[]>;
}

async function enterStaff(row: StaffLoginRow, { password, identifier, named }: Attempt): Promise<SignedIn> {
  const { id, username, email, name } = row;
  const wanted = named?.trim() ? await unsafeFindTenant(named) : null;
  const memberships = row.memberships ?? [];
  const membership = memberships.find(({ tenantId, isOpen }) => isOpen && (!wanted || tenantId === wanted.id));
  // Who is member of nothing that is open still proves the password first: the difference is not for strangers.
  const tenant = await unsafeFindTenant((membership ?? memberships[0])?.tenantId ?? '');
  const denied = !membership || (Boolean(named?.trim()) && !wanted);
  if (!tenant) {
    await verifyPassword(password, null);
    throw refusal();
  }
  const role = (membership ?? (memberships[0] as { role: string })).role as StaffRole;
  const account: Account = {
    kind: 'staff',
    id,
    role,
    tenant,
    passwordHash: row.password_hash,
    locked: row.locked,
    succeeded: () => unsafeQuery({ ...STAFF_LOGIN_SUCCEEDED, values: [row.password_hash, id] }),
    failed: () => unsafeQuery({ ...STAFF_LOGIN_FAILED, values: [LOCK_AFTER, LOCK_SECONDS, id] }),
  };
  const credentials = await enter(account, password, () => {
    if (denied) throw new Forbidden('tenant_access_denied');
  });
  await forgetFailures(identifier);
  return { credentials, user: { kind: 'staff', id, username, email, name, role, tenantId: tenant.id } };
}

async function enterCustomer(
  tenant: TenantRecord,
  row: CustomerLoginRow | undefined,
  { password, identifier }: Attempt,
): Promise<SignedIn> {
  if (!row) {
    await verifyPassword(password, null);
    await recordUnknown('customer', tenant);
    throw refusal();
  }
  const account: Account = {
    kind: 'customer',
    id: String(row.id),
    role: 'Customer',
    tenant,
    passwordHash: row.password_hash,
    locked: row.locked,
    succeeded: () => query(CUSTOMER_LOGIN_SUCCEEDED, [row.password_hash, tenant.id, row.id]),
    failed: () => query(CUSTOMER_LOGIN_FAILED, [LOCK_AFTER, LOCK_SECONDS, tenant.id, row.id]),
  };
  const credentials = await enter(account, password, () => undefined);
  await forgetFailures(identifier);
  const { email, name } = row;
  return { credentials, user: { kind: 'customer', id: account.id, username: null, email, name, role: 'Customer', tenantId: tenant.id } };
}

/** Verifies, then opens the session and resets the account, or counts the failure; either with its audit row. */
async function enter(account: Account, password: string, permit: () => void): Promise<Credentials> {
  const { kind, id, role, tenant, passwordHash } = account;
  const matches = await verifyPassword(password, passwordHash);
  return inScope(tenant, async () => {
    const by = { id, role };
    if (matches && !account.locked) {
      permit();
      const credentials = await inTransaction(async () => {
        const [mayEnter] = await account.succeeded();
        if (!mayEnter) return null;
        const opened = await openSession({ kind, actorId: id, role, tenantId: tenant.id });
        await recordAudit({ action: 'LOGIN_SUCCESS', entity: kind, entityId: id, by });
        return opened;
      });
      if (credentials) return credentials;
    }
    await inTransaction(async () => {
      const [counted] = matches ? [] : await account.failed();
      await recordAudit({
        action: 'LOGIN_FAILURE',
        entity: kind,
        entityId: id,
        after: { reason: matches || account.locked ? 'locked' : 'password' },
        by,
      });
      if (counted?.locked)
        await recordAudit({ action: 'ACCOUNT_LOCKED', entity: kind, entityId: id, after: { seconds: LOCK_SECONDS }, by });
    });
    throw refusal();
  });
}

/** Nothing of what was typed is kept: people type passwords into the name field. */
async function recordUnknown(kind: ActorKind, tenant: TenantRecord | null): Promise<void> {
  if (!tenant) {
    log.info('log-in of an unknown account');
    return;
  }
  await inScope(tenant, () =>
    inTransaction(() => recordAudit({ action: 'LOGIN_FAILURE', entity: kind, entityId: 'unknown', after: { reason: 'unknown' } })),
  );
}

/** A success proves that the failures before it were slips. Keyed as the limiter keys them. */
async function forgetFailures(identifier: string): Promise<void> {
  const { ip } = context();
  if (ip === null) return;
  await Promise.all([clearLimit('login', ip, fold(identifier)), clearLimit('loginIp', ip)]);
}

export interface Identity {
  id: string;
  /** Staff without an e-mail: the user name. */
  email: string | null;
  name: string;
  role: Role;
  tenantId: string;
}

/** Who the caller is, as authentication found it: no statement. @throws Unauthenticated */
export async function currentIdentity(): Promise<Identity> {
  const { actor } = context();
  if (!('sessionId' in actor)) throw new Unauthenticated();
  const session = cachedSession(actor.sessionId);
  const { email, username } = session ?? (await unsafeMailbox(actor.kind, actor.id));
  return { id: actor.id, email: email ?? username, name: actor.name, role: actor.role, tenantId: tenant().id };
}

/** For the rare session that another revocation kept out of the cache. */
async function unsafeMailbox(kind: ActorKind, id: string): Promise<{ email: string | null; username: string | null }> {
  const [row] =
    kind === 'staff'
      ? await unsafeQuery<{ email: string | null; username: string }>({ ...STAFF_BY_ID, values: [id] })
      : await query<{ email: string | null }>(CUSTOMER_BY_ID, [tenant().id, id]);
  if (!row) throw new Unauthenticated();
  return { username: null, ...row };
}

/** Exchanges a refresh token. @throws Unauthenticated `invalid_token` when it is unknown, expired or reused */
export async function refresh(refreshToken: string | undefined): Promise<Credentials> {
  const renewal = refreshToken ? await renewSession(refreshToken) : null;
  if (!renewal) throw new Unauthenticated('Invalid token', { code: 'invalid_token' });
  return renewal;
}

/**
 * Ends the session of the caller: of its actor, or of its refresh token when the access token has run out. Nothing to end is
 * no error. Effective in every process when it returns.
 */
export async function signOut(refreshToken: string | undefined): Promise<void> {
  const { actor } = context();
  const sid = 'sessionId' in actor ? actor.sessionId : refreshToken ? (await unsafeSessionOfRefreshToken(refreshToken))?.sid : undefined;
  if (!sid) return;
  await inTransaction(async () => {
    const ended = await unsafeRevokeSession(sid);
    const tenant = ended && (await unsafeFindTenant(ended.tenantId));
    if (!tenant) return;
    await unsafeQuery({ text: `SELECT set_config('app.tenant_id', $1, true)`, values: [tenant.id] });
    const role = actor.role ?? (ended.kind === 'customer' ? 'Customer' : null);
    await inScope(tenant, () =>
      recordAudit({ action: 'LOGOUT', entity: ended.kind, entityId: ended.actorId, by: { id: ended.actorId, role } }),
    );
  });
}
