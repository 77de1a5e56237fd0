/**
 * Sessions: the row that makes a token count. Each process keeps what it read for {@link CACHE_MS}, so a warm request costs no
 * statement; whatever ends a session or changes an actor's rights is announced to all processes and takes effect at once.
 */
import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import {
  type Actor,
  type Context,
  context,
  currentContext,
  newWorkStats,
  type Role,
  type StaffRole,
  type Tenant,
  withContext,
} from '../lib/context';
import { afterCommit, inTransaction, isInTransaction, query, unsafeQuery } from '../lib/db';
import { log } from '../lib/log';
import { announceRevocation, onRevocation } from '../lib/revocation';
import {
  type AccessToken,
  hashOpaqueToken,
  newOpaqueToken,
  newSalt,
  REFRESH_TOKEN_SECONDS,
  signAccessToken,
  successorToken,
} from '../lib/tokens';
import {
  INSERT_SESSION,
  REFRESH_TOKEN_FOR_ROTATION,
  REVOKE_ACTOR_SESSIONS,
  REVOKE_SESSION,
  type RefreshTokenRow,
  ROTATE_REFRESH_TOKEN,
  SESSION_BY_SID,
  SESSION_OF_REFRESH_TOKEN,
  type SessionRow,
} from '../models/sessions.queries';
import { unsafeFindTenant } from './tenants.service';

const CACHE_MAX = 10_000;
const CACHE_MS = 5_000;
/** How long a rotated refresh token still gets its successor: parallel requests and answers that were lost on the way. */
export const ROTATION_GRACE_SECONDS = 30;
const USER_AGENT_MAX = 300;

export type ActorKind = 'staff' | 'customer';

export interface Session {
  readonly sid: string;
  readonly kind: ActorKind;
  readonly actorId: string;
  readonly name: string;
  readonly email: string | null;
  /** Staff only. */
  readonly username: string | null;
  /** The tenant that was logged in to. */
  readonly tenantId: string;
  readonly defaultTenantId: string | null;
  /** Staff: role by tenant id. Empty for customers, who belong to one tenant. */
  readonly roles: ReadonlyMap<string, StaffRole>;
  readonly expiresAt: Date;
}

const cache = new LRUCache<string, { session: Session | null }>({ max: CACHE_MAX, ttl: CACHE_MS });
/** Tokens that can never work again: saves the read that each request of a forgotten browser would cost. */
const deadRefreshTokens = new LRUCache<string, true>({ max: CACHE_MAX, ttl: 60_000 });
let epoch = 0;

onRevocation(({ sessions = [], actors = [] }) => {
  epoch += 1;
  for (const sid of sessions) cache.delete(sid);
  if (actors.length === 0) return;
  const gone = new Set(actors);
  for (const [sid, { session }] of cache.entries()) if (session && gone.has(actorKey(session.kind, session.actorId))) cache.delete(sid);
});

export const actorKey = (kind: ActorKind, id: string): string => `${kind}:${id}`;

/** The live session with this id, null when it has ended. `tenantId` is the session's own, as its token says. */
export async function unsafeFindSession(sid: string, tenantId: string): Promise<Session | null> {
  const known = cache.get(sid);
  if (known) return known.session?.tenantId === tenantId ? known.session : null;
  const startedIn = epoch;
  const tenant = await unsafeFindTenant(tenantId);
  if (!tenant) return null;
  const [row] = await inScope(tenant, () => query<SessionRow>(SESSION_BY_SID, [sid, tenantId]));
  const session = row ? toSession(row) : null;
  // A revocation announced during the read may be newer than what was read.
  if (startedIn === epoch) cache.set(sid, { session });
  return session;
}

/** What this process read of a session when it authenticated the request; null when it has been forgotten since. */
export const cachedSession = (sid: string): Session | null => cache.peek(sid, { allowStale: true })?.session ?? null;

/** Runs `work` for `tenant`, with everything else of the current context: at log-in the tenant is known only after the account. */
export function inScope<T>(tenant: Tenant, work: () => T): T {
  const base: Context = currentContext() ?? {
    requestId: randomUUID(),
    operation: 'session',
    actor: { kind: 'system', id: 'system', role: null },
    tenant: null,
    ip: null,
    userAgent: null,
    stats: newWorkStats(),
  };
  return withContext({ ...base, tenant }, work);
}

const toSession = (row: SessionRow): Session => ({
  sid: row.sid,
  kind: row.actor_type,
  actorId: row.actor_id,
  name: row.name,
  email: row.email,
  username: row.username,
  tenantId: row.tenant_id,
  defaultTenantId: row.default_tenant_id,
  roles: new Map(Object.entries(row.roles ?? {}) as [string, StaffRole][]),
  expiresAt: row.expires_at,
});

/** Staff: the role in the tenant that was logged in to, or in any other while that membership is gone. Null: member of nothing. */
export function sessionRole({ kind, tenantId, roles }: Session): Role | null {
  if (kind === 'customer') return 'Customer';
  return roles.get(tenantId) ?? [...roles.values()][0] ?? null;
}

export function actorOf(session: Session, role: Role): Actor {
  const { sid: sessionId, actorId: id, name } = session;
  return Object.freeze(
    session.kind === 'staff'
      ? { kind: 'staff', id, role: role as StaffRole, name, sessionId }
      : { kind: 'customer', id, customerId: Number(id), role: 'Customer', name, sessionId },
  );
}

// ------------------------------------------------------------------ opening, renewing, ending

export interface Credentials {
  access: AccessToken;
  refreshToken: string;
}

/** Opens a session in the open transaction; what is returned counts once that has committed. */
export async function openSession({
  kind,
  actorId,
  role,
  tenantId,
}: {
  kind: ActorKind;
  actorId: string;
  role: Role;
  tenantId: string;
}): Promise<Credentials> {
  if (!isInTransaction()) throw new Error('A session is opened together with the log-in that it belongs to');
  const sid = randomUUID();
  const refreshToken = newOpaqueToken();
  const { ip, userAgent } = context();
  await unsafeQuery({
    ...INSERT_SESSION,
    values: [
      sid,
      kind,
      actorId,
      tenantId,
      ip,
      userAgent?.slice(0, USER_AGENT_MAX) ?? null,
      hashOpaqueToken(refreshToken),
      REFRESH_TOKEN_SECONDS,
    ],
  });
  return { access: signAccessToken({ sub: actorId, role, tenantId, sid }), refreshToken };
}

export interface Renewal extends Credentials {
  session: Session;
  role: Role;
}

/**
 * Exchanges a refresh token for new credentials. Presenting a token again within {@link ROTATION_GRACE_SECONDS} gives the same
 * successor; later it means that two parties hold it, and the session ends for both.
 * @returns null when the token is unknown, expired, of an ended session, or reused
 */
export async function renewSession(refreshToken: string): Promise<Renewal | null> {
  const hash = hashOpaqueToken(refreshToken);
  if (deadRefreshTokens.has(hash)) return null;
  const rotated = await inTransaction(() => rotate(refreshToken, hash));
  if (!rotated) {
    deadRefreshTokens.set(hash, true);
    return null;
  }
  const session = await unsafeFindSession(rotated.sid, rotated.tenantId);
  const role = session && sessionRole(session);
  if (!session || !role) return null;
  const access = signAccessToken({ sub: session.actorId, role, tenantId: session.tenantId, sid: session.sid });
  return { session, role, access, refreshToken: rotated.successor };
}

async function rotate(refreshToken: string, hash: string): Promise<{ sid: string; tenantId: string; successor: string } | null> {
  const [row] = await unsafeQuery<RefreshTokenRow>({ ...REFRESH_TOKEN_FOR_ROTATION, values: [hash, ROTATION_GRACE_SECONDS] });
  if (!row || row.ended) return null;
  const { sid, tenant_id: tenantId } = row;
  if (row.past_grace) {
    log.warn('refresh token used again after its rotation; session revoked', { sid });
    await unsafeRevokeSession(sid);
    return null;
  }
  if (row.rotated && row.next_salt) return { sid, tenantId, successor: successorToken(refreshToken, row.next_salt) };
  const salt = newSalt();
  const successor = successorToken(refreshToken, salt);
  await unsafeQuery({ ...ROTATE_REFRESH_TOKEN, values: [hash, salt, hashOpaqueToken(successor), REFRESH_TOKEN_SECONDS] });
  return { sid, tenantId, successor };
}

/** Whose session a refresh token belongs to, whether or not it still works; null for an unknown one. */
export async function unsafeSessionOfRefreshToken(refreshToken: string): Promise<{ sid: string; tenantId: string } | null> {
  const [row] = await unsafeQuery<{ sid: string; tenant_id: string }>({
    ...SESSION_OF_REFRESH_TOKEN,
    values: [hashOpaqueToken(refreshToken)],
  });
  return row ? { sid: row.sid, tenantId: row.tenant_id } : null;
}

export interface RevokedSession {
  kind: ActorKind;
  actorId: string;
  tenantId: string;
}

/** Ends one session, with all its tokens, in every process. @returns whose it was; null when it had ended before */
export async function unsafeRevokeSession(sid: string): Promise<RevokedSession | null> {
  const [row] = await unsafeQuery<{ actor_type: ActorKind; actor_id: string; tenant_id: string }>({ ...REVOKE_SESSION, values: [sid] });
  await afterCommit(() => announceRevocation({ sessions: [sid] }));
  return row ? { kind: row.actor_type, actorId: row.actor_id, tenantId: row.tenant_id } : null;
}

/** Ends every session of an actor, in every process. @returns how many were live */
export async function unsafeRevokeActorSessions(kind: ActorKind, actorId: string): Promise<number> {
  const rows = await unsafeQuery<{ sid: string }>({ ...REVOKE_ACTOR_SESSIONS, values: [kind, actorId] });
  const sessions = rows.map(({ sid }) => sid);
  await afterCommit(() => announceRevocation({ sessions, actors: [actorKey(kind, actorId)] }));
  return rows.length;
}

/** Makes every process read the actor's rights anew; the sessions live on. */
export const announceActorChange = (kind: ActorKind, actorId: string): Promise<void> =>
  afterCommit(() => announceRevocation({ actors: [actorKey(kind, actorId)] }));
