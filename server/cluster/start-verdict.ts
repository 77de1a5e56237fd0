/** When the first start is over, and what its failure means: judged from who is ready and who died before. */
import { bootExitCode, EXIT, type ExitCode, meaningOf } from './exit-codes';
import type { WorkerHandle } from './worker-handle';
import { isBooting } from './worker-state';

export interface FirstDeath {
  code: number | null;
  message: string;
}

export type StartVerdict = { state: 'waiting' } | { state: 'started' } | { state: 'failed'; code: ExitCode; message: string };

/** `late`: whoever is not ready by now has had its time. */
export function judgeStart({
  workers,
  target,
  late,
  deaths,
}: {
  workers: readonly Pick<WorkerHandle, 'state'>[];
  target: number;
  late: boolean;
  deaths: readonly FirstDeath[];
}): StartVerdict {
  const ready = workers.filter(({ state }) => state === 'ready').length;
  if (ready === 0 && workers.length === 0) return { state: 'failed', ...failureOf(deaths) };
  const settled = workers.every(({ state }) => !isBooting(state));
  return ready >= target || (ready > 0 && (settled || late)) ? { state: 'started' } : { state: 'waiting' };
}

function failureOf(deaths: readonly FirstDeath[]): { code: ExitCode; message: string } {
  const code = bootExitCode(deaths.map(({ code: childCode }) => childCode));
  const told = deaths.find(({ code: childCode }) => childCode === code) ?? deaths[0];
  return { code, message: told?.message ?? meaningOf(EXIT.loadError) ?? '' };
}
