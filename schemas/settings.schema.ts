/** Shapes of the shop's own settings. */
import { z } from 'zod';
import { Instant } from './common.schema';

const BASIS_POINTS_MAX = 10_000;
const [BLOCK_MIN, BLOCK_MAX] = [5, 2_880];
const Switch = z.boolean('invalid');
const Clock = z
  .string('invalid')
  .trim()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must_be_hh_mm');

function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }) !== undefined && zone.includes('/');
  } catch {
    return false;
  }
}
/** A zone of the IANA database by its full name: three-letter names say different things in different places. */
const TimeZone = z
  .string('invalid')
  .trim()
  .max(64, 'too_long')
  .refine((zone) => zone === 'UTC' || isTimeZone(zone), 'unknown_time_zone');

export const UpdateSettings = z.object({
  timezone: TimeZone.optional(),
  /** Hundredths of a percent; for invoices created from now on. */
  tax_basis_points: z.int('invalid').min(0, 'must_not_be_negative').max(BASIS_POINTS_MAX, 'too_large').optional(),
  /** How long an appointment without an end occupies technician and vehicle. */
  default_block_minutes: z.int('invalid').min(BLOCK_MIN, 'too_small').max(BLOCK_MAX, 'too_large').optional(),
  advisor_can_edit_catalog: Switch.optional(),
  advisor_can_void: Switch.optional(),
  public_booking: Switch.optional(),
  public_catalog: Switch.optional(),
  /** Shop time from and until which nobody is sent a reminder; equal times: never quiet. */
  quiet_from: Clock.optional(),
  quiet_to: Clock.optional(),
});
export type UpdateSettings = z.output<typeof UpdateSettings>;

export const Settings = z
  .object({
    timezone: z.string(),
    tax_basis_points: z.int(),
    default_block_minutes: z.int(),
    advisor_can_edit_catalog: z.boolean(),
    advisor_can_void: z.boolean(),
    public_booking: z.boolean(),
    public_catalog: z.boolean(),
    quiet_from: z.string(),
    quiet_to: z.string(),
    sms_number: z.string().nullable().describe('The number its texts come from; null: the one of the service. Given by the operator'),
    updated_by: z.string().nullable(),
    updated_at: Instant,
  })
  .meta({ id: 'Settings' });
export type Settings = z.output<typeof Settings>;
