/** What /proc tells about processes: by which a test proves that nothing was left behind. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly state: string;
}

function entry(pid: string): ProcessEntry | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent, group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { pid: Number(pid), parent: Number(parent), group: Number(group), state };
  } catch {
    // It ended between the listing and the look.
    return undefined;
  }
}

function processes(): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => entry(name) ?? []);
}

const isRunning = ({ state }: ProcessEntry): boolean => state !== 'Z' && state !== 'X';

/** Running members of a process group; ended ones that wait for their parent do not count. */
export const groupMembers = (group: number): number[] =>
  processes()
    .filter((one) => one.group === group && isRunning(one))
    .map(({ pid }) => pid);

/** Running children of a process. */
export const childrenOf = (parent: number): number[] =>
  processes()
    .filter((one) => one.parent === parent && isRunning(one))
    .map(({ pid }) => pid);

export const isProcessRunning = (pid: number): boolean => {
  const found = entry(String(pid));
  return found !== undefined && isRunning(found);
};
