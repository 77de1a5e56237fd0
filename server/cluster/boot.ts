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
}

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
   * @throws BootFailure with the child's exit code, when it is one of ours, else 70
   */
  async run({ what, script, args = [], env, secret = false }: Step): Promise<void> {
    if (this.#cancelled) throw new BootFailure(EXIT.forced, 'the start was called off');
    const watched = watchdogArguments(process.pid, true);
    const child = spawn(process.execPath, [script, ...watched, ...args], {
      env: childEnvironment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running = child;
    const tail = new Tail((line) => process.stderr.write(`${line}\n`));
    if (secret) child.stdout?.resume();
    else tail.follow(child.stdout);
    tail.follow(child.stderr);
    const { code, signal } = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, exitSignal) => resolve({ code: exitCode, signal: exitSignal }));
    });
    this.#running = undefined;
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
