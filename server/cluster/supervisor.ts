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
import { overdue } from './deadlines';
import { DeathBooks, type End, logExit, reasonOf, wasPlanned, whyNotReady } from './deaths';
import type { DrainReason, FromChild } from './messages';
import { Recycling } from './recycling';
import { Respawn } from './respawn';
import { Roll, type RollStatus } from './roll';
import { Roster } from './roster';
import { Shares } from './shares';
import { emptySlots, surplus } from './slots';
import { type FirstDeath, judgeStart } from './start-verdict';
import { type Phase, type SupervisorEvents, type SupervisorOptions, withDefaults } from './supervisor-options';
import { Tail } from './tail';
import { type DeathReason, type LastExit, WorkerHandle } from './worker-handle';
import { isBooting } from './worker-state';

const JOBS_SLOT = 0;
const STANDBY_SLOT = -1;

interface Replacement {
  old: WorkerHandle;
  fresh: WorkerHandle;
  reason: DrainReason;
}

export class Supervisor {
  readonly #options: Required<SupervisorOptions>;
  readonly #events: SupervisorEvents;
  readonly #roster = new Roster();
  readonly #shares: Shares;
  readonly #respawn: Respawn;
  readonly #recycling: Recycling;
  readonly #deaths = new DeathBooks();
  readonly #roll = new Roll();
  #target: number;
  #phase: Phase = 'starting';
  #forks = 0;
  #startedAt = 0;
  #firstDeaths: FirstDeath[] = [];
  #replacement: Replacement | null = null;
  #forced = false;

  constructor(options: SupervisorOptions, events: SupervisorEvents) {
    this.#options = withDefaults(options);
    this.#events = events;
    this.#target = options.workers;
    this.#shares = new Shares(this.#options, this.#roster);
    this.#respawn = new Respawn(this.#options);
    this.#recycling = new Recycling(this.#options);
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
    return this.#roll.status;
  }

  start(): void {
    this.#startedAt = this.#options.now();
    for (const slot of emptySlots(this.#target, [])) this.#spawn('http', slot);
  }

  /** Deadlines, recycling, respawning. Cheap: call it about ten times a second and after every event. */
  tick(): void {
    if (this.#phase === 'stopped') return;
    const now = this.#options.now();
    this.#enforceDeadlines(now);
    this.#shares.grantWaiting(now);
    if (this.#phase === 'stopping') return;
    if (this.#phase === 'starting') this.#concludeStart(now);
    if (this.#phase !== 'running') return;
    this.#respawn.observe(this.workers, now);
    this.#fillSlots(now);
    this.#keepJobs(now);
    this.#keepStandby(now);
    this.#shares.rebalance({ target: this.#target, replacing: this.#replacement !== null });
    for (const worker of surplus(this.#target, this.workers)) this.#drain(worker, 'scale');
    this.#continueRoll();
    this.#recycle(now);
  }

  /** Replaces every worker, one by one; stops at the first replacement that does not become ready. @returns false when a roll is under way */
  roll(): boolean {
    if (this.#phase !== 'running' || this.#roll.underWay) return false;
    // It was loaded before whatever the roll is for.
    this.standby?.kill('roll');
    this.#roster.standby = null;
    this.#roll.begin(
      this.workers.filter(({ state }) => state === 'ready'),
      this.#options.now(),
    );
    this.tick();
    return true;
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

  /** Graceful: every child drains; after GRACEFUL_TIMEOUT what still lives is killed. */
  stop(): void {
    if (this.#phase === 'stopping' || this.#phase === 'stopped') return;
    this.#phase = 'stopping';
    this.standby?.kill('stop');
    for (const worker of this.children) {
      // Nothing depends on a worker that does not serve yet.
      if (isBooting(worker.state)) worker.kill('stop');
      else this.#drain(worker, 'stop');
    }
    this.#concludeStop();
  }

  /** At once, without waiting for anything; for a primary that is about to end. */
  killAll(): void {
    this.#phase = 'stopped';
    for (const worker of this.#roster.everybody) worker.kill('stop');
  }

  /** A worker for a slot: the one in reserve when there is one, else a new process. */
  #bringUp(slot: number): WorkerHandle {
    const reserve = this.standby;
    if (!reserve || reserve.killReason !== null) return this.#spawn('http', slot);
    this.#roster.standby = null;
    reserve.slot = slot;
    reserve.forkedAt = this.#options.now();
    this.#roster.add(reserve);
    this.#shares.grantWaiting(this.#options.now());
    return reserve;
  }

  #spawn(kind: 'http' | 'jobs', slot: number): WorkerHandle {
    const handle = this.#fork(kind, slot);
    this.#roster.add(handle);
    return handle;
  }

  #fork(kind: 'http' | 'jobs', slot: number): WorkerHandle {
    const { now, writeLine, spawn } = this.#options;
    this.#forks += 1;
    const tail = new Tail(writeLine);
    const id = `${kind === 'http' ? 'w' : 'j'}${this.#forks}`;
    const identity = { id, kind, slot, now: now(), requestLimit: this.#recycling.drawRequestLimit(), tail };
    return new WorkerHandle(spawn(kind, tail), identity, {
      onMessage: (worker, message) => this.#receive(worker, message),
      onExit: (worker, code, signal) => this.#bury(worker, { code, signal }),
      onSettled: (worker) => this.#events.onSettled(worker),
    });
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
        if (worker.state === 'granted') this.#becomeReady(worker, message, now);
        break;
      case 'report':
        worker.report = message.report;
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
    if (this.#replacement?.fresh === worker) this.#drain(this.#replacement.old, this.#replacement.reason);
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
    worker.drain = { reason: 'manual', since: now };
    this.#countUnplannedDeath(worker, now);
    this.#events.onChange();
  }

  #drain(worker: WorkerHandle, reason: DrainReason): void {
    if (worker.state === 'draining' || worker.state === 'gone') {
      // A worker that leaves for its replacement hurries when the whole service stops.
      if (reason === 'stop') worker.send({ type: 'drain', reason, whole: true });
      return;
    }
    worker.moveTo('draining');
    worker.drain = { reason, since: this.#options.now() };
    worker.send({ type: 'drain', reason, whole: reason === 'stop' });
    log.info('worker drains', { worker: worker.id, slot: worker.slot, worker_pid: worker.pid, reason });
    this.#events.onChange();
  }

  #bury(worker: WorkerHandle, end: End): void {
    const now = this.#options.now();
    if (!this.#roster.has(worker)) {
      this.#buryStandby(worker, end, now);
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
    if (worker.kind === 'http' && this.#phase === 'running' && worker.killReason !== 'stop' && reason !== 'scale')
      this.#deaths.countRestart(reason);
    if (!planned && !worker.crashing && this.#phase !== 'stopping') this.#countUnplannedDeath(worker, now);
    this.#settleReplacement(worker);
    if (readyBefore || planned) this.#events.onChange();
    if (this.#phase === 'stopping') this.#concludeStop();
    else this.tick();
  }

  /** Nobody missed it yet. It is tried again with the ordinary back-off; it does not count for the breaker. */
  #buryStandby(worker: WorkerHandle, end: End, now: number): void {
    const reason = reasonOf(worker, end);
    worker.moveTo('gone');
    if (this.standby === worker) this.#roster.standby = null;
    if (worker.killReason === 'roll' || worker.killReason === 'stop') {
      this.#concludeStop();
      return;
    }
    this.#respawn.delay(STANDBY_SLOT, now, 0);
    log.error('the worker in reserve died', {
      worker: worker.id,
      worker_pid: worker.pid,
      ...end,
      reason,
      last_words: worker.tail.lines.slice(-3),
    });
  }

  /** The job process does not serve: its deaths must not keep HTTP workers from being forked. */
  #countUnplannedDeath(worker: WorkerHandle, now: number): void {
    this.#respawn.onDeath(worker, now, worker.kind === 'http' && this.#phase === 'running');
  }

  #enforceDeadlines(now: number): void {
    for (const worker of this.#roster.everybody) {
      const late = overdue(worker, now, this.#options);
      if (!late) continue;
      const { reason, limitMs } = late;
      const { id, slot, pid, report } = worker;
      if (reason === 'drain_timeout') {
        log.error('requests outlived the drain', { worker: id, in_flight: report?.in_flight, hanging: report?.hanging });
        if (this.#phase === 'stopping') this.#forced = true;
      }
      if (reason === 'stall') log.error('worker is silent', { worker: id, last_in_flight: report?.hanging });
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
      this.#bringUp(slot);
    }
  }

  #keepJobs(now: number): void {
    if (!this.#options.jobs || this.jobProcess || !this.#respawn.isDue(JOBS_SLOT, now)) return;
    this.#spawn('jobs', JOBS_SLOT);
  }

  /** Only when all is well: loading a process takes processor time from those that serve. */
  #keepStandby(now: number): void {
    if (!this.#options.standby || this.standby || this.#replacement || this.breaker.open || this.ready < this.#target) return;
    if (this.#respawn.isDue(STANDBY_SLOT, now)) this.#roster.standby = this.#fork('http', JOBS_SLOT);
  }

  #recycle(now: number): void {
    this.#recycling.readMemory(this.workers, now);
    if (this.#replacement || this.#roll.underWay || this.breaker.open || this.ready < this.#target) return;
    const next = this.#recycling.next(this.workers, now);
    if (next) this.#replace(next.worker, next.reason);
  }

  #replace(old: WorkerHandle, reason: DrainReason): void {
    log.info('worker is to be replaced', {
      worker: old.id,
      slot: old.slot,
      reason,
      requests: old.report?.requests_count,
      rss: old.report?.rss,
    });
    this.#replacement = { old, fresh: this.#bringUp(old.slot), reason };
  }

  #settleReplacement(gone: WorkerHandle): void {
    const replacement = this.#replacement;
    if (!replacement) return;
    if (gone === replacement.old) {
      this.#replacement = null;
      if (replacement.reason === 'roll') this.#roll.advance();
    } else if (gone === replacement.fresh && gone.readyAt === null) {
      // The old worker was not told to go: it serves on.
      this.#replacement = null;
      log.error('the replacement did not become ready; the old worker serves on', { slot: gone.slot, reason: replacement.reason });
      if (replacement.reason === 'roll') this.#endRoll('aborted', gone.failure?.message ?? this.lastExitOf(gone.slot)?.reason ?? null);
    }
  }

  #continueRoll(): void {
    if (!this.#roll.underWay || this.#replacement) return;
    const next = this.#roll.next();
    if (next) this.#replace(next, 'roll');
    else this.#endRoll('completed', null);
  }

  #endRoll(result: 'completed' | 'aborted', reason: string | null): void {
    this.#roll.end(result, reason, this.#options.now());
  }

  #concludeStop(): void {
    if (this.#phase !== 'stopping' || this.children.length > 0) return;
    if (this.standby && this.standby.state !== 'gone') return;
    this.#phase = 'stopped';
    this.#events.onStopped(this.#forced);
  }
}
