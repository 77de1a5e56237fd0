/**
 * Which store a process keeps replies in. All processes that write must agree on one in which each hears of the others' writes:
 * Redis; without it the memory of the processes of one primary; and where neither reaches all of them, none at all.
 */
import { type Config, config } from '../config';
import { MemoryReplies } from '../lib/cache/memory-replies';
import { RedisReplies } from '../lib/cache/redis-replies';
import { failed, setReplyBackend } from '../lib/cache/replies';
import { log } from '../lib/log';
import { closeRedis, redis, redisReadyWithin } from '../lib/redis';
import type { PrimaryLink } from './cluster/link';

const MB = 1024 * 1024;
/** How long a command waits for Redis before it works without. */
const CONNECT_MS = 2_000;

export type ReplyStore = 'redis' | 'memory' | 'none';

/** Pure. `alone`: somebody else's process manager runs several of us, who do not know each other. */
export function replyStoreFor(
  { CACHE_MAX_MB, REDIS_URL, INSTANCES }: Pick<Config, 'CACHE_MAX_MB' | 'REDIS_URL' | 'INSTANCES'>,
  alone: boolean,
): ReplyStore {
  if (CACHE_MAX_MB === 0) return 'none';
  if (REDIS_URL !== undefined) return 'redis';
  return INSTANCES > 1 || alone ? 'none' : 'memory';
}

export function installReplyCache(link: PrimaryLink): void {
  const store = replyStoreFor(config, !link.connected);
  switch (store) {
    case 'redis':
      setReplyBackend(new RedisReplies({ bus: link.bus, onError: failed, trustedSince: () => link.facts().repliesSince }));
      break;
    case 'memory':
      setReplyBackend(new MemoryReplies({ maxBytes: config.CACHE_MAX_MB * MB, neighbours: { bus: link.bus, exchange: link.replies } }));
      break;
    case 'none':
      setReplyBackend(null);
      if (config.CACHE_MAX_MB > 0) log.warn('no reply is cached: the instances share no Redis in which to tell each other of writes');
      break;
  }
}

/**
 * For a command that writes beside the service: with Redis, what it writes makes replies void there. Without it nobody can be told, and
 * what was kept before shows until it ends. @returns the function that ends it
 */
export async function joinReplyCache(): Promise<() => Promise<void>> {
  const client = replyStoreFor(config, true) === 'redis' ? redis() : null;
  if (!client) return async () => undefined;
  // Given up after that: a command has something else to do, and each of its writes would say so.
  if (!(await redisReadyWithin(CONNECT_MS))) log.warn('Redis does not answer: replies kept there show the old state for some minutes');
  const store = new RedisReplies({ onError: failed });
  setReplyBackend(store);
  return async () => {
    store.close();
    await closeRedis();
  };
}
