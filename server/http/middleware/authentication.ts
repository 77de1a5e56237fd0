/**
 * Who is asking. A valid token whose session still lives gives the actor; anything else gives the anonymous one, with the
 * reason beside it, and the endpoint decides what that means.
 *
 * The browser client knows no refresh call: on a cookie request whose access token is missing or expired, a valid refresh
 * cookie is rotated here, the request goes on as that actor, and the new cookies leave with its answer.
 */
import type { Request, Response } from 'express';
import { type Actor, ANONYMOUS } from '../../../lib/context';
import type { AppError } from '../../../lib/errors';
import { accessCookie, REFRESH_COOKIE, refreshCookie } from '../../../lib/session-cookies';
import { actorOf, renewSession, type Session, sessionRole, unsafeFindSession } from '../../../services/sessions.service';
import { cookiesOf } from '../request-state';
import { setCookies } from '../send';
import { type Carrier, carrierOf, invalidToken, verifyToken } from './passport';

export interface Authentication {
  readonly actor: Actor;
  /** How the actor proved itself; `none` for the anonymous one. */
  readonly via: 'bearer' | 'cookie' | 'none';
  readonly sessionTenantId: string | null;
  /** Why credentials that were there did not count. */
  readonly failure: AppError | null;
  /** End of the access token, Unix seconds. */
  readonly expiresAt: number | null;
  readonly session: Session | null;
}

const nobody = (failure: AppError | null): Authentication => ({
  actor: ANONYMOUS,
  via: 'none',
  sessionTenantId: null,
  failure,
  expiresAt: null,
  session: null,
});
const NOBODY = Object.freeze(nobody(null));

/** These replace, end or do not need a session: renewing one first would be work for nothing. */
const NO_RENEWAL = /\/(login|logout|register|refresh|csrf-token|telemetry|request-password-reset|reset-password)\/?$/;

/** Warm cost: no statement. @throws what the database throws, when a session must be read */
export async function authenticate(req: Request, res: Response): Promise<Authentication> {
  const carrier = carrierOf(req);
  if (!carrier) return (await renew(req, res)) ?? NOBODY;
  const { claims, failure } = await verifyToken(req, res);
  if (!claims) {
    const mayRenew = carrier.via === 'cookie' && failure.code === 'token_expired';
    return (mayRenew ? await renew(req, res) : null) ?? nobody(failure);
  }
  const session = await unsafeFindSession(claims.sid, claims.tenant_id);
  if (session?.actorId !== claims.sub) return nobody(invalidToken());
  return signedIn(req, session, { via: carrier.via, expiresAt: claims.exp }) ?? nobody(invalidToken());
}

/** Null for staff who are no longer member of any tenant. */
function signedIn(req: Request, session: Session, { via, expiresAt }: { via: Carrier['via']; expiresAt: number }): Authentication | null {
  const role = sessionRole(session);
  if (!role) return null;
  req.state.accessExpiresAt = expiresAt;
  return { actor: actorOf(session, role), via, sessionTenantId: session.tenantId, failure: null, expiresAt, session };
}

async function renew(req: Request, res: Response): Promise<Authentication | null> {
  const refreshToken = cookiesOf(req)[REFRESH_COOKIE];
  if (!refreshToken || NO_RENEWAL.test(req.path)) return null;
  const renewal = await renewSession(refreshToken);
  if (!renewal) return null;
  setCookies(res, [accessCookie(renewal.access.token), refreshCookie(renewal.refreshToken)]);
  return signedIn(req, renewal.session, { via: 'cookie', expiresAt: renewal.access.expiresAt });
}
