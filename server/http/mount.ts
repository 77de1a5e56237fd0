/**
 * Serves the endpoints (data) from one Express handler. Each runs one pipeline: who asks, may they, how often, for which tenant, with what
 * proof, saying what; then the handler, whose result is sent when it has returned, that is after its commit. All that can be
 * decided from the declaration alone is decided here once, not for each request.
 */
import type { Application, Request, RequestHandler, Response } from 'express';
import { config } from '../../config';
import { breadcrumbs } from '../../lib/breadcrumbs';
import type { Caller } from '../../lib/caller';
import { type Actor, ANONYMOUS, type Context, type Tenant, withContext } from '../../lib/context';
import {
  AppError,
  BadRequest,
  Forbidden,
  MethodNotAllowed,
  NotFound,
  OutcomeUnknown,
  Unauthenticated,
  Unavailable,
} from '../../lib/errors';
import { metrics } from '../../lib/metrics';
import { onReadRoute } from '../../lib/read-route';
import { hasReplicas, routeReads } from '../../lib/replicas';
import { pinSession } from '../../lib/write-pins';
import { type Endpoint, Reply } from '../../routes/endpoint';
import { fingerprintOf, runOnce } from '../../services/idempotency.service';
import { lifecycle } from '../lifecycle';
import { announcesBody, type Body, DEFAULT_BODY_LIMIT, readJson } from './body';
import { assertCacheable, cachedAnswer } from './cached-answer';
import { failureBody, mirrorOf } from './envelope';
import { type Authentication, authenticate } from './middleware/authentication';
import { type CsrfRule, csrfRuleOf, requireCsrfProof } from './middleware/csrf';
import { refuse, toAppError } from './middleware/errors';
import { limitEndpoint, limitGeneral } from './middleware/limits';
import { authenticateOwner, closedBy, requireOwner } from './middleware/maintenance';
import { resolveTenant } from './middleware/tenancy';
import { PathIndex } from './path-index';
import { Facts } from './request-state';
import { type Rendered, type RenderRules, render, streamOf, transmit, transmitStream, verifyMedia } from './send';
import { refuseNul, validate } from './validation';

export interface Guards {
  authenticate: (req: Request, res: Response) => Promise<Authentication>;
  resolveTenant: (req: Request, authentication: Authentication) => Promise<{ tenant: Tenant | null; actor: Actor }>;
}

export interface MountOptions {
  guards?: Guards;
  /** What happens to a reply that does not fit its schema. */
  verify?: RenderRules['verify'];
  requestTimeoutMs?: number;
  /** Asked for paths that no endpoint has, before they are answered 404: the files of an application. */
  fallback?: RequestHandler | undefined;
}

/** An endpoint with everything that follows from its declaration. */
interface Served extends RenderRules {
  roles: ReadonlySet<string> | null;
  csrf: CsrfRule;
  /** A session that has called it may have written, and must not be shown older data next. */
  pins: boolean;
  /** Its replies are kept. Not those that a replica may give: one that lacks a write announced already would be kept as the newest. */
  keeps: boolean;
  body: { limit: number; text: boolean; form: boolean };
  guards: Guards;
  timeoutMs: number;
}

const VERIFY = { test: 'throw', development: 'warn', production: 'off' } as const;
const MS_PER_S = 1000;

type Verbs = Map<string, Served>;

/** Serves all endpoints; answers unknown paths (404) and wrong verbs (405) too, also for anonymous callers. Nothing comes behind it. */
export function mount(app: Application, endpoints: readonly Endpoint[], options: MountOptions = {}): void {
  const paths = indexOf(endpoints, options);
  app.use((req: Request, res: Response) => {
    const allowed: string[] = [];
    const found = paths.find(req.path, (verbs) => {
      if (verbs.has(req.method)) return true;
      allowed.push(...verbs.keys());
      return false;
    });
    const served = found?.value.get(req.method);
    if (found && served) void serve(req, res, served, found.params);
    else if (allowed.length > 0) refuse(req, res, new MethodNotAllowed([...new Set([...allowed, 'OPTIONS'])].sort().join(', ')));
    else if (options.fallback) void options.fallback(req, res, (error?: unknown) => refuse(req, res, error ?? new NotFound()));
    else refuse(req, res, new NotFound());
  });
}

function indexOf(endpoints: readonly Endpoint[], options: MountOptions): PathIndex<Verbs> {
  const {
    guards = { authenticate, resolveTenant },
    verify = VERIFY[config.NODE_ENV],
    requestTimeoutMs = config.REQUEST_TIMEOUT * MS_PER_S,
  } = options;
  const paths = new PathIndex<Verbs>();
  for (const endpoint of endpoints) {
    assertCacheable(endpoint);
    const served: Served = {
      endpoint,
      mirror: mirrorOf(endpoint),
      verify,
      roles: typeof endpoint.allow === 'string' ? null : new Set(endpoint.allow),
      csrf: csrfRuleOf(endpoint),
      pins: hasReplicas && endpoint.method !== 'get',
      keeps: endpoint.cache !== undefined && !(hasReplicas && endpoint.replica),
      body: { limit: endpoint.bodyLimit ?? DEFAULT_BODY_LIMIT, text: endpoint.textBody === true, form: endpoint.formBody === true },
      guards,
      timeoutMs: requestTimeoutMs,
    };
    for (const path of [endpoint.path, ...(endpoint.aliases ?? [])]) {
      const verbs: Verbs = paths.get(path) ?? new Map();
      const method = endpoint.method.toUpperCase();
      const taken = verbs.get(method);
      if (taken) throw new Error(`${method} ${path} is declared twice: ${taken.endpoint.id} and ${endpoint.id}`);
      verbs.set(method, served);
      if (method === 'GET') verbs.set('HEAD', served);
      paths.add(path, verbs);
    }
  }
  return paths;
}

/** Runs one request to its answer. Never rejects: whatever goes wrong is answered here. */
async function serve(req: Request, res: Response, served: Served, params: Readonly<Record<string, string>>): Promise<void> {
  const { state } = req;
  const { id, queries } = served.endpoint;
  state.route = id;
  state.queryBudget = queries;
  state.params = params;
  lifecycle.describe(res, { route: id });
  const timer = setTimeout(() => {
    metrics.timeouts.inc();
    const { caller } = state.context;
    caller?.leave();
    refuse(req, res, refusalOf(new Unavailable('request_timeout'), served, caller));
  }, served.timeoutMs);
  try {
    const first: Context = { ...state.context, operation: id };
    state.context = first;
    const { actor, tenant } = await withContext(first, () => admit(req, res, served));
    const readRoute = served.endpoint.replica ? await routeReads(actor) : undefined;
    const context: Context = { ...first, actor, tenant };
    state.context = context;
    await onReadRoute(readRoute, () => withContext(context, () => answer(req, res, { served, params, actor, tenant, timer })));
  } catch (error) {
    refuseUnlessAnswered(req, res, refusalOf(error, served, state.context.caller));
  } finally {
    clearTimeout(timer);
  }
}

/** A 503 promises that nothing was stored. Whoever only reads may ask again in any case, and who has gone is told nothing. */
function refusalOf(error: unknown, { endpoint }: Served, caller: Caller | undefined): unknown {
  if (error instanceof Unavailable && error.reason === 'client_gone') return error;
  const wouldBeUntrue = endpoint.method !== 'get' && caller?.mayHaveStored && toAppError(error).status === 503;
  return wouldBeUntrue ? new OutcomeUnknown(error) : error;
}

/** A handler that outlived its timeout, or its client, has nobody left to tell; a defect in it is logged all the same. */
function refuseUnlessAnswered(req: Request, res: Response, error: unknown): void {
  if (!res.writableEnded && !res.destroyed) refuse(req, res, error);
  else if (toAppError(error).status === 500) refuse(req, res, error);
}

/** Who asks, how often, for which tenant, in which role there, and with what proof against forgery. */
async function admit(req: Request, res: Response, served: Served): Promise<{ actor: Actor; tenant: Tenant | null }> {
  const { endpoint, guards, roles, csrf } = served;
  const closed = closedBy(endpoint);
  const authenticateCaller = (): Promise<Authentication> => guards.authenticate(req, res);
  const authentication = closed ? await authenticateOwner(closed, authenticateCaller) : await authenticateCaller();
  if (!endpoint.signed) await limitGeneral(req, res, authentication.actor);
  if (endpoint.allow !== 'public' && authentication.actor.kind === 'anonymous') throw authentication.failure ?? new Unauthenticated();
  const { actor, tenant } = await tenantOf(req, served, authentication);
  if (closed) requireOwner(closed, actor);
  if (roles && (actor.role === null || !roles.has(actor.role))) {
    const { code, message = 'Insufficient permissions' } = endpoint.forbidden ?? {};
    throw new Forbidden(message, code ? { code } : {});
  }
  if (tenant === null && endpoint.tenant !== 'optional') throw new BadRequest('Tenant context required', { code: 'missing_tenant' });
  if (csrf !== 'none' && authentication.via === 'cookie') requireCsrfProof(req, csrf);
  return { actor, tenant };
}

/** An endpoint open to all that can do without a tenant (log-out, registration) judges an unknown one itself. */
async function tenantOf(
  req: Request,
  { endpoint, guards }: Served,
  authentication: Authentication,
): Promise<{ actor: Actor; tenant: Tenant | null }> {
  try {
    return await guards.resolveTenant(req, authentication);
  } catch (error) {
    if (endpoint.tenant === 'optional' && endpoint.allow === 'public' && error instanceof AppError && error.status < 500) {
      return { actor: authentication.actor, tenant: null };
    }
    throw error;
  }
}

interface Admitted {
  served: Served;
  /** As in the path, decoded. */
  params: Readonly<Record<string, string>>;
  actor: Actor;
  tenant: Tenant | null;
  timer: NodeJS.Timeout;
}

const NOTHING: Readonly<Record<string, never>> = Object.freeze({});
const NO_BODY: Body = { raw: Buffer.alloc(0), value: undefined };

/** Reads the input, runs the handler once, and sends what it returned. */
async function answer(req: Request, res: Response, { served, params: raw, actor, tenant, timer }: Admitted): Promise<void> {
  const { endpoint } = served;
  const params = endpoint.params ? pathParams(endpoint, raw) : NOTHING;
  const query = endpoint.query ? validate(endpoint, endpoint.query, queryOf(req), 'query') : NOTHING;
  const sent = endpoint.body ? await readJson(req, res, served.body) : unread(req, res, served);
  const body = endpoint.body ? validate(endpoint, endpoint.body, sent.value, 'body') : undefined;
  // Behind validation: what names nobody must not be counted against anybody.
  if (endpoint.limit) await limitEndpoint(endpoint.limit, { req, res, actor, tenant, body });
  const handle = async (): Promise<unknown> => {
    const { stats } = req.state;
    breadcrumbs.resume(stats.crumb);
    const before = stats.queries;
    const result = await endpoint.handle({ params, query, body, request: new Facts(req, req.state.context.ip ?? '') });
    if (!streamOf(result)) req.state.handlerQueries = stats.queries - before;
    return result;
  };

  const key = endpoint.idempotent ? idempotencyKey(req) : undefined;
  if (key !== undefined && tenant) {
    const once = () =>
      runOnce(
        { actor: callerOf(actor, req), method: req.method, route: endpoint.id, key, bodyHash: fingerprintOf(req.originalUrl, sent.raw) },
        async () => storable(render(served, await handle(), req.state.id)),
        (refusal) => {
          res.setHeader(IDEMPOTENCY_STATUS, 'stored');
          return { status: refusal.status, headers: { ...refusal.headers }, body: failureBody(refusal, req.state.id) };
        },
      );
    const { reply, status } = await thenPinned(served, actor, once);
    if (isOver(res)) return;
    res.setHeader(IDEMPOTENCY_STATUS, status);
    const { etag, ...headers } = reply.headers;
    transmit(
      req,
      res,
      { status: reply.status, headers, body: reply.body === '' ? null : reply.body, cookies: [], etag },
      Boolean(endpoint.revalidate),
    );
    return;
  }
  if (served.keeps && tenant) {
    const rendered = await cachedAnswer({ served, params, query, actor, tenant, req, res });
    if (!isOver(res)) transmit(req, res, rendered, Boolean(endpoint.revalidate));
    return;
  }
  const result = await thenPinned(served, actor, handle);
  const stream = streamOf(result);
  if (stream) {
    verifyMedia(served, stream);
    const headers = result instanceof Reply ? (result.options.headers ?? NOTHING) : NOTHING;
    await transmitStream(req, res, stream, { headers, idleMs: served.timeoutMs, begun: () => clearTimeout(timer) });
    return;
  }
  const rendered = render(served, result, req.state.id);
  if (!isOver(res)) transmit(req, res, rendered, Boolean(endpoint.revalidate));
}

/** Remembers that the session may have written, before anybody is told so; also when it failed, for that says nothing about commits. */
async function thenPinned<T>({ pins }: Served, actor: Actor, work: () => Promise<T>): Promise<T> {
  if (!pins || !('sessionId' in actor)) return work();
  try {
    return await work();
  } finally {
    await pinSession(actor.sessionId);
  }
}

/** True when somebody else has answered (the timeout) or nobody listens any more. */
const isOver = (res: Response): boolean => res.headersSent || res.destroyed;

function storable({ status, headers, body, etag }: Rendered): { status: number; headers: Record<string, string>; body: string } {
  return { status, headers: { ...headers, ...(etag === undefined ? {} : { etag }) }, body: body ?? '' };
}

/** A parameter that its schema turned into null names no row. */
function pathParams(endpoint: Endpoint, raw: Readonly<Record<string, string>>): unknown {
  if (!endpoint.params) return NOTHING;
  for (const name in raw) if (raw[name]?.includes('\0')) throw absent(endpoint, name);
  const params = validate(endpoint, endpoint.params, raw, 'params') as Record<string, unknown>;
  for (const name in params) if (params[name] === null) throw absent(endpoint, name);
  return params;
}

/** Screens show the sentence, so an id that is none reads as one that no row has: "Appointment not found" behind `/appointments/`. */
function absent({ path }: Endpoint, name: string): NotFound {
  const [, noun = ''] = new RegExp(`/([a-z]+)s/:${name}(?:/|$)`).exec(path) ?? [];
  return new NotFound(noun ? `${noun.charAt(0).toUpperCase()}${noun.slice(1)} not found` : undefined);
}

function queryOf(req: Request): unknown {
  if (!req.url.includes('?')) return NOTHING;
  const { query } = req;
  if (req.url.includes('%00')) refuseNul(query);
  return query;
}

/** A body nobody asked for is not read, but it may not be endless either. */
function unread(req: Request, res: Response, { body }: Served): Body {
  if (announcesBody(req) && Number(req.headers['content-length'] ?? 0) > body.limit) void readJson(req, res, body);
  return NO_BODY;
}

const IDEMPOTENCY_STATUS = 'X-Idempotency-Status';
const KEY_MAX = 200;

function idempotencyKey({ headers }: Request): string | undefined {
  const sent = headers['idempotency-key'] ?? headers['x-idempotency-key'];
  if (typeof sent !== 'string' || sent.trim() === '') return undefined;
  const key = sent.trim();
  if (key.length > KEY_MAX) throw new BadRequest(`Idempotency-Key is longer than ${KEY_MAX} characters`);
  return key;
}

/** Strangers are told apart by address: one must not receive what was answered to another. */
const callerOf = (actor: Actor, req: Request): string =>
  actor.kind === 'anonymous' ? `${ANONYMOUS.id}:${req.state.context.ip ?? ''}` : `${actor.kind}:${actor.id}`;
