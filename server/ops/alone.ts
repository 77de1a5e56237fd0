/**
 * `/stats` and `/metrics` of a process that serves without a primary of ours (PM2's cluster mode): the same documents, of this process
 * alone, and they say so (`scope: "worker"`). The process is its own only worker; nothing here supervises.
 */
import { hostname } from 'node:os';
import { config } from '../../config';
import type { OpsDocument, OpsSource } from '../../lib/cluster-ports';
import { log } from '../../lib/log';
import { Breaker } from '../cluster/breaker';
import { Ledger, type Share } from '../cluster/budget';
import { SelfReport } from '../cluster/self-report';
import { SnapshotStore } from '../cluster/snapshots';
import { Tail } from '../cluster/tail';
import { type Child, WorkerHandle } from '../cluster/worker-handle';
import { lifecycle } from '../lifecycle';
import { CACHE_COUNTERS } from './cache-stats';
import { buildMetrics } from './metrics';
import { PrimaryLoad } from './primary-load';
import { Recent } from './recent';
import { buildStats, COUNTERS, HISTOGRAMS, type StatsSource } from './stats';
import { Windows } from './windows';

const SECOND_MS = 1_000;
const ID = 'alone';
const NO_ROLL = { id: 0, state: 'idle', done: 0, total: 0, last: null } as const;

/** Somebody else's cluster hands out the connections, in turn. */
const FOREIGN_DISPATCH = {
  policy: 'rr',
  accepted: null,
  live: null,
  unacked: null,
  waiting: null,
  regiven: 0,
  refused: null,
  shares: null,
  slow: null,
} as const;

/** This process, where a child is expected: nobody sends to it, and nobody may kill it. */
const SELF: Child = {
  pid: process.pid,
  connected: false,
  send: () => false,
  kill: () => false,
  on() {
    return this;
  },
} as unknown as Child;

export interface AloneOptions {
  share: Share;
  maintenance: StatsSource['switches']['maintenance'];
}

export class OpsAlone implements OpsSource {
  readonly #self = new SelfReport({ watchesDatabase: true });
  readonly #store = new SnapshotStore();
  readonly #recent = new Recent();
  readonly #windows = new Windows(this.#store, {
    histograms: Object.values(HISTOGRAMS),
    counters: Object.values(COUNTERS),
    labelled: [CACHE_COUNTERS.requests],
  });
  readonly #load = new PrimaryLoad(config.DATA_DIR);
  readonly #worker: WorkerHandle;
  readonly #source: StatsSource;

  constructor({ share, maintenance }: AloneOptions) {
    const now = () => performance.now();
    const identity = { id: ID, kind: 'http', slot: 1, now: now(), requestLimit: 0, maxAgeMs: 0, tail: new Tail(() => undefined) } as const;
    this.#worker = new WorkerHandle(SELF, identity, { onMessage: () => undefined, onExit: () => undefined, onSettled: () => undefined });
    this.#worker.version = config.APP_VERSION;
    const ledger = new Ledger(share.max);
    ledger.grant(ID, share);
    this.#source = {
      scope: 'worker',
      config,
      supervisor: this.#view(ledger, share),
      store: this.#store,
      windows: this.#windows,
      recent: this.#recent,
      replies: { bytes: 0, evictions: 0 },
      load: this.#loadView(),
      switches: { maintenance, logLevel: null, logLevelUntil: null },
      startedAt: new Date(),
      instanceId: `${hostname()}-${process.pid}`,
      host: hostname(),
      now,
      childCpuSeconds: () => 0,
      dispatch: () => FOREIGN_DISPATCH,
      stopping: () => lifecycle.draining,
    };
  }

  /** It serves: reports to itself each second from now on. */
  start(): this {
    const now = performance.now();
    for (const state of ['hello', 'granted', 'ready'] as const) this.#worker.moveTo(state);
    this.#worker.helloAt = now;
    this.#worker.readyAt = now;
    const reporting = setInterval(() => void this.#report(), SECOND_MS);
    lifecycle.onShutdown('own report', () => {
      clearInterval(reporting);
      this.#self.stop();
      this.#load.stop();
    });
    void this.#report();
    return this;
  }

  async get(
    what: 'stats' | 'metrics',
    { windowSeconds = 60, openMetrics = false }: { windowSeconds?: number; openMetrics?: boolean } = {},
  ): Promise<OpsDocument> {
    if (what === 'metrics') return { status: 200, ...(await buildMetrics(this.#source, openMetrics)) };
    const body = JSON.stringify(buildStats(this.#source, windowSeconds));
    return { status: 200, contentType: 'application/json; charset=utf-8', body };
  }

  async #report(): Promise<void> {
    try {
      const report = this.#self.collect();
      this.#worker.report = report;
      this.#worker.lastCheckinAt = performance.now();
      this.#store.push(ID, await this.#self.changedMetrics());
      this.#recent.add(report);
      this.#load.tick(0);
      this.#windows.tick();
    } catch (error) {
      log.error('the own report failed', { error });
    }
  }

  #view(ledger: Ledger, share: Share): StatsSource['supervisor'] {
    const worker = this.#worker;
    const breaker = new Breaker();
    return {
      get phase() {
        return lifecycle.draining ? 'stopping' : worker.readyAt === null ? 'starting' : 'running';
      },
      get ready() {
        return worker.readyAt === null ? 0 : 1;
      },
      get isWhole() {
        return worker.readyAt !== null;
      },
      target: 1,
      workers: [worker],
      children: [worker],
      jobProcess: null,
      standby: null,
      breaker,
      ledger,
      division: { limit: share.max, slots: [share], surge: { min: 0, max: 0 }, jobs: null },
      lastExit: null,
      lastExitOf: () => null,
      restarts: new Map(),
      rollStatus: NO_ROLL,
    };
  }

  /** What is added up over primary and workers must not count this one process twice. */
  #loadView(): StatsSource['load'] {
    const load = this.#load;
    return {
      read: () => ({ ...load.read(), rss: 0, fds: 0 }),
      get cpuPercent() {
        return load.cpuPercent;
      },
      get cpuSeconds() {
        return load.cpuSeconds;
      },
      heapUsed: 0,
      heapTotal: 0,
      get disk() {
        return load.disk;
      },
      maxFds: load.maxFds,
    };
  }
}
