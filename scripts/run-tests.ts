/**
 * `npm test [-- jest arguments]`: the whole suite on one embedded PostgreSQL of its own (other databases: `npm run test:matrix`). First what
 * runs in this process's own jest workers, then what spawns the built service: two files at a time, for they mostly wait, and those that
 * say `@alone` one by one; with arguments, all of these one by one. Ends with one line: N passed, N failed, N skipped.
 */
import { availableParallelism } from 'node:os';
import { exitWith, type JestRun, runAll } from './jest-run';
import { LONGEST_FIRST, splitAlone } from './test-files';

const PARALLEL = ['unit', 'api', 'jobs', 'contract', 'migrations'];
const SPAWNING = ['cluster', 'faults'];
const workers = Math.max(2, availableParallelism() - 1);
const partial = process.argv.length > 2;

function spawning(): JestRun[] {
  const projects = ['--selectProjects', ...SPAWNING];
  if (partial) return [{ name: 'spawning', args: [...projects, '--runInBand'] }];
  const { together, alone } = splitAlone(SPAWNING);
  return [
    { name: 'together', args: [...projects, ...LONGEST_FIRST, '--maxWorkers=2', '--runTestsByPath', ...together] },
    { name: 'alone', args: [...projects, '--runInBand', '--runTestsByPath', ...alone] },
  ];
}

exitWith(runAll([{ name: 'parallel', args: ['--selectProjects', ...PARALLEL, `--maxWorkers=${workers}`] }, ...spawning()]));
