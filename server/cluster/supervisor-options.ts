/** What the supervisor is given, and what it tells in return. */
import type { BreakerOptions } from './breaker';
import type { Deadlines } from './deadlines';
import type { ExitCode } from './exit-codes';
import type { FromChild } from './messages';
import { RECYCLE_GAP_MS, type RecyclingOptions, RSS_READING_MS } from './recycling';
import type { Tail } from './tail';
import type { Child, WorkerHandle } from './worker-handle';

const CANARY_MS = 10_000;

export type Phase = 'starting' | 'running' | 'stopping' | 'stopped';

export interface SupervisorOptions
  extends Deadlines,
    Omit<RecyclingOptions, 'maxAgeMs' | 'recycleGapMs' | 'rssReadingMs' | 'random'>,
    Partial<Pick<RecyclingOptions, 'maxAgeMs' | 'recycleGapMs' | 'rssReadingMs' | 'random'>> {
  workers: number;
  poolMin: number;
  poolMax: number;
  /** Forks one worker, or the job process. */
  spawn: (kind: 'http' | 'jobs', tail: Tail) => Child;
  jobs: boolean;
  /** Keep one loaded worker in reserve: loading takes seconds on a busy machine, and a slot should be filled at once. */
  standby?: boolean;
  breaker?: Partial<BreakerOptions>;
  /** Before a roll: is what a new worker would load sound, as far as can be seen without one? Rejects with the reason. */
  checkBuild?: () => Promise<void>;
  /** How long the first replacement of a roll must live before its old worker is told to go. */
  canaryMs?: number;
  now?: () => number;
  writeLine?: (line: string) => void;
}

export const withDefaults = (options: SupervisorOptions): Required<SupervisorOptions> => ({
  recycleGapMs: RECYCLE_GAP_MS,
  rssReadingMs: RSS_READING_MS,
  maxAgeMs: 0,
  breaker: {},
  checkBuild: () => Promise.resolve(),
  canaryMs: CANARY_MS,
  standby: false,
  now: () => performance.now(),
  random: Math.random,
  writeLine: () => undefined,
  ...options,
});

export interface SupervisorEvents {
  /** The number of ready workers or the state of one has changed. */
  onChange(): void;
  /** The start is over: all workers are ready, or some are and the rest had their time. Once. */
  onStarted(): void;
  /** No worker ever became ready. Once. */
  onStartFailed(code: ExitCode, message: string): void;
  /** A message that is not about the worker's life. */
  onMessage(worker: WorkerHandle, message: FromChild): void;
  onSettled(worker: WorkerHandle): void;
  /** After `stop`: every child is gone. `forced` = at least one that had served was killed, or died, before it had finished. */
  onStopped(forced: boolean): void;
}
