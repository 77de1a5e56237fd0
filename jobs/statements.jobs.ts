/** What the service's own statements cost. */
import { log } from '../lib/log';
import { ProfileStatements } from '../schemas/jobs.schema';
import { unsafeProfileStatements } from '../services/statement-profiles.service';
import { type Job, job } from './job';

export const statementsJobs: readonly Job[] = [
  job({
    name: 'statements.profile',
    schedule: '*/5 * * * *',
    payload: ProfileStatements,
    // A second run finds the stretch profiled.
    run: async () => {
      log.info('statements profiled', await unsafeProfileStatements());
    },
  }),
];
