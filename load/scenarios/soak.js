/** A moderate mix for a long time: what leaks, grows or wears out shows here. */
import { options as build, openWorld, summarize, user } from '../lib/scenario.js';

export const options = build(
  {
    name: 'soak',
    executor: { executor: 'constant-vus', vus: Number(__ENV.VUS ?? 50), duration: __ENV.DURATION ?? '30m', gracefulStop: '10s' },
  },
  { overall: true },
);

export const setup = openWorld;
export default user;
export const handleSummary = summarize('soak');
