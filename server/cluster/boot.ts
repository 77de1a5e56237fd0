/**
 * What has to be done once before the first worker is forked, step by step; each step that fails ends the start with the
 * exit code that tells an operator, or a process manager, what to do about it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { childEnvironment } from '../../config/child-environment';
import { EXIT, type ExitCode, meaningOf } from './exit-codes';
import { Tail } from './tail';
import { watchdogArguments } from './watchdog-lines';

/** The start cannot go on. The message is one line for the operator. */
export class BootFailure extends Error {
  readonly exitCode: ExitCode;
  constructor(exitCode: ExitCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'BootFailure';
    this.exitCode = exitCode;
  }
}

/** Looks whether an address is free before anything is started that would have to be taken down again. @throws BootFailure 71 */
export function assertPortFree(host: string, port: number, what: string): Promise<void> {
  if (port === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => reject(addressFailure(error, host, port, what)));
    probe.listen({ host, port }, () => probe.close(() => resolve()));
  });
}

export function addressFailure(error: NodeJS.ErrnoException, host: string, port: number, what: string): BootFailure {
  const why = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be listened on (${error.code ?? error.message})`;
  return new BootFailure(EXIT.portInUse, `${what} address ${host}:${port} ${why}`, error);
}

const SECRET_FILE = 'jwt-secret';
const SECRET_BYTES = 48;

/** The development secret of a data folder: made once, readable for its owner alone. `fresh` = it was made just now. */
export function developmentSecret(dataDir: string): { secret: string; path: string; fresh: boolean } {
  const path = join(dataDir, SECRET_FILE);
  try {
    const secret = readFileSync(path, 'utf8').trim();
    if (secret.length >= SECRET_BYTES) return { secret, path, fresh: false };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(path, `${secret}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return { secret, path, fresh: true };
}

export interface Step {
  what: string;
  script: string;
  args?: readonly string[];
  env: Readonly<Record<string, string>>;
  secret?: boolean;
  /** It is killed when it is not done by then: whoever waits for it would wait for ever. */
  limitMs: number;
  /** It is killed when it has not told its parent `loaded` by then. Without it, it need not say so. */
  loadLimitMs?: number;
}

const LOOK_MS = 100;

/** Runs one short-lived program at a time, and can stop it when the start is called off. */
export class Steps {
  #running: ChildProcess | undefined;
  #cancelled = false;

  get cancelled(): boolean {
    return this.#cancelled;
  }

  cancel(): void {
    this.#cancelled = true;
    this.#running?.kill('SIGTERM');
  }

  /**
   * Runs a script of ours to its end; one whose first import is `parent-watch.ts` ends with us. `secret`: what it prints as its result does not belong into a log.
   * @throws BootFailure with the child's exit code, when it is one of ours, else 70; 70 as well when it takes too long
   */
  async run({ what, script, args = [], env, secret = false, limitMs, loadLimitMs }: Step): Promise<void> {
    if (this.#cancelled) throw new BootFailure(EXIT.forced, 'the start was called off');
    const watched = watchdogArguments(process.pid, true);
    const child = spawn(process.execPath, [script, ...watched, ...args], {
      env: childEnvironment(env),
      stdio: ['ignore', 'pipe', 'pipe', ...(loadLimitMs === undefined ? [] : (['ipc'] as const))],
    });
    this.#running = child;
    const tail = new Tail((line) => process.stderr.write(`${line}\n`));
    if (secret) child.stdout?.resume();
    else tail.follow(child.stdout);
    tail.follow(child.stderr);
    const limits = new Limits(child);
    const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, exitSignal) => resolve({ code: exitCode, signal: exitSignal }));
      // Not waited for: what hangs in the kernel, as on a file of a lost server, dies when that lets go of it.
      limits.watch(limitMs, loadLimitMs, (late) => reject(new BootFailure(EXIT.loadError, `${what} failed: ${late}${inBrackets(tail)}`)));
    }).finally(() => {
      limits.end();
      this.#running = undefined;
    });
    if (code === 0) return;
    if (this.#cancelled) throw new BootFailure(EXIT.forced, 'the start was called off');
    const known = meaningOf(code);
    const exitCode = known ? (code as ExitCode) : EXIT.loadError;
    const lastWords = tail.lines.at(-1);
    // 70 means of a step only that it failed: what it said itself is nearer to the cause than "failed to load".
    const why = code === EXIT.loadError && lastWords ? lastWords : (known ?? `it ended with ${signal ?? `code ${code}`}`);
    throw new BootFailure(exitCode, `${what} failed: ${why}${lastWords && lastWords !== why ? ` (${lastWords})` : ''}`);
  }
}

const inBrackets = ({ lines }: Tail): string => (lines.length > 0 ? ` (${lines.at(-1)})` : '');

/** Kills a step that takes too long. Counts looks rather than time: a pause of the primary, or of the machine, is not the step's. */
class Limits {
  readonly #child: ChildProcess;
  #timer: NodeJS.Timeout | undefined;
  #loaded = false;

  constructor(child: ChildProcess) {
    this.#child = child;
  }

  watch(limitMs: number, loadLimitMs: number | undefined, onLate: (what: string) => void): void {
    this.#child.on('message', (message) => {
      this.#loaded ||= message === 'loaded';
    });
    let ran = 0;
    this.#timer = setInterval(() => {
      ran += LOOK_MS;
      const unloaded = loadLimitMs !== undefined && !this.#loaded && ran >= loadLimitMs;
      if (!unloaded && ran < limitMs) return;
      this.end();
      this.#child.kill('SIGKILL');
      onLate(unloaded ? `it had not loaded within ${seconds(loadLimitMs)}` : `it was not done within ${seconds(limitMs)}`);
    }, LOOK_MS);
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
