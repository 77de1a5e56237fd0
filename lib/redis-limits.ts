/**
 * Rate limits counted in Redis, for all workers of all instances: the rule of `lib/sliding-window.ts` as one script, which
 * Redis runs by itself, so two requests at one moment never both get the last token. The clock is that of Redis: those of the
 * instances need not agree.
 */
import type { Redis } from 'ioredis';
import type { LimitBackend, LimitResult } from './cluster-ports';
import { askRedis } from './redis';
import { SLICES } from './sliding-window';

const PREFIX = 'autoshop:limit:';

/** KEYS: the counts by slice. ARGV: limit, window in ms, cost, slices, now in ms or '' for Redis's own. Answers: admitted (1 or 0), used, ms until something is forgotten. */
const TAKE = `
local now = tonumber(ARGV[5])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local limit, window, cost, slices = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local current = string.format('%.0f', math.floor(now / (window / slices)))
local counts = redis.call('HGETALL', KEYS[1])
local used, first, own, gone = 0, nil, 0, {}
for i = 1, #counts, 2 do
  local count, last = string.match(counts[i + 1], '(%d+):(%d+)')
  count, last = tonumber(count), tonumber(last)
  if last <= now - window then
    gone[#gone + 1] = counts[i]
  else
    used = used + count
    if counts[i] == current then own = count end
    if not first or last < first.last then first = { slice = counts[i], last = last } end
  end
end
if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
local admitted = used + cost <= limit
if admitted then
  redis.call('HSET', KEYS[1], current, string.format('%d:%.0f', own + cost, now))
  redis.call('PEXPIRE', KEYS[1], window)
  used = used + cost
end
local last = now
if first and not (admitted and first.slice == current) then last = first.last end
return { admitted and 1 or 0, used, last + window - now }
`;

type Answer = [admitted: number, used: number, resetMs: number];
interface WithTake extends Redis {
  limitTake(key: string, limit: number, windowMs: number, cost: number, slices: number, now: number | ''): Promise<Answer>;
}
const prepared = new WeakSet<Redis>();

interface TakeIn {
  key: string;
  limit: number;
  windowMs: number;
  cost: number;
  /** Tests only: another clock than Redis's. */
  now?: number;
}

/** One use, by the script. */
export async function takeInRedis(redis: Redis, { key, limit, windowMs, cost, now }: TakeIn): Promise<LimitResult> {
  if (!prepared.has(redis)) {
    redis.defineCommand('limitTake', { numberOfKeys: 1, lua: TAKE });
    prepared.add(redis);
  }
  const [admitted, used, resetMs] = await (redis as WithTake).limitTake(keyIn(key, windowMs), limit, windowMs, cost, SLICES, now ?? '');
  return { allowed: admitted === 1, used, remaining: Math.max(0, limit - used), resetMs: Math.max(0, resetMs) };
}

const keyIn = (key: string, windowMs: number): string => `${PREFIX}${windowMs}:${key}`;

export const redisLimits: LimitBackend = {
  take: (key, limit, windowMs, cost = 1) => askRedis((redis) => takeInRedis(redis, { key, limit, windowMs, cost })),
  async reset(key, windowMs) {
    await askRedis((redis) => redis.del(keyIn(key, windowMs)));
  },
};
