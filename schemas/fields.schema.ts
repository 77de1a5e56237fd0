/**
 * Request fields that several features read in the same forgiving way: clients send blanks for "nothing", ids as text or
 * number, statuses in any case, amounts in dollars.
 */
import { z } from 'zod';

const ISO = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s?(Z|[+-]\d{2}:?\d{2})?)?$/i;
const DAY_MS = 86_400_000;

/** Instants of other years are typing mistakes, and PostgreSQL and JavaScript write them differently. */
const [FIRST_YEAR, LAST_YEAR] = [1900, 2200];

/** An ISO 8601 instant; without an offset it is read as UTC. Null for anything else, impossible days included. */
export function parseInstant(text: string): Date | null {
  const [, day = '', time = '00:00', offset = 'Z'] = ISO.exec(text.trim()) ?? [];
  const midnight = Date.parse(`${day}T00:00:00Z`);
  const year = Number(day.slice(0, 4));
  if (Number.isNaN(midnight) || year < FIRST_YEAR || year > LAST_YEAR || new Date(midnight).toISOString().slice(0, 10) !== day) return null;
  const zone = /^[+-]\d{4}$/.test(offset) ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset.toUpperCase();
  const instant = new Date(`${day}T${time}${zone}`);
  // 24:00 and offsets beyond a day would leave the calendar day that was written.
  return Number.isNaN(instant.getTime()) || Math.abs(instant.getTime() - midnight) >= 2 * DAY_MS ? null : instant;
}

const isBlank = (value: unknown): boolean => value === undefined || value === null || (typeof value === 'string' && value.trim() === '');

/** ISO instant -> Date. */
export const InstantText = z
  .string()
  .meta({ description: 'ISO 8601 instant; without an offset it is UTC', format: 'date-time' })
  .transform((value, ctx) => {
    const instant = parseInstant(value);
    if (instant) return instant;
    ctx.addIssue({ code: 'custom', message: 'invalid' });
    return z.NEVER;
  });

/** Absent, null and blank are null. */
export const OptionalInstant = z
  .union([z.literal('').transform(() => null), InstantText], 'invalid')
  .nullish()
  .transform((value) => value ?? null);

/** A query parameter; blank counts as absent. */
export const queryText = (max = 200) =>
  z
    .string()
    .trim()
    .max(max)
    .transform((value) => (value === '' ? undefined : value))
    .optional();

/** Trimmed text; absent, null and blank are null. */
export const optionalText = (max: number) =>
  z
    .string('invalid')
    .trim()
    .max(max, 'too_long')
    .nullish()
    .transform((value) => (isBlank(value) ? null : (value as string)));

/** Text of a PATCH: absent stays absent, null and blank clear. */
export const clearableText = (max: number) =>
  z
    .string('invalid')
    .trim()
    .max(max, 'too_long')
    .nullable()
    .transform((value) => (isBlank(value) ? null : value))
    .optional();

/** Text or number -> trimmed text; absent, null and blank are null. */
export const OptionalWord = z
  .union([z.string().trim().max(255, 'too_long'), z.number()], 'invalid')
  .nullish()
  .transform((value) => (isBlank(value) ? null : String(value)));

/** A row id as digits or number; absent, null and blank are null. */
export const OptionalId = OptionalWord.transform((value, ctx) => {
  if (value === null) return null;
  if (/^[1-9]\d{0,15}$/.test(value)) return Number(value);
  ctx.addIssue({ code: 'custom', message: 'invalid' });
  return z.NEVER;
});

/** Model year as number or digits. */
export const OptionalYear = OptionalWord.transform((value, ctx) => {
  if (value === null) return null;
  const year = Number(value);
  if (/^\d{4}$/.test(value) && year >= 1900 && year <= 2200) return year;
  ctx.addIssue({ code: 'custom', message: 'invalid' });
  return z.NEVER;
});

/** Dollars -> cents, halves up; the decimal digits decide, not their binary neighbour (1.005 is 101 cents). */
export const centsOf = (dollars: number): number => Math.round(Number(`${dollars.toFixed(6)}e2`));

const MAX_DOLLARS = 99_999_999.99;
/** An amount in dollars, not negative -> integer cents. */
export const Dollars = z.number('invalid').min(0, 'must_not_be_negative').max(MAX_DOLLARS, 'too_large').transform(centsOf);
