/**
 * Which requests (or jobs) this process has in hand and which of them ran last, in memory that another thread can read while
 * the event loop is blocked: then it is too late to ask. Written a dozen times per request, so every write is a few stores.
 *
 * "Ran last" is exact to one turn of the event loop at best: it is set wherever a request begins, asks for its context, or
 * goes on after a statement. Which beat of the loop that was is written beside it, so that the reader can tell a fresh mark from an old one.
 */

/** A place in the table together with the number of its use, so that a mark for a request that has ended hits no other one. */
export type Crumb = number;
export const NO_CRUMB: Crumb = -1;

const SLOTS = 256;
const SLOT_BYTES = 64;
const ROUTES = 512;
const ROUTE_BYTES = 64;
const HEADER_BYTES = 64;
const ROUTES_AT = HEADER_BYTES;
const SLOTS_AT = ROUTES_AT + ROUTES * ROUTE_BYTES;
const MEMORY_BYTES = SLOTS_AT + SLOTS * SLOT_BYTES;

/** Words of the header. */
const BEATS = 0;
const CURRENT = 1;
const CURRENT_BEAT = 2;
const FLAGS = 3;

/** Words of a slot; the id follows. */
const USED = 0;
const ROUTE = 1;
const STARTED_WORD = 2;
const ID_LENGTH = 4;
const ID_AT = 20;
const ID_MAX = SLOT_BYTES - ID_AT;

const WORD = 4;
const wordOf = (slot: number): number => (SLOTS_AT + slot * SLOT_BYTES) / WORD;

export interface InHand {
  id: string | null;
  route: string | null;
  /** Milliseconds since it began. */
  age: number;
}

export interface CrumbReading {
  beats: number;
  /** Oldest first. */
  inHand: InHand[];
  /** The one that ran last, when it has not ended. `fresh`: it ran within the beat in which the loop stopped. */
  last: (InHand & { fresh: boolean }) | null;
}

export class Breadcrumbs {
  readonly memory = new SharedArrayBuffer(MEMORY_BYTES);
  readonly #words = new Int32Array(this.memory);
  readonly #times = new Float64Array(this.memory);
  readonly #bytes = Buffer.from(this.memory);
  readonly #free = Array.from({ length: SLOTS }, (_, index) => SLOTS - 1 - index);
  readonly #uses = new Int32Array(SLOTS);
  readonly #routes = new Map<string, number>();
  #watched = false;

  /** Until somebody watches, nothing is kept and every call returns at once. */
  watch(): void {
    this.#watched = true;
  }

  /** Something begins, and runs. @returns NO_CRUMB when nobody watches or the table is full */
  enter(now = performance.now()): Crumb {
    if (!this.#watched) return NO_CRUMB;
    const slot = this.#free.pop();
    if (slot === undefined) {
      this.resume(NO_CRUMB);
      return NO_CRUMB;
    }
    const word = wordOf(slot);
    this.#words[word + ROUTE] = 0;
    this.#words[word + ID_LENGTH] = 0;
    this.#times[(word + STARTED_WORD) / 2] = now;
    Atomics.store(this.#words, word + USED, 1);
    const uses = (this.#uses[slot] ?? 0) & 0x3fffff;
    const crumb = uses * SLOTS + slot;
    this.resume(crumb);
    return crumb;
  }

  setId(crumb: Crumb, id: string): void {
    if (!this.#isOpen(crumb)) return;
    const slot = crumb % SLOTS;
    this.#words[wordOf(slot) + ID_LENGTH] = this.#bytes.write(id, SLOTS_AT + slot * SLOT_BYTES + ID_AT, ID_MAX, 'latin1');
  }

  setRoute(crumb: Crumb, route: string): void {
    if (this.#isOpen(crumb)) this.#words[wordOf(crumb % SLOTS) + ROUTE] = this.#numberOf(route);
  }

  /** It runs now. One that has no place in the table runs too: then none of those in it ran last. */
  resume(crumb: Crumb): void {
    if (!this.#watched) return;
    Atomics.store(this.#words, CURRENT, this.#isOpen(crumb) ? (crumb % SLOTS) + 1 : 0);
    this.#words[CURRENT_BEAT] = this.#words[BEATS] ?? 0;
  }

  leave(crumb: Crumb): void {
    if (!this.#isOpen(crumb)) return;
    const slot = crumb % SLOTS;
    if (this.#words[CURRENT] === slot + 1) Atomics.store(this.#words, CURRENT, 0);
    Atomics.store(this.#words, wordOf(slot) + USED, 0);
    this.#uses[slot] = (this.#uses[slot] ?? 0) + 1;
    this.#free.push(slot);
  }

  /** The event loop turns. */
  beat(): void {
    Atomics.add(this.#words, BEATS, 1);
  }

  /** Bits that the owner of the memory tells its reader. */
  set flags(flags: number) {
    Atomics.store(this.#words, FLAGS, flags);
  }

  #isOpen(crumb: Crumb): boolean {
    return crumb >= 0 && ((this.#uses[crumb % SLOTS] ?? 0) & 0x3fffff) === Math.floor(crumb / SLOTS);
  }

  /** Routes are few and come again: each is written out once. 0 = none, or one too many. */
  #numberOf(route: string): number {
    const known = this.#routes.get(route);
    if (known !== undefined) return known;
    if (this.#routes.size >= ROUTES - 1) return 0;
    const number = this.#routes.size + 1;
    this.#routes.set(route, number);
    const at = ROUTES_AT + number * ROUTE_BYTES;
    this.#bytes[at] = this.#bytes.write(route, at + 1, ROUTE_BYTES - 1, 'latin1');
    return number;
  }
}

/** The other side of {@link Breadcrumbs}, for any thread that holds the memory. */
export class CrumbReader {
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  readonly #bytes: Buffer;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#times = new Float64Array(memory);
    this.#bytes = Buffer.from(memory);
  }

  get beats(): number {
    return Atomics.load(this.#words, BEATS);
  }

  get flags(): number {
    return Atomics.load(this.#words, FLAGS);
  }

  /** @param now on the writer's clock */
  read(now: number): CrumbReading {
    const beats = this.beats;
    const inHand: InHand[] = [];
    for (let slot = 0; slot < SLOTS; slot += 1)
      if (Atomics.load(this.#words, wordOf(slot) + USED) === 1) inHand.push(this.#slot(slot, now));
    const current = Atomics.load(this.#words, CURRENT) - 1;
    const isOpen = current >= 0 && Atomics.load(this.#words, wordOf(current) + USED) === 1;
    return {
      beats,
      inHand: inHand.sort((a, b) => b.age - a.age),
      last: isOpen ? { ...this.#slot(current, now), fresh: this.#words[CURRENT_BEAT] === beats } : null,
    };
  }

  #slot(slot: number, now: number): InHand {
    const word = wordOf(slot);
    const at = SLOTS_AT + slot * SLOT_BYTES + ID_AT;
    const length = this.#words[word + ID_LENGTH] ?? 0;
    return {
      id: length === 0 ? null : this.#bytes.toString('latin1', at, at + length),
      route: this.#routeOf(this.#words[word + ROUTE] ?? 0),
      age: Math.max(0, Math.round(now - (this.#times[(word + STARTED_WORD) / 2] ?? now))),
    };
  }

  #routeOf(number: number): string | null {
    if (number === 0) return null;
    const at = ROUTES_AT + number * ROUTE_BYTES;
    return this.#bytes.toString('latin1', at + 1, at + 1 + (this.#bytes[at] ?? 0));
  }
}

/** Those of this process. */
export const breadcrumbs = new Breadcrumbs();
