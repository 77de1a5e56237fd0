/**
 * Watches the reads of one request for two patterns: associations loaded with their rows and never read, and
 * "one query, then one more for each of its rows": the same statement, but for its
 * values, sent again and again. One statement for many rows is not that, however many rows it reads; nor is what happens outside a
 * request. Nor is the same read in one shop after another: under row-level security no statement reads two of them, so reads are counted
 * for each shop apart, up to {@link SHOPS_MAX} in one request and together from there on. A watch belongs to one request and dies with
 * it; what it found goes to whoever listens.
 *
 * Cost: a look-up for each read; the call stack is taken at the third repetition only, once.
 */
import { fingerprintOf } from './fingerprint';
import { PROJECT_ROOT } from './project-root';

export const WATCH_MODES = ['off', 'count', 'warn', 'raise'] as const;
export type WatchMode = (typeof WATCH_MODES)[number];

/** Repetitions before the stack is looked at: most requests never get here. */
const STACK_AT = 3;
const STACK_DEPTH = 40;
/** Shops that one request may go through; one that goes through more needs another way, and is told so. */
const SHOPS_MAX = 50;
/** What is read in no shop, and in those beyond the limit. */
const NO_SHOP = '';

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

const READ = /^\s*(select|with)\b/i;

export class ReadWatch {
  readonly #limit: number;
  /** By shop, then by statement. */
  readonly #reads = new Map<string, Map<string, RepeatedRead>>();
  readonly #includes = new Map<string, boolean>();

  /** @param limit equal reads in one request from which on they are reported */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A statement is being sent, in this shop. @returns the repeated read when this repetition reaches the limit, once for each statement */
  sent(text: string, shop: string = NO_SHOP): RepeatedRead | undefined {
    if (!READ.test(text)) return undefined;
    const key = fingerprintOf(text);
    const reads = this.#readsOf(shop) ?? this.#begin(shop);
    const read = reads.get(key);
    if (!read) {
      reads.set(key, { fingerprint: key, callSite: null, repeats: 1, wastedMs: 0 });
      return undefined;
    }
    read.repeats += 1;
    if (read.repeats === STACK_AT) read.callSite = callSite();
    return read.repeats === this.#limit ? read : undefined;
  }

  /** A statement was answered. */
  answered(text: string, ms: number, shop: string = NO_SHOP): void {
    const read = this.#readsOf(shop)?.get(fingerprintOf(text));
    if (read && read.repeats > 1) read.wastedMs += ms;
  }

  #readsOf(shop: string): Map<string, RepeatedRead> | undefined {
    return this.#reads.get(shop) ?? (this.#reads.size >= SHOPS_MAX ? this.#reads.get(NO_SHOP) : undefined);
  }

  #begin(shop: string): Map<string, RepeatedRead> {
    const reads = new Map<string, RepeatedRead>();
    this.#reads.set(this.#reads.size < SHOPS_MAX ? shop : NO_SHOP, reads);
    return reads;
  }

  /**
   * Rows were loaded together with associations: notes for each whether anybody reads it, by an accessor in the place of the value.
   * @param names of the associations, as properties of the rows
   */
  loaded(model: string, rows: readonly IncludedRow[], names: readonly string[]): void {
    for (const name of names) {
      const include = `${model}.${name}`;
      if (!this.#includes.has(include)) this.#includes.set(include, false);
      const read = (): void => void this.#includes.set(include, true);
      for (const row of rows) for (const holder of [row, row.dataValues]) watchProperty(holder, name, read);
    }
  }

  /** Associations that were loaded and not read, as `Model.association`, at the end of the request. */
  unusedIncludes(): string[] {
    return [...this.#includes].filter(([, used]) => !used).map(([include]) => include);
  }

  /** What reached the limit, at the end of the request. */
  repeated(): RepeatedRead[] {
    return [...this.#reads.values()].flatMap((reads) => [...reads.values()]).filter(({ repeats }) => repeats >= this.#limit);
  }
}

/** A model instance, as far as the watch looks at it: Sequelize keeps an association in both places. */
export interface IncludedRow {
  dataValues: object;
}

function watchProperty(holder: object, name: string, read: () => void): void {
  const own = Object.getOwnPropertyDescriptor(holder, name);
  if (!own || !('value' in own) || !own.configurable) return;
  let value: unknown = own.value;
  Object.defineProperty(holder, name, {
    configurable: true,
    enumerable: own.enumerable ?? true,
    get: () => {
      read();
      return value;
    },
    set: (next: unknown) => {
      value = next;
    },
  });
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
