/**
 * A child's line to the primary: hello, ready, a report each second (which is also the heartbeat), the last words; grants,
 * drains and facts in the other direction; and the cluster-wide services that travel over it: rate limits, message bus, which
 * sessions wrote, whole-cluster documents. A process without a primary (tests, a foreign process manager) gets local stand-ins.
 *
 * A child never outlives its primary: when the channel closes it exits, for nobody could tell it to stop.
 */
import { config } from '../../config';
import type {
  ClusterBus,
  ClusterFacts,
  LimitBackend,
  OpsDocument,
  OpsSource,
  PinStore,
  ReplyClaim,
  ReplyExchange,
} from '../../lib/cluster-ports';
import { factsAlone, localBus, localExchange, localLimitBackend, localPins } from '../../lib/cluster-ports';
import { log, overrideLogLevel, reopenLogs } from '../../lib/log';
import { PIN_MS } from '../../lib/replica-choice';
import { lifecycle } from '../lifecycle';
import { PendingCalls } from './calls';
import { EXIT } from './exit-codes';
import { LeasedLimits, type Take } from './limits';
import type { DrainReason, FromChild, ToChild } from './messages';
import { isMessage } from './messages';
import { profileSelf } from './self-profile';
import { SelfReport } from './self-report';

const REPORT_MS = 1_000;
/** The primary answers in well under a millisecond; a quarter of a second means that it is in trouble. */
const LIMIT_TIMEOUT_MS = 250;
const BUS_TIMEOUT_MS = 200;
const PIN_TIMEOUT_MS = 250;
const OPS_TIMEOUT_MS = 1_000;
/** Longer than a leader may take before its task goes to another. */
const REPLY_TIMEOUT_MS = 12_000;
const FINAL_TIMEOUT_MS = 1_000;

export interface Grant {
  poolMin: number;
  poolMax: number;
  slot: number;
  /** Answers after which the primary is told `limitReached`; 0 = none. */
  requestLimit: number;
}

export interface Drain {
  reason: DrainReason;
  whole: boolean;
}

export interface PrimaryLink {
  /** False: this process serves alone. */
  readonly connected: boolean;
  readonly limits: LimitBackend;
  readonly bus: ClusterBus;
  readonly replies: ReplyExchange;
  readonly pins: PinStore;
  readonly ops: OpsSource | null;
  facts(): ClusterFacts;
  /** Says hello and waits for the share of the connection budget. */
  hello(): Promise<Grant>;
  ready(address: { host: string; port: number }): void;
  /** This process cannot start: the primary learns why before it sees the exit. Resolves when the words are sent. */
  failed(code: number, message: string): Promise<void>;
  crashing(message: string, requestId: string | null): void;
  onDrain(handler: (drain: Drain) => void): void;
  onResize(handler: (share: { poolMin: number; poolMax: number }) => void): void;
  /** The pool is no larger than the share that {@link onResize} named. */
  resized(max: number): void;
  /** The primary allows this process to leave with its last request, or takes that back. */
  onLimitLeave(handler: (allowed: boolean) => void): void;
  /** The last request is answered. `leaving`: and this process goes now. */
  limitReached(answered: number, leaving: boolean): void;
  /** Sends the last report and snapshot; resolves when the primary has them. */
  final(): Promise<void>;
}

/**
 * @param share what a process without a primary may use of the connection budget
 * @param watchesDatabase false for a child that opens no database
 * @param standalone the process at the other end of the channel is not a primary of ours
 */
export function connectToPrimary({
  share,
  watchesDatabase = true,
  standalone = false,
}: {
  share?: Grant;
  watchesDatabase?: boolean;
  standalone?: boolean;
} = {}): PrimaryLink {
  return process.send && !standalone ? new IpcLink(watchesDatabase) : new LocalLink(share);
}

class LocalLink implements PrimaryLink {
  readonly connected = false;
  readonly limits = localLimitBackend();
  readonly bus = localBus();
  readonly replies = localExchange();
  readonly pins = localPins(PIN_MS);
  readonly ops = null;
  readonly #share: Grant;
  readonly #maintenance = config.MAINTENANCE_MODE ? { reason: null, since: new Date().toISOString() } : null;

  constructor(share: Grant = { poolMin: config.DB_POOL_MIN, poolMax: config.DB_POOL_MAX, slot: 1, requestLimit: 0 }) {
    this.#share = share;
  }

  facts(): ClusterFacts {
    return factsAlone(lifecycle.draining, this.#maintenance);
  }

  async hello(): Promise<Grant> {
    return this.#share;
  }

  ready(): void {}
  async failed(): Promise<void> {}
  crashing(): void {}
  onDrain(): void {}
  onResize(): void {}
  resized(): void {}
  onLimitLeave(): void {}
  limitReached(): void {}
  async final(): Promise<void> {}
}

class IpcLink implements PrimaryLink {
  readonly connected = true;
  readonly limits: LimitBackend;
  readonly bus: ClusterBus;
  readonly replies: ReplyExchange;
  readonly pins: PinStore;
  readonly ops: OpsSource;
  readonly #self: SelfReport;
  readonly #takes = new PendingCalls<Take>();
  readonly #resets = new PendingCalls<void>();
  readonly #publishes = new PendingCalls<void>();
  readonly #claims = new PendingCalls<ReplyClaim>();
  readonly #pinCalls = new PendingCalls<boolean>();
  readonly #documents = new PendingCalls<OpsDocument>();
  readonly #subscribers = new Map<string, Set<(payload: unknown) => void | Promise<void>>>();
  readonly #leases: LeasedLimits;
  #facts: ClusterFacts = {
    scope: 'cluster',
    isWhole: false,
    draining: false,
    maintenance: null,
    logLevel: null,
    repliesSince: performance.timeOrigin,
  };
  #grant: ((grant: Grant) => void) | undefined;
  #drain: ((drain: Drain) => void) | undefined;
  #earlyDrain: Drain | undefined;
  #resize: ((share: { poolMin: number; poolMax: number }) => void) | undefined;
  #limitLeave: ((allowed: boolean) => void) | undefined;
  #finalAck: (() => void) | undefined;
  #reporting: NodeJS.Timeout | undefined;

  constructor(watchesDatabase: boolean) {
    this.#self = new SelfReport({ watchesDatabase });
    process.on('message', (message: unknown) => {
      if (isMessage(message)) this.#receive(message as ToChild);
    });
    process.once('disconnect', () => {
      log.error('the primary is gone; leaving', {});
      process.exit(EXIT.forced);
    });
    this.#leases = new LeasedLimits((question, late) =>
      this.#takes.start(LIMIT_TIMEOUT_MS, (call) => this.#send({ type: 'limit-take', call, question }), late),
    );
    this.limits = {
      take: (key, limit, windowMs, cost) => this.#leases.take(key, limit, windowMs, cost),
      reset: (key) => {
        this.#leases.reset(key);
        return this.#resets.start(LIMIT_TIMEOUT_MS, (call) => this.#send({ type: 'limit-reset', call, key }));
      },
    };
    this.bus = {
      publish: (topic, payload) => this.#publish(topic, payload),
      subscribe: (topic, handler) => this.#subscribe(topic, handler),
    };
    this.replies = {
      claim: (question) => this.#claims.start(REPLY_TIMEOUT_MS, (call) => this.#send({ type: 'reply-claim', call, question })),
      settle: (flight, reply) => this.#send({ type: 'reply-settle', flight, reply }),
    };
    this.pins = {
      pin: async (session) => {
        await this.#pinCalls.start(PIN_TIMEOUT_MS, (call) => this.#send({ type: 'pin', call, session }));
      },
      isPinned: (session) => this.#pinCalls.start(PIN_TIMEOUT_MS, (call) => this.#send({ type: 'pin-ask', call, session })),
    };
    this.ops = {
      get: (what, { windowSeconds = 60, openMetrics = false } = {}) =>
        this.#documents.start(OPS_TIMEOUT_MS, (call) => this.#send({ type: 'ops-get', call, what, windowSeconds, openMetrics })),
    };
  }

  facts(): ClusterFacts {
    return this.#facts;
  }

  hello(): Promise<Grant> {
    return new Promise((resolve) => {
      this.#grant = resolve;
      this.#send({ type: 'hello', pid: process.pid, version: config.APP_VERSION });
      this.#reporting ??= setInterval(() => void this.#report(), REPORT_MS);
    });
  }

  ready({ host, port }: { host: string; port: number }): void {
    // The first report goes first, so that whoever sees a ready worker sees its numbers as well.
    void this.#report().then(() => this.#send({ type: 'ready', host, port }));
  }

  failed(code: number, message: string): Promise<void> {
    return new Promise((resolve) => this.#send({ type: 'failed', code, message }, resolve));
  }

  crashing(message: string, requestId: string | null): void {
    this.#send({ type: 'crashing', message, requestId });
  }

  onDrain(handler: (drain: Drain) => void): void {
    this.#drain = handler;
    if (this.#earlyDrain) handler(this.#earlyDrain);
  }

  onResize(handler: (share: { poolMin: number; poolMax: number }) => void): void {
    this.#resize = handler;
  }

  onLimitLeave(handler: (allowed: boolean) => void): void {
    this.#limitLeave = handler;
  }

  limitReached(answered: number, leaving: boolean): void {
    this.#send({ type: 'limit-reached', answered, leaving });
  }

  resized(max: number): void {
    this.#send({ type: 'resized', max });
  }

  async final(): Promise<void> {
    clearInterval(this.#reporting);
    this.#self.stop();
    const metrics = await this.#self.changedMetrics(true);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, FINAL_TIMEOUT_MS);
      this.#finalAck = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#send({ type: 'final', report: this.#self.collect(), metrics });
    });
  }

  async #report(): Promise<void> {
    try {
      this.#send({ type: 'report', report: this.#self.collect(), metrics: await this.#self.changedMetrics() });
    } catch (error) {
      log.error('reporting to the primary failed', { error });
    }
  }

  async #publish(topic: string, payload: unknown): Promise<void> {
    try {
      await this.#publishes.start(BUS_TIMEOUT_MS, (call) => this.#send({ type: 'bus-publish', call, topic, payload }));
    } catch (error) {
      log.warn('a message was not acknowledged by every process in time', { topic, error });
    }
  }

  #subscribe(topic: string, handler: (payload: unknown) => void | Promise<void>): () => void {
    const handlers = this.#subscribers.get(topic) ?? new Set();
    this.#subscribers.set(topic, handlers);
    handlers.add(handler);
    return () => handlers.delete(handler);
  }

  async #deliver(delivery: number, topic: string, payload: unknown): Promise<void> {
    for (const handler of this.#subscribers.get(topic) ?? []) {
      try {
        await handler(payload);
      } catch (error) {
        log.error('a message handler failed', { topic, error });
      }
    }
    this.#send({ type: 'bus-ack', delivery });
  }

  #receive(message: ToChild): void {
    switch (message.type) {
      case 'grant':
        this.#grant?.(message);
        break;
      case 'limit-leave':
        this.#limitLeave?.(message.allowed);
        break;
      case 'resize':
        this.#resize?.(message);
        break;
      case 'facts':
        this.#facts = message.facts;
        overrideLogLevel(message.facts.logLevel);
        break;
      case 'drain':
        if (this.#drain) this.#drain(message);
        else this.#earlyDrain = message;
        break;
      case 'final-ack':
        this.#finalAck?.();
        break;
      case 'limit-answer':
        this.#takes.finish(message.call, message.take);
        break;
      case 'limit-reset-done':
        this.#resets.finish(message.call, undefined);
        break;
      case 'limit-forget':
        this.#leases.reset(message.key);
        break;
      case 'reply-answer':
        this.#claims.finish(message.call, message.claim);
        break;
      case 'bus-message':
        void this.#deliver(message.delivery, message.topic, message.payload);
        break;
      case 'bus-done':
        this.#publishes.finish(message.call, undefined);
        break;
      case 'pin-answer':
        this.#pinCalls.finish(message.call, message.pinned);
        break;
      case 'ops-answer':
        this.#documents.finish(message.call, message.document);
        break;
      case 'profile':
        void this.#profile(message);
        break;
      case 'reopen-logs':
        this.#reopenLogs();
        break;
      case 'dump':
        log.info('state of this process', { ...(this.#self.latest ?? this.#self.collect()) });
        break;
    }
  }

  /** Lines go on into the file as it was: no reason to fail a request, and even less to end. */
  #reopenLogs(): void {
    try {
      reopenLogs();
    } catch (error) {
      log.error('the log file could not be opened anew', { error });
    }
  }

  async #profile({ call, name, seconds }: Extract<ToChild, { type: 'profile' }>): Promise<void> {
    try {
      this.#send({ type: 'profiled', call, path: await profileSelf({ name, seconds }), problem: null });
    } catch (error) {
      log.error('the profile failed', { error });
      this.#send({ type: 'profiled', call, path: null, problem: (error as Error).message });
    }
  }

  #send(message: FromChild, done?: () => void): void {
    // A closed channel means that the primary is gone, which 'disconnect' deals with.
    if (process.connected) process.send?.(message, undefined, undefined, () => done?.());
    else done?.();
  }
}
