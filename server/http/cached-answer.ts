/**
 * Answers a GET from the reply cache, or runs its handler for everybody who asks meanwhile. What the handler may learn of the
 * request is what stands in the key: the facts of one request would end up in the replies of others.
 */
import type { Request, Response } from 'express';
import { config } from '../../config';
import { cacheKey } from '../../lib/cache/key';
import { type CacheQuestion, type CacheResult, cachedReply, replyBackend } from '../../lib/cache/replies';
import { tagOf } from '../../lib/cache/tables';
import type { StoredReply } from '../../lib/cache/versioned-replies';
import { clock } from '../../lib/clock';
import { type Actor, context, newWorkStats, type Tenant, withContext } from '../../lib/context';
import { type Endpoint, JsonText, Reply, type ReplyCache, type RequestFacts } from '../../routes/endpoint';
import { bodyOf } from './envelope';
import { type Rendered, type RenderRules, renderUnaddressed } from './send';

const MS_PER_S = 1_000;
export const CACHE_HEADER = 'X-Cache';

/** @throws Error for a declaration that could not be kept: at the start, not at the first request */
export function assertCacheable({ id, cache, method, body, media, limit, tenant }: Endpoint): void {
  if (!cache) return;
  if (method !== 'get' || body || media || limit) throw new Error(`${id}: only a plain GET can be cached`);
  if (tenant === 'optional') throw new Error(`${id}: a cached reply belongs to a tenant`);
  if (cache.reads.length === 0) throw new Error(`${id}: a cached reply is made of some table`);
}

/** Anything a handler asks of the request would be somebody's own. */
const NO_FACTS = new Proxy({} as RequestFacts, {
  get: (_facts, name) => {
    throw new Error(`A cached reply must not depend on the request (${String(name)})`);
  },
});

interface Asked {
  served: RenderRules;
  params: unknown;
  query: unknown;
  actor: Actor;
  tenant: Tenant;
  req: Request;
  res: Response;
}

/** @returns the answer to this request; says in X-Cache where it is from, as long as there is a cache */
export async function cachedAnswer({ served, params, query, actor, tenant, req, res }: Asked): Promise<Rendered> {
  const { endpoint } = served;
  const cache = endpoint.cache as ReplyCache;
  // The reply as this request computed it, when it did: it need not call itself a repetition.
  let own: StoredReply | undefined;
  const compute = async (inBackground: boolean): Promise<StoredReply> => {
    // It is computed for others as well: it goes on when this caller leaves.
    const { caller: _caller, ...current } = context();
    const computing = inBackground ? { ...current, stats: newWorkStats() } : current;
    const { stats } = computing;
    const before = stats.queries;
    const result = await withContext(computing, () => endpoint.handle({ params, query, body: undefined, request: NO_FACTS }));
    // In the background it is no part of this request.
    if (!inBackground) req.state.handlerQueries = stats.queries - before;
    const fresh = storedReply(served, result);
    if (!inBackground) own = fresh;
    return cache.asHit ? storedReply(served, asHit(result, cache.asHit)) : fresh;
  };
  if (replyBackend() === null) return addressed(await compute(false).then(() => own as StoredReply), req);
  const bypassed = cache.isBypassed?.(query as never) ?? false;
  const { reply, result } = bypassed
    ? { reply: await compute(false), result: 'miss' as CacheResult }
    : await cachedReply(questionOf({ endpoint, cache, params, query, actor, tenant, compute }));
  res.setHeader(CACHE_HEADER, result);
  return addressed(own ?? reply, req);
}

function questionOf({
  endpoint,
  cache,
  params,
  query,
  actor,
  tenant,
  compute,
}: Pick<Asked, 'params' | 'query' | 'actor' | 'tenant'> & {
  endpoint: Endpoint;
  cache: ReplyCache;
  compute: CacheQuestion['compute'];
}): CacheQuestion {
  return {
    namespace: endpoint.id,
    key: cacheKey({
      endpoint: endpoint.id,
      params,
      query,
      tenant,
      actor,
      sharedByRole: cache.sharedByRole ?? false,
      now: clock.now(),
      version: config.APP_VERSION,
    }),
    tags: cache.reads.map((table) => tagOf(tenant.id, table)),
    policy: { freshMs: cache.freshSeconds * MS_PER_S, staleMs: (cache.staleSeconds ?? 0) * MS_PER_S },
    compute,
  };
}

function storedReply(rules: RenderRules, result: unknown): StoredReply {
  const { status, headers, parts, cookies, etag } = renderUnaddressed(rules, result);
  if (parts === null || cookies.length > 0) throw new Error(`${rules.endpoint.id}: a cached reply has a body and sets no cookie`);
  return { status, headers, parts, etag: etag ?? null, storedAt: clock.now().getTime() };
}

function asHit(result: unknown, mark: (json: string) => string): unknown {
  const { data, options } = result instanceof Reply ? result : { data: result, options: undefined };
  const marked = new JsonText(mark(data instanceof JsonText ? data.text : JSON.stringify(data)));
  return options ? new Reply(marked, options) : marked;
}

const addressed = ({ status, headers, parts, etag }: StoredReply, req: Request): Rendered => ({
  status,
  headers,
  body: bodyOf(parts, req.state.id),
  cookies: [],
  etag: etag ?? undefined,
});
