/** Browser telemetry is counted and dropped: nothing of it is stored, logged or repeated. */
import { metrics } from '../lib/metrics';
import { TELEMETRY_EVENTS_MAX, type TelemetryBatch, TelemetryEvent } from '../schemas/telemetry.schema';

/** Counts the events that are well-formed and within the batch's bound; the rest counts as dropped. */
export function countEvents({ events }: TelemetryBatch): { accepted: number; dropped: number } {
  const all = events ?? [];
  let accepted = 0;
  for (const event of all.slice(0, TELEMETRY_EVENTS_MAX)) if (TelemetryEvent.safeParse(event).success) accepted += 1;
  const dropped = all.length - accepted;
  if (accepted > 0) metrics.telemetryEvents.inc({ outcome: 'accepted' }, accepted);
  if (dropped > 0) metrics.telemetryEvents.inc({ outcome: 'dropped' }, dropped);
  return { accepted, dropped };
}
