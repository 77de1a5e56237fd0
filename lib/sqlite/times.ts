/**
 * Instants, days and intervals as SQLite keeps them (see `types.ts`), and the arithmetic of PostgreSQL on them. The session's time
 * zone is UTC.
 */
import { DateTime, IANAZone } from 'luxon';
import { NotCarried } from './not-carried';
import { SqlFailure } from './sql-failure';

const DAY_MS = 86_400_000;
const DAY_US = 86_400_000_000;
const US_PER_MS = 1000;
const US_PER_S = 1_000_000;

/** Milliseconds since 1970, and the microseconds beyond them. */
interface Moment {
  ms: number;
  us: number;
}

const pad = (value: number, digits: number): string => String(value).padStart(digits, '0');

/** `2026-01-14T09:30:00.000000` */
function stamp({ ms, us }: Moment): string {
  const carried = ms + Math.floor(us / US_PER_MS);
  const rest = ((us % US_PER_MS) + US_PER_MS) % US_PER_MS;
  const iso = new Date(carried).toISOString();
  return `${iso.slice(0, -1)}${pad(rest, 3)}`;
}

const INTERNAL = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})(\d{3})Z?$/;

function moment(text: string): Moment {
  const [, second, milli, micro] = INTERNAL.exec(text) ?? [];
  if (!second) throw new SqlFailure('22007', `invalid input syntax for type timestamp: "${text}"`);
  return { ms: Date.parse(`${second}.${milli}Z`), us: Number(micro) };
}

const isLocal = (text: string): boolean => !text.endsWith('Z');
const like = (text: string, at: Moment): string => (isLocal(text) ? stamp(at) : `${stamp(at)}Z`);

export const instantOf = (date: Date): string => `${date.toISOString().slice(0, -1)}000Z`;
/** A value of `Date.now()` plus a fraction of a millisecond. */
export const instantOfMs = (ms: number): string => `${stamp({ ms: Math.floor(ms), us: Math.floor((ms % 1) * US_PER_MS) })}Z`;

const WRITTEN = /^\s*(\d{4})-(\d\d?)-(\d\d?)(?:[T ](\d\d?):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?\s*$/i;

function parsed(text: string): Moment {
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = WRITTEN.exec(text) ?? [];
  if (!year) throw new SqlFailure('22007', `invalid input syntax for type timestamp: "${text}"`);
  const numbers = [year, month, day, hour, minute, second].map(Number) as [number, number, number, number, number, number];
  const ms = Date.UTC(numbers[0], numbers[1] - 1, ...numbers.slice(2));
  if (new Date(Date.UTC(numbers[0], numbers[1] - 1, numbers[2])).getUTCDate() !== numbers[2] || numbers[3] > 24 || numbers[4] > 59)
    throw new SqlFailure('22008', `date/time field value out of range: "${text}"`);
  const [, sign, hours = '0', minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? [];
  const shift = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1);
  const micros = Number(fraction.padEnd(6, '0').slice(0, 6));
  return { ms: ms - (sign ? shift : 0) + Math.floor(micros / US_PER_MS), us: micros % US_PER_MS };
}

export const toInstant = (text: string): string => `${stamp(parsed(text))}Z`;
export const toLocalTime = (text: string): string =>
  stamp(parsed(text.replace(/\s*(Z|[+-]\d\d(:?\d\d)?)\s*$/i, (zone, _all, at) => (at > 10 ? '' : zone))));
export const toDay = (text: string): string => stamp(parsed(text)).slice(0, 10);

export function toTimeOfDay(text: string): string {
  const [, hour, minute, second = '00'] = /^\s*(\d\d?):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s*$/.exec(text) ?? [];
  if (!hour || Number(hour) > 23 || Number(minute) > 59) throw new SqlFailure('22007', `invalid input syntax for type time: "${text}"`);
  return `${hour.padStart(2, '0')}:${minute}:${second}`;
}

// ------------------------------------------------------------------ zones

function zoneOf(name: string): IANAZone {
  const zone = IANAZone.create(name);
  if (!zone.isValid) throw new SqlFailure('22023', `time zone "${name}" not recognized`);
  return zone;
}

/** An instant as clocks of the zone show it. */
export function localTime(instant: string, zoneName: string): string {
  const { ms, us } = moment(instant);
  return stamp({ ms: ms + zoneOf(zoneName).offset(ms) * 60_000, us });
}

/** The instant at which clocks of the zone show this: the later one where they do so twice, as if they had not been put forward where never. */
export function fromLocalTime(local: string, zoneName: string): string {
  const zone = zoneOf(zoneName);
  const { ms, us } = moment(local);
  const [before, after] = [zone.offset(ms - DAY_MS), zone.offset(ms + DAY_MS)];
  const later = ms - after * 60_000;
  return `${stamp({ ms: zone.offset(later) === after ? later : ms - before * 60_000, us })}Z`;
}

// ------------------------------------------------------------------ intervals

const UNITS: Readonly<Record<string, readonly [months: number, days: number, us: number]>> = {
  microsecond: [0, 0, 1],
  millisecond: [0, 0, US_PER_MS],
  second: [0, 0, US_PER_S],
  sec: [0, 0, US_PER_S],
  minute: [0, 0, 60 * US_PER_S],
  min: [0, 0, 60 * US_PER_S],
  hour: [0, 0, 3600 * US_PER_S],
  day: [0, 1, 0],
  week: [0, 7, 0],
  month: [1, 0, 0],
  year: [12, 0, 0],
};

type Parts = [months: number, days: number, us: number];
const partsOf = (interval: string): Parts => interval.split(' ').map(Number) as Parts;

export function toInterval(text: string): string {
  if (/^-?\d+ -?\d+ -?\d+$/.test(text)) return text;
  const total: Parts = [0, 0, 0];
  const rest = text.replace(/([+-]?\d+(?:\.\d+)?)\s*([a-z]+?)s?\b/gi, (_match, amount: string, unit: string) => {
    const factors = UNITS[unit.toLowerCase()];
    if (!factors) throw new SqlFailure('22007', `invalid input syntax for type interval: "${text}"`);
    for (const index of [0, 1, 2] as const) total[index] += Number(amount) * factors[index];
    return '';
  });
  if (rest.trim() !== '') throw new SqlFailure('22007', `invalid input syntax for type interval: "${text}"`);
  return total.map(Math.round).join(' ');
}

export const intervalOfSeconds = (seconds: number): string => `0 0 ${Math.round(seconds * US_PER_S)}`;
export const intervalTimes = (interval: string, factor: number): string =>
  partsOf(interval)
    .map((part) => Math.round(part * factor))
    .join(' ');

/** Months first, and never past the end of a month; then days and time. */
export function instantPlus(at: string, interval: string, sign: number): string {
  const [months, days, us] = partsOf(interval);
  const { ms, us: micros } = moment(at);
  const moved = DateTime.fromMillis(ms, { zone: 'utc' }).plus({ months: sign * months, days: sign * days });
  const total = micros + sign * us;
  return like(at, { ms: moved.toMillis() + Math.floor(total / US_PER_MS), us: ((total % US_PER_MS) + US_PER_MS) % US_PER_MS });
}

export function instantMinus(later: string, earlier: string): string {
  const [one, two] = [moment(later), moment(earlier)];
  const us = (one.ms - two.ms) * US_PER_MS + one.us - two.us;
  const days = Math.trunc(us / DAY_US);
  return `0 ${days} ${us - days * DAY_US}`;
}

/** Steps from one instant up to another, both included. @throws SqlFailure for a step that does not lead forward */
export function instantSeries(from: string, to: string, step: string): string[] {
  if (instantPlus(from, step, 1) <= from) throw new SqlFailure('22023', 'step size must lead forward');
  const series: string[] = [];
  // Each from the one before, as PostgreSQL does: after the 28th of February comes the 28th of March.
  for (let at = from; at <= to; at = instantPlus(at, step, 1)) series.push(at);
  return series;
}

export const dayPlus = (day: string, days: number): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
export const dayMinus = (later: string, earlier: string): number =>
  Math.round((Date.parse(`${later}T00:00:00Z`) - Date.parse(`${earlier}T00:00:00Z`)) / DAY_MS);

// ------------------------------------------------------------------ parts and formats

export function intervalPart(part: string, interval: string): number {
  const [months, days, us] = partsOf(interval);
  if (part !== 'epoch') throw new NotCarried(`extract(${part} FROM interval)`);
  // PostgreSQL counts a year of 365.25 days and a month of 30.
  const years = Math.trunc(months / 12);
  return years * 365.25 * 86_400 + (months - years * 12) * 30 * 86_400 + days * 86_400 + us / US_PER_S;
}

export function instantPart(part: string, at: string): number {
  const { ms, us } = moment(at.length === 10 ? `${at}T00:00:00.000000` : at);
  const shown = DateTime.fromMillis(ms, { zone: 'utc' });
  switch (part) {
    case 'epoch':
      return ms / 1000 + us / US_PER_S;
    case 'year':
    case 'month':
    case 'day':
    case 'hour':
    case 'minute':
      return shown[part];
    case 'second':
      return shown.second + shown.millisecond / 1000 + us / US_PER_S;
    case 'isodow':
      return shown.weekday;
    case 'dow':
      return shown.weekday % 7;
    case 'doy':
      return shown.ordinal;
    default:
      throw new NotCarried(`extract(${part})`);
  }
}

const FLOORS = ['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'] as const;

export function instantFloor(at: string, unit: string): string {
  const known = FLOORS.find((name) => name === unit);
  if (!known) throw new NotCarried(`date_trunc('${unit}')`);
  return like(at, { ms: DateTime.fromMillis(moment(at).ms, { zone: 'utc' }).startOf(known).toMillis(), us: 0 });
}

/** The patterns of to_char that the service uses. */
export function instantFormat(at: string, format: string): string {
  const { ms, us } = moment(at.length === 10 ? `${at}T00:00:00.000000` : at);
  const shown = DateTime.fromMillis(ms, { zone: 'utc' });
  return format.replace(/"([^"]*)"|YYYY|MM|DD|HH24|MI|SS|US|MS|[A-Za-z]+/g, (token, quoted?: string) => {
    if (quoted !== undefined) return quoted;
    switch (token) {
      case 'YYYY':
        return pad(shown.year, 4);
      case 'MM':
        return pad(shown.month, 2);
      case 'DD':
        return pad(shown.day, 2);
      case 'HH24':
        return pad(shown.hour, 2);
      case 'MI':
        return pad(shown.minute, 2);
      case 'SS':
        return pad(shown.second, 2);
      case 'MS':
        return pad(shown.millisecond, 3);
      case 'US':
        return pad(shown.millisecond * US_PER_MS + us, 6);
      default:
        throw new NotCarried(`to_char pattern ${token}`);
    }
  });
}
