/**
 * Verifies access tokens with passport-jwt: the algorithm is pinned, every claim is demanded, and nothing here asks the
 * database. A token comes as `Authorization: Bearer` or, when that is absent or empty, in a cookie.
 */
import type { Request, Response } from 'express';
import jwt from 'jsonwebtoken';
import { LRUCache } from 'lru-cache';
import { Authenticator } from 'passport';
import { Strategy } from 'passport-jwt';
import { type AppError, Unauthenticated } from '../../../lib/errors';
import { ACCESS_COOKIE } from '../../../lib/session-cookies';
import { type AccessClaims, ALGORITHM, LEEWAY_SECONDS, readClaims, verificationKey } from '../../../lib/tokens';
import { cookiesOf } from '../request-state';

export interface Carrier {
  token: string;
  via: 'bearer' | 'cookie';
}

const BEARER = /^bearer(?:\s+(.*))?$/i;

/** The token a request carries. `Bearer` without a token counts as absent: one client sends it always, with or without one. */
export function carrierOf(req: Request): Carrier | null {
  const bearer = BEARER.exec(req.headers.authorization ?? '')?.[1]?.trim();
  if (bearer) return { token: bearer, via: 'bearer' };
  const cookie = cookiesOf(req)[ACCESS_COOKIE];
  return cookie ? { token: cookie, via: 'cookie' } : null;
}

export const invalidToken = (): Unauthenticated => new Unauthenticated('Invalid token', { code: 'invalid_token' });
const expiredToken = (): Unauthenticated => new Unauthenticated('Token has expired', { code: 'token_expired' });

const passport = new Authenticator();
passport.use(
  new Strategy(
    {
      jwtFromRequest: (req: Request) => carrierOf(req)?.token ?? null,
      // The library takes a KeyObject, its types do not say so.
      secretOrKeyProvider: (_req: Request, token: string, done: (error: unknown, key?: Buffer) => void) =>
        done(null, verificationKey(token) as unknown as Buffer),
      algorithms: [ALGORITHM],
      jsonWebTokenOptions: { clockTolerance: LEEWAY_SECONDS },
    },
    (payload: unknown, done: (error: unknown, claims?: AccessClaims | false) => void) => done(null, readClaims(payload) ?? false),
  ),
);

export type Verification = { claims: AccessClaims; failure: null } | { claims: null; failure: AppError };

const VERIFIED_MAX = 5_000;
/**
 * Tokens whose signature and claims were found right. A token's text never changes its meaning and the keys of a process never
 * change, so only its end is looked at again. It says nothing about the session, which is asked for on every request.
 */
const verified = new LRUCache<string, AccessClaims>({ max: VERIFIED_MAX });

const isOver = ({ exp }: AccessClaims): boolean => Math.floor(Date.now() / 1000) >= exp + LEEWAY_SECONDS;

/** Checks the token that `req` carries. An expired token is told from a wrong one, because only the first may be renewed. */
export function verifyToken(req: Request, res: Response): Promise<Verification> {
  const token = carrierOf(req)?.token ?? '';
  const known = verified.get(token);
  if (known && !isOver(known)) return Promise.resolve({ claims: known, failure: null });
  return new Promise((resolve, reject) => {
    const answer = (error: unknown, claims: AccessClaims | false | null, info: unknown): void => {
      if (claims) verified.set(token, claims);
      if (error) reject(error);
      else if (claims) resolve({ claims, failure: null });
      else resolve({ claims: null, failure: info instanceof jwt.TokenExpiredError ? expiredToken() : invalidToken() });
    };
    (passport.authenticate('jwt', { session: false }, answer) as (req: Request, res: Response, next: (error: unknown) => void) => void)(
      req,
      res,
      reject,
    );
  });
}
