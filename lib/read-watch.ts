/**
 * Watches the reads of one request for the pattern "one query, then one more for each of its rows": the same statement, but for its
 * values, sent again and again. One statement for many rows is not that, however many rows it reads; nor is what happens outside a
 * request. A watch belongs to one request and dies with it; what it found goes to whoever listens.
 *
 * Cost: a look-up for each read; the call stack is taken at the third repetition only, once.
 */
import { LRUCache } from 'lru-cache';
import { PROJECT_ROOT } from './project-root';

export const WATCH_MODES = ['off', 'count', 'warn', 'raise'] as const;
export type WatchMode = (typeof WATCH_MODES)[number];

/** Repetitions before the stack is looked at: most requests never get here. */
const STACK_AT = 3;
const STACK_DEPTH = 40;

/** The same statement, read too often in one request. */
export interface RepeatedRead {
  /** The statement without literals. */
  fingerprint: string;
  /** First frame of the project outside `lib/`, as `services/x.service.ts:12`; null when the stack shows none. */
  callSite: string | null;
  repeats: number;
  /** Database time of all but the first, milliseconds. */
  wastedMs: number;
}

/** Thrown in mode `raise`, at the repetition that reaches the limit. */
export class RepeatedReadError extends Error {
  readonly read: RepeatedRead;
  constructor(read: RepeatedRead, operation: string) {
    super(`${operation} sends one statement ${read.repeats} times, from ${read.callSite ?? 'an unknown place'}: ${read.fingerprint}`);
    this.name = 'RepeatedReadError';
    this.read = read;
  }
}

/** Replaces literals by `?`, so that statements can be logged and grouped without the values of their rows. */
export function fingerprint(text: string): string {
  return text
    .replace(/'(?:[^']|'')*'/g, '?')
    .replace(/\b\d+(\.\d+)?\b/g, '?')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 500);
}

/** Most statements are constant texts with parameters: each is normalised once for a process. */
const fingerprints = new LRUCache<string, string>({ max: 2_000 });

function fingerprintOnce(text: string): string {
  let known = fingerprints.get(text);
  if (known === undefined) {
    known = fingerprint(text);
    fingerprints.set(text, known);
  }
  return known;
}

const READ = /^\s*(select|with)\b/i;

export class ReadWatch {
  readonly #limit: number;
  readonly #reads = new Map<string, RepeatedRead>();

  /** @param limit equal reads in one request from which on they are reported */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A statement is being sent. @returns the repeated read when this repetition reaches the limit, once for each statement */
  sent(text: string): RepeatedRead | undefined {
    if (!READ.test(text)) return undefined;
    const key = fingerprintOnce(text);
    const read = this.#reads.get(key);
    if (!read) {
      this.#reads.set(key, { fingerprint: key, callSite: null, repeats: 1, wastedMs: 0 });
      return undefined;
    }
    read.repeats += 1;
    if (read.repeats === STACK_AT) read.callSite = callSite();
    return read.repeats === this.#limit ? read : undefined;
  }

  /** A statement was answered. */
  answered(text: string, ms: number): void {
    const read = this.#reads.size > 0 ? this.#reads.get(fingerprintOnce(text)) : undefined;
    if (read && read.repeats > 1) read.wastedMs += ms;
  }

  /** What reached the limit, at the end of the request. */
  repeated(): RepeatedRead[] {
    return [...this.#reads.values()].filter(({ repeats }) => repeats >= this.#limit);
  }
}

const OURS = [`${PROJECT_ROOT}/dist/`, `${PROJECT_ROOT}/`];
const NOT_THE_CALLER = /^(lib|node_modules)\//;

/** Where in the project the statement comes from; the frames of awaiting callers are in the stack too. */
function callSite(): string | null {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = STACK_DEPTH;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  for (const line of stack.split('\n').slice(1)) {
    const [, path = '', number] = /\(?([^\s()]+):(\d+):\d+\)?$/.exec(line) ?? [];
    const root = OURS.find((prefix) => path.startsWith(prefix));
    if (root === undefined) continue;
    const inProject = path.slice(root.length);
    if (!NOT_THE_CALLER.test(inProject)) return `${inProject}:${number}`;
  }
  return null;
}
