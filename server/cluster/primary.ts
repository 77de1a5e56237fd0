/**
 * The supervising process: starts what is embedded, migrates, forks workers and the job process, watches them, answers on the
 * operations port and stops everything in order. It stays light and holds no database connection: whatever can fail in the
 * application fails in a worker, and the primary lives to replace it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import cluster from 'node:cluster';
import { existsSync, mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { config } from '../../config';
import { childEnvironment } from '../../config/child-environment';
import { ineffectiveSettings } from '../../config/ineffective';
import type { ClusterFacts } from '../../lib/cluster-ports';
import { log, reopenLogs } from '../../lib/log';
import { OpsDocuments, type OpsListener, openOpsListener } from '../ops/listener';
import { PrimaryLoad } from '../ops/primary-load';
import { Recent } from '../ops/recent';
import { COUNTERS, clusterState, HISTOGRAMS } from '../ops/stats';
import { summaryFields } from '../ops/summary';
import { Windows } from '../ops/windows';
import { bannerLine, demoAccounts, humanBlock } from './banner';
import { addressFailure, assertPortFree, BootFailure, developmentSecret, Steps } from './boot';
import { Bus } from './bus';
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes';
import { LimitCounters } from './limits';
import type { FromChild, ToChild } from './messages';
import { regiveAfterDeath } from './regive';
import { SnapshotStore } from './snapshots';
import { Supervisor } from './supervisor';
import type { Tail } from './tail';
import type { Child, WorkerHandle } from './worker-handle';

export interface PrimaryOptions {
  /** Compiled scripts that are run as processes. The job process is left out while its script does not exist. */
  scripts: { worker: string; jobs: string; migrate: string; seed: string };
  /** Shorter intervals for tests. */
  recycleGapMs?: number;
  rssReadingMs?: number;
}

interface Embedded {
  url: string;
  migrationUrl: string;
  description: string;
  stop(): Promise<void>;
}

const TICK_MS = 100;
const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
/** A forced stop still ends the embedded database, but does not wait for it for long. */
const FORCED_DATABASE_STOP_MS = 1_500;
/** `npm start` passes on the Ctrl-C that the terminal has sent to us already: one press, two signals, and only one is meant. */
const SIGNAL_ECHO_MS = 500;

export class Primary {
  readonly #options: PrimaryOptions;
  readonly #store = new SnapshotStore();
  readonly #limits = new LimitCounters(() => performance.now());
  readonly #recent = new Recent();
  readonly #load: PrimaryLoad;
  readonly #windows: Windows;
  readonly #steps = new Steps();
  readonly #supervisor: Supervisor;
  readonly #bus: Bus;
  readonly #documents: OpsDocuments;
  readonly #startedAt = new Date();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #cpuOfGone = { seconds: 0 };
  #childEnv: Record<string, string> = {};
  #embedded: Embedded | null = null;
  #ops: OpsListener | null = null;
  #stopping = false;
  #stopAskedAt = 0;
  #forked = false;
  #regiven = 0;
  #exiting = false;

  constructor(options: PrimaryOptions) {
    this.#options = options;
    mkdirSync(config.DATA_DIR, { recursive: true });
    this.#load = new PrimaryLoad(config.DATA_DIR);
    this.#windows = new Windows(this.#store, { histograms: Object.values(HISTOGRAMS), counters: Object.values(COUNTERS) });
    this.#supervisor = this.#createSupervisor();
    this.#bus = new Bus({
      receivers: () => this.#supervisor.children.filter(({ state }) => state === 'ready' || state === 'draining').map(({ id }) => id),
      deliver: (receiver, delivery, topic, payload) => this.#send(receiver, { type: 'bus-message', delivery, topic, payload }),
      done: (publisher, call) => this.#send(publisher, { type: 'bus-done', call }),
    });
    this.#documents = new OpsDocuments({
      config,
      supervisor: this.#supervisor,
      store: this.#store,
      windows: this.#windows,
      recent: this.#recent,
      limits: this.#limits,
      load: this.#load,
      startedAt: this.#startedAt,
      instanceId: `${hostname()}-${process.pid}`,
      host: hostname(),
      now: () => performance.now(),
      childCpuSeconds: () => this.#childCpuSeconds(),
      regiven: () => this.#regiven,
    });
  }

  /** Boots and supervises; the process ends by itself when everything has stopped. */
  async start(): Promise<void> {
    this.#listenForSignals();
    try {
      await this.#boot();
    } catch (error) {
      if (!this.#stopping) await this.#fail(error);
    }
  }

  async #boot(): Promise<void> {
    await this.#openOps();
    await assertPortFree(config.HOST, config.PORT, 'public');
    if (config.embeddedDatabase) await this.#startEmbedded();
    if (!config.JWT_SECRET) this.#makeSecret();
    for (const variable of ineffectiveSettings(config)) log.warn('a setting has no effect in this version', { variable });
    const { migrate, seed, worker } = this.#options.scripts;
    await this.#steps.run({ what: 'the migration', script: migrate, env: this.#childEnv });
    // It prints the passwords of the demo accounts; the banner shows them in development.
    if (config.DB_SEED === 'demo')
      await this.#steps.run({ what: 'the demo seed', script: seed, args: ['--if-empty'], env: this.#childEnv, secret: true });
    if (this.#stopping) return;
    cluster.setupPrimary({ exec: worker, args: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    this.#forked = true;
    this.#supervisor.start();
    this.#every(TICK_MS, () => this.#supervisor.tick());
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

  async #startEmbedded(): Promise<void> {
    // Loaded only when needed: production images do not have it.
    const { startEmbeddedPostgres } = await import('./embedded-postgres.js');
    try {
      this.#embedded = await startEmbeddedPostgres({ dataDir: config.DATA_DIR, log: (message) => log.info(message) });
    } catch (error) {
      throw new BootFailure(EXIT.databaseDown, `the embedded database does not start: ${(error as Error).message}`, error);
    }
    this.#childEnv = { ...this.#childEnv, DATABASE_URL: this.#embedded.url, DATABASE_MIGRATION_URL: this.#embedded.migrationUrl };
  }

  #makeSecret(): void {
    const { secret, path, fresh } = developmentSecret(config.DATA_DIR);
    this.#childEnv = { ...this.#childEnv, JWT_SECRET: secret };
    if (fresh) log.warn('JWT_SECRET is not set: a development secret was generated', { path });
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
        gracefulTimeoutMs: config.GRACEFUL_TIMEOUT * SECOND_MS,
        maxRequests: config.MAX_REQUESTS,
        maxRequestsJitter: config.MAX_REQUESTS_JITTER,
        maxRssBytes: config.WORKER_MAX_RSS_MB * 1024 * 1024,
        ...(recycleGapMs === undefined ? {} : { recycleGapMs }),
        ...(rssReadingMs === undefined ? {} : { rssReadingMs }),
      },
      {
        onChange: () => this.#broadcastFacts(),
        onStarted: () => this.#announce(),
        onStartFailed: (code, message) => void this.#fail(new BootFailure(code, message)),
        onMessage: (worker, message) => this.#onMessage(worker, message),
        onSettled: (worker) => this.#onSettled(worker),
        onStopped: (forced) => void this.#finish(forced ? EXIT.forced : EXIT.ok),
      },
    );
  }

  #spawn(kind: 'http' | 'jobs', tail: Tail): Child {
    const child: ChildProcess =
      kind === 'http'
        ? cluster.fork(this.#childEnv).process
        : fork(this.#options.scripts.jobs, [], { env: childEnvironment(this.#childEnv), stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    tail.follow(child.stdout);
    tail.follow(child.stderr);
    if (kind === 'http')
      regiveAfterDeath(child, (count) => {
        this.#regiven += count;
      });
    return child as Child;
  }

  #onMessage(worker: WorkerHandle, message: FromChild): void {
    switch (message.type) {
      case 'report':
      case 'final':
        this.#store.push(worker.id, message.metrics);
        this.#recent.add(message.report);
        if (message.type === 'final') worker.send({ type: 'final-ack' });
        break;
      case 'limit-take': {
        const { call, key, limit, windowMs, cost, want } = message;
        worker.send({ type: 'limit-answer', call, take: this.#limits.take(key, limit, windowMs, cost, want) });
        break;
      }
      case 'limit-reset':
        this.#limits.reset(message.key);
        for (const other of this.#supervisor.children) if (other !== worker) other.send({ type: 'limit-forget', key: message.key });
        worker.send({ type: 'limit-reset-done', call: message.call });
        break;
      case 'bus-publish':
        this.#bus.publish(worker.id, message.call, message.topic, message.payload);
        break;
      case 'bus-ack':
        this.#bus.acknowledge(worker.id, message.delivery);
        break;
      case 'ops-get':
        void this.#answerOps(worker, message);
        break;
      default: // the worker's life: the supervisor's business
        break;
    }
  }

  async #answerOps(
    worker: WorkerHandle,
    { call, what, windowSeconds, openMetrics }: Extract<FromChild, { type: 'ops-get' }>,
  ): Promise<void> {
    try {
      const document = what === 'metrics' ? await this.#documents.metrics(openMetrics) : this.#documents.stats(windowSeconds);
      worker.send({ type: 'ops-answer', call, document });
    } catch (error) {
      log.error('an operations document could not be built', { what, error });
    }
  }

  #onSettled(worker: WorkerHandle): void {
    this.#bus.forget(worker.id);
    this.#cpuOfGone.seconds += worker.report?.cpu_s ?? 0;
    // A worker that never served has counted nothing that could be lost.
    const complete = worker.sentFinal || worker.readyAt === null;
    this.#store.retire(worker.id, complete).catch((error: unknown) => log.error('the metrics of a worker could not be kept', { error }));
  }

  #childCpuSeconds(): number {
    return this.#supervisor.children.reduce((sum, { report }) => sum + (report?.cpu_s ?? 0), this.#cpuOfGone.seconds);
  }

  #second(): void {
    this.#load.tick(this.#childCpuSeconds());
    this.#windows.tick();
    this.#bus.sweep();
    this.#broadcastFacts();
  }

  get #facts(): ClusterFacts {
    return {
      scope: 'cluster',
      workersReady: this.#supervisor.ready,
      workersTarget: this.#supervisor.target,
      draining: this.#stopping,
    };
  }

  #broadcastFacts(): void {
    const facts = this.#facts;
    for (const child of this.#supervisor.children) child.send({ type: 'facts', facts });
  }

  #send(id: string, message: ToChild): void {
    this.#supervisor.children.find((child) => child.id === id)?.send(message);
  }

  #announce(): void {
    const workers = this.#supervisor.workers.filter(({ state }) => state === 'ready');
    const address = workers[0]?.address ?? { host: config.HOST, port: config.PORT };
    const facts = {
      config,
      pids: workers.map(({ pid }) => pid),
      ready: workers.length,
      host: config.HOST,
      port: address.port,
      opsHost: config.OPS_HOST,
      opsPort: this.#ops?.port ?? config.OPS_PORT,
      embedded: this.#embedded?.description ?? null,
      bootMs: Date.now() - this.#startedAt.getTime(),
    };
    process.stdout.write(`${bannerLine(facts)}\n`);
    if (config.NODE_ENV === 'development') process.stdout.write(humanBlock(facts, demoAccounts(config.DATA_DIR)));
    // A process manager that waits for it (PM2's wait_ready) may send traffic now.
    process.send?.('ready');
  }

  #listenForSignals(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void this.#stop(signal));
    process.on('SIGQUIT', () => this.#stopNow('SIGQUIT'));
    process.on('SIGHUP', () => this.#roll());
    process.on('SIGTTIN', () => this.#scale(1));
    process.on('SIGTTOU', () => this.#scale(-1));
    process.on('SIGUSR2', () => this.#dump());
    // Dying without a word would orphan the children; dying with one is all that is left to do.
    process.on('uncaughtException', (error) => {
      log.error('uncaught error in the primary', { error });
      this.#stopNow('uncaughtException', EXIT.loadError);
    });
    process.on('exit', () => {
      this.#supervisor.killAll();
    });
  }

  async #stop(signal: string): Promise<void> {
    if (this.#stopping) {
      if (performance.now() - this.#stopAskedAt >= SIGNAL_ECHO_MS) this.#stopNow(signal);
      return;
    }
    this.#stopping = true;
    this.#stopAskedAt = performance.now();
    log.info('stopping', { signal, prestop_delay: config.PRESTOP_DELAY, graceful_timeout: config.GRACEFUL_TIMEOUT });
    this.#steps.cancel();
    this.#broadcastFacts();
    // Not ready, but still serving: balancers need time to notice.
    if (this.#forked && config.PRESTOP_DELAY > 0) await new Promise((resolve) => setTimeout(resolve, config.PRESTOP_DELAY * SECOND_MS));
    this.#supervisor.stop();
  }

  /** A second signal, or QUIT: nothing is waited for. */
  #stopNow(signal: string, code: ExitCode = EXIT.forced): void {
    this.#stopping = true;
    log.warn('stopping at once', { signal });
    this.#steps.cancel();
    this.#supervisor.killAll();
    void this.#finish(code, FORCED_DATABASE_STOP_MS);
  }

  #roll(): void {
    if (!this.#supervisor.roll())
      log.warn('no rolling restart: one is under way, or the service is not running', { state: this.#supervisor.phase });
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
    reopenLogs();
    for (const child of this.#supervisor.children) {
      child.send({ type: 'reopen-logs' });
      child.send({ type: 'dump' });
    }
    log.info('state dump', {
      state: clusterState({ supervisor: this.#supervisor }),
      facts: this.#facts,
      roll: this.#supervisor.rollStatus,
      granted: this.#supervisor.ledger.granted,
      limit: this.#supervisor.ledger.limit,
      workers: this.#supervisor.children.map(({ id, kind, slot, pid, state, drain, report }) => ({
        id,
        kind,
        slot,
        pid,
        state,
        drain: drain?.reason,
        requests: report?.requests_count,
        in_flight: report?.in_flight,
        hanging: report?.hanging,
      })),
    });
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
    await this.#stopEmbedded(databaseStopMs);
    lastLine();
    process.exit(code);
  }

  async #stopEmbedded(limitMs: number | undefined): Promise<void> {
    if (!this.#embedded) return;
    const stopped = this.#embedded.stop().catch((error: unknown) => log.error('the embedded database did not stop cleanly', { error }));
    if (limitMs === undefined) await stopped;
    else await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, limitMs))]);
  }

  #every(ms: number, act: () => void): void {
    this.#timers.push(setInterval(act, ms));
  }
}
