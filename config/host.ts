/**
 * What this machine, or the container it is in, grants the service: processors and memory.
 * `os.availableParallelism()` knows the processors that the process may run on (affinity, cpuset), not the quota of a container, so
 * control groups are read too: the group of this process and all groups above it, because each of them binds.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';

export interface HostLimits {
  readonly processors: number;
  /** Processors' worth of time that the control groups grant; undefined without a quota. */
  readonly cpuQuota: number | undefined;
  readonly memoryMb: number;
}

export interface Host {
  /** Where control groups are mounted. */
  cgroup?: string;
  /** The groups of this process, as the kernel tells them. */
  membership?: string;
  processors?: number;
}

const MEBIBYTE = 1024 * 1024;

/** Reads the limits; the places are parameters for tests. Never fails: a machine without control groups has no quota. */
export function hostLimits({
  cgroup = '/sys/fs/cgroup',
  membership = '/proc/self/cgroup',
  processors = availableParallelism(),
}: Host = {}): HostLimits {
  const groups = groupsOf(read(membership) ?? '');
  const least = (controller: string, readLimit: (folder: string) => number | undefined): number | undefined => {
    const folders = [
      ...(groups.get('') ?? ['/']).map((path) => join(cgroup, path)),
      ...(groups.get(controller) ?? ['/']).map((path) => join(cgroup, controller, path)),
    ];
    const limits = folders.map(readLimit).filter((limit) => limit !== undefined);
    return limits.length > 0 ? Math.min(...limits) : undefined;
  };
  const memory = least('memory', (folder) => number(join(folder, 'memory.max')) ?? number(join(folder, 'memory.limit_in_bytes')));
  return {
    processors,
    cpuQuota: least('cpu', (folder) => quota(read(join(folder, 'cpu.max'))) ?? quotaV1(folder)),
    memoryMb: Math.floor(Math.min(memory ?? Number.POSITIVE_INFINITY, totalmem()) / MEBIBYTE),
  };
}

/**
 * The group of this process and those above it, for each controller of version 1, and under the empty name for version 2.
 * Lines are `<number>:<controllers>:<path>`. In a container the path may be that of the machine, which is not mounted there; then
 * only the root of what is mounted is found.
 */
function groupsOf(membership: string): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const line of membership.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const chain = [path];
    for (let above = path; above !== '/'; above = dirname(above)) chain.push(dirname(above));
    for (const controller of controllers.split(',')) groups.set(controller, chain);
  }
  return groups;
}

function number(file: string): number | undefined {
  const value = Number.parseInt(read(file) ?? '', 10);
  return value > 0 ? value : undefined;
}

/** `cpu.max` of version 2: "<microseconds> <period>", or "max <period>". */
function quota(text: string | undefined): number | undefined {
  const [, granted, period] = /^(\d+) (\d+)/.exec(text ?? '') ?? [];
  return share(Number(granted), Number(period));
}

const quotaV1 = (folder: string): number | undefined =>
  share(number(join(folder, 'cpu.cfs_quota_us')), number(join(folder, 'cpu.cfs_period_us')));

function share(granted: number | undefined, period: number | undefined): number | undefined {
  return granted && period ? granted / period : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // no such control group: no such limit
  }
}
