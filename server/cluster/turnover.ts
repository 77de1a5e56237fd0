/**
 * Replaces workers that still live: all of them in a rolling restart, one that has served enough, one that somebody asked to renew.
 * Decides who is next and when the old one may go; one replacement at a time.
 */
import { log } from '../../lib/log';
import { type End, tellingLine, whyNotReady } from './deaths';
import type { DrainReason } from './messages';
import type { Nursery } from './nursery';
import type { Recycling } from './recycling';
import { Refusal } from './refusal';
import { Replacing } from './replacing';
import type { Respawn } from './respawn';
import { Roll, type RollEnd, type RollStatus } from './roll';
import type { Roster } from './roster';
import type { WorkerHandle } from './worker-handle';

export interface TurnoverOptions {
  /** Rejects with the reason why a new worker would not be sound. */
  checkBuild: () => Promise<void>;
  canaryMs: number;
  now: () => number;
}

export interface TurnoverPort {
  roster: Roster;
  nursery: Nursery;
  respawn: Respawn;
  recycling: Recycling;
  drain(worker: WorkerHandle, reason: DrainReason): void;
  target(): number;
  /** Workers whose slot stays. Who stands in for one of them beyond the target goes without a replacement. */
  staying(): WorkerHandle[];
  /** A worker serves in every slot: an old one may be spared. */
  isWhole(): boolean;
  tick(): void;
  onRollEnd(end: RollEnd): void;
}

/** Longest wait for the last words of a process whose end is known. */
const LAST_WORDS_MS = 500;

export class Turnover {
  readonly #options: TurnoverOptions;
  readonly #port: TurnoverPort;
  readonly #roll: Roll<WorkerHandle>;
  readonly #replacing: Replacing;
  /** Workers that somebody asked to replace: whoever comes after them in their slot is new enough. */
  readonly #renewals = new Set<WorkerHandle>();
  #buildIsBad = false;

  constructor(options: TurnoverOptions, port: TurnoverPort) {
    this.#options = options;
    this.#port = port;
    this.#roll = new Roll(options.canaryMs);
    this.#replacing = new Replacing({
      bringUp: (slot) => port.nursery.bringUp(slot),
      drain: (worker, reason) => port.drain(worker, reason),
    });
  }

  get rollStatus(): RollStatus {
    return this.#roll.status;
  }

  get replacing(): boolean {
    return this.#replacing.current !== null;
  }

  /** Anything at all: then the machine has enough to do. */
  get underWay(): boolean {
    return this.#roll.underWay || this.replacing;
  }

  /** A roll was aborted, and no new worker has got ready since: what would be loaded now is not worth having in reserve. */
  get buildIsBad(): boolean {
    return this.#buildIsBad;
  }

  rollEnded(id: number): Promise<RollEnd> {
    return this.#roll.ended(id);
  }

  /** @throws Refusal when one is under way */
  roll(): { id: number } {
    this.#refuseDuringRoll();
    // It was loaded before whatever the roll is for.
    this.#port.nursery.discardReserve();
    this.#replacing.cancel();
    this.#renewals.clear();
    const id = this.#roll.begin(this.#sparing, this.#options.now());
    log.info('rolling restart begins', { roll: id, workers: this.rollStatus.total });
    this.#options.checkBuild().then(
      () => {
        if (!this.#roll.checked(this.#sparing, this.#options.now())) return;
        // Whatever died before did so of what the roll replaces: empty slots are filled at once, by what it brings.
        this.#port.respawn.reset();
        this.#port.tick();
      },
      (error: unknown) => this.#end('aborted', error instanceof Error ? error.message : String(error)),
    );
    return { id };
  }

  /** `worker` is replaced when no other replacement is under way. @throws Refusal during a roll, which replaces it anyway */
  renew(worker: WorkerHandle): void {
    this.#refuseDuringRoll();
    this.#renewals.add(worker);
  }

  forgoRenewal(worker: WorkerHandle): void {
    this.#renewals.delete(worker);
  }

  /** A worker for an empty slot is on its way; in a roll it loads what the roll brings. */
  onFilled(worker: WorkerHandle): void {
    const { state } = this.#roll.status;
    if (state === 'canary' || state === 'rolling') this.#roll.replacing(worker);
  }

  onReady(worker: WorkerHandle, now: number): void {
    if (worker.kind === 'http') {
      this.#port.recycling.onBoot(now - worker.forkedAt);
      this.#buildIsBad = false;
    }
    const { current } = this.#replacing;
    if (current?.fresh === worker && current.reason !== 'roll') this.#replacing.release(now);
  }

  /** A worker was told to go, or says that it does. */
  onLeaving(worker: WorkerHandle): void {
    this.#replacing.onLeaving(worker);
  }

  /** A worker is gone or, when `end` is not known yet, about to be. `planned`: it was told to. */
  onGone(worker: WorkerHandle, { planned, end }: { planned: boolean; end?: End }, now: number): void {
    this.#replacing.onGone(worker);
    this.#renewals.delete(worker);
    if (planned || !this.#roll.onDeath(worker, now)) return;
    if (worker.failure) this.#end('aborted', worker.failure.message);
    else void this.#abortWithLastWords(worker, end ?? { code: null, signal: null });
  }

  /** Nobody is replaced any more. */
  stop(): void {
    this.#end('aborted', 'the service stops');
  }

  advance(now: number): void {
    this.#continueRoll(now);
    this.#recycle(now);
  }

  #continueRoll(now: number): void {
    if (!this.#roll.underWay) return;
    const workers = this.#port.staying();
    const { current } = this.#replacing;
    if (current) {
      if (current.reason !== 'roll') this.#replacing.hurry();
      else if (this.#roll.mayRelease(current.fresh, now)) this.#replacing.release(now);
      return;
    }
    const next = this.#roll.next(workers, this.#port.target(), now);
    if (next) this.#roll.replacing(this.#replacing.begin(next, 'roll'));
    // Who stands in for one that is not proven yet is old as well, and serves.
    else if (this.#port.isWhole() && this.#roll.isComplete(this.#port.roster.workers, now)) this.#end('completed', null);
  }

  #recycle(now: number): void {
    const { roster, recycling, respawn } = this.#port;
    const workers = this.#port.staying();
    recycling.readMemory(roster.workers, now);
    if (this.#roll.underWay) return;
    this.#replacing.hurryWhenLate(now);
    const asked = workers.find((worker) => worker.state === 'ready' && this.#renewals.has(worker));
    const due = asked ? { worker: asked, reason: 'manual' as const, overdue: true } : recycling.next(workers, now);
    if (!due) return;
    const { current } = this.#replacing;
    if (current) {
      // The old worker itself need not hurry to its last request, but for every other reason it should be gone already.
      if (due.overdue && (due.worker !== current.old || due.reason !== 'max_requests')) this.#replacing.hurry();
      return;
    }
    // While new ones die young a replacement is a trial like any other; the old worker serves on until it has passed.
    if (!this.#port.isWhole() || !respawn.breaker.allowFork(now)) return;
    if (asked) this.#renewals.delete(asked);
    else recycling.begun(now);
    this.#replacing.begin(due.worker, due.reason);
  }

  /** What it printed last may still be in the pipe. */
  async #abortWithLastWords(worker: WorkerHandle, end: End): Promise<void> {
    await worker.tail.ended(LAST_WORDS_MS);
    const words = tellingLine(worker.tail.lines);
    const how = end.signal ?? `code ${end.code}`;
    const why = worker.readyAt === null ? whyNotReady(worker, end) : `a worker ended with ${how} soon after it was ready`;
    this.#end('aborted', words === null ? why : `${why}: ${words}`);
  }

  /** Workers that stay, and that nobody has ended yet. */
  get #sparing(): WorkerHandle[] {
    return this.#port.staying().filter(({ killReason }) => killReason === null);
  }

  #refuseDuringRoll(): void {
    const { id } = this.rollStatus;
    if (this.#roll.underWay) throw new Refusal('roll_under_way', `roll ${id} is under way`, id);
  }

  #end(result: RollEnd['result'], reason: string | null): void {
    const end = this.#roll.end(result, reason, this.#options.now());
    if (!end) return;
    const fields = { roll: this.rollStatus.id, ms: end.ms, reason };
    if (result === 'completed') log.info('rolling restart completed', fields);
    else log.error('rolling restart aborted', fields);
    if (result === 'aborted') {
      this.#buildIsBad = true;
      if (this.#replacing.current?.reason === 'roll') this.#replacing.abandon();
    }
    this.#port.onRollEnd(end);
  }
}
