/**
 * Answers what children ask of the primary and are not about their lives: rate limits, the message bus, which
 * sessions wrote, documents of the whole cluster; and keeps what they report about themselves.
 */
import { config } from '../../config';
import { OWED_TOPIC } from '../../lib/cache/backend';
import { INVALIDATION_TOPIC } from '../../lib/cache/memory-replies';
import { ExpiringSet } from '../../lib/cluster-ports';
import { log } from '../../lib/log';
import { PIN_MS } from '../../lib/replica-choice';
import type { OpsDocuments } from '../ops/listener';
import type { Recent } from '../ops/recent';
import { Bus } from './bus';
import { PendingCalls } from './calls';
import { LimitCounters } from './limits';
import type { FromChild, ToChild } from './messages';
import { ReplyShelf } from './reply-shelf';
import { ServerLimit } from './server-limit';
import type { SnapshotStore } from './snapshots';
import type { WorkerHandle } from './worker-handle';

export interface SwitchboardOptions {
  /** All children that live. */
  children: () => readonly WorkerHandle[];
  store: SnapshotStore;
  recent: Recent;
  /** Asked when a child asks, not before. */
  documents: () => OpsDocuments;
  /** {@link Switchboard.repliesSince} has changed. */
  onOwed: () => void;
}

/** Sender of messages that come from no child. */
const PRIMARY = 'primary';
const SETTLE_MS = 1_000;
const MB = 1024 * 1024;

/** By the bus. */
const isReached = ({ state }: WorkerHandle): boolean => state === 'ready' || state === 'draining';

export class Switchboard {
  readonly limits = new LimitCounters(() => performance.now());
  readonly replies = new ReplyShelf({
    port: { answer: (child, call, claim) => this.#send(child, { type: 'reply-answer', call, claim }) },
    maxBytes: config.CACHE_MAX_MB * MB,
  });
  readonly #options: SwitchboardOptions;
  readonly #bus: Bus;
  readonly #serverLimit = new ServerLimit(config);
  /** Sessions that wrote a moment ago, for those that choose between primary and replica. */
  readonly #pins = new ExpiringSet(PIN_MS);
  readonly #barriers = new PendingCalls<void>();
  #repliesSince = performance.timeOrigin;

  constructor(options: SwitchboardOptions) {
    this.#options = options;
    this.#bus = new Bus({
      receivers: () =>
        options
          .children()
          .filter(isReached)
          .map(({ id }) => id),
      deliver: (receiver, delivery, topic, payload) => this.#send(receiver, { type: 'bus-message', delivery, topic, payload }),
      done: (publisher, call) => {
        if (publisher === PRIMARY) this.#barriers.finish(call, undefined);
        else this.#send(publisher, { type: 'bus-done', call });
      },
    });
  }

  /**
   * The last time a write could not be announced to Redis, else our start: children that begin later do not know what is owed, nor
   * what an instance before us owed. Milliseconds since 1970.
   */
  get repliesSince(): number {
    return this.#repliesSince;
  }

  /**
   * Resolves when every child that serves has taken all messages sent to it before, because messages keep their order. One that
   * does not within a moment is stuck, takes no requests, and will have read them before it takes another.
   */
  async settled(): Promise<void> {
    await this.#barriers.start(SETTLE_MS, (call) => this.#bus.publish(PRIMARY, call, 'barrier', null)).catch(() => undefined);
  }

  onMessage(worker: WorkerHandle, message: FromChild): void {
    const { children, store, recent } = this.#options;
    switch (message.type) {
      case 'report':
      case 'final':
        store.push(worker.id, message.metrics);
        recent.add(message.report);
        this.#serverLimit.observe(message.report.db?.server_max ?? null);
        if (message.type === 'final') worker.send({ type: 'final-ack' });
        break;
      case 'limit-take':
        worker.send({ type: 'limit-answer', call: message.call, take: this.limits.take(message.question) });
        break;
      case 'limit-reset':
        this.limits.reset(message.key);
        for (const other of children()) if (other !== worker) other.send({ type: 'limit-forget', key: message.key });
        worker.send({ type: 'limit-reset-done', call: message.call });
        break;
      case 'reply-claim':
        // One that is not served by the bus yet would miss the next write: it computes, and keeps nothing.
        if (isReached(worker)) this.replies.claim(worker.id, message.call, message.question);
        else worker.send({ type: 'reply-answer', call: message.call, claim: { kind: 'busy' } });
        break;
      case 'reply-settle':
        this.replies.settle(worker.id, message.flight, message.reply);
        break;
      case 'pin':
        this.#pins.add(message.session);
        worker.send({ type: 'pin-answer', call: message.call, pinned: true });
        break;
      case 'pin-ask':
        worker.send({ type: 'pin-answer', call: message.call, pinned: this.#pins.has(message.session) });
        break;
      case 'bus-publish':
        // Before the others hear of it: whoever asks after that must not get what was kept before.
        if (message.topic === INVALIDATION_TOPIC) this.replies.invalidate(message.payload as string[]);
        if (message.topic === OWED_TOPIC) this.#noteDebt();
        this.#bus.publish(worker.id, message.call, message.topic, message.payload);
        break;
      case 'bus-ack':
        this.#bus.acknowledge(worker.id, message.delivery);
        break;
      case 'ops-get':
        void this.#answerOps(worker, message);
        break;
      default: // the worker's life: the supervisor's business
        break;
    }
  }

  /** Nothing more can come from this child. */
  forget(worker: WorkerHandle): void {
    this.#bus.forget(worker.id);
    this.replies.forget(worker.id);
  }

  /** Once a second. */
  sweep(): void {
    this.#bus.sweep();
    this.replies.sweep();
  }

  #noteDebt(): void {
    this.#repliesSince = Date.now();
    this.#options.onOwed();
  }

  async #answerOps(
    worker: WorkerHandle,
    { call, what, windowSeconds, openMetrics }: Extract<FromChild, { type: 'ops-get' }>,
  ): Promise<void> {
    try {
      const documents = this.#options.documents();
      const document = what === 'metrics' ? await documents.metrics(openMetrics) : documents.stats(windowSeconds);
      worker.send({ type: 'ops-answer', call, document });
    } catch (error) {
      log.error('an operations document could not be built', { what, error });
    }
  }

  #send(id: string, message: ToChild): void {
    this.#options
      .children()
      .find((child) => child.id === id)
      ?.send(message);
  }
}
