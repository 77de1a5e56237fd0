/**
 * Which slow statement is worth an EXPLAIN: the worst of a stretch of time, at most one in each, and none whose plan was taken
 * lately. Pure but for its memory; who runs the EXPLAIN is `slow-queries.ts`.
 */
import { LRUCache } from 'lru-cache';
import { fingerprintOf } from '../../lib/fingerprint';

/** EXPLAIN knows these; a cursor's FETCH, a COPY or a CALL has no plan of its own. */
const EXPLAINABLE = /^\s*(select|with|insert|update|delete|merge|values)\b/i;
/** A plan changes with its table, not with the hour. */
const KNOWN_FOR_MS = 60 * 60_000;
const KNOWN_MAX = 500;

export interface Candidate {
  text: string;
  ms: number;
  failed: boolean;
}

export class PlanSampler<T extends Candidate> {
  readonly #known: LRUCache<string, true>;
  #worst: T | undefined;

  /** @param now milliseconds, for tests */
  constructor(now: () => number = () => performance.now()) {
    this.#known = new LRUCache({ max: KNOWN_MAX, ttl: KNOWN_FOR_MS, perf: { now }, ttlResolution: 0 });
  }

  /** A slow statement was answered. One that failed may fail again: it is left alone. */
  offer(statement: T): void {
    if (statement.failed || !EXPLAINABLE.test(statement.text)) return;
    if (this.#worst && this.#worst.ms >= statement.ms) return;
    if (!this.#known.has(fingerprintOf(statement.text))) this.#worst = statement;
  }

  /** The worst since the previous call, to be explained now; its values are forgotten here. */
  take(): T | undefined {
    const worst = this.#worst;
    this.#worst = undefined;
    if (worst) this.#known.set(fingerprintOf(worst.text), true);
    return worst;
  }
}
