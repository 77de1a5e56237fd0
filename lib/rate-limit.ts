/**
 * Rate limits: which there are, how they are keyed, and where they are counted. With Redis the count is shared by all
 * instances; without it, or while it is away, by the workers of this one (the backend a worker installs); alone, by this
 * process. A count that cannot be had never refuses a request: a limit protects the service, it must not take it down.
 */
import { createHash } from 'node:crypto';
import { ipKeyGenerator } from 'express-rate-limit';
import { RedisStore } from 'rate-limit-redis';
import { config } from '../config';
import type { Rate } from '../config/env';
import { type LimitBackend, type LimitResult, localLimitBackend } from './cluster-ports';
import { log } from './log';
import { metrics } from './metrics';
import { redis, redisReady } from './redis';

const rates = {
  /** Keyed by address and identifier; a successful log-in clears it. */
  login: config.RATE_LIMIT_LOGIN,
  loginIp: config.RATE_LIMIT_LOGIN_IP,
  register: config.RATE_LIMIT_REGISTER,
  /** Keyed by address and e-mail. */
  reset: config.RATE_LIMIT_RESET,
  /** Keyed by tenant and user, as is `move`. */
  export: config.RATE_LIMIT_EXPORT,
  move: config.RATE_LIMIT_MOVE,
  booking: config.RATE_LIMIT_BOOKING,
  bookingDay: config.RATE_LIMIT_BOOKING_DAY,
  /** Keyed by tenant and invoice. */
  invoiceMail: config.RATE_LIMIT_INVOICE_MAIL,
  telemetry: config.RATE_LIMIT_TELEMETRY,
  /** Everything a session does; everything an address does without one. */
  session: config.RATE_LIMIT_SESSION,
  anonymous: config.RATE_LIMIT_ANON,
} satisfies Record<string, Rate>;

export type LimiterName = keyof typeof rates;

export interface LimitState extends LimitResult {
  readonly limit: number;
}

/** Limiters whose key begins with a client address. An IPv6 customer owns a whole network: it counts as one address. */
const ADDRESSED: ReadonlySet<LimiterName> = new Set([
  'login',
  'loginIp',
  'register',
  'reset',
  'booking',
  'bookingDay',
  'telemetry',
  'anonymous',
]);
/** Limiters whose key holds what a person typed: it is hashed before it leaves this process. */
const PERSONAL: ReadonlySet<LimiterName> = new Set(['login', 'reset']);

let backend: LimitBackend = localLimitBackend();
let failing = false;

/** Installs where limits are counted when Redis is not: a worker's link to the primary, which counts for all of them. */
export function setLimitBackend(replacement: LimitBackend): void {
  backend = replacement;
}

export const rateOf = (limiter: LimiterName): Rate => rates[limiter];

/** Tests only: another rate for one limiter; returns the function that restores it. */
export function overrideRate(limiter: LimiterName, rate: Rate): () => void {
  const previous = rates[limiter];
  rates[limiter] = rate;
  return () => {
    rates[limiter] = previous;
  };
}

/**
 * Counts one use of `limiter` by whom `parts` name. Never rejects: without a count the answer is yes.
 * `parts` must come in the limiter's order, for example address and identifier.
 */
export async function take(limiter: LimiterName, ...parts: readonly string[]): Promise<LimitState> {
  const { limit, windowMs } = rates[limiter];
  const result = (await counted((counter) => counter.take(keyOf(limiter, parts), limit, windowMs))) ?? {
    allowed: true,
    used: 0,
    remaining: limit,
    resetMs: windowMs,
  };
  if (!result.allowed) metrics.rateLimited.inc({ limiter });
  return { ...result, limit };
}

/** For services that refuse in their own way: true when the use was within the limit. */
export async function tryTake(limiter: LimiterName, ...parts: readonly string[]): Promise<boolean> {
  return (await take(limiter, ...parts)).allowed;
}

/** Forgets what was counted, for example after a successful log-in. */
export async function clearLimit(limiter: LimiterName, ...parts: readonly string[]): Promise<void> {
  await counted((counter) => counter.reset(keyOf(limiter, parts)));
}

function keyOf(limiter: LimiterName, parts: readonly string[]): string {
  const [first = '', ...rest] = parts.join('|').toLowerCase().split('|');
  const subject = [ADDRESSED.has(limiter) ? ipKeyGenerator(first) : first, ...rest].map((part) => part.trim()).join('|');
  return `${limiter}:${PERSONAL.has(limiter) ? createHash('sha256').update(subject).digest('base64url').slice(0, 22) : subject}`;
}

/** Asks Redis, else the backend; undefined when neither answers. The first failure of a series is logged. */
async function counted<T>(ask: (counter: LimitBackend) => Promise<T>): Promise<T | undefined> {
  const shared = sharedBackend();
  if (shared) {
    try {
      const answer = await ask(shared);
      return answer;
    } catch (error) {
      complain('redis', error);
    }
  }
  try {
    const answer = await ask(backend);
    if (!shared || redisReady()) failing = false;
    return answer;
  } catch (error) {
    complain('cluster', error);
    return undefined;
  }
}

function complain(where: string, error: unknown): void {
  if (!failing) log.warn('rate limits cannot be counted', { where, error });
  failing = true;
}

const stores = new Map<number, RedisStore>();

/** Counters in Redis, one store for each length of window; null without Redis or while it is away. */
function sharedBackend(): LimitBackend | null {
  const client = redis();
  return client && redisReady() ? redisBackend : null;
}

const redisBackend: LimitBackend = {
  async take(key, limit, windowMs) {
    const { totalHits, resetTime } = await storeFor(windowMs).increment(key);
    return {
      allowed: totalHits <= limit,
      used: Math.min(totalHits, limit),
      remaining: Math.max(0, limit - totalHits),
      resetMs: resetTime ? Math.max(0, resetTime.getTime() - Date.now()) : windowMs,
    };
  },
  async reset(key) {
    for (const store of stores.values()) await store.resetKey(key);
  },
};

function storeFor(windowMs: number): RedisStore {
  let store = stores.get(windowMs);
  if (!store) {
    store = new RedisStore({
      prefix: `autoshop:limit:${windowMs}:`,
      sendCommand: async (command: string, ...args: string[]) => {
        const client = redis();
        if (!client) throw new Error('Redis is not configured');
        return (await client.call(command, ...args)) as string | number;
      },
    });
    store.init({ windowMs } as Parameters<RedisStore['init']>[0]).catch((error: unknown) => {
      // Forgotten, so that the next use tries again.
      stores.delete(windowMs);
      complain('redis', error);
    });
    stores.set(windowMs, store);
  }
  return store;
}
