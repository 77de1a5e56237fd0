/** More and more requests per second until the mix breaks its limits; the rate reached then is the answer. */
import { perform } from '../lib/client.js';
import { weightedPicker } from '../lib/profile.js';
import { options as build, openWorld, served, summarize } from '../lib/scenario.js';

const pick = weightedPicker(served);
const LAST_RATE = Number(__ENV.RATE ?? 1000);
const built = build({
  name: 'breakpoint',
  executor: {
    executor: 'ramping-arrival-rate',
    startRate: 10,
    timeUnit: '1s',
    preAllocatedVUs: 50,
    maxVUs: 500,
    stages: [{ duration: __ENV.DURATION ?? '5m', target: LAST_RATE }],
  },
});

// Rows are reported against their limits; only the mix as a whole ends the run.
const abort = (threshold) => ({ threshold, abortOnFail: true, delayAbortEval: '10s' });
export const options = {
  ...built,
  thresholds: { ...built.thresholds, 'http_req_duration{kind:row}': [abort('p(95)<300')], row_errors: [abort('rate<0.01')] },
};

export const setup = openWorld;
export default (world) => perform(pick(Math.random()), world);
export const handleSummary = summarize('breakpoint');
