/** Shapes that several endpoints share. */
import { z } from 'zod';

/** A path id of a customer, vehicle or appointment; anything that is not a positive integer matches no row (404). */
export const NumericId = z.string().transform((value) => (/^[1-9]\d{0,15}$/.test(value) ? Number(value) : null));
export const ById = z.object({ id: NumericId });

/** Query booleans: 1, true, yes in any case; everything else is false. */
export const QueryBoolean = z.string().transform((value) => ['1', 'true', 'yes'].includes(value.toLowerCase()));

/** ISO-8601 instant in UTC, ending in Z. */
export const Instant = z.iso.datetime();
/** YYYY-MM-DD. */
export const Day = z.iso.date();

export const Role = z.enum(['Owner', 'Advisor', 'Accountant', 'Technician', 'Customer']);

export const ErrorBody = z
  .object({
    ok: z.literal(false),
    data: z.unknown(),
    error: z.object({ code: z.string(), message: z.string(), details: z.record(z.string(), z.unknown()).optional() }),
    message: z.string(),
    correlation_id: z.string(),
    meta: z.object({ request_id: z.string() }),
    retry_after: z.number().optional(),
  })
  .meta({ id: 'Error' });
