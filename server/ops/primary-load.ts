/** How busy the primary itself is, the processor use of the whole cluster, and the machine's disk and descriptor limits. */
import cluster from 'node:cluster';
import type { EventEmitter } from 'node:events';
import { readdir, readFileSync, statfs } from 'node:fs';
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Stats } from './stats.schema';

const SAMPLE_MS = 1_000;
const DISK_MS = 10_000;
const TIMER_PERIOD_NS = 10e6;

/** The soft limit on open files of this process, which its children inherit; null where the system does not say. */
function readMaxFds(): number | null {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? null : Number(soft);
  } catch {
    return null; // not a Linux
  }
}

const countListeners = (emitter: EventEmitter): number => emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);

export class PrimaryLoad {
  readonly maxFds = readMaxFds();
  readonly #loop = monitorEventLoopDelay({ resolution: 10 });
  readonly #dataDir: string;
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  #last = { elu: 0, lagP99: 0, fds: null as number | null };
  #sampledAt = performance.now();
  #diskAt = Number.NEGATIVE_INFINITY;
  #disk: Stats['resources']['disk'] = { free: null, used_ratio: null, read_bytes: null, write_bytes: null };
  #cpuSeconds: number | null = null;
  #cpuPercent: number | null = null;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#loop.enable();
  }

  stop(): void {
    this.#loop.disable();
  }

  /** Takes one sample a second. `childSeconds`: processor seconds that all children have used, dead ones included. */
  tick(childSeconds: number): void {
    const now = performance.now();
    const elapsed = now - this.#sampledAt;
    if (elapsed < SAMPLE_MS) return;
    this.#sampledAt = now;
    const utilization = performance.eventLoopUtilization();
    this.#last.elu = performance.eventLoopUtilization(utilization, this.#utilization).utilization;
    this.#utilization = utilization;
    const p99 = this.#loop.percentile(99) - TIMER_PERIOD_NS;
    this.#last.lagP99 = Number.isFinite(p99) ? Math.max(0, p99 / 1e6) : 0;
    this.#loop.reset();
    const cpu = process.cpuUsage();
    const total = childSeconds + (cpu.user + cpu.system) / 1e6;
    if (this.#cpuSeconds !== null) this.#cpuPercent = Math.max(0, Math.round(((total - this.#cpuSeconds) / (elapsed / 1000)) * 1000) / 10);
    this.#cpuSeconds = total;
    if (now - this.#diskAt > DISK_MS) this.#look(now);
  }

  read(): Stats['primary'] {
    return {
      pid: process.pid,
      elu: Math.round(this.#last.elu * 1000) / 1000,
      loop_lag_p99: Math.round(this.#last.lagP99 * 100) / 100,
      rss: process.memoryUsage.rss(),
      fds: this.#last.fds,
      timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length,
      listeners: countListeners(process) + countListeners(cluster),
    };
  }

  /** Of all processes together; 100 is one processor fully used. Null before the second sample. */
  get cpuPercent(): number | null {
    return this.#cpuPercent;
  }

  get cpuSeconds(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }

  get heapUsed(): number {
    return process.memoryUsage().heapUsed;
  }

  get heapTotal(): number {
    return process.memoryUsage().heapTotal;
  }

  get disk(): Stats['resources']['disk'] {
    return this.#disk;
  }

  #look(now: number): void {
    this.#diskAt = now;
    readdir('/proc/self/fd', (error, entries) => {
      this.#last.fds = error ? null : entries.length;
    });
    statfs(this.#dataDir, (error, stats) => {
      if (error || stats.blocks === 0) return;
      const used = 1 - stats.bavail / stats.blocks;
      this.#disk = { ...this.#disk, free: stats.bavail * stats.bsize, used_ratio: Math.round(used * 1000) / 1000 };
    });
  }
}
