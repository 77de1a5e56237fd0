/**
 * The reply cache as the HTTP layer and the database see it: {@link cachedReply} answers from it or computes, {@link announceWrites}
 * makes replies void. A reply is computed by one request at a time, in this process and, as far as they can agree, in all; the
 * others wait for it. Whatever goes wrong here costs time, never a request.
 */
import { config } from '../../config';
import { clock } from '../clock';
import { log } from '../log';
import { metrics } from '../metrics';
import type { Claim, Look, Policy, ReplyBackend, StoredReply } from './backend';
import { freshnessOf } from './freshness';
import { MemoryReplies } from './memory-replies';
import type { Tag } from './tables';

const MB = 1024 * 1024;

export interface CacheQuestion {
  /** Endpoint id, the label of the metrics. */
  namespace: string;
  key: string;
  tags: readonly Tag[];
  policy: Policy;
  /** Runs once, for everybody who asks meanwhile; so it must not end with one caller. `inBackground`: its caller has its answer already. */
  compute: (inBackground: boolean) => Promise<StoredReply>;
}

/** `miss`: this request computed it. `hit`: it did not. `stale`: older than it should be, and being computed anew. */
export type CacheResult = 'hit' | 'miss' | 'stale';

export interface Answered {
  reply: StoredReply;
  result: CacheResult;
}

let backend: ReplyBackend | null = config.CACHE_MAX_MB > 0 ? new MemoryReplies({ maxBytes: config.CACHE_MAX_MB * MB }) : null;

/** Installed once by the process that serves; null: every reply is computed. */
export function setReplyBackend(replacement: ReplyBackend | null): void {
  backend = replacement;
}

export const replyBackend = (): ReplyBackend | null => backend;

/** Runs of `compute` that others of this process wait for, by key and version: whoever asks after a write does not join one begun before it. */
const flights = new Map<string, Promise<StoredReply>>();

/** @throws what `compute` throws */
export async function cachedReply(question: CacheQuestion): Promise<Answered> {
  const { key, tags, policy, namespace, compute } = question;
  const store = backend;
  if (!store) return { reply: await compute(false), result: 'miss' };
  let look: Look;
  const ended = metrics.cacheLookUpSeconds.startTimer();
  try {
    look = await store.look(key, tags);
  } catch (error) {
    return fallBack(question, error);
  } finally {
    ended();
  }
  const freshness = look.reply ? freshnessOf(look.reply.storedAt, clock.now().getTime(), policy) : 'gone';
  if (look.reply && freshness !== 'gone') {
    const result = freshness === 'fresh' ? 'hit' : 'stale';
    metrics.cacheRequests.inc({ namespace, result });
    if (result === 'stale') void refresh(store, question, look);
    return { reply: look.reply, result };
  }
  return join(store, question, look);
}

async function join(store: ReplyBackend, question: CacheQuestion, look: Look): Promise<Answered> {
  const { namespace, compute } = question;
  const id = `${question.key} ${look.version}`;
  const open = flights.get(id);
  if (open) {
    const reply = await open.catch(() => null);
    // What failed for the first may be its own trouble: each of the others tries for itself.
    if (reply === null) return { reply: await compute(false), result: miss(namespace) };
    return { reply, result: saved(namespace) };
  }
  let computed = false;
  const flight = fly(store, question, look, () => {
    computed = true;
  });
  flights.set(id, flight);
  try {
    const reply = await flight;
    return { reply, result: computed ? miss(namespace) : saved(namespace) };
  } finally {
    flights.delete(id);
  }
}

async function fly(store: ReplyBackend, question: CacheQuestion, look: Look, onCompute: () => void): Promise<StoredReply> {
  const { key, tags, policy, compute } = question;
  const claim = await store.claim({ key, tags, version: look.version, policy, wait: true }).catch((error: unknown) => {
    failed(error);
    return { kind: 'busy' } as const;
  });
  if (claim.kind === 'reply') return claim.reply;
  onCompute();
  return claim.kind === 'busy' ? compute(false) : lead(claim, () => compute(false));
}

/** In the background: the caller has its answer already. */
async function refresh(store: ReplyBackend, { key, tags, policy, compute }: CacheQuestion, { version }: Look): Promise<void> {
  const id = `${key} ${version} refresh`;
  if (flights.has(id)) return;
  const work = (async () => {
    const claim = await store.claim({ key, tags, version, policy, wait: false });
    if (claim.kind === 'reply') return claim.reply;
    if (claim.kind === 'busy') throw new Busy();
    return lead(claim, () => compute(true));
  })();
  flights.set(id, work);
  try {
    await work;
  } catch (error) {
    if (!(error instanceof Busy)) log.warn('a stale reply could not be computed anew', { error });
  } finally {
    flights.delete(id);
  }
}

class Busy extends Error {}

/** Computes for all who wait: what comes of it is kept, and a failure gives the task back. */
async function lead(claim: Extract<Claim, { kind: 'lead' }>, compute: () => Promise<StoredReply>): Promise<StoredReply> {
  try {
    const reply = await compute();
    claim.keep(reply);
    metrics.cacheSets.inc();
    return reply;
  } catch (error) {
    claim.release();
    throw error;
  }
}

const miss = (namespace: string): CacheResult => {
  metrics.cacheRequests.inc({ namespace, result: 'miss' });
  return 'miss';
};
const saved = (namespace: string): CacheResult => {
  metrics.cacheRequests.inc({ namespace, result: 'hit' });
  metrics.cacheStampedesSaved.inc();
  return 'hit';
};

async function fallBack({ namespace, compute }: CacheQuestion, error: unknown): Promise<Answered> {
  failed(error);
  metrics.cacheFallbacks.inc();
  return { reply: await compute(false), result: miss(namespace) };
}

let complained = false;
/** Counted always, logged once in a while: while Redis is away each request comes by here. */
export function failed(error: unknown): void {
  metrics.cacheErrors.inc();
  if (complained) return;
  complained = true;
  log.warn('the reply cache cannot be used', { error });
  setTimeout(() => {
    complained = false;
  }, COMPLAIN_EVERY_MS).unref();
}
const COMPLAIN_EVERY_MS = 10_000;

/** The tags among all that somebody may hold a reply of. Call it after the commit, and before its caller hears of it. Never rejects. */
export async function announceWrites(tags: ReadonlySet<Tag>): Promise<void> {
  if (!backend || tags.size === 0) return;
  metrics.cacheInvalidations.inc(tags.size);
  await backend.invalidate([...tags]);
}
