/**
 * When a seeded shop works: for each day and technician a row of jobs that do not overlap, in the shop's own time zone.
 * Today is always a working day, so that the board has something to show.
 */
import { DateTime } from 'luxon';
import type { Random } from './random';

const OPENS_HOUR = 8;
const CLOSES_HOUR = 18;
const MINUTE_MS = 60_000;
const GAPS_MINUTES = [0, 0, 15, 15, 30, 45];

export interface Slot {
  readonly technicianId: string;
  readonly start: Date;
  readonly end: Date;
  /** Days from today; 0 is today, negative the past. */
  readonly day: number;
  /** What is to be done in it, as given by `estimate`. */
  readonly job: Job;
}

export interface Job {
  readonly minutes: number;
  readonly operations: readonly { readonly id: string; readonly priceCents: number }[];
}

export interface CalendarOptions {
  now: Date;
  timeZone: string;
  technicianIds: readonly string[];
  count: number;
  /** Share of the appointments that lie before today. */
  past: number;
  /** Chance that a technician's next slot is taken. */
  occupancy: number;
  estimate: () => Job;
}

/** `count` slots, oldest first: today is full, the rest lies `past` before and otherwise after it, thinning out in the future. */
export function fillCalendar(random: Random, options: CalendarOptions): Slot[] {
  const today = DateTime.fromJSDate(options.now, { zone: options.timeZone }).startOf('day');
  const slots = daySlots(random, options, today, 0, 0.95).slice(0, options.count);
  const pastCount = Math.min(options.count - slots.length, Math.round(options.count * options.past));
  slots.push(...spread(random, options, today, -1, pastCount));
  slots.push(...spread(random, options, today, 1, options.count - slots.length));
  return slots.sort((a, b) => a.start.getTime() - b.start.getTime());
}

/** Fills day after day in one direction until `count` slots are found. */
function spread(random: Random, options: CalendarOptions, today: DateTime, direction: 1 | -1, count: number): Slot[] {
  const found: Slot[] = [];
  for (let distance = 1; found.length < count; distance += 1) {
    const day = today.plus({ days: direction * distance });
    if (day.weekday === 7) continue;
    const occupancy = direction === 1 ? options.occupancy * Math.max(0.25, 1 - distance / 60) : options.occupancy;
    const ofDay = daySlots(random, options, day, direction * distance, occupancy);
    // The last day is cut at random, not at its end, so that no technician is favoured.
    found.push(...random.sample(ofDay, count - found.length));
  }
  return found;
}

function daySlots(random: Random, options: CalendarOptions, day: DateTime, offset: number, occupancy: number): Slot[] {
  const opens = day.set({ hour: OPENS_HOUR }).toMillis();
  const closes = day.set({ hour: CLOSES_HOUR }).toMillis();
  const found: Slot[] = [];
  for (const technicianId of options.technicianIds) {
    let at = opens + random.pick(GAPS_MINUTES) * MINUTE_MS;
    for (;;) {
      const job = options.estimate();
      const end = at + job.minutes * MINUTE_MS;
      if (end > closes) break;
      if (random.chance(occupancy)) found.push({ technicianId, start: new Date(at), end: new Date(end), day: offset, job });
      at = end + random.pick(GAPS_MINUTES) * MINUTE_MS;
    }
  }
  return found;
}

/** Start of the tenant's day that many days from now, as an instant. */
export const startOfDay = (now: Date, timeZone: string, offset = 0): Date =>
  DateTime.fromJSDate(now, { zone: timeZone }).startOf('day').plus({ days: offset }).toJSDate();

/** The tenant's calendar day of an instant, YYYY-MM-DD. */
export const dayOf = (at: Date, timeZone: string): string => DateTime.fromJSDate(at, { zone: timeZone }).toISODate() ?? '';
