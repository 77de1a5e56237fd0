/**
 * What code below `server/` may ask of the cluster, as interfaces: a worker installs adapters that speak to the primary,
 * a process that serves alone (tests, a foreign process manager) installs local ones. Nothing here knows about processes.
 */
import type { Config } from '../config';

/** The state of one fixed window after a `take`. `resetMs` is the time left until the window ends. */
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
  reset(key: string): Promise<void>;
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
  readonly workersReady: number;
  readonly workersTarget: number;
  /** The whole service is stopping. A single worker that is being replaced does not set it. */
  readonly draining: boolean;
  readonly maintenance: Maintenance | null;
  /** Overrides LOG_LEVEL for a while. */
  readonly logLevel: LogLevel | null;
}

/** The facts of a process without a primary. */
export const factsAlone = (draining: boolean, maintenance: Maintenance | null = null): ClusterFacts => ({
  scope: 'worker',
  workersReady: 1,
  workersTarget: 1,
  draining,
  maintenance,
  logLevel: null,
});

/** Counts in this process alone: right for a single process, wrong for several. */
export function localLimitBackend(now: () => number = Date.now): LimitBackend {
  const windows = new Map<string, { used: number; endsAt: number }>();
  let nextSweep = 0;
  const sweep = (at: number) => {
    if (at < nextSweep) return;
    nextSweep = at + 60_000;
    for (const [key, window] of windows) if (window.endsAt <= at) windows.delete(key);
  };
  return {
    async take(key, limit, windowMs, cost = 1) {
      const at = now();
      sweep(at);
      const open = windows.get(key);
      const window = open && open.endsAt > at ? open : { used: 0, endsAt: at + windowMs };
      windows.set(key, window);
      const allowed = window.used + cost <= limit;
      if (allowed) window.used += cost;
      return { allowed, used: window.used, remaining: Math.max(0, limit - window.used), resetMs: window.endsAt - at };
    },
    async reset(key) {
      windows.delete(key);
    },
  };
}

/** A bus with no neighbours: publishing reaches nobody and is done at once. */
export function localBus(): ClusterBus {
  return { publish: async () => undefined, subscribe: () => () => undefined };
}
