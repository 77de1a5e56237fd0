/**
 * Every row of the traffic profile at PEAKS (60) times its target peak for DURATION (14m), and rare rows more often, so that each has
 * SAMPLES (500): is each within its own P95, P99 and share of errors? Requests leave at their times, however long answers take.
 */
import exec from 'k6/execution';
import { perform } from '../lib/client.js';
import { planned, seconds, spread } from '../lib/pace.js';
import { weightedPicker } from '../lib/profile.js';
import { options as build, notServed, openWorld, served, summarize } from '../lib/scenario.js';

const SAMPLES = Number(__ENV.SAMPLES ?? 500);
const DURATION = seconds(__ENV.DURATION ?? '14m');
const PEAKS = Number(__ENV.PEAKS ?? 60);
/** The most requests that may be under way at once; the run fails when one has to wait for a free user. */
const USERS = 200;

if (notServed.length > 0) throw new Error(`rows without a recipe: ${notServed.map(({ row }) => row).join(', ')}`);

const rows = planned(served, { duration: DURATION, samples: SAMPLES, times: PEAKS });
const pick = weightedPicker(rows.map((row) => ({ ...row, weight: row.calls })));

export const options = build(
  {
    name: 'profile',
    executor: {
      executor: 'constant-arrival-rate',
      rate: rows.reduce((sum, { calls }) => sum + calls, 0),
      timeUnit: `${DURATION}s`,
      duration: `${DURATION}s`,
      preAllocatedVUs: USERS,
      gracefulStop: '30s',
    },
  },
  { samples: SAMPLES, noneDropped: true },
);

export const setup = openWorld;
export default (world) => perform(pick(spread(exec.scenario.iterationInTest)), world);
export const handleSummary = summarize('profile');
