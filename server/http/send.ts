/**
 * From what a handler returned to bytes on the wire: status, headers, cookies, entity tag, the enveloped text, or a stream.
 * `render` makes a value that can also be stored (idempotent replies); `transmit` writes it.
 */
import { once } from 'node:events';
import compression from 'compression';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { config } from '../../config';
import { log } from '../../lib/log';
import { type Cookie, type Endpoint, JsonText, Reply, StreamReply } from '../../routes/endpoint';
import { type BodyParts, bodyOf, type Mirror, successParts } from './envelope';
import { opaqueTag } from './request-state';

/** Smaller answers cost more to compress than to send. */
const COMPRESSION_THRESHOLD_BYTES = 1024;
export const compress = compression({ threshold: COMPRESSION_THRESHOLD_BYTES });
const proceed = (): void => undefined;

const JSON_CONTENT = 'application/json; charset=utf-8';
const REVALIDATED = 'private, no-cache';
/** What a revalidated representation depends on. */
const REVALIDATED_VARY = 'Cookie, Authorization, X-Tenant-Id';

export interface Rendered {
  status: number;
  headers: Readonly<Record<string, string>>;
  /** Text of the body; null for none. */
  body: string | null;
  cookies: readonly Cookie[];
  /** Opaque entity tag. */
  etag: string | undefined;
}

export interface RenderRules {
  endpoint: Endpoint;
  mirror: Mirror;
  /** Parse the data against the reply's schema, and what to do when it does not fit. */
  verify: 'off' | 'warn' | 'throw';
}

const NO_HEADERS = Object.freeze({});
const NO_COOKIES: readonly Cookie[] = Object.freeze([]);

/** An answer to whom it may concern: its body lacks the id of a request. */
export type Unaddressed = Omit<Rendered, 'body'> & { parts: BodyParts | null };

/** The answer to `result`, which is whatever the handler returned but no stream. */
export function render(rules: RenderRules, result: unknown, requestId: string): Rendered {
  const { parts, ...rest } = renderUnaddressed(rules, result);
  return { ...rest, body: parts === null ? null : bodyOf(parts, requestId) };
}

export function renderUnaddressed({ endpoint, mirror, verify }: RenderRules, result: unknown): Unaddressed {
  const { data, options } = result instanceof Reply ? result : { data: result, options: NO_OPTIONS };
  const [declared, schema] = endpoint.reply;
  const status = options.status ?? declared;
  if (verify !== 'off' && schema && status < 300 && status !== 204) verifyReply(endpoint.id, schema, data, verify);
  return {
    status,
    headers: options.headers ?? NO_HEADERS,
    parts: status === 204 ? null : successParts({ data, mirror, meta: options.meta, root: options.root }),
    cookies: options.cookies ?? NO_COOKIES,
    etag: options.etag,
  };
}
const NO_OPTIONS: Reply['options'] = Object.freeze({});

/** The stream a handler returned, bare or inside a Reply. */
export function streamOf(result: unknown): StreamReply | undefined {
  const data = result instanceof Reply ? result.data : result;
  return data instanceof StreamReply ? data : undefined;
}

/** The same for the type of a stream. */
export function verifyMedia({ endpoint, verify }: Pick<RenderRules, 'endpoint' | 'verify'>, { contentType }: StreamReply): void {
  if (verify === 'off' || endpoint.media?.includes(contentType.split(';')[0] ?? '')) return;
  log.log(verify === 'throw' ? 'error' : 'warn', 'reply of an undeclared media type', { endpoint: endpoint.id, contentType });
  if (verify === 'throw') throw new Error(`Reply of ${endpoint.id} is ${contentType}, declared is ${endpoint.media?.join(', ') ?? 'none'}`);
}

/** A reply that contradicts its own documentation is a defect: in tests it fails, in development it is pointed out. */
function verifyReply(id: string, schema: z.ZodType, data: unknown, verify: 'warn' | 'throw'): void {
  const wire: unknown = JSON.parse(data instanceof JsonText ? data.text : (JSON.stringify(data) ?? 'null'));
  const result = schema.safeParse(wire);
  const problems = result.success ? undocumented(wire, result.data).join('\n') : z.prettifyError(result.error);
  if (problems === '') return;
  log.log(verify === 'throw' ? 'error' : 'warn', 'reply does not fit its schema', { endpoint: id, problems });
  if (verify === 'throw') throw new Error(`Reply of ${id} does not fit its schema:\n${problems}`);
}

/** Keys that the schema does not know: parsing has dropped them. */
function undocumented(wire: unknown, parsed: unknown, path = 'data'): string[] {
  if (wire === null || typeof wire !== 'object' || parsed === null || typeof parsed !== 'object') return [];
  return Object.entries(wire).flatMap(([key, value]) =>
    key in parsed ? undocumented(value, (parsed as Record<string, unknown>)[key], `${path}.${key}`) : [`undocumented: ${path}.${key}`],
  );
}

/** Writes an answer; a representation the client has already is a 304. */
export function transmit(req: Request, res: Response, { status, headers, body, cookies, etag }: Rendered, revalidate: boolean): void {
  for (const name in headers) res.setHeader(name, headers[name] as string);
  setCookies(res, cookies);
  if (etag !== undefined) res.setHeader('ETag', `W/"${opaqueTag(etag)}"`);
  if (revalidate && status < 300) {
    res.setHeader('Cache-Control', REVALIDATED);
    res.vary(REVALIDATED_VARY);
    if (etag !== undefined && isFresh(req, opaqueTag(etag))) {
      res.statusCode = 304;
      res.end();
      return;
    }
  }
  res.statusCode = status;
  if (body === null) {
    res.end();
    return;
  }
  res.setHeader('Content-Type', JSON_CONTENT);
  const bytes = Buffer.byteLength(body);
  // Said beforehand, head and body leave in one write. The wrapper comes last, so that only what it may compress pays for it.
  res.setHeader('Content-Length', bytes);
  if (bytes >= COMPRESSION_THRESHOLD_BYTES) compress(req, res, proceed);
  res.end(body);
}

function isFresh({ method, headers }: Request, tag: string): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  const known = headers['if-none-match'];
  return known !== undefined && (known.trim() === '*' || known.split(',').some((item) => opaqueTag(item) === tag));
}

/** One header for each cookie, after those that are there already (a renewed session sets its own). */
export function setCookies(res: Response, cookies: readonly Cookie[]): void {
  for (const cookie of cookies) res.append('Set-Cookie', cookieText(cookie));
}

export function cookieText({ name, value, maxAgeSeconds, httpOnly = true }: Cookie, secure = config.secureCookies): string {
  const life =
    value === null
      ? '; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT'
      : maxAgeSeconds === undefined
        ? ''
        : `; Max-Age=${Math.floor(maxAgeSeconds)}`;
  return `${name}=${encodeURIComponent(value ?? '')}${life}; Path=/; SameSite=Lax${httpOnly ? '; HttpOnly' : ''}${secure ? '; Secure' : ''}`;
}

/** A name that needs no quotes. */
const plainFilename = (name: string): string => name.replace(/[^\w.-]/g, '_');

export interface StreamOptions {
  headers: Readonly<Record<string, string>>;
  /** A client that takes nothing for this long is given up: it would hold a database connection for ever. */
  idleMs: number;
  /** Called when the first piece is there: the answer has begun. */
  begun: () => void;
}

/**
 * Sends a stream piece by piece at the client's pace. What fails before the first piece is thrown, to be answered as usual;
 * afterwards the connection is cut, so that a broken export cannot be taken for a whole one.
 */
export async function transmitStream(
  req: Request,
  res: Response,
  stream: StreamReply,
  { headers, idleMs, begun }: StreamOptions,
): Promise<void> {
  const pieces = stream.chunks[Symbol.asyncIterator]();
  try {
    let piece = await pieces.next();
    begun();
    if (res.destroyed || res.headersSent) return;
    for (const name in headers) res.setHeader(name, headers[name] as string);
    res.setHeader('Content-Type', stream.contentType);
    if (stream.filename) res.setHeader('Content-Disposition', `attachment; filename=${plainFilename(stream.filename)}`);
    compress(req, res, proceed);
    for (; !piece.done; piece = await pieces.next()) {
      if (res.destroyed) return;
      if (!res.write(piece.value)) await drained(res, idleMs);
    }
    res.end();
  } finally {
    // Also when the client has gone: the source closes its cursor.
    await pieces.return?.();
  }
}

async function drained(res: Response, idleMs: number): Promise<void> {
  const waiting = new AbortController();
  const giveUp = setTimeout(() => res.destroy(), idleMs);
  const gone = () => waiting.abort();
  res.once('close', gone);
  try {
    await once(res, 'drain', { signal: waiting.signal });
  } catch (error) {
    if (!waiting.signal.aborted) throw error;
  } finally {
    clearTimeout(giveUp);
    res.off('close', gone);
  }
}
