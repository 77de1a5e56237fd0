/**
 * What the HTTP layer knows of one request while it lives: its id, its cost so far, the facts a handler may ask for.
 * Attached as `req.state` by the first middleware; everything derived from headers is computed on first use only.
 */
import type { Request } from 'express';
import type { Context, WorkStats } from '../../lib/context';
import type { RequestFacts } from '../../routes/endpoint';

declare module 'express-serve-static-core' {
  interface Request {
    state: RequestState;
  }
}

const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze({});

export class RequestState {
  readonly id: string;
  readonly startedAt = performance.now();
  readonly stats: WorkStats;
  /** Bytes the socket had sent before this answer: keep-alive connections carry many. */
  readonly bytesBefore: number;
  /** The context of the request as far as it is known; log lines at its end use the last one. */
  context: Context;
  /** Endpoint id, the bounded label of metrics; undefined while no endpoint has taken the request. */
  route: string | undefined;
  /** Path parameters as they came, by name. */
  params: Readonly<Record<string, string>> = NO_PARAMS;
  /** A probe, a page of operations or of the reference: nothing of the shop. */
  isPlain = false;
  /** Error code of the answer, when it was a refusal. */
  code: string | undefined;
  /** End of the access token that was accepted, Unix seconds. */
  accessExpiresAt: number | null = null;
  /** Statements that the handler has sent, session and tenant look-ups and idempotency apart; null before its end, and for streams. */
  handlerQueries: number | null = null;
  /** What the endpoint declares of them. */
  queryBudget: number | undefined;
  /** Key of the limiter that is about to be asked. */
  limitKey = '';

  constructor(id: string, context: Context, bytesBefore: number) {
    this.id = id;
    this.context = context;
    this.stats = context.stats;
    this.bytesBefore = bytesBefore;
  }
}

const NO_COOKIES: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>);
const COOKIES = Symbol('cookies');

/** The cookies of a request, parsed once. The first of two with one name wins, as the browser sends the more specific one first. */
export function cookiesOf(req: Request): Readonly<Record<string, string>> {
  const memo = req as Request & { [COOKIES]?: Readonly<Record<string, string>> };
  memo[COOKIES] ??= parseCookies(req.headers.cookie);
  return memo[COOKIES];
}

export function parseCookies(header: string | undefined): Readonly<Record<string, string>> {
  if (!header) return NO_COOKIES;
  const cookies = Object.create(null) as Record<string, string>;
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals < 1) continue;
    const name = pair.slice(0, equals).trim();
    if (name in cookies) continue;
    const value = pair.slice(equals + 1).trim();
    const bare = value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    cookies[name] = bare.includes('%') ? decode(bare) : bare;
  }
  return cookies;
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    // A stray percent sign: the value as it came is the only honest reading.
    return value;
  }
}

const MAPPED_IPV4 = '::ffff:';

/** The client's address: X-Forwarded-For counts only from configured proxies. Empty when the connection is gone already. */
export function clientIp(req: Request): string {
  const ip = req.ip ?? '';
  return ip.startsWith(MAPPED_IPV4) ? ip.slice(MAPPED_IPV4.length) : ip;
}

/** An entity tag as it may come in a header, without `W/` and quotes; also a bare one. */
export function opaqueTag(value: string): string {
  const strong = value.trim().replace(/^W\//, '');
  return strong.startsWith('"') && strong.endsWith('"') && strong.length > 1 ? strong.slice(1, -1) : strong;
}

/** The view of a request that handlers get. */
export class Facts implements RequestFacts {
  readonly ip: string;
  readonly #req: Request;
  constructor(req: Request, ip: string) {
    this.#req = req;
    this.ip = ip;
  }
  get userAgent(): string | null {
    return this.#req.headers['user-agent'] ?? null;
  }
  get cookies(): Readonly<Record<string, string>> {
    return cookiesOf(this.#req);
  }
  header(name: string): string | undefined {
    const value = this.#req.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }
  get target(): string {
    return this.#req.originalUrl;
  }
  get base(): string {
    return `${this.#req.protocol}://${this.#req.headers.host ?? ''}`;
  }
  get accessExpiresAt(): number | null {
    return this.#req.state.accessExpiresAt;
  }
  get ifMatch(): string | null {
    const value = this.#req.headers['if-match'];
    return value === undefined ? null : value.split(',').map(opaqueTag).join(',');
  }
}
