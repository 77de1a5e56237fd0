/**
 * The primary's half of the reply cache, where there is no Redis: replies that one worker computed, for the others; and who is
 * computing what, so that nothing is computed twice at a time. Waiting workers get the reply when its leader has it; a leader that
 * dies or takes too long hands its task to the first of them. Nothing here knows what a reply means.
 */
import { freshnessOf } from '../../lib/cache/freshness';
import { type StoredReply, VersionedReplies } from '../../lib/cache/versioned-replies';
import type { ReplyClaim, ReplyQuestion } from '../../lib/cluster-ports';

export interface ShelfPort {
  answer(child: string, call: number, claim: ReplyClaim): void;
}

interface Waiter {
  child: string;
  call: number;
}

interface Flight {
  id: number;
  /** Key and version: who asks after a write does not wait for what was begun before it. */
  name: string;
  key: string;
  version: number;
  leader: string;
  startedAt: number;
  waiters: Waiter[];
}

/** A leader still at work after this is no longer waited for: the next one tries. */
export const FLIGHT_MS = 10_000;

export class ReplyShelf {
  readonly #port: ShelfPort;
  readonly #now: () => number;
  readonly #replies: VersionedReplies;
  readonly #flights = new Map<number, Flight>();
  readonly #byName = new Map<string, Flight>();
  #ids = 0;

  /** @param now milliseconds since 1970 */
  constructor({ port, maxBytes, now = Date.now }: { port: ShelfPort; maxBytes: number; now?: () => number }) {
    this.#port = port;
    this.#now = now;
    this.#replies = new VersionedReplies({ maxBytes });
  }

  get bytes(): number {
    return this.#replies.bytes;
  }

  get evictions(): number {
    return this.#replies.evictions;
  }

  claim(child: string, call: number, { key, tags, freshMs, wait }: ReplyQuestion): void {
    const version = this.#replies.versionOf(tags);
    const reply = this.#replies.get(key, version);
    if (reply && freshnessOf(reply.storedAt, this.#now(), { freshMs, staleMs: 0 }) === 'fresh') {
      this.#port.answer(child, call, { kind: 'reply', reply });
      return;
    }
    const name = `${key} ${version}`;
    const flight = this.#byName.get(name);
    if (!flight) this.#lead({ name, key, version }, { child, call }, []);
    else if (wait) flight.waiters.push({ child, call });
    else this.#port.answer(child, call, { kind: 'busy' });
  }

  /** The end of a flight; null: its leader has failed, and the others see for themselves. One that was given up is not waited for, but kept. */
  settle(child: string, id: number, reply: StoredReply | null): void {
    const flight = this.#flights.get(id);
    if (flight?.leader !== child) return;
    this.#land(flight);
    if (reply) this.#replies.set(flight.key, flight.version, reply);
    for (const waiter of flight.waiters) this.#port.answer(waiter.child, waiter.call, reply ? { kind: 'reply', reply } : { kind: 'busy' });
  }

  invalidate(tags: readonly string[]): void {
    this.#replies.invalidate(tags);
  }

  /** A child is gone. */
  forget(child: string): void {
    for (const flight of [...this.#flights.values()]) {
      flight.waiters = flight.waiters.filter((waiter) => waiter.child !== child);
      if (flight.leader === child) this.#pass(flight);
    }
  }

  /** Once a second. */
  sweep(): void {
    const now = this.#now();
    for (const flight of [...this.#flights.values()]) if (now - flight.startedAt > FLIGHT_MS) this.#pass(flight);
  }

  #lead({ name, key, version }: Pick<Flight, 'name' | 'key' | 'version'>, leader: Waiter, waiters: Waiter[]): void {
    this.#ids += 1;
    const flight: Flight = { id: this.#ids, name, key, version, leader: leader.child, startedAt: this.#now(), waiters };
    this.#flights.set(flight.id, flight);
    this.#byName.set(name, flight);
    this.#port.answer(leader.child, leader.call, { kind: 'lead', flight: flight.id });
  }

  #pass(flight: Flight): void {
    this.#land(flight);
    const [next, ...others] = flight.waiters;
    if (next) this.#lead(flight, next, others);
  }

  #land(flight: Flight): void {
    this.#flights.delete(flight.id);
    if (this.#byName.get(flight.name) === flight) this.#byName.delete(flight.name);
  }
}
