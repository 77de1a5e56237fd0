/**
 * The supervising process: starts what is embedded, migrates, forks workers and the job process, watches them, answers on the
 * operations port and stops everything in order. It stays light and holds no database connection: whatever can fail in the
 * application fails in a worker, and the primary lives to replace it.
 */
import { fork } from 'node:child_process';
import cluster from 'node:cluster';
import { existsSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Readable } from 'node:stream';
import { config } from '../../config';
import { childEnvironment } from '../../config/child-environment';
import type { ClusterFacts } from '../../lib/cluster-ports';
import { log } from '../../lib/log';
import { BusyPrimary } from '../ops/busy-primary';
import { CACHE_COUNTERS } from '../ops/cache-stats';
import { OpsDocuments, type OpsListener, openOpsListener } from '../ops/listener';
import { PrimaryLoad } from '../ops/primary-load';
import { Recent } from '../ops/recent';
import { COUNTERS, HISTOGRAMS } from '../ops/stats';
import { summaryFields } from '../ops/summary';
import { Windows } from '../ops/windows';
import { bannerLine, demoAccounts, humanBlock } from './banner';
import { Books } from './books';
import { addressFailure, BootFailure } from './boot';
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes';
import { createFront } from './front';
import { LogRotation } from './log-rotation';
import type { FromChild } from './messages';
import { Preparation } from './preparation';
import { killDescendants } from './process-tree';
import { Profiles } from './profiles';
import { Refusal } from './refusal';
import { listenForSignals } from './signals';
import { SnapshotStore } from './snapshots';
import { forkWorker, spawnChild } from './spawn';
import { followStalls } from './stalls';
import { stateDump } from './state-dump';
import { Steering } from './steering';
import { GRACEFUL_MS, IDLE_GRACE_MS } from './stop-times';
import { Supervisor } from './supervisor';
import { Switchboard } from './switchboard';
import type { Tail } from './tail';
import { CHILD_STDIO, WATCHDOG_FD, watchdogArguments } from './watchdog-lines';
import type { Child, WorkerHandle } from './worker-handle';

export interface PrimaryOptions {
  /** Compiled scripts that are run as processes. The job process is left out while its script does not exist. */
  scripts: { worker: string; jobs: string; migrate: string; seed: string };
  /** Shorter intervals for tests. */
  recycleGapMs?: number;
  rssReadingMs?: number;
}

const TICK_MS = 100;
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
/** A forced stop still ends the embedded database, but does not wait for it for long. */
const FORCED_DATABASE_STOP_MS = 1_500;
/** `npm start` passes on the Ctrl-C that the terminal has sent to us already: one press, two signals, and only one is meant. */
const SIGNAL_ECHO_MS = 500;

export class Primary {
  readonly profiles = new Profiles(() => this.#supervisor.workers);
  readonly #options: PrimaryOptions;
  readonly #store = new SnapshotStore();
  readonly #books = new Books(this.#store);
  readonly #recent = new Recent();
  readonly #load: PrimaryLoad;
  readonly #windows: Windows;
  readonly #preparation: Preparation;
  readonly #front = createFront(config, (failure) => void this.#fail(failure));
  readonly #busy = new BusyPrimary();
  readonly #supervisor: Supervisor;
  readonly #switchboard: Switchboard;
  readonly #steering: Steering;
  readonly #documents: OpsDocuments;
  readonly #logs = new LogRotation(() => this.#everybody);
  readonly #startedAt = new Date();
  readonly #timers: NodeJS.Timeout[] = [];
  #ops: OpsListener | null = null;
  #stopping = false;
  #stopAskedAt = 0;
  #forked = false;
  #exiting = false;

  constructor(options: PrimaryOptions) {
    this.#options = options;
    mkdirSync(config.DATA_DIR, { recursive: true });
    this.#load = new PrimaryLoad(config.DATA_DIR);
    this.#windows = new Windows(this.#store, {
      histograms: Object.values(HISTOGRAMS),
      counters: Object.values(COUNTERS),
      labelled: [CACHE_COUNTERS.requests],
    });
    this.#preparation = new Preparation(options.scripts);
    this.#supervisor = this.#createSupervisor();
    this.#switchboard = new Switchboard({
      children: () => this.#supervisor.children,
      store: this.#store,
      recent: this.#recent,
      documents: () => this.#documents,
      onOwed: () => this.#broadcastFacts(),
    });
    this.#steering = new Steering({
      supervisor: this.#supervisor,
      startedAt: this.#startedAt,
      broadcast: () => this.#broadcastFacts(),
      settled: () => this.#switchboard.settled(),
      reopenLogs: () => this.#logs.reopen(),
      profile: (request) => this.profiles.startProfile(request),
      // Not a signal: whoever asks a second time wants to hear of the end, not to cut it short.
      stop: (why) => {
        if (!this.#stopping) void this.#stop(why);
      },
    });
    this.#documents = new OpsDocuments({
      scope: 'cluster',
      config,
      supervisor: this.#supervisor,
      store: this.#store,
      windows: this.#windows,
      recent: this.#recent,
      replies: this.#switchboard.replies,
      load: this.#load,
      switches: this.#steering.switches,
      startedAt: this.#startedAt,
      instanceId: `${hostname()}-${process.pid}`,
      host: hostname(),
      now: () => performance.now(),
      childCpuSeconds: () => this.#books.cpuSeconds(this.#supervisor.children),
      dispatch: () => this.#front.facts,
      stopping: () => this.#stopping,
    });
  }

  /** Boots and supervises; the process ends by itself when everything has stopped. */
  async start(): Promise<void> {
    listenForSignals({
      stop: (signal) => void this.#stop(signal),
      stopNow: (signal) => this.#stopNow(signal),
      roll: () => this.#roll(),
      scale: (by) => this.#scale(by),
      dump: () => this.#dump(),
      // Not a code that keeps a process manager from starting us again: this is a defect of a moment, not of the build.
      crash: () => this.#stopNow('uncaughtException'),
      exit: () => this.#supervisor.killAll(),
    });
    try {
      await this.#boot();
    } catch (error) {
      if (!this.#stopping) await this.#fail(error);
    }
  }

  async #boot(): Promise<void> {
    await this.#openOps();
    await this.#steering.open();
    await this.#preparation.run();
    if (this.#stopping) return;
    const args = watchdogArguments(process.pid, config.WATCHDOG);
    cluster.setupPrimary({ exec: this.#options.scripts.worker, args, stdio: CHILD_STDIO });
    this.#forked = true;
    this.#supervisor.start();
    this.#every(TICK_MS, () => {
      this.#supervisor.tick();
      this.#steering.observe();
    });
    this.#every(TICK_MS, () => this.#front.tick());
    this.#every(SECOND_MS, () => this.#second());
    this.#every(MINUTE_MS, () => log.info('minute', summaryFields({ supervisor: this.#supervisor, windows: this.#windows })));
  }

  async #openOps(): Promise<void> {
    try {
      this.#ops = await openOpsListener(this.#documents, config.OPS_HOST, config.OPS_PORT);
    } catch (error) {
      throw addressFailure(error as NodeJS.ErrnoException, config.OPS_HOST, config.OPS_PORT, 'operations');
    }
  }

  #createSupervisor(): Supervisor {
    const { scripts, recycleGapMs, rssReadingMs } = this.#options;
    return new Supervisor(
      {
        workers: config.WORKERS,
        poolMin: config.DB_POOL_MIN,
        poolMax: config.DB_POOL_MAX,
        standby: config.WORKER_STANDBY,
        jobs: config.JOBS && existsSync(scripts.jobs),
        spawn: (kind, tail) => this.#spawn(kind, tail),
        writeLine: (line) => process.stderr.write(`${line}\n`),
        bootTimeoutMs: config.BOOT_TIMEOUT * SECOND_MS,
        workerTimeoutMs: config.WORKER_TIMEOUT * SECOND_MS,
        gracefulTimeoutMs: GRACEFUL_MS,
        idleGraceMs: IDLE_GRACE_MS,
        maxRequests: config.MAX_REQUESTS,
        maxRequestsJitter: config.MAX_REQUESTS_JITTER,
        maxAgeMs: config.WORKER_MAX_AGE * SECOND_MS,
        canaryMs: config.ROLL_CANARY * SECOND_MS,
        checkBuild: () => this.#preparation.migrate(),
        maxRssBytes: config.WORKER_MAX_RSS_MB * 1024 * 1024,
        ...(recycleGapMs === undefined ? {} : { recycleGapMs }),
        ...(rssReadingMs === undefined ? {} : { rssReadingMs }),
      },
      {
        onChange: () => this.#onChange(),
        onStarted: () => void this.#announce(),
        onStartFailed: (code, message) => void this.#fail(new BootFailure(code, message)),
        onMessage: (worker, message) => this.#onMessage(worker, message),
        onSettled: (worker) => this.#onSettled(worker),
        onStopped: (forced) => void this.#finish(forced ? EXIT.forced : EXIT.ok),
      },
    );
  }

  #spawn(kind: 'http' | 'jobs', tail: Tail): Child {
    const env = this.#preparation.childEnv;
    const child = spawnChild(() =>
      kind === 'http'
        ? forkWorker(env)
        : fork(this.#options.scripts.jobs, watchdogArguments(process.pid, config.WATCHDOG), {
            env: childEnvironment(env),
            stdio: CHILD_STDIO,
          }),
    );
    // There is no process to follow; the supervisor hears of it.
    if (child.pid === undefined) return child as Child;
    tail.follow(child.stdout);
    tail.follow(child.stderr);
    if (kind === 'http') this.#front.follow(child);
    followStalls(child.stdio[WATCHDOG_FD] as Readable | undefined, () => this.#handleOf(child.pid));
    const kill = child.kill.bind(child);
    child.kill = (signal) => {
      // A command that a blocked worker waits for would outlive it.
      if (signal === 'SIGKILL' && child.pid !== undefined) killDescendants(child.pid);
      return kill(signal);
    };
    return child as Child;
  }

  #handleOf(pid: number | undefined): WorkerHandle | undefined {
    return this.#everybody.find((child) => child.pid === pid);
  }

  /** Those with a task, and the one in reserve. */
  get #everybody(): WorkerHandle[] {
    const { children, standby } = this.#supervisor;
    return standby ? [...children, standby] : children;
  }

  #onMessage(worker: WorkerHandle, message: FromChild): void {
    // At once: it must know whether the service is closed before it serves.
    if (message.type === 'hello') worker.send({ type: 'facts', facts: this.#facts });
    if (message.type === 'profiled') this.profiles.onProfiled(worker, message);
    else this.#switchboard.onMessage(worker, message);
  }

  #onSettled(worker: WorkerHandle): void {
    this.profiles.forget(worker);
    this.#switchboard.forget(worker);
    this.#books.settle(worker);
  }

  #onChange(): void {
    this.#front.update(this.#supervisor.workers);
    this.#broadcastFacts();
  }

  #second(): void {
    this.#load.tick(this.#books.cpuSeconds(this.#supervisor.children));
    this.#busy.report(this.#load.read().elu);
    this.#windows.tick();
    this.#logs.tick(performance.now());
    this.#switchboard.sweep();
    this.#broadcastFacts();
  }

  get #facts(): ClusterFacts {
    return {
      scope: 'cluster',
      isWhole: this.#supervisor.isWhole,
      draining: this.#stopping,
      maintenance: this.#steering.switches.maintenance,
      logLevel: this.#steering.switches.logLevel,
      repliesSince: this.#switchboard.repliesSince,
    };
  }

  #broadcastFacts(): void {
    const facts = this.#facts;
    // The one in reserve as well: it must know them before it serves.
    for (const child of this.#everybody) child.send({ type: 'facts', facts });
  }

  async #announce(): Promise<void> {
    const listening = await this.#front.address;
    const workers = this.#supervisor.workers.filter(({ state }) => state === 'ready');
    const address = listening ?? workers[0]?.address ?? { host: config.HOST, port: config.PORT };
    const facts = {
      config,
      pids: workers.map(({ pid }) => pid),
      ready: workers.length,
      host: config.HOST,
      port: address.port,
      opsHost: config.OPS_HOST,
      opsPort: this.#ops?.port ?? config.OPS_PORT,
      embedded: this.#preparation.embedded,
      bootMs: Date.now() - this.#startedAt.getTime(),
    };
    process.stdout.write(`${bannerLine(facts)}\n`);
    if (config.NODE_ENV === 'development') process.stdout.write(humanBlock(facts, demoAccounts(config.DATA_DIR)));
    // A process manager that waits for it (PM2's wait_ready) may send traffic now.
    process.send?.('ready');
    this.#steering.ready();
  }

  async #stop(signal: string): Promise<void> {
    if (this.#stopping) {
      if (performance.now() - this.#stopAskedAt >= SIGNAL_ECHO_MS) this.#stopNow(signal);
      return;
    }
    this.#stopping = true;
    this.#stopAskedAt = performance.now();
    log.info('stopping', { signal, prestop_delay: config.PRESTOP_DELAY, graceful_timeout: config.GRACEFUL_TIMEOUT });
    this.#preparation.cancel();
    this.#steering.stopping();
    this.#broadcastFacts();
    // Not ready, but still serving: balancers need time to notice.
    if (this.#forked && config.PRESTOP_DELAY > 0) await new Promise((resolve) => setTimeout(resolve, config.PRESTOP_DELAY * SECOND_MS));
    this.#supervisor.stop();
    await this.#front.close();
  }

  /** A second signal, or QUIT: nothing is waited for. */
  #stopNow(signal: string): void {
    this.#stopping = true;
    log.warn('stopping at once', { signal });
    this.#preparation.cancel();
    this.#supervisor.killAll();
    // What is being closed already is not waited for any longer.
    if (this.#exiting) void this.#preparation.stop(FORCED_DATABASE_STOP_MS).finally(() => process.exit(EXIT.forced));
    else void this.#finish(EXIT.forced, FORCED_DATABASE_STOP_MS);
  }

  #roll(): void {
    try {
      this.#supervisor.roll();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      log.warn('no rolling restart', { why: error.message });
    }
  }

  #scale(by: number): void {
    try {
      this.#supervisor.scale(this.#supervisor.target + by);
    } catch (error) {
      log.warn('the number of workers stays', { workers: this.#supervisor.target, why: (error as Error).message });
    }
  }

  /** The state for a person who reads the log, and new log files after a rotation. */
  #dump(): void {
    try {
      this.#logs.reopen();
    } catch (error) {
      log.error('the log file could not be opened anew', { error });
    }
    for (const child of this.#supervisor.children) child.send({ type: 'dump' });
    log.info('state dump', { ...stateDump(this.#supervisor), facts: this.#facts });
  }

  /** The start has failed: one clear last line, and the code that says what to do. */
  async #fail(error: unknown): Promise<void> {
    const code = error instanceof BootFailure ? error.exitCode : exitCodeOf(error);
    const message = error instanceof Error ? error.message : String(error);
    await this.#finish(code, undefined, () => log.error(`cannot start: ${message}`, { exit_code: code }));
  }

  async #finish(
    code: ExitCode,
    databaseStopMs?: number,
    lastLine: () => void = () => log.info('stopped', { exit_code: code }),
  ): Promise<void> {
    if (this.#exiting) return;
    this.#exiting = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#supervisor.killAll();
    await this.#ops?.close();
    await this.#steering.close(code);
    await this.#preparation.stop(databaseStopMs);
    lastLine();
    process.exit(code);
  }

  #every(ms: number, act: () => void): void {
    this.#timers.push(setInterval(act, ms));
  }
}
