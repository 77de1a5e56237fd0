/**
 * Days as the shop lives them: cut at midnight of the tenant's zone, whatever the server's zone is and however long the day
 * (23 or 25 hours at a change of the clocks). A day becomes two instants here, once, so that SQL compares timestamptz with
 * timestamptz and can use its indexes.
 */
import { DateTime } from 'luxon';

/** Half-open: `from` belongs to the range, `to` does not. */
export interface InstantRange {
  readonly from: Date;
  readonly to: Date;
}

/** Clocks are changed by multiples of this. */
const CLOCK_STEP = { minutes: 15 };
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Days outside are typing mistakes; arithmetic at the edges of the calendar would leave four-digit years. */
const [FIRST_YEAR, LAST_YEAR] = [1900, 2200];

/** True for an existing calendar day written YYYY-MM-DD, in a year that a shop can mean. */
export function isDay(text: string): boolean {
  if (!DAY.test(text)) return false;
  const { isValid, year } = DateTime.fromISO(text, { zone: 'utc' });
  return isValid && year >= FIRST_YEAR && year <= LAST_YEAR;
}

/** The first instant of a day (YYYY-MM-DD) in an IANA zone. @throws RangeError for a day or zone that does not exist */
export function startOfDay(day: string, timeZone: string): Date {
  const midnight = DateTime.fromISO(day, { zone: timeZone });
  if (!DAY.test(day) || !midnight.isValid) throw new RangeError('Not a day or not a time zone');
  let first = midnight.toISODate() === day ? midnight.startOf('day') : midnight;
  // Where the clocks skip midnight, luxon may answer an instant of the evening before; where they repeat it, the second of the two.
  while (first.toISODate() !== day) first = first.plus(CLOCK_STEP);
  while (first.minus(CLOCK_STEP).toISODate() === day) first = first.minus(CLOCK_STEP);
  return first.toJSDate();
}

/** The instants of one day in an IANA zone. */
export function rangeOfDay(day: string, timeZone: string): InstantRange {
  return { from: startOfDay(day, timeZone), to: startOfDay(nextDay(day), timeZone) };
}

/** The calendar day after YYYY-MM-DD. */
export function nextDay(day: string): string {
  return addDays(day, 1);
}

/** Calendar arithmetic on YYYY-MM-DD; no zone is involved. */
export function addDays(day: string, days: number): string {
  const result = DateTime.fromISO(day, { zone: 'utc' }).plus({ days }).toISODate();
  if (!result) throw new RangeError('Not a day');
  return result;
}

/** The calendar day (YYYY-MM-DD) of an instant in an IANA zone. */
export function dayOf(instant: Date, timeZone: string): string {
  const day = DateTime.fromJSDate(instant, { zone: timeZone }).toISODate();
  if (!day) throw new RangeError('Not an instant or not a time zone');
  return day;
}
