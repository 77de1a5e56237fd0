/**
 * Replies in Redis, for all workers of all instances. Each tag is a key with a random token, which a write replaces; a reply is
 * stored together with the tokens that were read before it was computed, and counts only while all of them are still the same,
 * and on the same run of the same server: after a restart or a fail-over, replies and tokens of before a write may be back.
 *
 * An invalidation that Redis did not take is owed: every process of this instance hears of it, trusts no reply with that tag, and
 * pays as soon as Redis answers. Who begins later than a debt, or with a new instance, cannot know what was owed by processes that are
 * gone: it trusts no reply that was begun before. Only another instance that reaches Redis meanwhile may answer the old reply, until
 * it expires.
 */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { clock } from '../clock';
import { type ClusterBus, localBus } from '../cluster-ports';
import { log } from '../log';
import { askRedis, onRedisRecovery, RedisAway, redisReady, redisServer } from '../redis';
import { type Claim, type ClaimOptions, type Look, OWED_TOPIC, type ReplyBackend } from './backend';
import { freshnessOf } from './freshness';
import type { StoredReply } from './versioned-replies';

const REPLY = 'autoshop:reply:';
const TAG = 'autoshop:reply-tag:';
const LOCK = 'autoshop:reply-lock:';
/** Far longer than any reply is kept; a token that is gone only costs replies computed once more. */
const TAG_S = 86_400;
/** A leader that dies leaves the task to the next after this. */
const LOCK_MS = 10_000;
const WAIT_MS = 5_000;
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [8, 64];
/** Above this, the single tags are forgotten, and nothing is trusted that was begun until then. */
const MAX_OWED = 10_000;
/** By so much may the clocks of two machines differ. */
const CLOCKS_MS = 1_000;
const USAGE_EVERY_MS = 10_000;
/** Gives a lock back, unless it has expired and is somebody else's by now. */
const UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

interface Entry {
  version: string;
  /** When its rows were not read yet; milliseconds since 1970. */
  begunAt: number;
  reply: StoredReply;
}

export interface RedisRepliesOptions {
  bus?: ClusterBus;
  onError?: (error: unknown) => void;
  /** Replies begun before this may be void without anybody knowing it; milliseconds since 1970. */
  trustedSince?: () => number;
}

export class RedisReplies implements ReplyBackend {
  readonly name = 'redis';
  readonly #bus: ClusterBus;
  readonly #onError: (error: unknown) => void;
  readonly #owed = new Set<string>();
  readonly #ends: (() => void)[];
  readonly #trustedSince: () => number;
  #forgotAt = 0;
  #usage: { bytes: number | null; evictions: number | null } = { bytes: null, evictions: null };
  #usageAskedAt = Number.NEGATIVE_INFINITY;

  constructor({ bus = localBus(), onError = () => undefined, trustedSince = () => 0 }: RedisRepliesOptions = {}) {
    this.#bus = bus;
    this.#onError = onError;
    this.#trustedSince = trustedSince;
    this.#ends = [
      bus.subscribe(OWED_TOPIC, (tags) => {
        this.#owe(tags as string[]);
        // It may be the sender's connection alone that is broken.
        void this.#pay();
      }),
      onRedisRecovery(() => void this.#pay()),
    ];
  }

  get ready(): boolean {
    return redisReady();
  }

  /** Of the Redis server, asked for in the background now and then. */
  usage(): { bytes: number | null; evictions: number | null } {
    const now = performance.now();
    if (now - this.#usageAskedAt >= USAGE_EVERY_MS && this.ready) {
      this.#usageAskedAt = now;
      this.#quietly(
        askRedis(async (redis) => {
          const text = await redis.info();
          this.#usage = { bytes: figureIn(text, 'used_memory'), evictions: figureIn(text, 'evicted_keys') };
        }),
      );
    }
    return this.#usage;
  }

  /** @throws when Redis is away, or must not be trusted for these tags yet */
  async look(key: string, tags: readonly string[]): Promise<Look> {
    if (!redisReady()) throw new RedisAway();
    if (this.#owed.size > 0) await this.#pay();
    if (tags.some((tag) => this.#owed.has(tag))) throw new Error('A write is not announced yet');
    // Before anything is sent: tokens of a later server under the name of an earlier one match nothing, the reverse would be a lie.
    const server = redisServer();
    const [text = null, ...tokens] = await askRedis((redis) => redis.mget(REPLY + key, ...tags.map((tag) => TAG + tag)));
    const all = tokens.includes(null) ? await this.#name(tags) : (tokens as string[]);
    const version = [server, ...all].join();
    return { version, reply: this.#trusted(text, version) };
  }

  async claim({ key, version, policy, wait }: ClaimOptions): Promise<Claim> {
    const lock = `${LOCK}${key}:${createHash('sha1').update(version).digest('base64url')}`;
    const mine = newToken();
    const until = performance.now() + WAIT_MS;
    for (let pause = FIRST_PAUSE_MS; performance.now() < until; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      if ((await askRedis((redis) => redis.set(lock, mine, 'PX', LOCK_MS, 'NX'))) === 'OK') {
        const done = await this.#freshReply(key, version, policy.freshMs);
        if (done === null) return this.#lead({ key, version, policy, lock, mine });
        this.#quietly(askRedis((redis) => redis.eval(UNLOCK, 1, lock, mine)));
        return { kind: 'reply', reply: done };
      }
      if (!wait) return { kind: 'busy' };
      await delay(pause);
      const reply = await this.#freshReply(key, version, policy.freshMs);
      if (reply) return { kind: 'reply', reply };
    }
    return { kind: 'busy' };
  }

  async invalidate(tags: readonly string[]): Promise<void> {
    try {
      await askRedis((redis) => replace(redis, tags));
    } catch (error) {
      this.#onError(error);
      this.#owe(tags);
      await this.#bus.publish(OWED_TOPIC, tags);
    }
  }

  close(): void {
    for (const end of this.#ends) end();
  }

  #lead({ key, version, policy, lock, mine }: Pick<ClaimOptions, 'key' | 'version' | 'policy'> & { lock: string; mine: string }): Claim {
    const lifeMs = policy.freshMs + policy.staleMs;
    const begunAt = clock.now().getTime();
    return {
      kind: 'lead',
      keep: (reply) =>
        this.#quietly(
          askRedis(async (redis) => {
            await redis.set(REPLY + key, JSON.stringify({ version, begunAt, reply } satisfies Entry), 'PX', lifeMs);
            await redis.eval(UNLOCK, 1, lock, mine);
          }),
        ),
      release: () => this.#quietly(askRedis((redis) => redis.eval(UNLOCK, 1, lock, mine))),
    };
  }

  async #freshReply(key: string, version: string, freshMs: number): Promise<StoredReply | null> {
    const text = await askRedis((redis) => redis.get(REPLY + key));
    const reply = this.#trusted(text, version);
    return reply && freshnessOf(reply.storedAt, clock.now().getTime(), { freshMs, staleMs: 0 }) === 'fresh' ? reply : null;
  }

  /** The reply, when no write that anybody here may know of has made it void. */
  #trusted(text: string | null, wanted: string): StoredReply | null {
    if (text === null) return null;
    const { version, begunAt, reply } = JSON.parse(text) as Entry;
    const since = Math.max(this.#trustedSince(), this.#forgotAt);
    return version === wanted && begunAt >= since + CLOCKS_MS ? reply : null;
  }

  /** Gives tokens to tags that have none, and reads them all. */
  async #name(tags: readonly string[]): Promise<string[]> {
    const keys = tags.map((tag) => TAG + tag);
    return askRedis(async (redis) => {
      for (const key of keys) await redis.set(key, newToken(), 'EX', TAG_S, 'NX');
      const tokens = await redis.mget(...keys);
      if (tokens.includes(null)) throw new Error('Redis does not keep what it is given');
      return tokens as string[];
    });
  }

  #owe(tags: readonly string[]): void {
    for (const tag of tags) this.#owed.add(tag);
    if (this.#owed.size <= MAX_OWED) return;
    this.#forgotAt = clock.now().getTime();
    this.#owed.clear();
  }

  async #pay(): Promise<void> {
    const tags = [...this.#owed];
    if (tags.length === 0) return;
    try {
      await askRedis((redis) => replace(redis, tags));
      for (const tag of tags) this.#owed.delete(tag);
      log.info('writes announced to the reply cache after all', { tags: tags.length });
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Nobody waits for it, and everybody can do without. */
  #quietly(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#onError(error));
  }
}

function figureIn(info: string, name: string): number | null {
  const [, figure] = new RegExp(`^${name}:(\\d+)`, 'm').exec(info) ?? [];
  return figure === undefined ? null : Number(figure);
}

const newToken = (): string => randomBytes(12).toString('base64url');

async function replace(redis: Redis, tags: readonly string[]): Promise<void> {
  const pipeline = redis.pipeline();
  for (const tag of tags) pipeline.set(TAG + tag, newToken(), 'EX', TAG_S);
  for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
}
