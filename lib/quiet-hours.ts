/** Hours in which a shop disturbs nobody, by the clock on the shop's wall; also over a change of the clocks. */
import { DateTime } from 'luxon';

/** Wall-clock times HH:MM; `from` belongs to the quiet, `to` does not. From 21:00 to 08:00 goes over midnight; equal times mean never. */
export interface QuietHours {
  from: string;
  to: string;
}

/** `at`, or when the quiet ends if it falls into it. */
export function afterQuiet(at: Date, { from, to }: QuietHours, timeZone: string): Date {
  const local = DateTime.fromJSDate(at, { zone: timeZone });
  const time = local.toFormat('HH:mm');
  const isQuiet = from <= to ? time >= from && time < to : time >= from || time < to;
  if (!isQuiet) return at;
  const [hour = 0, minute = 0] = to.split(':').map(Number);
  const end = local.set({ hour, minute, second: 0, millisecond: 0 });
  const next = time < to ? end : local.plus({ days: 1 }).set({ hour, minute, second: 0, millisecond: 0 });
  // A wall-clock time that comes twice may be read as the first of the two, which has passed.
  return next.toJSDate() > at ? next.toJSDate() : next.plus({ hours: 1 }).toJSDate();
}
