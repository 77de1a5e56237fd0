/**
 * What code below `server/` may ask of the cluster, as interfaces: a worker installs adapters that speak to the primary,
 * a process that serves alone (tests, a foreign process manager) installs local ones. Nothing here knows about processes.
 */
import type { Config } from '../config';
import type { StoredReply } from './cache/versioned-replies';
import { SlidingWindows } from './sliding-window';

/** The state of a sliding window after a `take`. `resetMs` is the time left until something that counts now is forgotten. */
export interface LimitResult {
  readonly allowed: boolean;
  readonly used: number;
  readonly remaining: number;
  readonly resetMs: number;
}

/**
 * Counts over the whole cluster. A refused `take` consumes nothing. Rejects when the count cannot be had in time
 * (the primary is silent): the limiter, not the backend, decides whether that opens or closes.
 */
export interface LimitBackend {
  take(key: string, limit: number, windowMs: number, cost?: number): Promise<LimitResult>;
  reset(key: string, windowMs: number): Promise<void>;
}

/**
 * Messages to every other process of this instance. `publish` resolves when all of them acknowledged (their handlers
 * have returned), or after 200 ms; it never rejects, because a silent neighbour is replaced by the primary anyway.
 * The publisher's own subscribers are not called. Payloads must survive JSON.
 */
export interface ClusterBus {
  publish(topic: string, payload: unknown): Promise<void>;
  /** Returns the function that ends the subscription. Several handlers may listen to one topic. */
  subscribe(topic: string, handler: (payload: unknown) => void | Promise<void>): () => void;
}

/** What a process asks of its neighbours when its own memory lacks a reply. */
export interface ReplyQuestion {
  readonly key: string;
  readonly tags: readonly string[];
  /** A reply older than this, in milliseconds, is to be computed anew. */
  readonly freshMs: number;
  /** While somebody else computes it: true waits for the result, false is told so. */
  readonly wait: boolean;
}

/** `lead`: nobody has it, compute it and {@link ReplyExchange.settle} it. `busy`: somebody else does, or nobody can say. */
export type ReplyClaim =
  | { readonly kind: 'reply'; readonly reply: StoredReply }
  | { readonly kind: 'lead'; readonly flight: number }
  | { readonly kind: 'busy' };

/** Replies of the other processes of this instance, so that each is computed once. Rejects when nobody answers in time. */
export interface ReplyExchange {
  claim(question: ReplyQuestion): Promise<ReplyClaim>;
  /** The end of a flight: its reply for those who wait, or null when there is none. */
  settle(flight: number, reply: StoredReply | null): void;
}

/**
 * Which sessions wrote within the last seconds, over the whole cluster. Both reject when nobody answers in time.
 */
export interface PinStore {
  pin(session: string): Promise<void>;
  isPinned(session: string): Promise<boolean>;
}

/** One topic of the bus, for a module that needs no other. */
export interface TopicBus {
  publish(message: unknown): Promise<void>;
  subscribe(handler: (message: unknown) => void): void;
}

export const topicOf = (bus: ClusterBus, topic: string): TopicBus => ({
  publish: (message) => bus.publish(topic, message),
  subscribe: (handler) => {
    bus.subscribe(topic, handler);
  },
});

export interface OpsDocument {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The whole-cluster documents, wherever they are asked for. Rejects when the primary does not answer within a second. */
export interface OpsSource {
  get(what: 'stats' | 'metrics', options?: { windowSeconds?: number; openMetrics?: boolean }): Promise<OpsDocument>;
}

export type LogLevel = Config['LOG_LEVEL'];

/** Everybody but owners is refused. */
export interface Maintenance {
  /** What clients are told; null: nothing particular. */
  readonly reason: string | null;
  readonly since: string;
}

/** What a worker knows about its cluster; broadcast by the primary on every change and each second. */
export interface ClusterFacts {
  readonly scope: 'cluster' | 'worker';
  /** A worker serves in every slot. */
  readonly isWhole: boolean;
  /** The whole service is stopping. A single worker that is being replaced does not set it. */
  readonly draining: boolean;
  readonly maintenance: Maintenance | null;
  /** Overrides LOG_LEVEL for a while. */
  readonly logLevel: LogLevel | null;
  /** Cached replies that were begun before this are not trusted: what made them void may be known to nobody any more. Milliseconds since 1970. */
  readonly repliesSince: number;
}

/** The facts of a process without a primary. */
export const factsAlone = (draining: boolean, maintenance: Maintenance | null = null): ClusterFacts => ({
  scope: 'worker',
  isWhole: true,
  draining,
  maintenance,
  logLevel: null,
  repliesSince: performance.timeOrigin,
});

/** Counts in this process alone: right for a single process, wrong for several. */
export function localLimitBackend(now: () => number = () => performance.now()): LimitBackend {
  const windows = new SlidingWindows({ now });
  return {
    take: async (key, limit, windowMs, cost = 1) => windows.take(key, limit, windowMs, { cost }),
    reset: async (key) => windows.reset(key),
  };
}

/** An exchange with no neighbours: whoever asks has to compute. */
export const localExchange = (): ReplyExchange => ({
  claim: async () => ({ kind: 'lead', flight: 0 }),
  settle: () => undefined,
});

/** Sessions, each until a time after it was last added; as many as write in that time. */
export class ExpiringSet {
  readonly #until = new Map<string, number>();
  readonly #lifeMs: number;
  readonly #now: () => number;

  constructor(lifeMs: number, now: () => number = () => performance.now()) {
    this.#lifeMs = lifeMs;
    this.#now = now;
  }

  get size(): number {
    return this.#until.size;
  }

  add(key: string): void {
    const now = this.#now();
    // All live equally long, so the order of insertion is the order of expiry.
    this.#until.delete(key);
    this.#until.set(key, now + this.#lifeMs);
    for (const [other, until] of this.#until) {
      if (until > now) break;
      this.#until.delete(other);
    }
  }

  has(key: string): boolean {
    const until = this.#until.get(key);
    return until !== undefined && until > this.#now();
  }
}

/** Remembers for this process alone. */
export function localPins(lifeMs: number): PinStore {
  const sessions = new ExpiringSet(lifeMs);
  return { pin: async (session) => sessions.add(session), isPinned: async (session) => sessions.has(session) };
}

/** A bus with no neighbours: publishing reaches nobody and is done at once. */
export function localBus(): ClusterBus {
  return { publish: async () => undefined, subscribe: () => () => undefined };
}
