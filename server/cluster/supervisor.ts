/**
 * Keeps the target number of workers (and the job process) alive. All decisions are taken in `tick` and in reaction to
 * messages and exits, from an injected clock and an injected `spawn`, so they are tested without processes.
 *
 * Replacing is one mechanism for recycling, rolling and later scaling: the new worker is ready first, then the old one
 * is told to drain; one replacement at a time, because the connection budget holds one surge share.
 */
import { log } from '../../lib/log';
import { BackOff } from './back-off';
import { Breaker, type BreakerOptions } from './breaker';
import { type Division, divideBudget, Ledger, type Share } from './budget';
import { bootExitCode, EXIT, type ExitCode, meaningOf } from './exit-codes';
import type { DrainReason, FromChild } from './messages';
import { emptySlots, surplus } from './slots';
import { Tail } from './tail';
import { type Child, type DeathReason, type LastExit, WorkerHandle } from './worker-handle';
import { isBooting } from './worker-state';

export interface SupervisorOptions {
  workers: number;
  poolMin: number;
  poolMax: number;
  /** Forks one worker, or the job process; null when there is no job process to fork. */
  spawn: (kind: 'http' | 'jobs', tail: Tail) => Child;
  jobs: boolean;
  /** Keep one loaded worker in reserve: loading takes seconds on a busy machine, and a slot should be filled at once. */
  standby?: boolean;
  bootTimeoutMs: number;
  workerTimeoutMs: number;
  gracefulTimeoutMs: number;
  maxRequests: number;
  maxRequestsJitter: number;
  maxRssBytes: number;
  /** Least time between the starts of two recycles. */
  recycleGapMs?: number;
  rssReadingMs?: number;
  breaker?: Partial<BreakerOptions>;
  now?: () => number;
  random?: () => number;
  writeLine?: (line: string) => void;
}

export interface SupervisorEvents {
  /** The number of ready workers or the state of one has changed. */
  onChange(): void;
  /** The start is over: all workers are ready, or some are and the rest had their time. Once. */
  onStarted(): void;
  /** No worker ever became ready. Once. */
  onStartFailed(code: ExitCode, message: string): void;
  /** A message that is not about the worker's life. */
  onMessage(worker: WorkerHandle, message: FromChild): void;
  onSettled(worker: WorkerHandle): void;
  /** After `stop`: every child is gone. `forced` = at least one had to be killed with work in hand. */
  onStopped(forced: boolean): void;
}

export interface RollStatus {
  id: number;
  state: 'idle' | 'rolling';
  done: number;
  total: number;
  last: { result: 'completed' | 'aborted'; reason: string | null; ms: number } | null;
}

const RECYCLE_GAP_MS = 30_000;
const RSS_READING_MS = 5_000;
const RSS_READINGS = 3;
const JOBS_SLOT = 0;
const STANDBY_SLOT = -1;

interface Replacement {
  old: WorkerHandle;
  fresh: WorkerHandle;
  reason: DrainReason;
}

type Phase = 'starting' | 'running' | 'stopping' | 'stopped';

export class Supervisor {
  readonly breaker: Breaker;
  readonly ledger: Ledger;
  readonly #options: Required<SupervisorOptions>;
  readonly #events: SupervisorEvents;
  readonly #workers = new Map<string, WorkerHandle>();
  readonly #backOffs = new Map<number, BackOff>();
  /** Time before which a slot is not filled again. */
  readonly #notBefore = new Map<number, number>();
  readonly #restarts = new Map<DeathReason, number>();
  #division: Division;
  #target: number;
  #phase: Phase = 'starting';
  #forks = 0;
  #startedAt = 0;
  #firstDeaths: { code: number | null; message: string }[] = [];
  #standby: WorkerHandle | null = null;
  #replacement: Replacement | null = null;
  #lastRecycleAt = Number.NEGATIVE_INFINITY;
  #roll: { queue: WorkerHandle[]; startedAt: number } | null = null;
  #rollStatus: RollStatus = { id: 0, state: 'idle', done: 0, total: 0, last: null };
  #lastExit: LastExit | null = null;
  #exitsBySlot = new Map<number, LastExit>();
  #forced = false;

  constructor(options: SupervisorOptions, events: SupervisorEvents) {
    this.#options = {
      recycleGapMs: RECYCLE_GAP_MS,
      rssReadingMs: RSS_READING_MS,
      breaker: {},
      standby: false,
      now: () => performance.now(),
      random: Math.random,
      writeLine: () => undefined,
      ...options,
    };
    this.#events = events;
    this.#target = options.workers;
    this.breaker = new Breaker(this.#options.breaker);
    this.#division = divideBudget({ poolMin: options.poolMin, poolMax: options.poolMax, workers: options.workers, jobs: options.jobs });
    this.ledger = new Ledger(options.poolMax);
  }

  get target(): number {
    return this.#target;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** HTTP workers that are not gone, by slot. */
  get workers(): WorkerHandle[] {
    return [...this.#workers.values()].filter(({ kind }) => kind === 'http').sort((a, b) => a.slot - b.slot || a.forkedAt - b.forkedAt);
  }

  get jobProcess(): WorkerHandle | null {
    return [...this.#workers.values()].find(({ kind }) => kind === 'jobs') ?? null;
  }

  /** All children that have a task: workers and the job process, not the reserve. */
  get children(): WorkerHandle[] {
    return [...this.#workers.values()];
  }

  /** The worker in reserve: loaded, or loading, without a slot, a share of the budget or a listener. */
  get standby(): WorkerHandle | null {
    return this.#standby;
  }

  get ready(): number {
    return this.workers.filter(({ state }) => state === 'ready').length;
  }

  get division(): Division {
    return this.#division;
  }

  get lastExit(): LastExit | null {
    return this.#lastExit;
  }

  lastExitOf(slot: number): LastExit | null {
    return this.#exitsBySlot.get(slot) ?? null;
  }

  get restarts(): ReadonlyMap<DeathReason, number> {
    return this.#restarts;
  }

  get rollStatus(): RollStatus {
    return this.#rollStatus;
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
    this.#grantWaiting();
    if (this.#phase === 'stopping') return;
    if (this.#phase === 'starting') this.#concludeStart(now);
    if (this.#phase !== 'running') return;
    for (const worker of this.workers)
      if (worker.state === 'ready' && worker.readyAt !== null && this.breaker.onHealthy(now, worker.readyAt))
        log.info('breaker closed: a worker has lived long enough', { slot: worker.slot });
    this.#fillSlots(now);
    this.#keepJobs(now);
    this.#keepStandby(now);
    this.#rebalance();
    for (const worker of surplus(this.#target, this.workers)) this.#drain(worker, 'scale');
    this.#continueRoll();
    this.#recycle(now);
  }

  /** Replaces every worker, one by one; stops at the first replacement that does not become ready. @returns false when a roll is under way */
  roll(): boolean {
    if (this.#phase !== 'running' || this.#roll) return false;
    const queue = this.workers.filter(({ state }) => state === 'ready');
    // It was loaded before whatever the roll is for.
    this.#standby?.kill('roll');
    this.#standby = null;
    this.#roll = { queue, startedAt: this.#options.now() };
    this.#rollStatus = { ...this.#rollStatus, id: this.#rollStatus.id + 1, state: 'rolling', done: 0, total: queue.length };
    log.info('rolling restart begins', { roll: this.#rollStatus.id, workers: queue.length });
    this.tick();
    return true;
  }

  /** Sets the number of workers and divides the budget anew. @throws RangeError when the connection budget is too small for it. */
  scale(workers: number): void {
    if (workers < 1) throw new RangeError('at least one worker is needed');
    const { poolMin, poolMax, jobs } = this.#options;
    this.#division = divideBudget({ poolMin, poolMax, workers, jobs });
    log.info('number of workers changes', { from: this.#target, to: workers });
    this.#target = workers;
    this.tick();
    this.#events.onChange();
  }

  /** Graceful: every child drains; after GRACEFUL_TIMEOUT what still lives is killed. */
  stop(): void {
    if (this.#phase === 'stopping' || this.#phase === 'stopped') return;
    this.#phase = 'stopping';
    this.#standby?.kill('stop');
    for (const worker of this.#workers.values()) {
      // Nothing depends on a worker that does not serve yet.
      if (isBooting(worker.state)) worker.kill('stop');
      else this.#drain(worker, 'stop');
    }
    this.#concludeStop();
  }

  /** At once, without waiting for anything; for a primary that is about to end. */
  killAll(): void {
    this.#phase = 'stopped';
    this.#standby?.kill('stop');
    for (const worker of this.#workers.values()) worker.kill('stop');
  }

  /** A worker for a slot: the one in reserve when there is one, else a new process. */
  #bringUp(slot: number): WorkerHandle {
    const reserve = this.#standby;
    if (!reserve || reserve.killReason !== null) return this.#spawn('http', slot);
    this.#standby = null;
    reserve.slot = slot;
    reserve.forkedAt = this.#options.now();
    this.#workers.set(reserve.id, reserve);
    this.#grantWaiting();
    return reserve;
  }

  #spawn(kind: 'http' | 'jobs', slot: number): WorkerHandle {
    const handle = this.#fork(kind, slot);
    this.#workers.set(handle.id, handle);
    return handle;
  }

  #fork(kind: 'http' | 'jobs', slot: number): WorkerHandle {
    const { now, random, maxRequests, maxRequestsJitter, writeLine, spawn } = this.#options;
    this.#forks += 1;
    const tail = new Tail(writeLine);
    const requestLimit = maxRequests === 0 ? 0 : maxRequests + Math.floor(random() * (maxRequestsJitter + 1));
    const identity = { id: `${kind === 'http' ? 'w' : 'j'}${this.#forks}`, kind, slot, now: now(), requestLimit, tail };
    return new WorkerHandle(spawn(kind, tail), identity, {
      onMessage: (worker, message) => this.#receive(worker, message),
      onExit: (worker, code, signal) => this.#bury(worker, code, signal),
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
        this.#grantWaiting();
        break;
      case 'ready':
        if (worker.state === 'granted') this.#becomeReady(worker, message.host, message.port, now);
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
        worker.resizingTo = null;
        this.ledger.resize(worker.id, { min: Math.min(this.ledger.grantOf(worker.id)?.min ?? 1, message.max), max: message.max });
        break;
      default: // services that travel over the same channel: the primary's business
        break;
    }
    this.#events.onMessage(worker, message);
    if (message.type !== 'report') this.tick();
  }

  #becomeReady(worker: WorkerHandle, host: string, port: number, now: number): void {
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

  #bury(worker: WorkerHandle, code: number | null, signal: NodeJS.Signals | null): void {
    const now = this.#options.now();
    if (!this.#workers.has(worker.id)) {
      this.#buryStandby(worker, code, signal, now);
      return;
    }
    const planned = worker.state === 'draining' && !worker.crashing && worker.killReason === null;
    const reason = this.#reasonOf(worker, code, signal);
    const readyBefore = worker.state === 'ready';
    worker.moveTo('gone');
    this.#workers.delete(worker.id);
    this.ledger.release(worker.id);
    const exit: LastExit = {
      pid: worker.pid,
      slot: worker.slot,
      code,
      signal,
      reason,
      at: new Date().toISOString(),
      // A getter: the last words may still be in the pipe when the exit is known.
      get stderr_tail() {
        return worker.tail.lines;
      },
    };
    this.#exitsBySlot.set(worker.slot, exit);
    if (!planned || code !== 0) this.#lastExit = exit;
    this.#logExit(worker, exit, planned);
    if (this.#phase === 'starting' && worker.kind === 'http')
      this.#firstDeaths.push({
        code: code ?? worker.failure?.code ?? null,
        message: worker.failure?.message ?? this.#lastWords(worker, code, signal),
      });
    if (worker.kind === 'http' && this.#phase === 'running' && worker.killReason !== 'stop' && reason !== 'scale')
      this.#restarts.set(reason, (this.#restarts.get(reason) ?? 0) + 1);
    if (!planned && !worker.crashing && this.#phase !== 'stopping') this.#countUnplannedDeath(worker, now);
    this.#settleReplacement(worker);
    if (readyBefore || planned) this.#events.onChange();
    if (this.#phase === 'stopping') this.#concludeStop();
    else this.tick();
  }

  /** Nobody missed it yet. It is tried again with the ordinary back-off; it does not count for the breaker. */
  #buryStandby(worker: WorkerHandle, code: number | null, signal: NodeJS.Signals | null, now: number): void {
    const reason = this.#reasonOf(worker, code, signal);
    worker.moveTo('gone');
    if (this.#standby === worker) this.#standby = null;
    if (worker.killReason === 'roll' || worker.killReason === 'stop') {
      this.#concludeStop();
      return;
    }
    this.#notBefore.set(STANDBY_SLOT, now + this.#backOffOf(STANDBY_SLOT).onDeath(0));
    log.error('the worker in reserve died', {
      worker: worker.id,
      worker_pid: worker.pid,
      code,
      signal,
      reason,
      last_words: worker.tail.lines.slice(-3),
    });
  }

  #reasonOf(worker: WorkerHandle, code: number | null, signal: NodeJS.Signals | null): DeathReason {
    if (worker.killReason) return worker.killReason;
    if (worker.drain && !worker.crashing && code === 0) return worker.drain.reason;
    if ((signal === 'SIGABRT' || code === 134) && worker.tail.lines.some((line) => line.includes('heap out of memory'))) return 'oom';
    if (isBooting(worker.state)) return 'boot_failure';
    return 'crash';
  }

  #logExit(worker: WorkerHandle, { code, signal, reason }: LastExit, planned: boolean): void {
    const fields = { worker: worker.id, kind: worker.kind, slot: worker.slot, worker_pid: worker.pid, code, signal, reason };
    if (planned && code === 0) log.info('worker left', fields);
    else if (this.#phase === 'stopping') log.warn('worker ended during the stop', fields);
    else log.error('worker died', { ...fields, last_words: worker.tail.lines.slice(-3) });
  }

  #lastWords(worker: WorkerHandle, code: number | null, signal: NodeJS.Signals | null): string {
    if (worker.killReason === 'boot_timeout') return 'a worker was not ready within BOOT_TIMEOUT';
    return meaningOf(code) ?? `a worker ended with ${signal ?? `code ${code}`}`;
  }

  #countUnplannedDeath(worker: WorkerHandle, now: number): void {
    const wait = this.#backOffOf(worker.slot).onDeath(worker.readyAt === null ? 0 : now - worker.readyAt);
    this.#notBefore.set(worker.slot, now + wait);
    // The job process does not serve: its deaths must not keep HTTP workers from being forked.
    if (worker.kind === 'http' && this.#phase === 'running' && this.breaker.onDeath(now, now - worker.forkedAt))
      log.error('breaker open: workers die young; one is tried every 30 s', { deaths: this.breaker.deathsInWindow(now) });
  }

  #backOffOf(slot: number): BackOff {
    const backOff = this.#backOffs.get(slot) ?? new BackOff({ random: this.#options.random });
    this.#backOffs.set(slot, backOff);
    return backOff;
  }

  #enforceDeadlines(now: number): void {
    const { bootTimeoutMs, workerTimeoutMs, gracefulTimeoutMs } = this.#options;
    for (const worker of [...this.#workers.values(), ...(this.#standby ? [this.#standby] : [])]) {
      if (worker.killReason !== null) continue;
      if (worker.state === 'forked' && now - worker.forkedAt > bootTimeoutMs) this.#killFor(worker, 'boot_timeout', bootTimeoutMs);
      else if (worker.state === 'granted' && now - (worker.grantedAt ?? now) > bootTimeoutMs)
        this.#killFor(worker, 'boot_timeout', bootTimeoutMs);
      else if (worker.state === 'draining' && worker.drain && now - worker.drain.since > gracefulTimeoutMs) {
        log.error('requests outlived the drain', {
          worker: worker.id,
          in_flight: worker.report?.in_flight,
          hanging: worker.report?.hanging,
        });
        if (this.#phase === 'stopping') this.#forced = true;
        this.#killFor(worker, 'drain_timeout', gracefulTimeoutMs);
      } else if (worker.helloAt !== null && now - worker.lastCheckinAt > workerTimeoutMs) {
        log.error('worker is silent', { worker: worker.id, last_in_flight: worker.report?.hanging });
        this.#killFor(worker, 'stall', workerTimeoutMs);
      }
    }
  }

  #killFor(worker: WorkerHandle, reason: DeathReason, limitMs: number): void {
    log.error('worker is killed', { worker: worker.id, slot: worker.slot, worker_pid: worker.pid, reason, limit_ms: limitMs });
    worker.kill(reason);
  }

  /** Shares go to those who said hello, as soon as the budget has room for them. */
  #grantWaiting(): void {
    for (const worker of this.#workers.values()) {
      if (worker.state !== 'hello') continue;
      const share = this.#shareOf(worker);
      if (!this.ledger.grant(worker.id, share)) continue;
      worker.moveTo('granted');
      worker.grantedAt = this.#options.now();
      worker.send({ type: 'grant', poolMin: share.min, poolMax: share.max, slot: worker.slot });
    }
  }

  #shareOf({ kind, slot }: WorkerHandle): Share {
    if (kind === 'jobs') return this.#division.jobs ?? { min: 1, max: 2 };
    return this.#division.slots[slot - 1] ?? this.#division.surge;
  }

  /** Moves shares towards the division: those that hold too much give back first, then the others grow. */
  #rebalance(): void {
    const serving = this.workers.filter(({ state, resizingTo }) => state === 'ready' && resizingTo === null);
    for (const worker of serving) {
      const held = this.ledger.grantOf(worker.id);
      const share = this.#shareOf(worker);
      if (!held || held.max === share.max) continue;
      if (held.max > share.max) {
        worker.resizingTo = share.max;
        worker.send({ type: 'resize', poolMin: share.min, poolMax: share.max });
      } else if (this.#hasRoomToGrow(share.max - held.max) && this.ledger.resize(worker.id, share)) {
        worker.send({ type: 'resize', poolMin: share.min, poolMax: share.max });
      }
    }
  }

  /** Growing must leave room for the surge share and for the job process. */
  #hasRoomToGrow(by: number): boolean {
    const jobs = this.jobProcess && this.ledger.grantOf(this.jobProcess.id) ? 0 : (this.#division.jobs?.max ?? 0);
    const waiting = emptySlots(this.#target, this.workers).length > 0 || this.workers.some(({ state }) => isBooting(state));
    return !waiting && this.#replacement === null && this.ledger.granted + by + this.#division.surge.max + jobs <= this.ledger.limit;
  }

  #concludeStart(now: number): void {
    const workers = this.workers;
    const ready = this.ready;
    if (ready === 0 && workers.length === 0) {
      this.#phase = 'stopped';
      const code = bootExitCode(this.#firstDeaths.map(({ code: childCode }) => childCode));
      const told = this.#firstDeaths.find(({ code: childCode }) => childCode === code) ?? this.#firstDeaths[0];
      this.#events.onStartFailed(code, told?.message ?? meaningOf(EXIT.loadError) ?? '');
      return;
    }
    const settled = workers.every(({ state }) => !isBooting(state));
    const late = now - this.#startedAt > this.#options.bootTimeoutMs;
    if (ready < this.#target && !(ready > 0 && (settled || late))) return;
    this.#phase = 'running';
    this.#events.onStarted();
    this.#events.onChange();
  }

  #fillSlots(now: number): void {
    for (const slot of emptySlots(this.#target, this.workers)) {
      if (now < (this.#notBefore.get(slot) ?? Number.NEGATIVE_INFINITY)) continue;
      if (!this.breaker.allowFork(now)) return;
      this.#bringUp(slot);
    }
  }

  #keepJobs(now: number): void {
    if (!this.#options.jobs || this.jobProcess) return;
    if (now < (this.#notBefore.get(JOBS_SLOT) ?? Number.NEGATIVE_INFINITY)) return;
    this.#spawn('jobs', JOBS_SLOT);
  }

  /** Only when all is well: loading a process takes processor time from those that serve. */
  #keepStandby(now: number): void {
    if (!this.#options.standby || this.#standby || this.#replacement || this.breaker.open || this.ready < this.#target) return;
    if (now < (this.#notBefore.get(STANDBY_SLOT) ?? Number.NEGATIVE_INFINITY)) return;
    this.#standby = this.#fork('http', JOBS_SLOT);
  }

  #recycle(now: number): void {
    const { recycleGapMs, maxRssBytes, rssReadingMs } = this.#options;
    if (maxRssBytes > 0)
      for (const worker of this.workers) {
        if (!worker.report || now - worker.rss.readAt < rssReadingMs) continue;
        worker.rss = { over: worker.report.rss > maxRssBytes ? worker.rss.over + 1 : 0, readAt: now };
      }
    if (this.#replacement || this.#roll || this.breaker.open || now - this.#lastRecycleAt < recycleGapMs) return;
    if (this.ready < this.#target) return;
    for (const worker of this.workers) {
      if (worker.state !== 'ready' || !worker.report) continue;
      const overRequests = worker.requestLimit > 0 && worker.report.requests_count >= worker.requestLimit;
      const reason = overRequests ? 'max_requests' : worker.rss.over >= RSS_READINGS ? 'max_rss' : null;
      if (!reason) continue;
      this.#lastRecycleAt = now;
      this.#replace(worker, reason);
      return;
    }
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
      if (replacement.reason === 'roll') this.#rollStatus = { ...this.#rollStatus, done: this.#rollStatus.done + 1 };
    } else if (gone === replacement.fresh && gone.readyAt === null) {
      // The old worker was not told to go: it serves on.
      this.#replacement = null;
      log.error('the replacement did not become ready; the old worker serves on', { slot: gone.slot, reason: replacement.reason });
      if (replacement.reason === 'roll')
        this.#endRoll('aborted', gone.failure?.message ?? this.#exitsBySlot.get(gone.slot)?.reason ?? null);
    }
  }

  #continueRoll(): void {
    if (!this.#roll || this.#replacement) return;
    // Those that died meanwhile were replaced by their death.
    let next = this.#roll.queue.shift();
    while (next && next.state !== 'ready') {
      this.#rollStatus = { ...this.#rollStatus, done: this.#rollStatus.done + 1 };
      next = this.#roll.queue.shift();
    }
    if (next) this.#replace(next, 'roll');
    else this.#endRoll('completed', null);
  }

  #endRoll(result: 'completed' | 'aborted', reason: string | null): void {
    if (!this.#roll) return;
    const ms = Math.round(this.#options.now() - this.#roll.startedAt);
    this.#roll = null;
    this.#rollStatus = { ...this.#rollStatus, state: 'idle', last: { result, reason, ms } };
    if (result === 'completed') log.info('rolling restart completed', { roll: this.#rollStatus.id, ms });
    else log.error('rolling restart aborted', { roll: this.#rollStatus.id, ms, reason });
  }

  #concludeStop(): void {
    if (this.#phase !== 'stopping' || this.#workers.size > 0) return;
    if (this.#standby && this.#standby.state !== 'gone') return;
    this.#phase = 'stopped';
    this.#events.onStopped(this.#forced);
  }
}
