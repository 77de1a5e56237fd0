/** Where replies are kept: the memory of the processes of one instance, or Redis. What both promise, in one interface. */
import type { Freshness, Policy } from './freshness';
import type { StoredReply } from './versioned-replies';

/** The tags of writes that Redis did not take, told to the other processes of the instance. */
export const OWED_TOPIC = 'replies-owed';

export interface Look {
  /** Not void by any write that was announced before; its age is another matter. */
  readonly reply: StoredReply | null;
  /** The state of the tags before anything is computed. */
  readonly version: string;
}

export interface ClaimOptions {
  readonly key: string;
  readonly tags: readonly string[];
  readonly version: string;
  readonly policy: Policy;
  readonly wait: boolean;
}

export type Claim =
  /** Somebody else had it, or has just computed it. */
  | { readonly kind: 'reply'; readonly reply: StoredReply }
  /** Compute it; `keep` stores it under the version of the look, `release` gives the task back. */
  | { readonly kind: 'lead'; keep(reply: StoredReply): void; release(): void }
  | { readonly kind: 'busy' };

export interface ReplyBackend {
  readonly name: 'memory' | 'redis';
  /** False while it cannot be asked. */
  readonly ready: boolean;
  /** Bytes kept and entries pushed out by others, as known now; null before they are. */
  usage(): { bytes: number | null; evictions: number | null };
  look(key: string, tags: readonly string[]): Look | Promise<Look>;
  claim(options: ClaimOptions): Promise<Claim>;
  /** Resolves when no process answers a reply with one of these tags that was stored, or begun, before. Never rejects. */
  invalidate(tags: readonly string[]): Promise<void>;
}

export type { Freshness, Policy, StoredReply };
