/** A quiet hour, then everybody at once, then quiet again: nothing may break, and the calm after it must be calm. */
import { options as build, openWorld, summarize, user } from '../lib/scenario.js';

const USERS = Number(__ENV.VUS ?? 400);
const QUIET = Math.max(1, Math.round(USERS / 20));

export const options = build({
  name: 'spike',
  executor: {
    executor: 'ramping-vus',
    startVUs: QUIET,
    stages: [
      { duration: '20s', target: QUIET },
      { duration: '2s', target: USERS },
      { duration: __ENV.DURATION ?? '30s', target: USERS },
      { duration: '2s', target: QUIET },
      { duration: '30s', target: QUIET },
    ],
    gracefulStop: '10s',
  },
});

export const setup = openWorld;
export default user;
export const handleSummary = summarize('spike');
