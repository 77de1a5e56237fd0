/**
 * What this machine, or the container it is in, grants the service: processors and memory.
 * `os.availableParallelism()` sees the processors of the machine, not the quota of a container, so control groups are read too.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';

export interface HostLimits {
  readonly processors: number;
  /** Processors' worth of time that the control group grants; undefined without a quota. */
  readonly cpuQuota: number | undefined;
  readonly memoryMb: number;
}

const MEBIBYTE = 1024 * 1024;

/** Reads the limits; `cgroup` is a parameter for tests. Never fails: a machine without control groups has no quota. */
export function hostLimits(cgroup = '/sys/fs/cgroup'): HostLimits {
  const number = (file: string): number | undefined => {
    const value = Number.parseInt(read(join(cgroup, file)) ?? '', 10);
    return value > 0 ? value : undefined;
  };
  const memory = number('memory.max') ?? number('memory/memory.limit_in_bytes') ?? Number.POSITIVE_INFINITY;
  return {
    processors: availableParallelism(),
    cpuQuota: quota(read(join(cgroup, 'cpu.max'))) ?? quotaV1(number('cpu/cpu.cfs_quota_us'), number('cpu/cpu.cfs_period_us')),
    memoryMb: Math.floor(Math.min(memory, totalmem()) / MEBIBYTE),
  };
}

/** `cpu.max` of control groups v2: "<microseconds> <period>", or "max <period>". */
function quota(text: string | undefined): number | undefined {
  const [, granted, period] = /^(\d+) (\d+)/.exec(text ?? '') ?? [];
  return quotaV1(Number(granted), Number(period));
}

function quotaV1(granted: number | undefined, period: number | undefined): number | undefined {
  return granted && period ? granted / period : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // no such control group: no such limit
  }
}
