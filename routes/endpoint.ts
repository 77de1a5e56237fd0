/**
 * An endpoint is data: the router, the OpenAPI document, the permission matrix, metric labels and the contract tests are made
 * from the same list. Handlers return; they never hold a response, so no reply can leave before the commit.
 */
import type { z } from 'zod';
import type { CachedTable } from '../lib/cache/tables';
import type { Role } from '../lib/context';
import type { AppError } from '../lib/errors';

export const STAFF_READ = ['Owner', 'Advisor', 'Accountant'] as const satisfies readonly Role[];
export const STAFF_WRITE = ['Owner', 'Advisor'] as const satisfies readonly Role[];
export const STAFF_ALL = ['Owner', 'Advisor', 'Accountant', 'Technician'] as const satisfies readonly Role[];

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** What a handler may know of the HTTP request beyond its parsed input. */
export interface RequestFacts {
  readonly ip: string;
  readonly userAgent: string | null;
  readonly cookies: Readonly<Record<string, string>>;
  /** The path and query as they were sent. */
  readonly target: string;
  /** Scheme and host as the caller named them; not to be believed without proof. */
  readonly base: string;
  /** Value of a request header, lower-case name. */
  header(name: string): string | undefined;
  /** The opaque version of If-Match without `W/` and quotes, `*` for any, null when the header is absent. */
  readonly ifMatch: string | null;
  /** End of the caller's access token in Unix seconds; null when anonymous. */
  readonly accessExpiresAt: number | null;
}

export interface Cookie {
  name: string;
  /** null expires the cookie at once. */
  value: string | null;
  maxAgeSeconds?: number;
  httpOnly?: boolean;
}

interface ReplyOptions {
  /** Default: the status of the endpoint's `reply`. */
  status?: number;
  headers?: Readonly<Record<string, string>>;
  cookies?: readonly Cookie[];
  /** Opaque tag `<row version>.<hash>`; the HTTP layer quotes it, compares If-None-Match and answers 304. */
  etag?: string;
  /** Further keys of `meta` beside request_id, for example pagination. */
  meta?: Readonly<Record<string, unknown>>;
  /** Keys for the root of the body beside the declared mirror. */
  root?: Readonly<Record<string, unknown>>;
}

/** A reply with more to say than its data. */
export class Reply<T = unknown> {
  readonly data: T;
  readonly options: ReplyOptions;
  constructor(data: T, options: ReplyOptions = {}) {
    this.data = data;
    this.options = options;
  }
}

/** Data that is JSON text already, built by SQL: it goes into the envelope as it is, without being parsed and written again. */
export class JsonText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** A body sent piece by piece, outside the envelope (exports). An error before the first piece is answered as usual. */
export class StreamReply {
  readonly contentType: string;
  readonly filename: string | undefined;
  readonly chunks: AsyncIterable<string | Uint8Array>;
  constructor({ contentType, filename, chunks }: { contentType: string; filename?: string; chunks: AsyncIterable<string | Uint8Array> }) {
    this.contentType = contentType;
    this.filename = filename;
    this.chunks = chunks;
  }
}

/**
 * A reply that may be kept and given again. Its key is made of endpoint, parameters, query, tenant, the shop's day, role and actor;
 * its handler must not write, and learns nothing else of the request.
 */
export interface ReplyCache {
  /** Every table that the reply is made of: a committed write to one of them makes it void at once. */
  reads: readonly CachedTable[];
  /** Seconds after which it is computed anew even though nothing was written that the service knows of. */
  freshSeconds: number;
  /** Seconds after that in which it is still given while one request computes it anew. Default 0. */
  staleSeconds?: number;
  /** All actors of one role read the same. Customers never share, whatever this says. */
  sharedByRole?: boolean;
  /** For a caller that insists on having it computed. */
  isBypassed?: (query: never) => boolean;
  /** From the JSON of the data as computed to that of the data as given again, where it says which of the two it is. */
  asHit?: (json: string) => string;
}

/** Buckets of `RATE_LIMIT_*`; the HTTP layer knows how each is keyed. */
export type Limiter = 'login' | 'register' | 'reset' | 'export' | 'move' | 'booking' | 'telemetry';

type Schema = z.ZodType;
type Output<S> = S extends Schema ? z.output<S> : undefined;

export interface Input<P, Q, B> {
  params: P;
  query: Q;
  body: B;
  request: RequestFacts;
}

export interface EndpointDefinition<
  P extends Schema | undefined,
  Q extends Schema | undefined,
  B extends Schema | undefined,
  R extends Schema | undefined,
> {
  method: Method;
  /** Express path with the `/api` prefix where it has one, for example `/api/admin/customers/:id`. */
  path: string;
  /** Further paths that answer the same. */
  aliases?: readonly string[];
  /** Unique camelCase verb + noun: operationId, metric label, log field. */
  id: string;
  summary: string;
  /** Section of the documentation; default the file's list. */
  tag: string;
  /** `public`: no session needed (one that is there is used; an invalid one counts as none). `session`: any valid session. Else the roles. */
  allow: 'public' | 'session' | readonly Role[];
  /** What a role outside `allow` reads; default code `forbidden`, "Insufficient permissions". */
  forbidden?: { code?: string; message?: string };
  /** `required` (default): 400 `missing_tenant` when none resolves. `optional`: the handler may run without one. */
  tenant?: 'required' | 'optional';
  params?: P;
  query?: Q;
  body?: B;
  /** Status and schema of `data`; schema undefined for 204, streams and documents. */
  reply: readonly [status: number, schema?: R];
  /** Media types of a reply that is a stream, outside the envelope: one of these is sent. Without parameters, for example `text/csv`. */
  media?: readonly string[];
  /** Error statuses beyond those every endpoint may answer (400, 401, 403, 429, 500, 503 as they apply). */
  errors?: readonly number[];
  /** Keys of `data` repeated at the root of the body: all of them, or those named. */
  mirror?: 'all' | readonly string[];
  /** Replaces the default 400 `validation_failed` for input the schemas refuse. */
  invalid?: (error: z.ZodError, part: 'params' | 'query' | 'body') => AppError;
  /** Honours Idempotency-Key. */
  idempotent?: boolean;
  limit?: Limiter;
  /** Unsafe methods by cookie need the CSRF header unless `exempt` (log-in, log-out, reset, telemetry). */
  csrf?: 'exempt';
  /** Answers ETag with `private, no-cache`; everything else is `no-store`. */
  revalidate?: boolean;
  /** Replies are kept and given again; only for GET. */
  cache?: ReplyCache;
  /** Largest body in bytes; default 1 MiB. */
  bodyLimit?: number;
  /** Takes JSON under the type `text/plain` too, for beacons, which cannot name their type. */
  textBody?: boolean;
  /** Takes form-encoded bodies too; each field becomes text. */
  formBody?: boolean;
  /** Callers prove themselves by a signature: the limit on strangers' addresses is not for them. */
  signed?: boolean;
  /** Budget of SQL statements in a warm session, transaction control not counted; held by tests for every number of rows. */
  queries?: number;
  /** Served while the service is closed for maintenance: what owners need to get in. Owners themselves are served everywhere. */
  duringMaintenance?: boolean;
  /** May be answered from a read replica. */
  replica?: boolean;
  /**
   * What the overload gate refuses first (`background`: what can wait or be asked again) and last (`critical`: what a customer in
   * the shop waits for). Default `normal`; `vital` is never refused: without a session nobody can do anything.
   */
  importance?: 'background' | 'normal' | 'critical' | 'vital';
  handle: (input: Input<Output<P>, Output<Q>, Output<B>>) => Promise<unknown>;
}

/** An endpoint with its input types erased, as the list holds it. */
export type Endpoint = Omit<
  EndpointDefinition<Schema | undefined, Schema | undefined, Schema | undefined, Schema | undefined>,
  'handle'
> & {
  handle: (input: Input<unknown, unknown, unknown>) => Promise<unknown>;
};

/** Checks the types of one endpoint against its schemas. */
export function endpoint<
  P extends Schema | undefined = undefined,
  Q extends Schema | undefined = undefined,
  B extends Schema | undefined = undefined,
  R extends Schema | undefined = undefined,
>(definition: EndpointDefinition<P, Q, B, R>): Endpoint {
  return definition as unknown as Endpoint;
}
