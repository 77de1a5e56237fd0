/** What /proc tells about processes: by which a test proves that nothing was left behind. Linux only. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

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

const ESTABLISHED = '01';

/** Connections to `port` that a process holds, by the kernel's own books. 0 for one that has ended. */
export function connectionsOf(pid: number, port: number): number {
  try {
    const held = new Set(
      readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.slice(1) ?? [];
        } catch {
          // Closed between the listing and the look.
          return [];
        }
      }),
    );
    return ['tcp', 'tcp6']
      .flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1))
      .filter((line) => {
        const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
        return state === ESTABLISHED && Number.parseInt(local.split(':')[1] ?? '', 16) === port && held.has(inode);
      }).length;
  } catch {
    return 0;
  }
}

export const isProcessRunning = (pid: number): boolean => {
  const found = entry(String(pid));
  return found !== undefined && isRunning(found);
};
