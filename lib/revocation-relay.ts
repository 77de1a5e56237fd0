/**
 * Carries revocations between instances by Redis, when there is one. Every process that hears one says so to the sender, which
 * waits for all of them, 200 ms at most: then a log-out is answered when no instance takes the session any more. Lost messages cost
 * nothing but time: every process reads a session anew after a few seconds anyway.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { log } from './log';
import { askRedis, redis, redisReady, redisSubscriber } from './redis';
import { deliverRevocation, setRevocationRelay } from './revocation';

const CHANNEL = 'autoshop:revocation';
const ackChannel = (origin: string): string => `${CHANNEL}:heard:${origin}`;
const ACK_TIMEOUT_MS = 200;

interface Waiting {
  /** How many have to say that they heard; null before Redis has told. */
  expected: number | null;
  heard: number;
  done: () => void;
}

/**
 * Listens and publishes from now on; without Redis it does nothing. Does not wait for Redis to answer.
 * @returns the function that ends it
 */
export function connectRevocationRelay(): () => void {
  const subscriber = redis() && redisSubscriber();
  if (!subscriber) return () => undefined;
  // This process has acted already when it publishes, and its neighbours were told by the bus; hearing it again does no harm.
  const origin = randomUUID();
  const waiting = new Map<string, Waiting>();
  const heard = (id: string, count = 1): void => {
    const one = waiting.get(id);
    if (!one) return;
    one.heard += count;
    if (one.expected !== null && one.heard >= one.expected) one.done();
  };
  subscriber.on('message', (channel, text) => {
    if (channel !== CHANNEL) {
      heard(text);
      return;
    }
    const message = readMessage(text);
    if (!message) return;
    if (message.origin === origin) {
      if (message.id) heard(message.id);
      return;
    }
    deliverRevocation(message.revocation);
    const { id } = message;
    if (id)
      askRedis((client) => client.publish(ackChannel(message.origin), id)).catch((error: unknown) =>
        log.debug('could not say that a revocation was heard', { error }),
      );
  });
  // The client reports its own troubles; it subscribes again by itself whenever it reconnects.
  subscriber.on('error', () => undefined);
  subscriber
    .subscribe(CHANNEL, ackChannel(origin))
    .catch((error: unknown) => log.warn('not listening for revocations of other instances', { error }));
  setRevocationRelay({
    publish: async (revocation) => {
      if (!redisReady()) return;
      const id = randomUUID();
      let timer: NodeJS.Timeout | undefined;
      const everybody = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ACK_TIMEOUT_MS);
        waiting.set(id, { expected: null, heard: 0, done: resolve });
      });
      try {
        const receivers = await askRedis((client) => client.publish(CHANNEL, JSON.stringify({ origin, id, revocation })));
        const one = waiting.get(id);
        if (one) one.expected = receivers;
        heard(id, 0);
        await everybody;
      } finally {
        clearTimeout(timer);
        waiting.delete(id);
      }
    },
  });
  return () => {
    setRevocationRelay(null);
    subscriber.disconnect();
  };
}

const Ids = z.array(z.string()).exactOptional();
const Message = z.object({
  origin: z.string(),
  id: z.string().exactOptional(),
  revocation: z.object({ sessions: Ids, actors: Ids, tenants: Ids }),
});

/** What another version or somebody else wrote must not take this process down. */
function readMessage(text: string): z.infer<typeof Message> | null {
  try {
    return Message.parse(JSON.parse(text));
  } catch (error) {
    log.warn('a revocation of another instance could not be read', { error });
    return null;
  }
}
