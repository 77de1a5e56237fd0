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
  const limits = hostLimits({ cgroup: join(cgroup, 'absent') });
  expect(limits.cpuQuota).toBeUndefined();
  expect(limits.processors).toBeGreaterThan(0);
  expect(limits.memoryMb).toBeGreaterThan(0);
});

test('hostLimits › version 2 › quota and memory of the group', () => {
  writeFileSync(join(cgroup, 'cpu.max'), '150000 100000\n');
  writeFileSync(join(cgroup, 'memory.max'), `${300 * 1024 * 1024}\n`);
  expect(hostLimits({ cgroup })).toMatchObject({ cpuQuota: 1.5, memoryMb: 300 });
});

test('hostLimits › version 2 without limits › none', () => {
  writeFileSync(join(cgroup, 'cpu.max'), 'max 100000\n');
  writeFileSync(join(cgroup, 'memory.max'), 'max\n');
  const limits = hostLimits({ cgroup });
  expect(limits.cpuQuota).toBeUndefined();
  expect(limits.memoryMb).toBe(hostLimits({ cgroup: join(cgroup, 'absent') }).memoryMb);
});

test('hostLimits › version 1 › quota over period, -1 is none', () => {
  mkdirSync(join(cgroup, 'cpu'));
  mkdirSync(join(cgroup, 'memory'));
  writeFileSync(join(cgroup, 'cpu/cpu.cfs_quota_us'), '50000');
  writeFileSync(join(cgroup, 'cpu/cpu.cfs_period_us'), '100000');
  writeFileSync(join(cgroup, 'memory/memory.limit_in_bytes'), String(512 * 1024 * 1024));
  expect(hostLimits({ cgroup })).toMatchObject({ cpuQuota: 0.5, memoryMb: 512 });
  writeFileSync(join(cgroup, 'cpu/cpu.cfs_quota_us'), '-1');
  expect(hostLimits({ cgroup }).cpuQuota).toBeUndefined();
});

test('hostLimits › version 2, a group below others › the tightest of them binds', () => {
  const membership = join(cgroup, 'self');
  writeFileSync(membership, '0::/system.slice/autoshop.service\n');
  mkdirSync(join(cgroup, 'system.slice/autoshop.service'), { recursive: true });
  writeFileSync(join(cgroup, 'system.slice/autoshop.service/cpu.max'), '400000 100000\n');
  writeFileSync(join(cgroup, 'system.slice/cpu.max'), '250000 100000\n');
  writeFileSync(join(cgroup, 'system.slice/autoshop.service/memory.max'), `${400 * 1024 * 1024}\n`);
  expect(hostLimits({ cgroup, membership })).toMatchObject({ cpuQuota: 2.5, memoryMb: 400 });
});

test('hostLimits › version 1, a group of its own for each controller › each is found', () => {
  const membership = join(cgroup, 'self');
  writeFileSync(membership, '4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n');
  for (const controller of ['cpu', 'memory']) mkdirSync(join(cgroup, controller, 'docker/abc'), { recursive: true });
  writeFileSync(join(cgroup, 'cpu/docker/abc/cpu.cfs_quota_us'), '150000');
  writeFileSync(join(cgroup, 'cpu/docker/abc/cpu.cfs_period_us'), '100000');
  writeFileSync(join(cgroup, 'memory/docker/abc/memory.limit_in_bytes'), String(600 * 1024 * 1024));
  expect(hostLimits({ cgroup, membership })).toMatchObject({ cpuQuota: 1.5, memoryMb: 600 });
});
