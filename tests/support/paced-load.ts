/** Load at a fixed pace from a process of its own, so that the client costs the test little and its delays are not the test's. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { closeLater } from './closers';

export interface LoadOptions {
  port: number;
  path: string;
  /** Size of the body of each POST. */
  bytes: number;
  clients: number;
  perSecond: number;
}

/** When it began (epoch), milliseconds to the answer, status or what went wrong, on a connection that was not there before. */
export type PacedOutcome = [at: number, ms: number, result: number | string, fresh: boolean];

export class PacedLoad {
  readonly #child: ChildProcess;
  readonly #outcomes: Promise<PacedOutcome[]>;
  /** Answered so far; up to a quarter of a second old. */
  count = 0;

  constructor(options: LoadOptions) {
    this.#child = fork(join(PROJECT_ROOT, 'dist', 'tests', 'support', 'load-client.js'), [JSON.stringify(options)]);
    this.#outcomes = new Promise((resolve, reject) => {
      this.#child.on('message', (message: { count?: number; outcomes?: PacedOutcome[] }) => {
        if (message.count !== undefined) this.count = message.count;
        if (message.outcomes) resolve(message.outcomes);
      });
      this.#child.once('exit', (code) => reject(new Error(`the load client ended with ${code}`)));
    });
    this.#outcomes.catch(() => undefined);
    closeLater(() => {
      this.#child.kill('SIGKILL');
    });
  }

  /** Sends no more, waits for the answers under way. */
  stop(): Promise<PacedOutcome[]> {
    if (this.#child.connected) this.#child.send('stop');
    return this.#outcomes;
  }
}

export const failures = (outcomes: readonly PacedOutcome[]): PacedOutcome[] => outcomes.filter(([, , result]) => result !== 200);

/** How many failed of how many, and how. */
export function failureLine(outcomes: readonly PacedOutcome[]): string {
  const failed = failures(outcomes);
  const kinds = new Map<string, number>();
  for (const [, , result, fresh] of failed) {
    const kind = `${result} on a ${fresh ? 'new' : 'kept'} connection`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [`${failed.length} of ${outcomes.length}`, ...[...kinds].map(([kind, count]) => `${count} ${kind}`)].join(', ');
}

/** The part that went on a connection which was there before; half of the clients keep theirs. */
export const keptShare = (outcomes: readonly PacedOutcome[]): number => outcomes.filter(([, , , fresh]) => !fresh).length / outcomes.length;

/** The value below which `share` of the answers lie; NaN without answers. */
export function percentileOf(outcomes: readonly PacedOutcome[], share: number): number {
  const sorted = outcomes.map(([, ms]) => ms).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
