/**
 * The frame of a benchmark that starts processes: whatever it has started is undone, the last first, when it ends, takes too long or is told
 * to stop; its exit code is the verdict.
 */
import { log } from './database';

export type Undo = () => void | Promise<void>;

/**
 * Runs `work` and ends the process with the code that it returns, 1 when it throws, does not end in time or is stopped by a signal.
 * @param work gets a function by which it says how to undo what it has just done
 */
export async function runBench(timeLimitMs: number, work: (undoLater: (undo: Undo) => void) => Promise<number>): Promise<void> {
  const undo: Undo[] = [];
  let isStopping = false;
  const cleanUp = async (): Promise<void> => {
    isStopping = true;
    for (let act = undo.pop(); act; act = undo.pop()) await act();
  };
  const giveUp = (why: string): void => {
    if (isStopping) return;
    log(why);
    void cleanUp().finally(() => process.exit(1));
  };
  const timer = setTimeout(() => giveUp(`gave up after ${timeLimitMs / 1000} s`), timeLimitMs);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => giveUp(`stopped by ${signal}`));
  try {
    process.exitCode = await work((act) => void undo.push(act));
  } catch (error) {
    log(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  } finally {
    clearTimeout(timer);
    await cleanUp();
  }
}
