/**
 * Tells every process that a session or an actor's rights have changed, so that what they cached does not outlive it.
 * The row in the database is the truth; this only shortens the cache's few seconds to nothing. {@link announceRevocation}
 * returns when the other workers acknowledged or after the bus's 200 ms, so a caller may answer "done" after it.
 */
import { type ClusterBus, localBus } from './cluster-ports';
import { log } from './log';

const TOPIC = 'revocation';

export interface Revocation {
  /** Sessions that have ended. */
  sessions?: readonly string[];
  /** Actors whose role, state or sessions have changed, as `staff:<id>` or `customer:<id>`. */
  actors?: readonly string[];
  /** Tenants whose row has changed. */
  tenants?: readonly string[];
}

type Handler = (revocation: Revocation) => void;

/** A further way to other instances (Redis); the bus knows only this one. */
export interface RevocationRelay {
  publish(revocation: Revocation): Promise<void>;
}

const handlers = new Set<Handler>();
let bus: ClusterBus = localBus();
let relay: RevocationRelay | null = null;

/** Installed once by the process that serves; calling it again replaces the bus. */
export function setRevocationBus(clusterBus: ClusterBus): void {
  bus = clusterBus;
  bus.subscribe(TOPIC, (payload) => deliverRevocation(payload as Revocation));
}

export function setRevocationRelay(other: RevocationRelay | null): void {
  relay = other;
}

/** Calls `handler` for each revocation of this or another process. */
export function onRevocation(handler: Handler): void {
  handlers.add(handler);
}

/** A revocation that arrived from elsewhere. */
export function deliverRevocation(revocation: Revocation): void {
  for (const handler of handlers) handler(revocation);
}

/** Call it after the commit. Never rejects: an unreachable neighbour is right again when its cache entry ends. */
export async function announceRevocation(revocation: Revocation): Promise<void> {
  deliverRevocation(revocation);
  const elsewhere = relay
    ?.publish(revocation)
    .catch((error: unknown) => log.warn('revocation did not reach the other instances', { error }));
  await Promise.all([bus.publish(TOPIC, revocation), elsewhere]);
}
