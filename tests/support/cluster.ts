/**
 * The real service, built and spawned as an operator would, on ports and a database of its own: for tests of processes and faults.
 * Everything waits for events (a line of output, an exit), with a limit that tells what was seen instead.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { closeLater } from './closers';
import { createDatabase, type TestDatabase } from './database';
import { freePort, temporaryFolder } from './services';

const READY_TIMEOUT_MS = 120_000;
const EXIT_TIMEOUT_MS = 60_000;

/** With all processes that it has by default: for a test of them, or of the service as it is shipped. */
export const AS_SHIPPED = { JOBS: 'true', WORKER_STANDBY: 'true' } as const;

export interface ServiceOptions {
  /** Over the environment of tests; `undefined` takes a variable away. */
  env?: Record<string, string | undefined>;
  /** Default: a migrated copy of the template. `null`: none is named, so the embedded one starts in DATA_DIR. */
  database?: TestDatabase | null;
  /** Built file below the project, default the service itself. */
  script?: string;
  args?: string[];
  cwd?: string;
  /** 'pipe' for a script that takes orders on its standard input. */
  stdin?: 'pipe';
  /** A command that runs the service, for example in a namespace of its own. */
  wrapper?: [string, ...string[]];
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Answer<Body = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
  readonly ms: number;
}

/** The JSON line that the primary prints when it serves. */
export interface Banner {
  readonly event: 'ready';
  readonly workers: number;
  readonly pids: number[];
  readonly pool: { min: number; max: number };
  readonly [key: string]: unknown;
}

export class Service {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly url: string;
  readonly opsUrl: string;
  readonly database: TestDatabase | null;
  readonly controlSocket: string;
  /** Resolves when the process and its output have ended. */
  readonly exited: Promise<Exit>;
  readonly #lines: { stream: 'stdout' | 'stderr'; text: string }[] = [];
  readonly #watchers = new Set<() => void>();
  #exit: Exit | undefined;

  constructor(child: ChildProcess, address: { url: string; opsUrl: string; database: TestDatabase | null; controlSocket: string }) {
    if (child.pid === undefined) throw new Error('The service could not be spawned');
    this.child = child;
    this.pid = child.pid;
    this.url = address.url;
    this.opsUrl = address.opsUrl;
    this.database = address.database;
    this.controlSocket = address.controlSocket;
    this.#collect('stdout');
    this.#collect('stderr');
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#exit = { code, signal };
        this.#notify();
        resolve(this.#exit);
      });
    });
  }

  /** Both streams, as they came. */
  get output(): string {
    return this.#lines.map(({ text }) => text).join('\n');
  }

  lines(stream?: 'stdout' | 'stderr'): string[] {
    return this.#lines.filter((line) => !stream || line.stream === stream).map(({ text }) => text);
  }

  /** Lines of output that are JSON objects, parsed. */
  events(): Record<string, unknown>[] {
    return this.lines().flatMap((text) => {
      if (!text.startsWith('{')) return [];
      try {
        return [JSON.parse(text) as Record<string, unknown>];
      } catch {
        return [];
      }
    });
  }

  get isRunning(): boolean {
    return this.#exit === undefined;
  }

  /** Resolves with what `find` gives, asked again after each line of output. @throws Error at the limit, or when the service ends first */
  async waitFor<T>(what: string, find: () => T | undefined | false, timeoutMs = READY_TIMEOUT_MS): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      const finish = (act: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        act();
      };
      const fail = (why: string): void => finish(() => reject(new Error(`${what}: ${why}. Output:\n${this.output}`)));
      const look = (): void => {
        const found = find();
        if (found !== undefined && found !== false) finish(() => resolve(found));
        else if (this.#exit) fail(`the service ended (${JSON.stringify(this.#exit)})`);
      };
      const timer = setTimeout(() => fail(`not within ${timeoutMs} ms`), timeoutMs);
      this.#watchers.add(look);
      look();
    });
  }

  /** The first line, from `after` on, that matches. */
  waitForLine(pattern: RegExp, { timeoutMs, after = 0 }: { timeoutMs?: number; after?: number } = {}): Promise<string> {
    return this.waitFor(
      `a line like ${pattern}`,
      () =>
        this.lines()
          .slice(after)
          .find((line) => pattern.test(line)),
      timeoutMs,
    );
  }

  /** The banner: all workers serve. */
  ready(timeoutMs = READY_TIMEOUT_MS): Promise<Banner> {
    return this.waitFor('ready', () => this.events().find((event) => event['event'] === 'ready') as Banner | undefined, timeoutMs);
  }

  /** @throws Error with the output when it does not end in time */
  async waitForExit(timeoutMs = EXIT_TIMEOUT_MS): Promise<Exit> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`The service did not end within ${timeoutMs} ms. Output:\n${this.output}`)), timeoutMs);
    });
    try {
      return await Promise.race([this.exited, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** To the primary alone, as a process manager does. */
  kill(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** To every process of the service, as Ctrl-C in a terminal does. */
  killGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  /** Graceful stop, to the end. */
  async stop(timeoutMs?: number): Promise<Exit> {
    if (this.isRunning) this.kill('SIGTERM');
    return this.waitForExit(timeoutMs);
  }

  request<Body = Record<string, unknown>>(path: string, init?: RequestInit): Promise<Answer<Body>> {
    return ask<Body>(`${this.url}${path}`, init);
  }

  /** On the operations listener. */
  ops<Body = Record<string, unknown>>(path: string, init?: RequestInit): Promise<Answer<Body>> {
    return ask<Body>(`${this.opsUrl}${path}`, init);
  }

  #collect(name: 'stdout' | 'stderr'): void {
    const stream = this.child[name];
    let rest = '';
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) this.#lines.push({ stream: name, text: part });
      if (parts.length > 0) this.#notify();
    });
    stream?.once('end', () => {
      if (rest) this.#lines.push({ stream: name, text: rest });
      this.#notify();
    });
  }

  #notify(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** One request, its body parsed when it is JSON. @throws TypeError when there is no answer */
export async function ask<Body = unknown>(url: string, init?: RequestInit): Promise<Answer<Body>> {
  const started = performance.now();
  const response = await fetch(url, init);
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== '';
  return {
    status: response.status,
    headers: response.headers,
    body: (isJson ? JSON.parse(text) : text) as Body,
    ms: performance.now() - started,
  };
}

/** Spawns the service and returns at once; `service.ready()` waits for it. Whatever is left of it ends with the test file. */
export async function spawnService(options: ServiceOptions = {}): Promise<Service> {
  const script = join(PROJECT_ROOT, options.script ?? join('dist', 'server', 'index.js'));
  if (!existsSync(script)) throw new Error(`${script} is missing: npm run build first`);
  const database = options.database === undefined ? await createDatabase() : options.database;
  const [port, opsPort] = [await freePort(), await freePort()];
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PORT: String(port),
    OPS_PORT: String(opsPort),
    LOG_LEVEL: 'INFO',
    // Only what serves: each process more costs a second of a processor at every start.
    JOBS: 'false',
    WORKER_STANDBY: 'false',
    STRUCTURED_LOGGING: 'true',
    DATABASE_URL: database?.url,
    DATABASE_MIGRATION_URL: database?.migrationUrl,
    // Several services of one test may share a data folder.
    CONTROL_SOCKET: join(temporaryFolder('control'), 'control.sock'),
    ...options.env,
  };
  // A process of its own group: Ctrl-C can be sent to all of it, and nothing of it survives the test.
  const [program, ...rest] = [...(options.wrapper ?? []), process.execPath, script, ...(options.args ?? [])] as [string, ...string[]];
  const child = spawn(program, rest, {
    cwd: options.cwd ?? PROJECT_ROOT,
    detached: true,
    stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
    env,
  });
  const at = (variable: 'PORT' | 'OPS_PORT') => `http://127.0.0.1:${env[variable]}`;
  const controlSocket = env['CONTROL_SOCKET'] ?? '';
  const service = new Service(child, { url: at('PORT'), opsUrl: at('OPS_PORT'), database, controlSocket });
  const guard = guardGroup(service.pid);
  closeLater(async () => {
    guard.kill();
    endGroup(service.pid);
    await service.exited;
  });
  return service;
}

/** Spawns the service and waits until all its workers serve. */
export async function startService(options: ServiceOptions = {}): Promise<Service & { banner: Banner }> {
  const service = await spawnService(options);
  const banner = await service.ready();
  return Object.assign(service, { banner });
}

/** Ends the group when this process is gone, however it went: its own closers do not see a SIGKILL. */
function guardGroup(pid: number): ChildProcess {
  const guard = spawn('sh', ['-c', `read -r _; kill -KILL -${pid}`], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return guard;
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // Nobody of the group is left.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
