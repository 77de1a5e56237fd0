/** Blocks the event loop of one worker in one of the six ways of tests/cluster/fixtures/stalls.ts, and finds it in `/stats`. */
import { STALLS, type StallName } from '../cluster/fixtures/stalls';
import { call, type Outcome, type Running, stats } from '../cluster/support';

export const NAMES = Object.keys(STALLS) as StallName[];
/** Longer than the primary waits before it kills. */
export const FOR_EVER_MS = 40_000;

export const block = (service: Running, name: StallName, ms: number, id: string = crypto.randomUUID()): Promise<Outcome> =>
  call(service.url, { path: `/chaos/stall/${name}?ms=${ms}`, headers: { 'X-Request-Id': id }, timeoutMs: 120_000 });

export const stalledBy = async (service: Running, id: string) =>
  (await stats(service)).workers.find(({ stalls }) => stalls?.last?.request_id === id);

export const most = (values: readonly number[]): number => Math.round(Math.max(...values));
