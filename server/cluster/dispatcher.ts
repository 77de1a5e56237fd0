/**
 * Gives accepted connections to workers and answers for each of them until a worker has it. A worker has at most one on its way:
 * the others wait here, where they can still go to whoever is free first, and a stuck worker holds up one. What a dead or
 * stalled worker did not take goes to another; what nobody can take for too long is refused.
 *
 * Knows nothing of sockets: `Accepted` is one, and the listener (public-listener.ts) makes it.
 */
import type { ChildProcess } from 'node:child_process';
import { log } from '../../lib/log';
import { type Candidate, chooseWorker } from './dispatch';
import { type FromTaker, isFromTaker, monotonicMs, TAKE_BACK_MS, type ToTaker } from './handover';
import type { Report } from './messages';
import { excesses } from './rebalance';
import { weightsOf } from './sluggish';
import type { WorkerHandle } from './worker-handle';

/** A connection of which nothing has been read. */
export interface Accepted {
  /** What is sent over the channel. */
  readonly handle: unknown;
  /** The peer, when connections are counted by address. */
  readonly address: string | null;
  /** Lets go of this process's copy. */
  close(): void;
  /** Answers 503 and ends the connection. */
  refuse(): void;
}

export type TakingChild = Pick<ChildProcess, 'pid' | 'connected' | 'on' | 'once'> & {
  send(message: ToTaker, handle: never, options: { keepOpen: boolean }, done: (error: Error | null) => void): boolean;
};

type Taker = Pick<WorkerHandle, 'pid' | 'state' | 'drain' | 'killReason'> & {
  readonly stalledSince?: number | null;
  readonly resting?: boolean;
  readonly report?: Pick<Report, 'typical_ms'> | null;
};

interface Waiting {
  readonly connection: Accepted;
  since: number;
  tries: number;
}

export interface DispatcherOptions {
  /** Connections that one worker holds at most. */
  maxConnections: number;
  /** Connections of one address over all workers; 0 = any number. */
  maxPerAddress: number;
  now?: () => number;
}

export interface DispatchNumbers {
  accepted: number;
  /** Held by workers, or on their way to one. */
  live: number;
  /** On their way. */
  unacked: number;
  /** Waiting for a worker that is free. */
  waiting: number;
  regiven: number;
  refused: number;
}

/** A connection that waited for this long is refused: its client had better ask another instance. */
const HOLD_MS = 10_000;
/** So many may wait; each holds a descriptor. */
const HOLD_MAX = 2_000;
/** After so many workers that could not take it, the fault is with the connection. */
const MAX_TRIES = 5;
/** What a worker still said is in the channel when its exit is known: read it first. */
const READ_REST_MS = 50;
/** A tick that comes so late was held up by this process itself. Less than TAKE_BACK_MS, or a connection could be given twice. */
const LATE_TICK_MS = 1_000;
/** How often shares are compared. What is uneven twice in a row is evened out: short connections come and go. */
const REBALANCE_MS = 1_000;
/** For so long a worker works towards one goal: some who were let go have not come back yet, which makes all shares look smaller. */
const GOAL_MS = 5_000;
/** A worker that nothing can be sent to is left alone for so long; mostly its exit follows. */
const BROKEN_MS = 1_000;

class Lane implements Candidate {
  readonly child: TakingChild;
  worker: Taker | null = null;
  live = 0;
  given: { number: number; waiting: Waiting; at: number } | null = null;
  /** A connection that was taken back; the worker has not answered for it. */
  owed: number | null = null;
  /** Since when nothing can be sent to it. */
  brokenSince: number | null = null;
  weight = 1;
  givenAt = Number.NEGATIVE_INFINITY;
  /** By how many it held too many when the shares were last compared. */
  excess = 0;
  /** How many it is to keep, and since when; null while it has no reason to let any go. */
  goal: { keeps: number; since: number } | null = null;
  /** How many it was told to let go. */
  released = 0;
  /** It was said in the log that it holds too many, and it does since. */
  noted = false;
  readonly addresses = new Map<number, string>();

  constructor(child: TakingChild) {
    this.child = child;
  }

  /** Sends what comes without a connection. */
  tell(message: ToTaker): void {
    if (this.child.connected) this.child.send(message, undefined as never, { keepOpen: false }, ignore);
  }

  get serving(): boolean {
    const { worker } = this;
    if (!worker || this.brokenSince !== null || worker.killReason !== null || !this.child.connected) return false;
    return worker.state === 'ready' || (worker.state === 'draining' && worker.drain?.reason === 'stop');
  }

  get untakenSince(): number | null {
    return this.owed === null ? (this.given?.at ?? null) : Number.NEGATIVE_INFINITY;
  }

  get stalledSince(): number | null {
    return this.worker?.stalledSince ?? null;
  }

  get resting(): boolean {
    return this.worker?.resting ?? false;
  }
}

export class Dispatcher {
  readonly #options: Required<DispatcherOptions>;
  readonly #lanes: Lane[] = [];
  #queue: Waiting[] = [];
  readonly #byAddress = new Map<string, number>();
  #tickedAt: number;
  #comparedAt: number;
  #turn = 0;
  #number = 0;
  #accepted = 0;
  #regiven = 0;
  #refused = 0;

  constructor(options: DispatcherOptions) {
    this.#options = { now: () => performance.now(), ...options };
    this.#tickedAt = this.#options.now();
    this.#comparedAt = this.#tickedAt;
  }

  get numbers(): DispatchNumbers {
    const sum = (read: (lane: Lane) => number) => this.#lanes.reduce((total, lane) => total + read(lane), 0);
    return {
      accepted: this.#accepted,
      live: sum(({ live }) => live),
      unacked: sum(({ given }) => (given ? 1 : 0)),
      waiting: this.#queue.length,
      regiven: this.#regiven,
      refused: this.#refused,
    };
  }

  /** Connections that each serving worker holds, for the skew. */
  get shares(): number[] {
    return this.#lanes.filter(({ serving }) => serving).map(({ live }) => live);
  }

  /** Process ids of workers that get fewer connections, because they are slower than the others. */
  get slow(): number[] {
    return this.#lanes.filter(({ serving, weight }) => serving && weight > 1).flatMap(({ child }) => child.pid ?? []);
  }

  /** A child that will take connections once it is ready. Call right after the fork. */
  follow(child: TakingChild): void {
    const lane = new Lane(child);
    this.#lanes.push(lane);
    child.on('message', (message: unknown) => {
      if (isFromTaker(message)) this.#hear(lane, message);
    });
    // After the next look at the channels, should this process have stood still for as long.
    child.once('exit', () => setTimeout(() => setImmediate(() => this.#bury(lane)), READ_REST_MS));
  }

  /** The workers or their states have changed. */
  update(workers: readonly Taker[]): void {
    for (const worker of workers) {
      const lane = this.#lanes.find(({ child }) => child.pid === worker.pid);
      if (lane) lane.worker = worker;
    }
    this.#pump();
  }

  accept(connection: Accepted): void {
    this.#accepted += 1;
    if (this.#queue.length >= HOLD_MAX || !this.#enter(connection.address)) {
      this.#refuse(connection);
      return;
    }
    this.#queue.push({ connection, since: this.#options.now(), tries: 0 });
    this.#pump();
  }

  /** Takes back what was not taken in time, and refuses what waited too long. Call a few times a second. */
  tick(): void {
    const now = this.#options.now();
    const gap = now - this.#tickedAt;
    this.#tickedAt = now;
    if (gap >= LATE_TICK_MS) {
      this.#excuse(gap);
      return;
    }
    for (const lane of this.#lanes) {
      if (lane.brokenSince !== null && now - lane.brokenSince >= BROKEN_MS) lane.brokenSince = null;
      if (lane.given && now - lane.given.at >= TAKE_BACK_MS) {
        lane.owed = lane.given.number;
        // Without the connection: it is answered like any other that the worker cannot take, and then nothing is owed. A worker that
        // had no descriptor left has never heard of the first.
        lane.tell({ give: lane.owed, at: 0 });
        this.#takeBack(lane);
      }
    }
    this.#queue = this.#queue.filter((waiting) => {
      if (now - waiting.since < HOLD_MS) return true;
      this.#drop(waiting);
      return false;
    });
    this.#weigh();
    if (now - this.#comparedAt >= REBALANCE_MS) {
      this.#comparedAt = now;
      this.#rebalance(now);
    }
    this.#pump();
  }

  /** Nothing will be accepted any more: tells the workers so, behind all that was given to them, and refuses what still waits. */
  end(): void {
    for (const waiting of this.#queue.splice(0)) this.#drop(waiting);
    for (const lane of this.#lanes) lane.tell({ last: true });
  }

  /** This process stood still: what was answered meanwhile is not read yet, and nobody is blamed for the time. */
  #excuse(gap: number): void {
    for (const { given } of this.#lanes) if (given) given.at += gap;
    for (const waiting of this.#queue) waiting.since += gap;
  }

  /** Reports come once a second. */
  #weigh(): void {
    const serving = this.#lanes.filter((lane) => lane.serving);
    const paces = serving.map(({ worker, weight }) => ({ typicalMs: worker?.report?.typical_ms ?? null, weight }));
    const weights = weightsOf(paces);
    for (const [index, lane] of serving.entries()) {
      const weight = weights[index] as number;
      if (weight > 1 !== lane.weight > 1)
        log.warn(weight > 1 ? 'a worker is slower than the others and gets fewer connections' : 'a worker is as fast as the others again', {
          worker_pid: lane.child.pid,
          typical_ms: paces.map(({ typicalMs }) => typicalMs),
        });
      lane.weight = weight;
    }
  }

  #rebalance(now: number): void {
    const equals = this.#lanes.filter(
      ({ serving, weight, resting, stalledSince }) => serving && weight === 1 && !resting && stalledSince === null,
    );
    const lives = equals.map(({ live }) => live);
    // What a worker that leaves still holds comes to the others by itself.
    const settled = this.#lanes.every(({ serving, live }) => serving || live === 0);
    const found = settled ? excesses(lives) : [];
    for (const lane of this.#lanes) {
      const excess = found[equals.indexOf(lane)] ?? 0;
      const release = Math.min(excess, lane.excess);
      lane.excess = excess;
      if (excess === 0) lane.noted = false;
      if (lane.goal && now - lane.goal.since >= GOAL_MS) lane.goal = null;
      else if (!lane.goal && release > 0) {
        if (!lane.noted)
          log.info('a worker holds more connections than the others and lets some go', {
            worker_pid: lane.child.pid,
            release,
            live: lives,
          });
        lane.noted = true;
        lane.goal = { keeps: lane.live - release, since: now };
      }
      this.#pursue(lane, excess);
    }
  }

  /** Tells the worker how many connections are still to go: no more than its goal says, nor than it holds too many now. */
  #pursue(lane: Lane, excess: number): void {
    const release = lane.goal ? Math.min(Math.max(0, lane.live - lane.goal.keeps), excess) : 0;
    if (release === 0 && lane.released === 0) return;
    lane.released = release;
    lane.tell({ release });
  }

  #pump(): void {
    while (this.#queue.length > 0) {
      const { now, maxConnections } = { now: this.#options.now(), maxConnections: this.#options.maxConnections };
      const index = chooseWorker(this.#lanes, { now, turn: this.#turn, max: maxConnections });
      const lane = this.#lanes[index];
      if (!lane) return;
      this.#turn = (index + 1) % this.#lanes.length;
      this.#give(lane, this.#queue.shift() as Waiting, now);
    }
  }

  #give(lane: Lane, waiting: Waiting, now: number): void {
    this.#number += 1;
    const number = this.#number;
    waiting.tries += 1;
    lane.given = { number, waiting, at: now };
    lane.givenAt = now;
    lane.live += 1;
    lane.child.send({ give: number, at: Math.floor(monotonicMs()) }, waiting.connection.handle as never, { keepOpen: true }, (error) => {
      if (!error) return;
      lane.brokenSince = this.#options.now();
      if (lane.given?.number === number) this.#takeBack(lane);
    });
  }

  #hear(lane: Lane, { took, refused, closed }: FromTaker): void {
    const { given } = lane;
    if (took !== undefined && given?.number === took) {
      lane.given = null;
      if (given.waiting.connection.address !== null) lane.addresses.set(took, given.waiting.connection.address);
      given.waiting.connection.close();
    } else if (took !== undefined && lane.owed === took) {
      lane.owed = null;
      lane.live += 1;
      log.error('a connection was taken after it had been given to another worker', { worker_pid: lane.child.pid });
    } else if (refused !== undefined && given?.number === refused) {
      this.#takeBack(lane);
    } else if (refused !== undefined && lane.owed === refused) {
      lane.owed = null;
    }
    lane.live -= closed.length;
    for (const number of closed) this.#leave(lane.addresses, number);
    this.#pump();
  }

  /** What was given and not taken goes to the front of the queue: it has waited longest. */
  #takeBack(lane: Lane): void {
    const { given } = lane;
    if (!given) return;
    lane.given = null;
    lane.live -= 1;
    if (given.waiting.tries >= MAX_TRIES) {
      this.#drop(given.waiting);
      return;
    }
    this.#regiven += 1;
    this.#queue.unshift(given.waiting);
    this.#pump();
  }

  #bury(lane: Lane): void {
    this.#lanes.splice(this.#lanes.indexOf(lane), 1);
    for (const number of [...lane.addresses.keys()]) this.#leave(lane.addresses, number);
    this.#takeBack(lane);
  }

  #enter(address: string | null): boolean {
    if (address === null) return true;
    const held = this.#byAddress.get(address) ?? 0;
    if (held >= this.#options.maxPerAddress) return false;
    this.#byAddress.set(address, held + 1);
    return true;
  }

  #leave(addresses: Map<number, string>, number: number): void {
    const address = addresses.get(number);
    if (address === undefined) return;
    addresses.delete(number);
    this.#release(address);
  }

  #release(address: string | null): void {
    if (address === null) return;
    const held = (this.#byAddress.get(address) ?? 1) - 1;
    if (held > 0) this.#byAddress.set(address, held);
    else this.#byAddress.delete(address);
  }

  #drop({ connection }: Waiting): void {
    this.#release(connection.address);
    this.#refuse(connection);
  }

  #refuse(connection: Accepted): void {
    this.#refused += 1;
    connection.refuse();
  }
}

const ignore = (): void => undefined;
