/** Upkeep of sessions and whatever else ends by itself. */
import { PruneSessions } from '../schemas/jobs.schema';
import { unsafePruneExpired } from '../services/retention.service';
import { type Job, job } from './job';

export const sessionsJobs: readonly Job[] = [
  job({
    name: 'sessions.prune',
    schedule: '17 * * * *',
    payload: PruneSessions,
    run: async () => {
      await unsafePruneExpired();
    },
  }),
];
