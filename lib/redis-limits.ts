/**
 * Rate limits counted in Redis, for all workers of all instances: the rule of `lib/sliding-window.ts` as one script, which
 * Redis runs by itself, so two requests at one moment never both get the last token. The clock is that of Redis: those of the
 * instances need not agree.
 */
import type { Redis } from 'ioredis';
import { type RedisReply, RedisStore } from 'rate-limit-redis';
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

const isForgotten = (error: unknown): boolean => error instanceof Error && error.message.startsWith('NOSCRIPT');

/** The store of rate-limit-redis with another script in it: its own counts windows that begin with the first use. */
class SlidingStore extends RedisStore {
  override async loadIncrementScript(): Promise<string> {
    return (await this.sendCommand({ isReadOnly: false, command: ['SCRIPT', 'LOAD', TAKE] })) as string;
  }

  /** Loads the script, so that the first use does not wait for that. What fails is tried anew by the next call. */
  async prepare(): Promise<void> {
    this.incrementScriptSha ??= this.loadIncrementScript();
    try {
      await this.incrementScriptSha;
    } catch (error) {
      this.incrementScriptSha = undefined as never;
      throw error;
    }
  }

  /** The script is loaded once, and again when Redis has forgotten it. */
  async take(subject: string, args: readonly (string | number)[]): Promise<Answer> {
    const key = this.prefixKey(subject);
    const run = async () => {
      await this.prepare();
      const command = ['EVALSHA', await this.incrementScriptSha, '1', key, ...args.map(String)];
      return (await this.sendCommand({ key, isReadOnly: false, command })) as unknown as Answer;
    };
    try {
      return await run();
    } catch (error) {
      this.incrementScriptSha = undefined as never;
      if (!isForgotten(error)) throw error;
      return run();
    }
  }
}

const stores = new WeakMap<Redis, SlidingStore>();

function storeOf(redis: Redis): SlidingStore {
  let store = stores.get(redis);
  if (!store) {
    const sendCommand = (command: string, ...args: string[]) => redis.call(command, ...args) as Promise<RedisReply>;
    store = new SlidingStore({ prefix: PREFIX, sendCommand });
    stores.set(redis, store);
  }
  return store;
}

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
  const [admitted, used, resetMs] = await storeOf(redis).take(subjectOf(key, windowMs), [limit, windowMs, cost, SLICES, now ?? '']);
  return { allowed: admitted === 1, used, remaining: Math.max(0, limit - used), resetMs: Math.max(0, resetMs) };
}

const subjectOf = (key: string, windowMs: number): string => `${windowMs}:${key}`;

/** Brings the script to Redis. @throws as {@link askRedis} */
export const prepareRedisLimits = (): Promise<void> => askRedis((redis) => storeOf(redis).prepare());

export const redisLimits: LimitBackend = {
  take: (key, limit, windowMs, cost = 1) => askRedis((redis) => takeInRedis(redis, { key, limit, windowMs, cost })),
  async reset(key, windowMs) {
    await askRedis((redis) => storeOf(redis).resetKey(subjectOf(key, windowMs)));
  },
};
