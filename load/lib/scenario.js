/** What all scenarios share: the served rows, their thresholds, a weighted pick, and the closing table. */
import { sleep } from 'k6';
import { rowThresholds } from '../thresholds.js';
import { perform } from './client.js';
import { parseProfile, splitServed, weightedPicker } from './profile.js';
import { recipes } from './recipes.js';
import { table } from './summary.js';

export { openWorld } from './world.js';

const rows = parseProfile(open(import.meta.resolve('../profiles/traffic-profile.csv')));
export const { served, notServed } = splitServed(rows, recipes);
const pick = weightedPicker(served);
/** On the times of all limits: 1 on an idle machine. */
const FACTOR = Number(__ENV.LIMIT_FACTOR ?? 1);
const THINK_SECONDS = Number(__ENV.THINK_SECONDS ?? 1);

/** Options of a scenario; trend statistics include the percentiles that the rows are held to. */
export function options(scenario, demands = {}) {
  return {
    scenarios: { [scenario.name]: scenario.executor },
    thresholds: rowThresholds(served, { factor: FACTOR, ...demands }),
    summaryTrendStats: ['count', 'avg', 'med', 'p(95)', 'p(99)', 'max'],
    setupTimeout: '60s',
    userAgent: 'autoshop-load',
    discardResponseBodies: false,
  };
}

/** A user who does one thing of the mix, then thinks (half to one and a half of THINK_SECONDS). */
export function user(world) {
  perform(pick(Math.random()), world);
  sleep(THINK_SECONDS * (0.5 + Math.random()));
}

/** k6's own summary as JSON, ours on the terminal. */
export const summarize = (name) => (data) => ({
  stdout: table(data, served, notServed, FACTOR),
  [`load/results/${name}.json`]: JSON.stringify(data, null, 2),
});
