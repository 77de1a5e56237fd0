/**
 * The connection to Redis, when `REDIS_URL` is set. Everything kept there can be lost: a command that cannot be sent now
 * fails at once instead of waiting, and callers have another way. The client reconnects by itself for as long as it lives.
 */
import { Redis } from 'ioredis';
import { config } from '../config';
import { log } from './log';

const CONNECT_TIMEOUT_MS = 2_000;
/** A limit or a cache entry is not worth waiting longer for. */
const COMMAND_TIMEOUT_MS = 250;
const RECONNECT_MAX_MS = 2_000;

let client: Redis | undefined;

/** The shared client, connected on first use; null without `REDIS_URL`. */
export function redis(): Redis | null {
  if (!config.REDIS_URL) return null;
  client ??= connect(config.REDIS_URL);
  return client;
}

/** True while commands can be sent. */
export const redisReady = (): boolean => client?.status === 'ready';

/** A connection of its own for a subscriber, which can send nothing else. The caller closes it. */
export function redisSubscriber(): Redis | null {
  return redis()?.duplicate({ enableOfflineQueue: true, commandTimeout: undefined as never }) ?? null;
}

export async function closeRedis(): Promise<void> {
  const closing = client;
  client = undefined;
  if (!closing) return;
  // QUIT needs a live connection; without one there is nothing to say goodbye to.
  if (closing.status === 'ready') await closing.quit().catch(() => closing.disconnect());
  else closing.disconnect();
}

function connect(url: string): Redis {
  const connection = new Redis(url, {
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    retryStrategy: (attempt) => Math.min(attempt * 100, RECONNECT_MAX_MS),
  });
  let down = false;
  connection.on('error', (error: Error) => {
    if (!down) log.warn('redis unavailable', { error });
    down = true;
  });
  connection.on('ready', () => {
    if (down) log.info('redis available again');
    down = false;
  });
  return connection;
}
