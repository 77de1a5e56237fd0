/**
 * Everything the service does only for one older browser client, in one place, so that it can be taken out in one piece:
 * a doubled `/api` prefix, some paths without it, and writes that it sends without the CSRF header.
 */
import type { NextFunction, Request, Response } from 'express';
import { config } from '../../../config';

const DOUBLED = /^(?:\/api){2,}(?=\/)/;
const UNPREFIXED = /^\/customers\/(?:login|register|profile)(?=[/?]|$)/;
/** Links to documents are opened as pages, where the client forgets the prefix. */
const RECEIPT = /^\/admin\/invoices\/[^/?]+\/receipt\.(?:html|pdf)(?=\?|$)/;

/** Rewrites the path before routing; `req.originalUrl` keeps what was sent. */
export function rewriteLegacyPaths(req: Request, _res: Response, next: NextFunction): void {
  const { url } = req;
  if (url.startsWith('/api/api/')) req.url = url.replace(DOUBLED, '/api');
  else if (url.startsWith('/customers/') && UNPREFIXED.test(url)) req.url = `/api${url}`;
  else if (url.startsWith('/admin/invoices/') && RECEIPT.test(url)) req.url = `/api${url}`;
  next();
}

/** Writes that the client sends by plain fetch, without the CSRF header. They need proof of the same origin instead. */
export const HEADERLESS_WRITES: ReadonlySet<string> = new Set([
  'POST /api/admin/vehicles',
  'PATCH /api/admin/vehicles/:id',
  'POST /api/admin/vehicles/:id/transfer',
  'PATCH /api/admin/customers/:id',
  'POST /api/admin/customers/:id/notes',
  'PUT /api/customers/profile',
  'POST /api/admin/invoices/:id/send',
]);

/**
 * What a browser says of where a request comes from; a page cannot forge either header. Neither of them is a refusal.
 * An `Origin` on the CORS allow-list counts, because the client may be served from there.
 */
export function provesSameOrigin(req: Request, origins: readonly string[] = config.CORS_ORIGINS): boolean {
  const { origin, 'sec-fetch-site': site, host } = req.headers;
  if (site === 'same-origin') return true;
  if (origin === undefined) return false;
  return origins.includes(origin) || (host !== undefined && origin === `${req.protocol}://${host}`);
}
