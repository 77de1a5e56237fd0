/**
 * Finds out what a blocked event loop is doing, from another thread of its process: by the inspector while JavaScript runs,
 * else from /proc. Connected only on a stall, for a process with a connected inspector waits for it at its end. Never local
 * variables, arguments or bodies: they may be anybody's secrets.
 */
import { type Profiler, type Runtime, Session } from 'node:inspector';
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kernelWait, threadState } from './process-tree';
import type { ThreadObservations } from './stall-kind';
import { RUNNING } from './watchdog-limits';

/** JavaScript answers within some tens of milliseconds, also on a busy machine; native code not before it is done. */
const ANSWER_MS = 300;
const SAMPLE_MS = 20;
const PROFILE_MS = 500;
/** Stack and profile together: all of it is to be on disk within a second, and a busy machine has to write it, too. */
const BUDGET_MS = 750;
const LEAST_PROFILE_MS = 100;
const INTERVAL_US = 1_000;
const HOT_SHOWN = 10;

export interface Frame {
  function: string;
  file: string;
  line: number;
}

/** What the function under {@link RUNNING} returns: it runs on top of whatever the loop is stuck in, so it sees its stack. */
export interface Glance {
  stack: { function: string; file: string; line: number }[];
  running: { id: string; operation: string } | null;
}

export interface HotFunction extends Frame {
  /** Part of the samples in which it was the innermost one. */
  share: number;
}

export interface ProfileEvidence {
  hot: HotFunction[];
  profile: Profiler.Profile;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Investigation {
  readonly #pid: number;
  readonly #root: string;
  readonly #startedAt = performance.now();
  readonly #cpuBefore: number | null;
  readonly #states: Record<string, number> = {};
  #session: Session | null = null;
  #over = false;

  /** @param root folder whose name is left out of file names */
  constructor(pid: number, root: string) {
    this.#pid = pid;
    this.#root = root + sep;
    this.#cpuBefore = threadState(pid, pid)?.cpuMs ?? null;
  }

  /** The loop goes on, or its process ends: what has been found so far is all. */
  cutShort(): void {
    this.#over = true;
  }

  /**
   * What runs, or null when it is not JavaScript: then the question waits, and is dropped by {@link close}. V8 interrupts a
   * running loop, a regular expression and Atomics.wait for it; unlike a debugger's pause this costs no recompilation.
   */
  async glance(): Promise<Glance | null> {
    const session = new Session();
    session.connectToMainThread();
    this.#session = session;
    const answer = this.#post('Runtime.evaluate', {
      expression: `globalThis[Symbol.for(${JSON.stringify(RUNNING)})]()`,
      returnByValue: true,
      silent: true,
    }) as Promise<Runtime.EvaluateReturnType>;
    answer.catch(() => undefined);
    const found = await Promise.race([answer, this.#sample(ANSWER_MS)]);
    const value = found?.result.value as Glance | undefined;
    if (!value) {
      this.close();
      return null;
    }
    return { running: value.running, stack: value.stack.map((frame) => ({ ...frame, file: this.#fileOf(frame.file) })) };
  }

  /** Where the time goes in the half second after a glance that found something. */
  async profile(): Promise<ProfileEvidence> {
    await this.#post('Profiler.enable');
    await this.#post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
    await this.#post('Profiler.start');
    const spent = performance.now() - this.#startedAt;
    const until = performance.now() + Math.max(LEAST_PROFILE_MS, Math.min(PROFILE_MS, BUDGET_MS - spent));
    while (!this.#over && performance.now() < until) await pause(SAMPLE_MS);
    const { profile } = (await this.#post('Profiler.stop')) as { profile: Profiler.Profile };
    await this.#post('Profiler.disable');
    return { profile, hot: this.#hottest(profile) };
  }

  /** What the kernel says about the loop's thread since the beginning of the investigation. */
  native(): Omit<ThreadObservations, 'hasStack'> & ReturnType<typeof kernelWait> {
    const now = threadState(this.#pid, this.#pid)?.cpuMs ?? null;
    return {
      states: this.#states,
      cpuMs: now === null || this.#cpuBefore === null ? null : now - this.#cpuBefore,
      wallMs: Math.round(performance.now() - this.#startedAt),
      ...kernelWait(this.#pid, this.#pid),
    };
  }

  /** Must come before the process ends: it would wait for a connected inspector. */
  close(): void {
    this.#session?.disconnect();
    this.#session = null;
  }

  async #sample(ms: number): Promise<null> {
    const until = performance.now() + ms;
    while (!this.#over && performance.now() < until) {
      const state = threadState(this.#pid, this.#pid)?.state;
      if (state) this.#states[state] = (this.#states[state] ?? 0) + 1;
      await pause(SAMPLE_MS);
    }
    return null;
  }

  #hottest({ nodes, samples = [] }: Profiler.Profile): HotFunction[] {
    const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
    const counts = new Map<string, { frame: Frame; count: number }>();
    for (const id of samples) {
      const { functionName, url, lineNumber } = frames.get(id) ?? { functionName: '', url: '', lineNumber: -1 };
      const frame = { function: functionName || '(anonymous)', file: this.#fileOf(url), line: lineNumber + 1 };
      const key = `${frame.function} ${frame.file}:${frame.line}`;
      const counted = counts.get(key) ?? { frame, count: 0 };
      counted.count += 1;
      counts.set(key, counted);
    }
    return [...counts.values()]
      .sort((a, b) => b.count - a.count)
      .slice(0, HOT_SHOWN)
      .map(({ frame, count }) => ({ ...frame, share: Math.round((count / samples.length) * 1000) / 1000 }));
  }

  #fileOf(url: string): string {
    const path = url.startsWith('file://') ? fileURLToPath(url) : url;
    return path.startsWith(this.#root) ? path.slice(this.#root.length) : path;
  }

  #post(method: string, params: object = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#session) {
        reject(new Error(`${method}: the inspector is closed`));
        return;
      }
      this.#session.post(method, params, (error, result) => (error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result)));
    });
  }
}
