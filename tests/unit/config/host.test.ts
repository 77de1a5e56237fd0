import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostLimits } from '../../../config/host';

let cgroup: string;
beforeEach(() => {
  cgroup = mkdtempSync(join(tmpdir(), 'cgroup-'));
});
afterEach(() => rmSync(cgroup, { recursive: true, force: true }));

test('hostLimits › no control groups › the machine alone', () => {
  const limits = hostLimits(join(cgroup, 'absent'));
  expect(limits.cpuQuota).toBeUndefined();
  expect(limits.processors).toBeGreaterThan(0);
  expect(limits.memoryMb).toBeGreaterThan(0);
});

test('hostLimits › version 2 › quota and memory of the group', () => {
  writeFileSync(join(cgroup, 'cpu.max'), '150000 100000\n');
  writeFileSync(join(cgroup, 'memory.max'), `${300 * 1024 * 1024}\n`);
  expect(hostLimits(cgroup)).toMatchObject({ cpuQuota: 1.5, memoryMb: 300 });
});

test('hostLimits › version 2 without limits › none', () => {
  writeFileSync(join(cgroup, 'cpu.max'), 'max 100000\n');
  writeFileSync(join(cgroup, 'memory.max'), 'max\n');
  const limits = hostLimits(cgroup);
  expect(limits.cpuQuota).toBeUndefined();
  expect(limits.memoryMb).toBe(hostLimits(join(cgroup, 'absent')).memoryMb);
});

test('hostLimits › version 1 › quota over period, -1 is none', () => {
  mkdirSync(join(cgroup, 'cpu'));
  mkdirSync(join(cgroup, 'memory'));
  writeFileSync(join(cgroup, 'cpu/cpu.cfs_quota_us'), '50000');
  writeFileSync(join(cgroup, 'cpu/cpu.cfs_period_us'), '100000');
  writeFileSync(join(cgroup, 'memory/memory.limit_in_bytes'), String(512 * 1024 * 1024));
  expect(hostLimits(cgroup)).toMatchObject({ cpuQuota: 0.5, memoryMb: 512 });
  writeFileSync(join(cgroup, 'cpu/cpu.cfs_quota_us'), '-1');
  expect(hostLimits(cgroup).cpuQuota).toBeUndefined();
});
