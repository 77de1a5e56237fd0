/**
 * Keeps the target number of workers (and the job process) alive. All decisions are taken in `tick` and in reaction to
 * messages and exits, from an injected clock and an injected `spawn`, so they are tested without processes. The rules are in
 * files of their own: shares, deadlines, deaths, respawn, recycling, roll, start-verdict; this one ties them together.
 *
 * Replacing is one mechanism for recycling, rolling and later scaling: the new worker is ready first, then the old one
 * is told to drain; one replacement at a time, because the connection budget holds one surge share.
 */
import { log } from '../../lib/log';
import type { Breaker } from './breaker';
import type { Division, Ledger } from './budget';
import { Attendance, beginDrain, excuse, hurry, overdue } from './deadlines';
import { DeathBooks, type End, logExit, reasonOf, wasCutOff, wasPlanned, whyNotReady } from './deaths';
import { EXIT } from './exit-codes';
import type { DrainReason, FromChild } from './messages';
import { JOBS_SLOT, Nursery } from './nursery';
import { Recycling } from './recycling';
import { Refusal } from './refusal';
import { Respawn } from './respawn';
import type { RollEnd, RollStatus } from './roll';
import { Roster } from './roster';
import { Shares } from './shares';
import { emptySlots, surplus, unserved } from './slots';
import { type FirstDeath, judgeStart } from './start-verdict';
import { type Phase, type SupervisorEvents, type SupervisorOptions, withDefaults } from './supervisor-options';
import { Turnover } from './turnover';
import type { DeathReason, LastExit, WorkerHandle } from './worker-handle';
import { isBooting } from './worker-state';

export class Supervisor {
  readonly #options: Required<SupervisorOptions>;
  readonly #events: SupervisorEvents;
  readonly #roster = new Roster();
  readonly #shares: Shares;
  readonly #respawn: Respawn;
  readonly #recycling: Recycling;
  readonly #deaths = new DeathBooks();
  readonly #attendance = new Attendance();
  readonly #nursery: Nursery;
  readonly #turnover: Turnover;
  #target: number;
  #phase: Phase = 'starting';
  #startedAt = 0;
  #firstDeaths: FirstDeath[] = [];
  #forced = false;

  constructor(options: SupervisorOptions, events: SupervisorEvents) {
    this.#options = withDefaults(options);
    this.#events = events;
    this.#target = options.workers;
    this.#shares = new Shares(this.#options, this.#roster);
    this.#respawn = new Respawn(this.#options);
    this.#recycling = new Recycling(this.#options);
    const parts = { roster: this.#roster, respawn: this.#respawn, recycling: this.#recycling };
    this.#nursery = new Nursery(this.#options, parts, {
      onMessage: (worker, message) => this.#receive(worker, message),
      onExit: (worker, code, signal) => this.#bury(worker, { code, signal }),
      onSettled: (worker) => this.#events.onSettled(worker),
    });
    this.#turnover = new Turnover(this.#options, {
      ...parts,
      nursery: this.#nursery,
      drain: (worker, reason) => this.#drain(worker, reason),
      target: () => this.#target,
      staying: () => this.workers.filter(({ slot }) => slot <= this.#target),
      isWhole: () => this.isWhole,
      tick: () => this.tick(),
      onRollEnd: ({ result }) => this.#onRollEnd(result),
    });
  }

  get target(): number {
    return this.#target;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** HTTP workers that are not gone, by slot. */
  get workers(): WorkerHandle[] {
    return this.#roster.workers;
  }

  get jobProcess(): WorkerHandle | null {
    return this.#roster.jobProcess;
  }

  /** All children that have a task: workers and the job process, not the reserve. */
  get children(): WorkerHandle[] {
    return this.#roster.children;
  }

  /** The worker in reserve: loaded, or loading, without a slot, a share of the budget or a listener. */
  get standby(): WorkerHandle | null {
    return this.#roster.standby;
  }

  get ready(): number {
    return this.#roster.ready;
  }

  /** A worker serves in every slot. */
  get isWhole(): boolean {
    return unserved(this.#target, this.workers, ({ serving }) => serving) === 0;
  }

  get breaker(): Breaker {
    return this.#respawn.breaker;
  }

  get ledger(): Ledger {
    return this.#shares.ledger;
  }

  get division(): Division {
    return this.#shares.division;
  }

  get lastExit(): LastExit | null {
    return this.#deaths.last;
  }

  lastExitOf(slot: number): LastExit | null {
    return this.#deaths.lastOf(slot);
  }

  get restarts(): ReadonlyMap<DeathReason, number> {
    return this.#deaths.restarts;
  }

  get rollStatus(): RollStatus {
    return this.#turnover.rollStatus;
  }

  start(): void {
    this.#startedAt = this.#options.now();
    for (const slot of emptySlots(this.#target, [])) this.#nursery.spawn('http', slot);
  }

  /** Deadlines, recycling, respawning. Cheap: call it about ten times a second and after every event. */
  tick(): void {
    if (this.#phase === 'stopped') return;
    const now = this.#options.now();
    this.#excuseUnattended(now);
    this.#enforceDeadlines(now);
    this.#shares.grantWaiting(now);
    if (this.#phase === 'stopping') return;
    if (this.#phase === 'starting') this.#concludeStart(now);
    if (this.#phase !== 'running') return;
    this.#respawn.observe(this.#target, this.workers, now);
    this.#fillSlots(now);
    this.#keepJobs(now);
    this.#keepStandby(now);
    this.#shares.rebalance({ target: this.#target, replacing: this.#turnover.replacing });
    this.#letSurplusGo(now);
    this.#turnover.advance(now);
    this.#shares.grantWaiting(now);
  }

  /**
   * Replaces every worker, one by one; stops at the first replacement that does not become ready or dies young.
   * @throws Refusal when one is under way, or when the service is starting or stopping
   */
  roll(): { id: number } {
    if (this.#phase !== 'running') throw new Refusal('not_running', `the service is ${this.#phase}`);
    const begun = this.#turnover.roll();
    this.tick();
    return begun;
  }

  /** How roll `id` ends, or ended. @throws RangeError when it is neither the present nor the last one */
  rollEnded(id: number): Promise<RollEnd> {
    return this.#turnover.rollEnded(id);
  }

  /** Replaces the worker of one slot as soon as no other replacement is under way. @throws Refusal */
  recycle(slot: number): void {
    const worker = this.#serving(slot);
    if (slot > this.#target) throw new Refusal('no_such_worker', `the worker in slot ${slot} leaves as soon as the others do without it`);
    this.#turnover.renew(worker);
    this.tick();
  }

  /** Nobody waits for `worker` to be replaced any more. */
  forgoRecycle(worker: WorkerHandle): void {
    this.#turnover.forgoRenewal(worker);
  }

  /** Tells the worker of one slot to go before another is there; its slot is filled after that. @throws Refusal when it is the last that serves */
  drain(slot: number): void {
    const worker = this.#serving(slot);
    const now = this.#options.now();
    if (!this.workers.some((other) => other !== worker && other.isSound(now))) throw new Refusal('last_worker', 'no other worker serves');
    this.#drain(worker, 'manual');
    this.tick();
  }

  /** Forks again at once; what made the breaker open should be repaired. */
  resetBreaker(): void {
    this.#respawn.reset();
    log.info('breaker closed: somebody asked for it', {});
    this.tick();
  }

  /** Sets the number of workers and divides the budget anew. @throws RangeError when the connection budget is too small for it. */
  scale(workers: number): void {
    if (workers < 1) throw new RangeError('at least one worker is needed');
    this.#shares.divide(workers);
    log.info('number of workers changes', { from: this.#target, to: workers });
    this.#target = workers;
    this.tick();
    this.#events.onChange();
  }

  /** Graceful: every child drains; what still lives after its time (deadlines.ts) is killed. */
  stop(): void {
    if (this.#phase === 'stopping' || this.#phase === 'stopped') return;
    this.#phase = 'stopping';
    this.#turnover.stop();
    this.standby?.kill('stop');
    for (const worker of this.children) this.#drain(worker, 'stop');
    this.#concludeStop();
  }

  /** At once, without waiting for anything; for a primary that is about to end. */
  killAll(): void {
    this.#phase = 'stopped';
    for (const worker of this.#roster.everybody) worker.kill('stop');
  }

  /** @throws Refusal */
  #serving(slot: number): WorkerHandle {
    if (this.#phase !== 'running') throw new Refusal('not_running', `the service is ${this.#phase}`);
    const worker = this.workers.find((candidate) => candidate.slot === slot && candidate.state === 'ready');
    if (!worker) throw new Refusal('no_such_worker', `no worker serves in slot ${slot}`);
    return worker;
  }

  #receive(worker: WorkerHandle, message: FromChild): void {
    const now = this.#options.now();
    worker.lastCheckinAt = now;
    switch (message.type) {
      case 'hello':
        worker.helloAt = now;
        worker.version = message.version;
        if (worker.state === 'forked') worker.moveTo('hello');
        this.#shares.grantWaiting(now);
        break;
      case 'ready':
        // One that was killed meanwhile will not serve, though it says so.
        if (worker.state === 'granted' && worker.killReason === null) this.#becomeReady(worker, message, now);
        break;
      case 'report':
        worker.report = message.report;
        this.#recycling.onReport(worker, now);
        break;
      case 'limit-reached':
        worker.limitReached = true;
        if (message.leaving && worker.state === 'ready') this.#leaves(worker, 'max_requests', message.answered);
        break;
      case 'final':
        worker.report = message.report;
        worker.sentFinal = true;
        break;
      case 'failed':
        worker.failure = { code: message.code, message: message.message };
        break;
      case 'crashing':
        this.#onCrashing(worker, message, now);
        break;
      case 'resized':
        this.#shares.returned(worker, message.max);
        break;
      default: // services that travel over the same channel: the primary's business
        break;
    }
    this.#events.onMessage(worker, message);
    if (message.type !== 'report') this.tick();
  }

  #becomeReady(worker: WorkerHandle, { host, port }: { host: string; port: number }, now: number): void {
    worker.moveTo('ready');
    worker.readyAt = now;
    worker.address = { host, port };
    log.info('worker ready', {
      worker: worker.id,
      kind: worker.kind,
      slot: worker.slot,
      worker_pid: worker.pid,
      boot_ms: Math.round(now - worker.forkedAt),
    });
    if (worker.kind === 'http') this.breaker.onReady();
    this.#turnover.onReady(worker, now);
    this.#events.onChange();
  }

  /** It caught an error that nobody handled: it drains by itself for a short time, and its slot is free at once. */
  #onCrashing(worker: WorkerHandle, { message, requestId }: { message: string; requestId: string | null }, now: number): void {
    log.error('worker is crashing', {
      worker: worker.id,
      slot: worker.slot,
      worker_pid: worker.pid,
      problem: message,
      request_id: requestId,
    });
    worker.crashing = true;
    if (worker.state === 'gone' || worker.state === 'draining') return;
    worker.moveTo('draining');
    // Nobody misses the one in reserve; its end is noted when it comes.
    if (!this.#roster.has(worker)) return;
    worker.drain = beginDrain(worker, 'manual', now, this.#options);
    this.#countUnplannedDeath(worker, now);
    worker.failure ??= { code: EXIT.loadError, message };
    this.#turnover.onGone(worker, { planned: false }, now);
    this.#events.onChange();
  }

  #drain(worker: WorkerHandle, reason: DrainReason): void {
    if (worker.state === 'draining' || worker.state === 'gone') {
      // A worker that leaves for its replacement hurries when the whole service stops.
      if (reason === 'stop') {
        worker.send({ type: 'drain', reason, whole: true });
        hurry(worker, this.#options.now(), this.#options);
      }
      return;
    }
    if (isBooting(worker.state)) {
      // Nothing depends on a worker that does not serve yet, and it could not hear of it before it has its share.
      if (worker.killReason === null) worker.kill(reason);
      return;
    }
    worker.send({ type: 'drain', reason, whole: reason === 'stop' });
    this.#leaves(worker, reason, worker.answered);
  }

  /** It is on its way out. `requests`: answered until then, as far as is known. */
  #leaves(worker: WorkerHandle, reason: DrainReason, requests: number): void {
    worker.moveTo('draining');
    worker.drain = beginDrain(worker, reason, this.#options.now(), this.#options);
    const { id, slot, pid, requestLimit } = worker;
    log.info('worker drains', { worker: id, slot, worker_pid: pid, reason, requests, request_limit: requestLimit });
    this.#turnover.onLeaving(worker);
    this.#events.onChange();
  }

  #bury(worker: WorkerHandle, end: End): void {
    const now = this.#options.now();
    if (!this.#roster.has(worker)) {
      this.#nursery.buryReserve(worker, end);
      this.#concludeStop();
      return;
    }
    const planned = wasPlanned(worker);
    const reason = reasonOf(worker, end);
    const readyBefore = worker.state === 'ready';
    worker.moveTo('gone');
    this.#roster.remove(worker);
    this.ledger.release(worker.id);
    const exit = this.#deaths.enter(worker, end, { reason, planned });
    logExit(worker, exit, { planned, stopping: this.#phase === 'stopping' });
    if (this.#phase === 'starting' && worker.kind === 'http')
      this.#firstDeaths.push({ code: end.code ?? worker.failure?.code ?? null, message: whyNotReady(worker, end) });
    if (worker.kind === 'http' && this.#phase === 'running' && !['stop', 'roll'].includes(worker.killReason ?? '') && reason !== 'scale')
      this.#deaths.countRestart(reason);
    if (!planned && !worker.crashing && this.#phase !== 'stopping') this.#countUnplannedDeath(worker, now);
    this.#turnover.onGone(worker, { planned, end }, now);
    if (readyBefore || planned) this.#events.onChange();
    if (this.#phase === 'stopping') {
      this.#forced ||= wasCutOff(worker, end);
      this.#concludeStop();
    } else this.tick();
  }

  #letSurplusGo(now: number): void {
    const go = surplus(this.#target, this.workers, {
      isSound: (worker) => worker.isSound(now),
      mayServe: (worker) => worker.serving,
      isProven: (worker) => worker.isProven(now),
    });
    for (const worker of go) this.#drain(worker, 'scale');
  }

  /** The job process does not serve: its deaths must not keep HTTP workers from being forked. */
  #countUnplannedDeath(worker: WorkerHandle, now: number): void {
    this.#respawn.onDeath(worker, now, worker.kind === 'http' && this.#phase === 'running');
  }

  #excuseUnattended(now: number): void {
    const ms = this.#attendance.look(now);
    if (ms === 0) return;
    log.warn('the primary was not run for a while; no deadline counts that time', { ms: Math.round(ms) });
    this.#startedAt = Math.min(now, this.#startedAt + ms);
    for (const worker of this.#roster.everybody) excuse(worker, ms, now);
  }

  #enforceDeadlines(now: number): void {
    for (const worker of this.#roster.everybody) {
      const late = overdue(worker, now, this.#options);
      if (!late) continue;
      const { reason, limitMs } = late;
      if (reason === 'stall' && worker.stalls.isTakingEvidence(now)) continue;
      const { id, slot, pid, report } = worker;
      const stall = worker.stalledSince === null ? {} : { stall: worker.stalls.last };
      if (reason === 'drain_timeout')
        log.error('requests outlived the drain', { worker: id, in_flight: report?.in_flight, hanging: report?.hanging, ...stall });
      if (reason === 'stall') log.error('worker is silent', { worker: id, last_in_flight: report?.hanging, ...stall });
      log.error('worker is killed', { worker: id, slot, worker_pid: pid, reason, limit_ms: limitMs });
      worker.kill(reason);
    }
  }

  #concludeStart(now: number): void {
    const late = now - this.#startedAt > this.#options.bootTimeoutMs;
    const verdict = judgeStart({ workers: this.workers, target: this.#target, late, deaths: this.#firstDeaths });
    if (verdict.state === 'failed') {
      this.#phase = 'stopped';
      this.#events.onStartFailed(verdict.code, verdict.message);
    } else if (verdict.state === 'started') {
      this.#phase = 'running';
      this.#events.onStarted();
      this.#events.onChange();
    }
  }

  #fillSlots(now: number): void {
    for (const slot of emptySlots(this.#target, this.workers)) {
      if (!this.#respawn.isDue(slot, now)) continue;
      if (!this.breaker.allowFork(now)) return;
      this.#turnover.onFilled(this.#nursery.bringUp(slot));
    }
  }

  #keepJobs(now: number): void {
    if (!this.#options.jobs || this.jobProcess || !this.#respawn.isDue(JOBS_SLOT, now)) return;
    this.#nursery.spawn('jobs', JOBS_SLOT);
  }

  /** Only when all is well: loading a process takes processor time from those that serve. */
  #keepStandby(now: number): void {
    if (!this.#options.standby || this.#turnover.underWay || this.#turnover.buildIsBad) return;
    if (this.breaker.open || !this.isWhole) return;
    this.#nursery.keepReserve(now);
  }

  #onRollEnd(result: RollEnd['result']): void {
    // The job process serves nobody: the pause until the next one is loaded costs its jobs a moment, and no request.
    if (result === 'completed' && this.jobProcess?.state === 'ready') this.#drain(this.jobProcess, 'roll');
    this.#events.onChange();
  }

  #concludeStop(): void {
    if (this.#phase !== 'stopping' || this.children.length > 0) return;
    if (this.standby && this.standby.state !== 'gone') return;
    this.#phase = 'stopped';
    this.#events.onStopped(this.#forced);
  }
}
