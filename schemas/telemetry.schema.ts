/** What the browser client reports of itself, a batch every few seconds. */
import { z } from 'zod';

export const TELEMETRY_BODY_BYTES = 64 * 1024;
export const TELEMETRY_EVENTS_MAX = 50;
const EVENT_CHARACTERS_MAX = 4 * 1024;

export const TelemetryEvent = z
  .object({
    event: z.string().min(1).max(100),
    ts_iso: z.string().max(40),
    session_id: z.string().max(100),
    request_id: z.string().max(100).nullish(),
    event_version: z.number().optional(),
    schema_version: z.union([z.string().max(40), z.number()]).optional(),
    payload: z.record(z.string(), z.unknown()).nullish(),
  })
  .refine((event) => JSON.stringify(event).length <= EVENT_CHARACTERS_MAX, 'too_long');

/** Events are judged one by one: a page must not fail because one of its events is odd. */
export const TelemetryBatch = z.object({ events: z.array(z.unknown()).nullish().catch(null) }).meta({ id: 'TelemetryBatch' });
export type TelemetryBatch = z.infer<typeof TelemetryBatch>;
