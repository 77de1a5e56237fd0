/**
 * Rate limits of requests: express-rate-limit in front of the counters of `lib/rate-limit.ts`. A session has one bucket for
 * everything it does, an address without a session another; some endpoints have a narrower one on top.
 */
import type { Request, Response } from 'express';
import { rateLimit, type Store } from 'express-rate-limit';
import type { Actor, Tenant } from '../../../lib/context';
import { RateLimited } from '../../../lib/errors';
import { type LimiterName, rateOf, take } from '../../../lib/rate-limit';
import type { Limiter } from '../../../routes/endpoint';
import { clientIp } from '../request-state';

type Limit = (req: Request, res: Response, key: string) => Promise<void>;

/** A store that only passes on: counting, expiry and what happens when nobody can count are the counters' own. */
function storeOf(limiter: LimiterName): Store {
  return {
    async increment(key) {
      const { allowed, used, limit, resetMs } = await take(limiter, key);
      return { totalHits: allowed ? used : limit + 1, resetTime: new Date(Date.now() + resetMs) };
    },
    decrement: () => undefined,
    resetKey: () => undefined,
  };
}

function limitBy(limiter: LimiterName): Limit {
  const middleware = rateLimit({
    windowMs: rateOf(limiter).windowMs,
    limit: () => rateOf(limiter).limit,
    standardHeaders: 'draft-6',
    legacyHeaders: true,
    store: storeOf(limiter),
    // It fails only where the limiter is to fail closed.
    passOnStoreError: false,
    validate: false,
    keyGenerator: (req) => req.state.limitKey,
    handler: (_req, res, next) => {
      const wait = Number(res.getHeader('RateLimit-Reset'));
      next(new RateLimited(Math.max(1, Number.isFinite(wait) ? wait : Math.ceil(rateOf(limiter).windowMs / 1000))));
    },
  });
  return (req, res, key) => {
    req.state.limitKey = key;
    return new Promise((resolve, reject) => {
      void middleware(req, res, (error?: unknown) => (error ? reject(error) : resolve()));
    });
  };
}

const limits = new Map<LimiterName, Limit>();
const limit = (limiter: LimiterName): Limit => {
  const found = limits.get(limiter) ?? limitBy(limiter);
  limits.set(limiter, found);
  return found;
};

/** The general bucket. @throws RateLimited */
export function limitGeneral(req: Request, res: Response, actor: Actor): Promise<void> {
  return actor.kind === 'staff' || actor.kind === 'customer'
    ? limit('session')(req, res, actor.sessionId)
    : limit('anonymous')(req, res, clientIp(req));
}

/**
 * The endpoint's own bucket, once its body is known. A password reset counts itself, because beyond the limit its answer
 * must look as always. @throws RateLimited
 */
export async function limitEndpoint(
  limiter: Limiter,
  { req, res, actor, tenant, body }: { req: Request; res: Response; actor: Actor; tenant: Tenant | null; body: unknown },
): Promise<void> {
  const address = clientIp(req);
  switch (limiter) {
    case 'login':
      await limit('loginIp')(req, res, address);
      for (const identifier of identifiersOf(body)) await limit('login')(req, res, `${address}|${identifier}`);
      return;
    case 'reset':
      return undefined;
    case 'register':
    case 'telemetry':
      return limit(limiter)(req, res, address);
    case 'booking':
      if (actor.kind !== 'anonymous') return undefined;
      // The longer one first: the headers then tell of the shorter, unless the longer one refuses.
      await limit('bookingDay')(req, res, address);
      return limit('booking')(req, res, address);
    case 'export':
    case 'move':
      return limit(limiter)(req, res, `${tenant?.id ?? ''}|${actor.id}`);
  }
}

/**
 * Whom a log-in names: e-mail or user name, folded as accounts are. Both are counted where both are given: which of them an
 * endpoint reads is its own business, and another one beside it must not lead the count astray.
 */
function identifiersOf(body: unknown): Set<string> {
  const { email, username } = (body ?? {}) as { email?: unknown; username?: unknown };
  const given = [email, username].filter((value) => typeof value === 'string').map((value) => value.trim().toLowerCase());
  return new Set(given.length > 0 ? given : ['']);
}
