/** @alone K9: workers leave with their last request, one at a time; whether a replacement is there in time is a matter of how quickly it loads. */
import { eventually, type Running, startChaos } from '../cluster/support';
import { AS_SHIPPED } from '../support/cluster';
import { counts, criterion, isFull } from '../support/criterion';
import { answered, measureLossless, postLoad, Watch } from './under-load';

/** From what was waited for to what it was waited for: a few looks of the supervisor. */
const TURN_MS = 1_000;

criterion('K9', 'recycling by requests', async (measure) => {
  const service = await startChaos({
    // A lame duck waits for the keep-alive time it promised, and one second. No shorter than a client's pause, or none would be kept.
    env: { ...AS_SHIPPED, MAX_REQUESTS: '500', MAX_REQUESTS_JITTER: '50', KEEP_ALIVE_TIMEOUT: isFull() ? '3' : '1' },
    args: ['--recycle-gap-ms', '0'],
  });
  const load = postLoad(service, 70);
  const watch = new Watch(service);
  const drains = () => service.events().filter(({ message, reason }) => message === 'worker drains' && reason === 'max_requests');
  await answered(load, 20_000, 1_200_000);
  await eventually('a recycling of each slot', async () => new Set(drains().map(({ slot }) => slot)).size === 4, 240_000);
  const { mostRecycling, leastReady } = await watch.stop();
  const outcomes = await load.stop();
  const all = drains().map(({ requests, slot, at }) => ({ requests: Number(requests), slot: Number(slot), at: Date.parse(String(at)) }));
  const inRange = all.filter(({ requests }) => requests >= 500 && requests <= 550);
  const others = all
    .filter((each) => !inRange.includes(each))
    .map(({ requests, slot, at }) => ({
      requests,
      reason: requests > 550 ? whyLate(service, slot, at) : whyEarly(service, slot, at),
    }));
  const of = (reason: Reason): number => others.filter((each) => each.reason === reason).length;
  const unexplained = others.flatMap(({ requests, reason }) => (reason === 'no reason' ? [requests] : []));
  // One at a time, and never fewer than 4 ready workers, come first: whoever has to wait for that serves on.
  measure(
    'drained between 500 and 550 answers, unless another was recycling or the replacement was not ready yet',
    `${inRange.length} of ${all.length}; ${of('turn')} waited for another, ${of('replacement')} for the replacement, ${of('made way')} made way for one that had waited${unexplained.map((requests) => `; ${requests} without a reason`).join('')}`,
    unexplained.length === 0 && inRange.length * 2 > all.length,
  );
  measure('never 2 recycling at once', mostRecycling, mostRecycling <= 1);
  measure('never fewer than 4 ready workers', leastReady, leastReady >= 4);
  measureLossless(measure, outcomes, counts(20_000));
  await service.stop();
});

type Reason = 'turn' | 'replacement' | 'made way' | 'no reason';

/** When something was logged of the slots that count. */
const timesOf = (service: Running, message: string, counts: (slot: number) => boolean): number[] =>
  service
    .events()
    .flatMap((event) => (event['message'] === message && counts(Number(event['slot'])) ? [Date.parse(String(event['at']))] : []));

/** `turn`: its replacing began as soon as another's had ended. `replacement`: it drained as soon as that was ready. */
function whyLate(service: Running, slot: number, drainedAt: number): Reason {
  const soonBefore = (at: number) => (ms: number) => ms <= at && at - ms <= TURN_MS;
  const began = timesOf(service, 'worker is to be replaced', (other) => other === slot).findLast((ms) => ms <= drainedAt) ?? 0;
  if (timesOf(service, 'worker left', (other) => other !== slot).some(soonBefore(began))) return 'turn';
  return timesOf(service, 'worker ready', (other) => other === slot).some(soonBefore(drainedAt)) ? 'replacement' : 'no reason';
}

/** `made way`: as soon as it had left, another one's replacing began. */
function whyEarly(service: Running, slot: number, drainedAt: number): Reason {
  const left = timesOf(service, 'worker left', (other) => other === slot).find((ms) => ms >= drainedAt) ?? Number.NaN;
  const next = timesOf(service, 'worker is to be replaced', (other) => other !== slot).find((ms) => ms >= left);
  return next !== undefined && next - left <= TURN_MS ? 'made way' : 'no reason';
}
