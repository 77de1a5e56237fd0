/**
 * Replies in the memory of one process, bounded in bytes, each stored under the version that its tags had BEFORE it was
 * computed. A write raises the version of its tags; what was stored, or is still being computed, under an older one is never
 * answered again. So the classic race (old rows read, write committed and announced, old reply stored) ends in a reply that
 * nobody gets, not in a stale one.
 */
import { LRUCache } from 'lru-cache';

/** A reply without the id of its request: the body in three parts, between which the id stands twice. Survives JSON. */
export interface StoredReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly parts: readonly [string, string, string];
  readonly etag: string | null;
  /** Milliseconds since 1970. */
  readonly storedAt: number;
}

/** What an entry costs beside its body: key, object, the list's links. */
const ENTRY_BYTES = 512;
const MAX_TAGS = 100_000;

export const bytesOf = ({ parts }: StoredReply): number => parts[0].length + parts[1].length + parts[2].length + ENTRY_BYTES;

export class VersionedReplies {
  readonly #replies: LRUCache<string, { version: number; reply: StoredReply }>;
  readonly #changes = new Map<string, number>();
  /** Grows with every change, so the highest version among some tags rises whenever one of them does. */
  #clock = 0;
  /** The version of tags that were never written, or were forgotten. */
  #floor = 0;
  #evictions = 0;

  constructor({ maxBytes, onEvict }: { maxBytes: number; onEvict?: () => void }) {
    this.#replies = new LRUCache({
      maxSize: Math.max(1, maxBytes),
      // Larger ones would push out everything else.
      maxEntrySize: Math.max(1, Math.floor(maxBytes / 8)),
      sizeCalculation: ({ reply }) => bytesOf(reply),
      dispose: (_entry, _key, reason) => {
        if (reason !== 'evict') return;
        this.#evictions += 1;
        onEvict?.();
      },
    });
  }

  get bytes(): number {
    return this.#replies.calculatedSize;
  }

  get evictions(): number {
    return this.#evictions;
  }

  /** One number for the state of all these tags. */
  versionOf(tags: readonly string[]): number {
    return Math.max(this.#floor, ...tags.map((tag) => this.#changes.get(tag) ?? 0));
  }

  /** The reply, when it was stored under this very version. */
  get(key: string, version: number): StoredReply | null {
    const entry = this.#replies.get(key);
    return entry?.version === version ? entry.reply : null;
  }

  /** @param version of the tags before the reply was computed */
  set(key: string, version: number, reply: StoredReply): void {
    // One that was begun before a write and ends after its successor is void already.
    if ((this.#replies.peek(key)?.version ?? version) > version) return;
    this.#replies.set(key, { version, reply });
  }

  invalidate(tags: readonly string[]): void {
    const version = this.#tick();
    // Forgetting single tags would give them back an old version: all are forgotten together, and with them every reply.
    if (this.#changes.size + tags.length > MAX_TAGS) this.clear();
    else for (const tag of tags) this.#changes.set(tag, version);
  }

  /** Makes everything void, also what is being computed. */
  clear(): void {
    this.#floor = this.#tick();
    this.#changes.clear();
    this.#replies.clear();
  }

  #tick(): number {
    this.#clock += 1;
    return this.#clock;
  }
}
