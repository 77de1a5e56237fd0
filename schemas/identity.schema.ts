/**
 * How people and cars are written down: e-mail, phone, VIN and plate, with the reason word for each way they can be wrong.
 * The same rules hold wherever one of them arrives (customer pages, vehicle pages, bookings).
 */
import { z } from 'zod';

/** The reason word for a value that is missing or of another kind. */
export const requiredOr =
  (reason: string) =>
  ({ input }: { input?: unknown }): string =>
    input === undefined ? 'required' : reason;

/** '' and blanks clear a field like null does. */
const blankToNull = (value: unknown): unknown => (typeof value === 'string' && value.trim() === '' ? null : value);
const trimmed = (value: unknown): unknown => (typeof value === 'string' ? value.trim() : value);

/** Free text with a length limit; '' and null clear it. */
export const ClearableText = (max: number) =>
  z.preprocess((value) => blankToNull(trimmed(value)), z.string('invalid').max(max, 'too_long').nullable());

/** Lower-cased address, '' and null clear it. */
export const Email = z.preprocess(
  (value) => blankToNull(typeof value === 'string' ? value.trim().toLowerCase() : value),
  z
    .string('invalid')
    .max(254, 'invalid')
    .regex(/^[^@\s]+@[^@\s]+\.[^@\s]+$/, 'invalid')
    .nullable(),
);

/** Kept as typed; '' and null clear it. */
export const Phone = z.preprocess(
  (value) => blankToNull(trimmed(value)),
  z
    .string('invalid')
    .max(20, 'too_long')
    .regex(/^[\d\s+().-]*$/, 'invalid')
    .nullable(),
);

/** 17 characters without I, O and Q; no check digit, since imported cars have none. '' and null clear it. */
export const Vin = z.preprocess(
  (value) => blankToNull(typeof value === 'string' ? value.trim().toUpperCase() : value),
  z
    .string('invalid')
    .length(17, 'length')
    .regex(/^[A-HJ-NPR-Z0-9]*$/, 'invalid')
    .nullable(),
);

/** Kept as typed, upper case; compared by letters and digits alone. '' and null clear it. */
export const Plate = z.preprocess(
  (value) => blankToNull(typeof value === 'string' ? value.trim().toUpperCase() : value),
  z.string('invalid').max(20, 'too_long').nullable(),
);

const EARLIEST_YEAR = 1900;
/** Model years run a year ahead of the calendar. */
const latestYear = (): number => new Date().getUTCFullYear() + 1;

/** A model year as number or digits. */
export const ModelYear = z.preprocess(
  (value) => (typeof value === 'string' && /^\s*\d+\s*$/.test(value) ? Number(value) : value),
  z
    .int({ error: requiredOr('out_of_range') })
    .min(EARLIEST_YEAR, 'out_of_range')
    .refine((year) => year <= latestYear(), 'out_of_range'),
);

/** The digits of a phone number without a leading US 1, as the database compares them; '' when there are none. */
export const phoneDigits = (phone: string): string => phone.replace(/\D/g, '').replace(/^1(\d{10})$/, '$1');

/** Letters and digits of a plate, as the database compares them; '' when there are none. */
export const plateKey = (plate: string): string => plate.toUpperCase().replace(/[^A-Z0-9]/g, '');
