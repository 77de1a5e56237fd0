/**
 * Access tokens (JWT, HS256, 15 minutes) and opaque tokens (256 random bits, stored as their SHA-256 only).
 * A token names its session; whether the session still counts is asked of the database, so a signature alone opens nothing.
 */
import { createHash, createHmac, createSecretKey, type KeyObject, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import { config } from '../config';
import { clock } from './clock';
import type { Role } from './context';

export const ACCESS_TOKEN_SECONDS = 15 * 60;
export const REFRESH_TOKEN_SECONDS = 14 * 24 * 60 * 60;
/** Clocks of several machines differ a little. */
export const LEEWAY_SECONDS = 5;
export const ALGORITHM = 'HS256';
const SECRET_BYTES_MIN = 32;

const AccessClaims = z.object({
  sub: z.string().min(1),
  role: z.enum(['Owner', 'Advisor', 'Accountant', 'Technician', 'Customer']),
  // The first tenant's id is made by hand and has no version digit, which z.uuid() would refuse.
  tenant_id: z.guid(),
  sid: z.uuid(),
  jti: z.string().min(1),
  typ: z.literal('access'),
  iat: z.number(),
  exp: z.number(),
});
export type AccessClaims = z.infer<typeof AccessClaims>;

/** Every claim must be there: a token without an end or without a role is nobody's. */
export function readClaims(payload: unknown): AccessClaims | null {
  const parsed = AccessClaims.safeParse(payload);
  return parsed.success ? parsed.data : null;
}

export interface AccessToken {
  token: string;
  /** Unix seconds. */
  expiresAt: number;
}

export function signAccessToken({ sub, role, tenantId, sid }: { sub: string; role: Role; tenantId: string; sid: string }): AccessToken {
  const issuedAt = Math.floor(clock.now().getTime() / 1000);
  const expiresAt = issuedAt + ACCESS_TOKEN_SECONDS;
  const claims: AccessClaims = { sub, role, tenant_id: tenantId, sid, jti: randomUUID(), typ: 'access', iat: issuedAt, exp: expiresAt };
  return { token: jwt.sign(claims, keyOf(signingSecret()), { algorithm: ALGORITHM }), expiresAt };
}

function signingSecret(): string {
  if (Buffer.byteLength(config.JWT_SECRET) < SECRET_BYTES_MIN)
    throw new Error(`JWT_SECRET is missing or shorter than ${SECRET_BYTES_MIN} bytes`);
  return config.JWT_SECRET;
}

const keys = new Map<string, KeyObject>();

/** The secret as the library wants it: given text, it tries to read a public key out of it first, which costs more than the rest. */
function keyOf(secret: string): KeyObject {
  const known = keys.get(secret);
  if (known) return known;
  const key = createSecretKey(secret, 'utf8');
  keys.set(secret, key);
  return key;
}

/**
 * The key to verify `token` with: the former one while a key change is under way and the token was signed before it.
 * Only chooses; the library still verifies signature, algorithm and times.
 */
export function verificationKey(token: string): KeyObject {
  const { JWT_SECRET_PREVIOUS: previous } = config;
  const current = signingSecret();
  return keyOf(previous && !isSignedWith(token, current) && isSignedWith(token, previous) ? previous : current);
}

function isSignedWith(token: string, secret: string): boolean {
  const end = token.lastIndexOf('.');
  const expected = createHmac('sha256', secret).update(token.slice(0, end)).digest('base64url');
  return equalInConstantTime(expected, token.slice(end + 1));
}

/** 256 random bits in 43 characters. */
export const newOpaqueToken = (): string => randomBytes(32).toString('base64url');

/** What is stored of an opaque token, in hex. A fast hash is enough for 256 random bits. */
export const hashOpaqueToken = (token: string): string => createHash('sha256').update(token).digest('hex');

/**
 * The token that follows `token` in its family. Needs the token itself and the salt stored with its hash: neither the
 * database nor the client alone can compute it, and every request that presents the token within the grace gets the same one.
 */
export const successorToken = (token: string, salt: string): string => createHmac('sha256', salt).update(token).digest('base64url');

export const newSalt = (): string => randomBytes(32).toString('hex');

/** XSRF cookie and header: 32 hex characters. */
export const newCsrfToken = (): string => randomBytes(16).toString('hex');
export const isCsrfToken = (value: string | undefined): value is string => value !== undefined && /^[0-9a-f]{32}$/.test(value);

/** Compares without telling by time how much was right. Different lengths differ at once: lengths are no secret here. */
export function equalInConstantTime(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
