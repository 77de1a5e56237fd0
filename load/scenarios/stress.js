/** The mix in steps up to twice the planned users: the limits have to hold on every step, not only on average. */
import { options as build, openWorld, summarize, user } from '../lib/scenario.js';

const USERS = Number(__ENV.VUS ?? 400);
const STEP = __ENV.DURATION ?? '1m';
const step = (share) => [
  { duration: '10s', target: Math.round(USERS * share) },
  { duration: STEP, target: Math.round(USERS * share) },
];

export const options = build(
  {
    name: 'stress',
    executor: {
      executor: 'ramping-vus',
      startVUs: 1,
      stages: [...step(0.25), ...step(0.5), ...step(0.75), ...step(1)],
      gracefulStop: '10s',
    },
  },
  { overall: true },
);

export const setup = openWorld;
export default user;
export const handleSummary = summarize('stress');
