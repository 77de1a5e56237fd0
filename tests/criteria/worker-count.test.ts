/** K19: how many workers a machine or container gets, and what is said about it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hostLimits } from '../../config/host';
import { loadConfig } from '../../config/load';
import { PROJECT_ROOT } from '../../lib/project-root';
import { startChaos, stats } from '../cluster/support';
import { criterion } from '../support/criterion';
import { temporaryFolder } from '../support/services';

const MB = 1024 * 1024;

/** Processors of the machine, files of the control groups, expected number of workers, and what is given as the reason. */
const TABLE: [what: string, processors: number, files: Record<string, string>, workers: number, source: RegExp][] = [
  ['v2, no limits', 3, { 'cpu.max': 'max 100000', 'memory.max': 'max' }, 3, /3 processors/],
  ['v2, quota 0.5', 8, { 'cpu.max': '50000 100000' }, 1, /quota of 0.5/],
  ['v2, quota 1.5', 8, { 'cpu.max': '150000 100000' }, 2, /quota of 1.5/],
  ['v2, quota 3', 8, { 'cpu.max': '300000 100000' }, 3, /quota of 3/],
  ['v2, quota above the processors', 2, { 'cpu.max': '1600000 100000' }, 2, /2 processors/],
  ['v2, 600 MB', 8, { 'memory.max': String(600 * MB) }, 2, /600 MB/],
  ['v2, 100 MB', 8, { 'memory.max': String(100 * MB) }, 1, /100 MB/],
  ['v2, many processors', 64, { 'cpu.max': 'max 100000' }, 4, /default 4/],
  ['v1, quota 0.5', 8, { 'cpu/cpu.cfs_quota_us': '50000', 'cpu/cpu.cfs_period_us': '100000' }, 1, /quota of 0.5/],
  ['v1, quota 1.5', 8, { 'cpu/cpu.cfs_quota_us': '150000', 'cpu/cpu.cfs_period_us': '100000' }, 2, /quota of 1.5/],
  ['v1, no quota', 3, { 'cpu/cpu.cfs_quota_us': '-1', 'cpu/cpu.cfs_period_us': '100000' }, 3, /3 processors/],
  ['v1, 512 MB', 8, { 'memory/memory.limit_in_bytes': String(512 * MB) }, 2, /512 MB/],
  ['no control groups', 2, {}, 2, /2 processors/],
];

criterion('K19', 'workers by processors, quota and memory; a number given wins', async (measure) => {
  const wrong: string[] = [];
  for (const [what, processors, files, workers, source] of TABLE) {
    const cgroup = temporaryFolder('cgroup');
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(cgroup, file)), { recursive: true });
      writeFileSync(join(cgroup, file), `${text}\n`);
    }
    const host = hostLimits({ cgroup, processors, membership: join(cgroup, 'none') });
    const config = loadConfig({ NODE_ENV: 'test' }, host);
    if (config.WORKERS !== workers || !source.test(config.workersSource)) wrong.push(`${what}: ${config.WORKERS}, ${config.workersSource}`);
    if (loadConfig({ NODE_ENV: 'test', WORKERS: '3' }, host).WORKERS !== 3) wrong.push(`${what}: WORKERS=3 does not win`);
  }
  measure(`${TABLE.length} machines and containers: the exact number and its reason`, wrong.join('; ') || 'all exact', wrong.length === 0);

  const ours = `require(${JSON.stringify(join(PROJECT_ROOT, 'dist/config/load.js'))}).loadConfig({ NODE_ENV: 'test' }).WORKERS`;
  const bound = execFileSync('taskset', ['-c', '0', process.execPath, '-p', ours], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  });
  measure('cpuset of one processor: 1', bound.trim(), bound.trim() === '1');

  const service = await startChaos({ env: { WORKERS: '2' } });
  const { workers } = (await stats(service)).cluster;
  measure(
    '/stats says the number and its source',
    `${workers.target} by ${workers.source}`,
    workers.target === 2 && workers.source === 'WORKERS',
  );
  await service.stop();
});
