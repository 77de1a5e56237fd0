/** Every served row at least SAMPLES times, in turn, by a few users without pause: is each within its own limits, without one error? */
import exec from 'k6/execution';
import { perform } from '../lib/client.js';
import { options as build, openWorld, served, summarize } from '../lib/scenario.js';

const SAMPLES = Number(__ENV.SAMPLES ?? 200);
const USERS = Number(__ENV.VUS ?? 2);

export const options = build(
  {
    name: 'smoke',
    executor: { executor: 'shared-iterations', vus: USERS, iterations: SAMPLES * served.length, maxDuration: '20m' },
  },
  { samples: SAMPLES, noErrors: true },
);

export const setup = openWorld;
export default (world) => perform(served[exec.scenario.iterationInTest % served.length], world);
export const handleSummary = summarize('smoke');
