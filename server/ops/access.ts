/**
 * Who may read the operations documents on the public port: whoever holds OPS_TOKEN (as Bearer, or as the password of
 * Basic, which a browser can send), and in development anybody on this machine. Everybody else is told nothing: 404.
 */
import { createHash, timingSafeEqual } from 'node:crypto';

export interface OpsAccess {
  token: string | undefined;
  environment: 'development' | 'test' | 'production';
}

const LOOPBACK = /^(127\.|::1$|::ffff:127\.)/;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The token of an Authorization header: of `Bearer x`, or the password of `Basic base64(user:x)`. */
export function tokenOf(authorization: string | undefined): string | undefined {
  const [, scheme, credentials] = /^(\w+)\s+(\S+)$/.exec(authorization ?? '') ?? [];
  if (!scheme || !credentials) return undefined;
  if (scheme.toLowerCase() === 'bearer') return credentials;
  if (scheme.toLowerCase() !== 'basic') return undefined;
  const decoded = Buffer.from(credentials, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return colon === -1 ? undefined : decoded.slice(colon + 1);
}

/** @param peer address of the socket, never of a header: a forwarded address can be invented */
export function mayReadOps({ token, environment }: OpsAccess, authorization: string | undefined, peer: string | undefined): boolean {
  const given = tokenOf(authorization);
  // Equal lengths by hashing, equal times by comparing in full.
  if (token !== undefined && given !== undefined && timingSafeEqual(digest(given), digest(token))) return true;
  return environment === 'development' && LOOPBACK.test(peer ?? '');
}
