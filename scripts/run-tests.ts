/**
 * `npm test [-- jest arguments]`: the whole suite on one embedded PostgreSQL of its own (other databases: `npm run test:matrix`). First what may run in parallel, then what
 * spawns the built service, one file at a time. Ends with one line: N passed, N failed, N skipped.
 */
import { availableParallelism } from 'node:os';
import { exitWith, runAll } from './jest-run';

const PARALLEL = ['unit', 'api', 'jobs', 'contract', 'migrations'];
const ONE_AT_A_TIME = ['cluster', 'faults'];
const workers = Math.max(2, availableParallelism() - 1);

exitWith(
  runAll([
    { name: 'parallel', args: ['--selectProjects', ...PARALLEL, `--maxWorkers=${workers}`] },
    { name: 'serial', args: ['--selectProjects', ...ONE_AT_A_TIME, '--runInBand'] },
  ]),
);
