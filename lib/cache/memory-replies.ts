/**
 * Replies in this process's own memory. Its neighbours hear of every write by the bus, and hand over what they have computed by
 * the exchange. The order of messages of one channel is what makes this right: a reply handed over after a write was announced
 * arrives after the announcement.
 */
import { type ClusterBus, localBus, localExchange, type ReplyExchange } from '../cluster-ports';
import { metrics } from '../metrics';
import type { Claim, ClaimOptions, Look, ReplyBackend } from './backend';
import { VersionedReplies } from './versioned-replies';

/** Topic of the bus: a list of tags. The primary listens too, for the replies that it holds. */
export const INVALIDATION_TOPIC = 'replies-void';

export interface Neighbours {
  bus: ClusterBus;
  exchange: ReplyExchange;
}

export class MemoryReplies implements ReplyBackend {
  readonly name = 'memory';
  readonly ready = true;
  readonly #replies: VersionedReplies;
  readonly #bus: ClusterBus;
  readonly #exchange: ReplyExchange;
  readonly #unsubscribe: () => void;

  constructor({ maxBytes, neighbours = { bus: localBus(), exchange: localExchange() } }: { maxBytes: number; neighbours?: Neighbours }) {
    this.#replies = new VersionedReplies({ maxBytes, onEvict: () => metrics.cacheEvictions.inc() });
    this.#bus = neighbours.bus;
    this.#exchange = neighbours.exchange;
    this.#unsubscribe = this.#bus.subscribe(INVALIDATION_TOPIC, (tags) => this.#replies.invalidate(tags as string[]));
  }

  usage(): { bytes: number; evictions: number } {
    return { bytes: this.#replies.bytes, evictions: this.#replies.evictions };
  }

  look(key: string, tags: readonly string[]): Look {
    const version = this.#replies.versionOf(tags);
    return { reply: this.#replies.get(key, version), version: String(version) };
  }

  async claim({ key, tags, version, policy, wait }: ClaimOptions): Promise<Claim> {
    const claim = await this.#exchange.claim({ key, tags, freshMs: policy.freshMs, wait });
    switch (claim.kind) {
      case 'reply':
        this.#replies.set(key, Number(version), claim.reply);
        return claim;
      case 'lead':
        return {
          kind: 'lead',
          keep: (reply) => {
            this.#replies.set(key, Number(version), reply);
            this.#exchange.settle(claim.flight, reply);
          },
          release: () => this.#exchange.settle(claim.flight, null),
        };
      case 'busy':
        return claim;
    }
  }

  async invalidate(tags: readonly string[]): Promise<void> {
    this.#replies.invalidate(tags);
    await this.#bus.publish(INVALIDATION_TOPIC, tags);
  }

  /** Makes everything void, in this process alone. */
  clear(): void {
    this.#replies.clear();
  }

  close(): void {
    this.#unsubscribe();
  }
}
