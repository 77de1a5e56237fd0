/** The mix as people make it: rows by their target peak, VUS users who think between requests. */
import { options as build, openWorld, summarize, user } from '../lib/scenario.js';

const USERS = Number(__ENV.VUS ?? 200);

export const options = build(
  {
    name: 'users',
    executor: {
      executor: 'ramping-vus',
      startVUs: 1,
      stages: [
        { duration: '20s', target: USERS },
        { duration: __ENV.DURATION ?? '2m', target: USERS },
      ],
      gracefulStop: '10s',
    },
  },
  { samples: 1, overall: true },
);

export const setup = openWorld;
export default user;
export const handleSummary = summarize('users');
