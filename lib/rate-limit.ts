/**
 * Rate limits: which there are, how they are keyed, and where they are counted. With Redis the count is shared by all
 * instances; without it by the workers of this one (the backend a worker installs); alone, by this process. While Redis is away
 * each instance counts for itself and admits its share. Where nobody can count at all, a limit lets pass: it protects the service,
 * it must not take it down; unless it is named in RATE_LIMIT_FAIL_CLOSED, because being asked too often would be worse.
 */
import { createHash } from 'node:crypto';
import { ipKeyGenerator } from 'express-rate-limit';
import { config } from '../config';
import type { LIMITERS, Rate } from '../config/env';
import { type LimitBackend, type LimitResult, localLimitBackend } from './cluster-ports';
import { Unavailable } from './errors';
import { log } from './log';
import { metrics } from './metrics';
import { redisReady } from './redis';
import { redisLimits } from './redis-limits';

/** Where a use was counted: `share` is this instance's part while the common count cannot be had, `none` nowhere. */
type Counter = 'redis' | 'primary' | 'share' | 'none';

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
} satisfies Record<(typeof LIMITERS)[number], Rate>;

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
 * Counts one use of `limiter` by whom `parts` name, in the limiter's order, for example address and identifier.
 * @throws Unavailable when nobody can count it and the limiter is to fail closed
 */
export async function take(limiter: LimiterName, ...parts: readonly string[]): Promise<LimitState> {
  const { limit, windowMs } = rates[limiter];
  const key = keyOf(limiter, parts);
  const { counter, answer } = await counted((one, whose) => one.take(key, whose === 'share' ? shareOf(limit) : limit, windowMs));
  if (answer === undefined) {
    if (config.RATE_LIMIT_FAIL_CLOSED.includes(limiter)) throw new Unavailable('rate_limit');
    metrics.rateFailedOpen.inc({ limiter });
    return { allowed: true, used: 0, remaining: limit, resetMs: windowMs, limit };
  }
  if (answer.allowed) metrics.rateAllowed.inc({ counter });
  else metrics.rateLimited.inc({ limiter });
  return { ...answer, limit };
}

/** For services that refuse in their own way: true when the use was within the limit. @throws Unavailable as {@link take} */
export async function tryTake(limiter: LimiterName, ...parts: readonly string[]): Promise<boolean> {
  return (await take(limiter, ...parts)).allowed;
}

/** Forgets what was counted, for example after a successful log-in. */
export async function clearLimit(limiter: LimiterName, ...parts: readonly string[]): Promise<void> {
  await counted((one) => one.reset(keyOf(limiter, parts), rates[limiter].windowMs));
}

/** All instances together must not admit more than the limit; each admits one at least. */
const shareOf = (limit: number): number => Math.max(1, Math.floor(limit / config.INSTANCES));

function keyOf(limiter: LimiterName, parts: readonly string[]): string {
  const [first = '', ...rest] = parts.join('|').toLowerCase().split('|');
  const subject = [ADDRESSED.has(limiter) ? ipKeyGenerator(first) : first, ...rest].map((part) => part.trim()).join('|');
  return `${limiter}:${PERSONAL.has(limiter) ? createHash('sha256').update(subject).digest('base64url').slice(0, 22) : subject}`;
}

/** Asks Redis, else the backend; no answer when neither has one. The first failure of a series is logged. */
async function counted<T>(
  ask: (backend: LimitBackend, counter: Counter) => Promise<T>,
): Promise<{ counter: Counter; answer: T | undefined }> {
  const isShared = config.REDIS_URL !== undefined;
  if (isShared && redisReady()) {
    try {
      const answer = await ask(redisLimits, 'redis');
      failing = false;
      return { counter: 'redis', answer };
    } catch (error) {
      complain('redis', error);
    }
  }
  const counter = isShared ? 'share' : 'primary';
  try {
    const answer = await ask(backend, counter);
    if (!isShared) failing = false;
    return { counter, answer };
  } catch (error) {
    complain('cluster', error);
    return { counter: 'none', answer: undefined };
  }
}

function complain(where: string, error: unknown): void {
  if (!failing) log.warn('rate limits cannot be counted', { where, error });
  failing = true;
}
