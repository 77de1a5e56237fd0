/** A supervisor over processes and a clock that do what the test says. The test mocks the log. */
import { EventEmitter } from 'node:events';
import type { FromChild, Report, ToChild } from '../../../server/cluster/messages';
import { Supervisor } from '../../../server/cluster/supervisor';
import type { SupervisorOptions } from '../../../server/cluster/supervisor-options';
import type { Child } from '../../../server/cluster/worker-handle';

export const REPORT: Report = {
  requests_count: 0,
  errors_5xx: 0,
  in_flight: 0,
  in_flight_max: 0,
  oldest_request: null,
  hanging: [],
  live_connections: 0,
  idle_connections: 0,
  max_ms: 0,
  typical_ms: null,
  elu: 0,
  lag_p50: 0,
  lag_p99: 0,
  lag_max: 0,
  cpu_s: 0,
  rss: 0,
  heap_used: 0,
  heap_total: 0,
  heap_limit: 0,
  fds: null,
  gc: { pauses: 0, total_ms: 0, pause_p99: 0 },
  pool: null,
  db: null,
  replicas: [],
  figures: null,
  queue: null,
  pooler: null,
  cache: { backend: 'memory', ready: true, bytes: 0, evictions: 0 },
  shed: { offered: 0, shed: {} },
  recent: { slow_requests: [], slow_queries: [], slow_plans: [], errors: [], repeated_reads: [] },
};

let nextPid = 100;

/** A process that does what the test says and remembers what it was told. */
export class FakeChild extends EventEmitter {
  readonly pid: number = nextPid++;
  readonly sent: ToChild[] = [];
  connected = true;
  killedWith: string | null = null;

  send(message: ToChild, done?: (error: Error | null) => void): boolean {
    this.sent.push(message);
    done?.(null);
    return true;
  }

  kill(signal: NodeJS.Signals): boolean {
    this.killedWith ??= signal;
    return true;
  }

  says(message: FromChild): void {
    this.emit('message', message);
  }

  hello(): void {
    this.says({ type: 'hello', pid: this.pid, version: 'test' });
  }

  becomesReady(): void {
    this.hello();
    this.says({ type: 'ready', host: '0.0.0.0', port: 3001 });
  }

  reports(report: Partial<Report> = {}): void {
    this.says({ type: 'report', report: { ...REPORT, ...report }, metrics: [] });
  }

  exits(code: number | null, signal: NodeJS.Signals | null = null): void {
    this.connected = false;
    this.emit('disconnect');
    this.emit('exit', code, signal);
  }

  got(type: ToChild['type']): ToChild | undefined {
    return this.sent.find((message) => message.type === type);
  }
}

export interface World {
  supervisor: Supervisor;
  /** What the supervisor was given; `spawn` may be changed. */
  options: Pick<SupervisorOptions, 'spawn'>;
  children: FakeChild[];
  happened: string[];
  /** Moves the clock in steps of 100 ms, ticking; living children report each second unless `silent`. */
  pass(ms: number, silent?: readonly FakeChild[]): void;
  /** The clock goes on, and nothing else. */
  standStill(ms: number): void;
  latest(): FakeChild;
}

export function world(options: Partial<SupervisorOptions> = {}): World {
  let now = 0;
  const children: FakeChild[] = [];
  const happened: string[] = [];
  const gone = new Set<FakeChild>();
  const given: Pick<SupervisorOptions, 'spawn'> = {
    spawn: (kind) => {
      const child = new FakeChild();
      child.once('exit', () => gone.add(child));
      children.push(child);
      happened.push(`fork ${kind}`);
      return child as unknown as Child;
    },
  };
  const supervisor = new Supervisor(
    {
      workers: 2,
      poolMin: 5,
      poolMax: 20,
      jobs: false,
      bootTimeoutMs: 30_000,
      workerTimeoutMs: 30_000,
      gracefulTimeoutMs: 30_000,
      idleGraceMs: 6_000,
      maxRequests: 1000,
      maxRequestsJitter: 100,
      maxRssBytes: 0,
      now: () => now,
      random: () => 0.5,
      spawn: (kind, tail) => given.spawn(kind, tail),
      ...options,
    },
    {
      onChange: () => undefined,
      onStarted: () => happened.push('started'),
      onStartFailed: (code, message) => happened.push(`failed ${code}: ${message}`),
      onMessage: () => undefined,
      onSettled: () => undefined,
      onStopped: (forced) => happened.push(`stopped${forced ? ' forced' : ''}`),
    },
  );
  return {
    supervisor,
    options: given,
    children,
    happened,
    latest: () => children.at(-1) as FakeChild,
    standStill: (ms) => {
      now += ms;
    },
    pass: (ms, silent = []) => {
      for (const end = now + ms; now < end; now += 100) {
        if (now % 1000 === 0)
          for (const child of children)
            if (!gone.has(child) && !silent.includes(child) && child.got('grant')) child.emit('message', { type: 'bus-ack', delivery: 0 });
        supervisor.tick();
      }
      supervisor.tick();
    },
  };
}

/** A service whose workers serve; the first two by name. */
export function running(options: Partial<SupervisorOptions> = {}): World & { first: FakeChild; second: FakeChild } {
  const made = world(options);
  made.supervisor.start();
  for (const child of [...made.children]) child.becomesReady();
  made.supervisor.tick();
  const [first, second] = made.children as [FakeChild, FakeChild];
  return { ...made, first, second };
}

/** Promises that are settled have told so. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));
