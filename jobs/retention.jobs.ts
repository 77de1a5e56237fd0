/** What has been kept for long enough. */
import { ApplyRetention } from '../schemas/jobs.schema';
import { unsafeTakeRetentionTurn } from '../services/history-retention.service';
import { type Job, job } from './job';

export const retentionJobs: readonly Job[] = [
  job({
    name: 'retention.apply',
    // While most shops are closed.
    schedule: '41 9 * * *',
    payload: ApplyRetention,
    // A second run finds less to remove, or nothing.
    run: () => unsafeTakeRetentionTurn(),
  }),
];
