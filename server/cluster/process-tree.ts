/** What /proc tells about the threads and children of a process. Linux; elsewhere nothing is known, and nothing is done. */
import { readdirSync, readFileSync } from 'node:fs';

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    // Ended meanwhile, not ours to read, or another system.
    return null;
  }
}

/** All living descendants of a process, nearest first. */
export function descendants(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  const children = threads.flatMap((thread) =>
    (read(`/proc/${pid}/task/${thread}/children`) ?? '').split(/\s+/).filter(Boolean).map(Number),
  );
  return [...children, ...children.flatMap(descendants)];
}

/** Ends what a process has started: after its own end nobody would. */
export function killDescendants(pid: number): void {
  for (const child of descendants(pid))
    try {
      process.kill(child, 'SIGKILL');
    } catch {
      // Gone already.
    }
}

export interface ThreadState {
  /** R running or runnable, S asleep, D waiting for a device, … */
  state: string;
  /** Processor time so far, in clock ticks of 10 ms. */
  cpuMs: number;
}

const MS_PER_TICK = 10;

/** State and processor time of one thread; null where they cannot be read. */
export function threadState(pid: number, thread: number): ThreadState | null {
  const text = read(`/proc/${pid}/task/${thread}/stat`);
  if (text === null) return null;
  // The name in parentheses may hold anything. Behind it: state, then user and system time as the 12th and 13th.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '?', cpuMs: (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK };
}

export interface KernelWait {
  /** The kernel function in which the thread waits. */
  wchan: string | null;
  /** Number of the system call, without its arguments; `running` when there is none. */
  syscall: string | null;
}

export const kernelWait = (pid: number, thread: number): KernelWait => ({
  wchan: read(`/proc/${pid}/task/${thread}/wchan`),
  syscall: read(`/proc/${pid}/task/${thread}/syscall`)?.split(' ')[0] ?? null,
});
