/** `run-api <project> [jest arguments]`: one row of the matrix; see `run-matrix.ts`. `sqlite` needs no server. */
import { availableParallelism } from 'node:os';
import { exitWith, runAll } from './jest-run';

const [project = 'api', ...more] = process.argv.slice(2);
const workers = Math.max(2, availableParallelism() - 1);

exitWith(
  runAll([{ name: project, args: ['--selectProjects', project, `--maxWorkers=${workers}`, ...more], isWhole: true }], {
    withServer: project !== 'sqlite',
  }),
);
