/**
 * The connection to Redis, when `REDIS_URL` is set. Everything kept there can be lost: a command that cannot be sent now
 * fails at once instead of waiting, and callers have another way. The client reconnects by itself for as long as it lives; a
 * server that is connected but silent is left alone by a circuit breaker until it answers a ping.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { Redis } from 'ioredis';
import { config } from '../config';
import { CircuitBreaker } from './circuit-breaker';
import { whenLate } from './late';
import { log } from './log';

const CONNECT_TIMEOUT_MS = 2_000;
/** A limit or a cache entry is not worth waiting longer for. */
const COMMAND_TIMEOUT_MS = 250;
const RECONNECT_MAX_MS = 2_000;
const BREAKER = { threshold: 3, firstPauseMs: 100, longestPauseMs: 1_000 };
/** After as much silence the connection itself is given up, also one that was never ready: the other end may be gone without a word. */
const SILENCE_MS = 3_000;
const USABLE = 'usable';
/** A connection became usable, or ended. */
const TRIED = 'tried';

let client: Redis | undefined;
/** Null while it is not known. */
let server: string | null = null;
const recoveries = new Set<() => void>();
const events = new EventEmitter();
let readySince = 0;

const breaker = new CircuitBreaker({
  ...BREAKER,
  probe: async () => {
    const connection = client;
    if (connection?.status !== 'ready') throw new RedisAway();
    await inTime(connection.ping());
  },
  onChange: (open) => {
    if (open) log.warn('redis does not answer; it is left alone until it does');
    else recovered();
  },
});

/** Redis cannot be asked now. */
export class RedisAway extends Error {
  constructor() {
    super('Redis is away');
  }
}

/** The shared client, connected on first use; null without `REDIS_URL`. Commands go through {@link askRedis}. */
export function redis(): Redis | null {
  if (!config.REDIS_URL) return null;
  client ??= connect(config.REDIS_URL);
  return client;
}

/** True while commands can be sent, and are answered. */
export const redisReady = (): boolean => client?.status === 'ready' && server !== null && !breaker.open;

/** True as soon as {@link redisReady}; false when that takes longer than `ms`. */
export async function redisReadyWithin(ms: number): Promise<boolean> {
  if (!redisReady()) await once(events, USABLE, { signal: AbortSignal.timeout(ms) }).catch(() => undefined);
  return redisReady();
}

/** Waits for the connection to be made: until {@link redisReady}, until the first try has failed, or `ms`; not at all without `REDIS_URL`. */
export async function redisTried(ms: number): Promise<void> {
  if (redis() && !redisReady()) await once(events, TRIED, { signal: AbortSignal.timeout(ms) }).catch(() => undefined);
}

/**
 * Which run of which server commands reach now. Another one after every restart and every fail-over: that server may have come
 * back with what it held some time ago. @throws RedisAway while it is not known
 */
export function redisServer(): string {
  if (server === null) throw new RedisAway();
  return server;
}

/** Sends a command, unless Redis is known to be away. @throws RedisAway at once; what the client throws, after 250 ms as `lib/late.ts` counts them */
export async function askRedis<T>(command: (connection: Redis) => Promise<T>): Promise<T> {
  const connection = redis();
  if (!connection || !redisReady()) throw new RedisAway();
  try {
    const answer = await inTime(command(connection));
    breaker.succeeded();
    return answer;
  } catch (error) {
    breaker.failed();
    throw error;
  }
}

/** The answer, unless it takes longer than {@link COMMAND_TIMEOUT_MS}. */
function inTime<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const settled = whenLate(COMMAND_TIMEOUT_MS, () => reject(new Error(`No answer from Redis within ${COMMAND_TIMEOUT_MS} ms`)));
    answer.then(resolve, reject).finally(settled);
  });
}

/** Calls `act` each time Redis can be asked again. Returns the function that ends it. */
export function onRedisRecovery(act: () => void): () => void {
  recoveries.add(act);
  return () => recoveries.delete(act);
}

function recovered(): void {
  log.info('redis available again');
  for (const act of recoveries) act();
}

/** How long it has been so, without a break, as this process sees it; milliseconds, 0 while it is not. */
export const redisReadyForMs = (): number => (redisReady() ? performance.now() - readySince : 0);

/** A connection of its own for a subscriber, which can send nothing else. The caller closes it. */
export function redisSubscriber(): Redis | null {
  return redis()?.duplicate({ enableOfflineQueue: true }) ?? null;
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
    socketTimeout: SILENCE_MS,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    retryStrategy: (attempt) => Math.min(attempt * 100, RECONNECT_MAX_MS),
  });
  let down = false;
  let connections = 0;
  connection.on('error', (error: Error) => {
    if (!down) log.warn('redis unavailable', { error });
    down = true;
  });
  connection.on('close', () => {
    connections += 1;
    server = null;
    down = true;
    events.emit(TRIED);
  });
  const begin = async (): Promise<void> => {
    const own = connections;
    const name = await nameOf(connection);
    if (own !== connections) return;
    server = name;
    readySince = performance.now();
    if (breaker.open) breaker.reset();
    else if (down) recovered();
    down = false;
    events.emit(USABLE);
    events.emit(TRIED);
  };
  connection.on('ready', () => void begin());
  return connection;
}

/** By what a restart changes, and what a fail-over does. A server that does not say gets a name that nobody else gives it. Never rejects. */
async function nameOf(connection: Redis): Promise<string> {
  const info = await connection.info().catch(() => '');
  const [run, history] = ['run_id', 'master_replid'].map((field) => new RegExp(`^${field}:(\\w+)`, 'm').exec(info)?.[1]);
  return run && history ? `${run}.${history}` : randomUUID();
}
