/** The books of those who died: why, with which last words, how often for each reason; and what is logged about it. */
import { log } from '../../lib/log';
import { meaningOf } from './exit-codes';
import type { DeathReason, LastExit, WorkerHandle } from './worker-handle';
import { isBooting } from './worker-state';

export interface End {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Why a process ended, from what it and we said before. Ask before its state becomes `gone`. */
export function reasonOf(worker: WorkerHandle, { code, signal }: End): DeathReason {
  if (worker.killReason) return worker.killReason;
  if (worker.drain && !worker.crashing && code === 0) return worker.drain.reason;
  if ((signal === 'SIGABRT' || code === 134) && worker.tail.lines.some((line) => line.includes('heap out of memory'))) return 'oom';
  if (isBooting(worker.state)) return 'boot_failure';
  return 'crash';
}

/** It was told to go, and went by itself; or there was no use for it before it served. */
export const wasPlanned = (worker: WorkerHandle): boolean =>
  worker.killReason === 'roll' ||
  worker.killReason === 'scale' ||
  (worker.state === 'draining' && !worker.crashing && worker.killReason === null);

/** It had served and did not end as one does that has finished: requests or jobs that it had in hand are lost. */
export const wasCutOff = ({ readyAt }: WorkerHandle, { code }: End): boolean => readyAt !== null && code !== 0;

/** One line for the operator about a worker that was never ready. */
export function whyNotReady(worker: WorkerHandle, { code, signal }: End): string {
  if (worker.failure) return worker.failure.message;
  if (worker.killReason === 'boot_timeout') return 'a worker was not ready within BOOT_TIMEOUT';
  return meaningOf(code) ?? `a worker ended with ${signal ?? `code ${code}`}`;
}

/** Frames of a stack, and what node prints around an error that nobody caught. */
const AROUND_AN_ERROR = /^(\s|Node\.js v|[\]}^]|\/\S+:\d+$)/;

/** The line in which a dead process says most clearly what killed it; null when it said nothing. */
export function tellingLine(lines: readonly string[]): string | null {
  const error = lines.findLast((line) => /^(Uncaught )?\w*Error\b.*: /.test(line));
  return error ?? lines.findLast((line) => !AROUND_AN_ERROR.test(line)) ?? null;
}

export class DeathBooks {
  readonly #bySlot = new Map<number, LastExit>();
  readonly #restarts = new Map<DeathReason, number>();
  #last: LastExit | null = null;

  /** The last exit that nobody had asked for. */
  get last(): LastExit | null {
    return this.#last;
  }

  lastOf(slot: number): LastExit | null {
    return this.#bySlot.get(slot) ?? null;
  }

  get restarts(): ReadonlyMap<DeathReason, number> {
    return this.#restarts;
  }

  enter(worker: WorkerHandle, end: End, { reason, planned }: { reason: DeathReason; planned: boolean }): LastExit {
    const exit: LastExit = {
      pid: worker.pid,
      slot: worker.slot,
      ...end,
      reason,
      at: new Date().toISOString(),
      // A getter: the last words may still be in the pipe when the exit is known.
      get stderr_tail() {
        return worker.tail.lines;
      },
    };
    this.#bySlot.set(worker.slot, exit);
    if (!planned || (end.code !== 0 && worker.killReason === null)) this.#last = exit;
    return exit;
  }

  countRestart(reason: DeathReason): void {
    this.#restarts.set(reason, (this.#restarts.get(reason) ?? 0) + 1);
  }
}

export function logExit(
  worker: WorkerHandle,
  { code, signal, reason }: LastExit,
  { planned, stopping }: { planned: boolean; stopping: boolean },
): void {
  const fields = { worker: worker.id, kind: worker.kind, slot: worker.slot, worker_pid: worker.pid, code, signal, reason };
  if (planned && (code === 0 || worker.killReason !== null)) log.info('worker left', fields);
  else if (stopping) log.warn('worker ended during the stop', fields);
  else log.error('worker died', { ...fields, problem: worker.failure?.message, last_words: worker.tail.lines.slice(-3) });
}
