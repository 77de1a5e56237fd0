/**
 * Carries revocations between instances by Redis, when there is one. Lost messages cost nothing but time: every process reads
 * a session anew after a few seconds anyway.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { log } from './log';
import { redis, redisReady, redisSubscriber } from './redis';
import { deliverRevocation, setRevocationRelay } from './revocation';

const CHANNEL = 'autoshop:revocation';

/**
 * Listens and publishes from now on; without Redis it does nothing. Does not wait for Redis to answer.
 * @returns the function that ends it
 */
export function connectRevocationRelay(): () => void {
  const publisher = redis();
  const subscriber = redisSubscriber();
  if (!publisher || !subscriber) return () => undefined;
  // This process has acted already when it publishes, and its neighbours were told by the bus; hearing it again does no harm.
  const origin = randomUUID();
  subscriber.on('message', (_channel, text) => {
    const message = readMessage(text);
    if (message && message.origin !== origin) deliverRevocation(message.revocation);
  });
  // The client reports its own troubles; it subscribes again by itself whenever it reconnects.
  subscriber.on('error', () => undefined);
  subscriber.subscribe(CHANNEL).catch((error: unknown) => log.warn('not listening for revocations of other instances', { error }));
  setRevocationRelay({
    publish: async (revocation) => {
      if (redisReady()) await publisher.publish(CHANNEL, JSON.stringify({ origin, revocation }));
    },
  });
  return () => {
    setRevocationRelay(null);
    subscriber.disconnect();
  };
}

const Ids = z.array(z.string()).exactOptional();
const Message = z.object({ origin: z.string(), revocation: z.object({ sessions: Ids, actors: Ids, tenants: Ids }) });

/** What another version or somebody else wrote must not take this process down. */
function readMessage(text: string): z.infer<typeof Message> | null {
  try {
    return Message.parse(JSON.parse(text));
  } catch (error) {
    log.warn('a revocation of another instance could not be read', { error });
    return null;
  }
}
