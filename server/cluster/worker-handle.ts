/**
 * The primary's view of one child: who it is, what state it is in, when it last checked in, what it last reported and
 * how it died. It translates process events into a small interface for the supervisor and decides nothing itself.
 */
import type { ChildProcess } from 'node:child_process';
import { YOUNG_MS } from './breaker';
import { EXIT } from './exit-codes';
import { type DrainReason, type FromChild, isMessage, type Report, type ToChild } from './messages';
import { StallRecord } from './stalls';
import type { Tail } from './tail';
import { move, type WorkerState } from './worker-state';

/** The part of a child process that is used here; tests give a fake one. */
export type Child = Pick<ChildProcess, 'pid' | 'kill' | 'on'> & {
  send(message: ToChild, done?: (error: Error | null) => void): boolean;
  readonly connected: boolean;
};

export type DeathReason = 'crash' | 'oom' | 'stall' | 'boot_timeout' | 'boot_failure' | 'drain_timeout' | DrainReason;

/** A worker's way out: since when it is on it, on the primary's clock, and how long it may take. */
export interface Drain {
  readonly reason: DrainReason;
  readonly since: number;
  readonly limitMs: number;
}

export interface LastExit {
  pid: number;
  slot: number;
  code: number | null;
  signal: string | null;
  reason: DeathReason;
  at: string;
  stderr_tail: readonly string[];
}

export interface HandleEvents {
  onMessage(handle: WorkerHandle, message: FromChild): void;
  onExit(handle: WorkerHandle, code: number | null, signal: NodeJS.Signals | null): void;
  /** After the exit, when nothing more can arrive from the child: its last snapshot is in, or lost. */
  onSettled(handle: WorkerHandle): void;
}

/** Workers report once a second. */
const UNRESPONSIVE_MS = 2_000;

/** After an exit the channel normally ends at once; a grandchild that inherited it must not hold up the books. */
const SETTLE_MS = 500;

export class WorkerHandle {
  readonly id: string;
  readonly kind: 'http' | 'jobs';
  /** 0: the system had no room for it. */
  readonly pid: number;
  /** A worker in reserve has none (0) until it takes one over. */
  slot: number;
  /** When it was forked; what it loads it loads then. */
  readonly bornAt: number;
  /** When it was forked, or left the reserve. */
  forkedAt: number;
  /** Requests after which it is recycled; 0 = never. */
  readonly requestLimit: number;
  /** Age at which it is recycled; 0 = never. */
  readonly maxAgeMs: number;
  /** It said itself that it has answered its last request. */
  limitReached = false;
  readonly tail: Tail;
  helloAt: number | null = null;
  grantedAt: number | null = null;
  readyAt: number | null = null;
  lastCheckinAt: number;
  drain: Drain | null = null;
  /** Why the primary killed it, or why it said it could not start. */
  killReason: DeathReason | null = null;
  failure: { code: number; message: string } | null = null;
  crashing = false;
  sentFinal = false;
  version: string | null = null;
  address: { host: string; port: number } | null = null;
  report: Report | null = null;
  /** Readings in a row over WORKER_MAX_RSS_MB, and when the last was taken. */
  rss = { over: 0, readAt: 0 };
  /** A resize that the child has not confirmed yet. */
  resizingTo: number | null = null;
  profiled = false;
  /** The one that it replaces and that has a last request to answer first; null for all others. */
  standsBehind: WorkerHandle | null = null;
  /** What its watchdog thread says about its event loop. */
  readonly stalls = new StallRecord();
  readonly #child: Child;
  #state: WorkerState = 'forked';

  constructor(
    child: Child,
    {
      id,
      kind,
      slot,
      now,
      requestLimit,
      maxAgeMs,
      tail,
    }: { id: string; kind: 'http' | 'jobs'; slot: number; now: number; requestLimit: number; maxAgeMs: number; tail: Tail },
    events: HandleEvents,
  ) {
    this.#child = child;
    this.id = id;
    this.kind = kind;
    this.slot = slot;
    this.pid = child.pid ?? 0;
    this.bornAt = now;
    this.forkedAt = now;
    this.lastCheckinAt = now;
    this.requestLimit = requestLimit;
    this.maxAgeMs = maxAgeMs;
    this.tail = tail;
    let exited = false;
    let disconnected = false;
    let settled = false;
    const settle = () => {
      if (settled || !exited) return;
      settled = true;
      events.onSettled(this);
    };
    child.on('message', (message: unknown) => {
      // Its account is closed: what would be counted now would stay for ever.
      if (!settled && isMessage(message)) events.onMessage(this, message as FromChild);
    });
    child.on('disconnect', () => {
      disconnected = true;
      settle();
    });
    const onExit = (code: number | null, signal: NodeJS.Signals | null) => {
      if (exited) return;
      exited = true;
      events.onExit(this, code, signal);
      if (disconnected) settle();
      // When the primary was kept busy for so long, what lies in the channel is read first.
      else setTimeout(() => setImmediate(settle), SETTLE_MS).unref();
    };
    child.on('exit', onExit);
    child.on('error', (error: Error) => {
      this.failure ??= { code: EXIT.loadError, message: error.message };
      // There is no process, so no exit will follow; of a living one that could not be sent something, its exit tells the rest.
      if (child.pid === undefined) onExit(null, null);
    });
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Requests that it has answered, as far as is known: its report may be a second old; that it has reached its limit is said at once. */
  get answered(): number {
    return Math.max(this.report?.requests_count ?? 0, this.limitReached ? this.requestLimit : 0);
  }

  /** It has answered as many requests as it may. */
  get atLimit(): boolean {
    return this.requestLimit > 0 && this.answered >= this.requestLimit;
  }

  moveTo(state: WorkerState): void {
    this.#state = move(this.#state, state);
  }

  /** Since when its event loop has stood still, on the primary's clock; null while it turns. */
  get stalledSince(): number | null {
    return this.stalls.since;
  }

  /**
   * It gets no new connection where another can take it: its measurements would be spoilt, or the one before it in its slot would never
   * come to its last request, because a worker without connections is always preferred.
   */
  get resting(): boolean {
    return this.profiled || this.standsBehind?.state === 'ready';
  }

  /** It is ready, and nobody has ended it. */
  get serving(): boolean {
    return this.#state === 'ready' && this.killReason === null;
  }

  /** It has said nothing for longer than any worker is silent. */
  isUnresponsive(now: number): boolean {
    return this.helloAt !== null && now - this.lastCheckinAt > UNRESPONSIVE_MS;
  }

  /** It serves, and its event loop turns, as far as is known. */
  isSound(now: number): boolean {
    return this.serving && !this.stalls.isStuck(now) && !this.isUnresponsive(now);
  }

  /** It has been ready for so long that it will not die young any more. */
  isProven(now: number): boolean {
    return this.readyAt !== null && now - this.readyAt >= YOUNG_MS;
  }

  /** Whether a new connection is in good hands here; when it is so of none, any will do. */
  takesConnections(now: number): boolean {
    return this.isSound(now) && !this.resting;
  }

  /** Sends when the channel is open. A child that is going cannot be told anything; that is no error. */
  send(message: ToChild): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  kill(reason: DeathReason, signal: NodeJS.Signals = 'SIGKILL'): void {
    this.killReason ??= reason;
    this.#child.kill(signal);
  }
}
