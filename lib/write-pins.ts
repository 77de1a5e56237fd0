/**
 * Which sessions wrote a moment ago: what they read next must show it, so they read from the primary. Remembered by the cluster's primary
 * process for its workers, and in Redis, where there is one, for other instances. When nobody can say, the session counts as one
 * that wrote: that costs the primary a read, never a reader its own change.
 */
import { config } from '../config';
import { localPins, type PinStore } from './cluster-ports';
import { log } from './log';
import { askRedis, redisReady, redisReadyForMs } from './redis';
import { PIN_MS } from './replica-choice';

const PREFIX = 'autoshop:wrote:';

let store: PinStore = localPins(PIN_MS);

/** Installed once by the process that serves. */
export function setPinStore(cluster: PinStore): void {
  store = cluster;
}

/** The session has written; call it before the answer leaves. Never rejects: the write has happened. */
export async function pinSession(sessionId: string): Promise<void> {
  const here = store.pin(sessionId).catch((error: unknown) => log.warn('a write was not remembered by the primary', { error }));
  const elsewhere = pinInRedis(sessionId).catch((error: unknown) => log.warn('a write was not remembered by Redis', { error }));
  await Promise.all([here, elsewhere]);
}

/** True when the session must read the primary. Never rejects. */
export async function isSessionPinned(sessionId: string): Promise<boolean> {
  try {
    const [here, elsewhere] = await Promise.all([store.isPinned(sessionId), isPinnedInRedis(sessionId)]);
    return here || elsewhere;
  } catch (error) {
    log.warn('nobody knows who wrote; reading from the primary', { error });
    return true;
  }
}

async function pinInRedis(sessionId: string): Promise<void> {
  if (redisReady()) await askRedis((client) => client.set(PREFIX + sessionId, '1', 'PX', PIN_MS));
}

async function isPinnedInRedis(sessionId: string): Promise<boolean> {
  if (config.REDIS_URL === undefined) return false;
  // While it was away nothing was remembered there: what it does not know counts only when that is over.
  if (redisReadyForMs() < PIN_MS) return true;
  return (await askRedis((client) => client.exists(PREFIX + sessionId))) === 1;
}
