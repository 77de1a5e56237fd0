/**
 * Cross-site request forgery: a write authenticated by cookie must repeat the XSRF-TOKEN cookie in a header, which a foreign
 * page can neither read nor send. A bearer token is no ambient authority, so it needs no such proof.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import { Forbidden } from '../../../lib/errors';
import type { Endpoint } from '../../../routes/endpoint';
import { cookiesOf } from '../request-state';
import { HEADERLESS_WRITES, provesSameOrigin } from './legacy-client';

export const CSRF_COOKIE = 'XSRF-TOKEN';

export type CsrfRule = 'none' | 'header' | 'header-or-same-origin';

/** What an endpoint asks for, decided once when it is mounted. */
export function csrfRuleOf({ method, path, csrf }: Pick<Endpoint, 'method' | 'path' | 'csrf'>): CsrfRule {
  if (method === 'get' || csrf === 'exempt') return 'none';
  return HEADERLESS_WRITES.has(`${method.toUpperCase()} ${path}`) ? 'header-or-same-origin' : 'header';
}

/** @throws Forbidden when a request that came by cookie lacks the proof that `rule` asks for */
export function requireCsrfProof(req: Request, rule: CsrfRule): void {
  const sent = req.headers['x-csrf-token'];
  const cookie = cookiesOf(req)[CSRF_COOKIE];
  if (typeof sent === 'string' && cookie && sameText(sent, cookie)) return;
  if (rule === 'header-or-same-origin' && sent === undefined && provesSameOrigin(req)) return;
  throw new Forbidden('CSRF token invalid or missing');
}

/** Constant time for texts of one length; the length of a token is no secret. */
function sameText(left: string, right: string): boolean {
  const a = Buffer.from(left);
  const b = Buffer.from(right);
  return a.length === b.length && timingSafeEqual(a, b);
}
