import fc from 'fast-check';
import { addDays, dayOf, isDay, nextDay, rangeOfDay, startOfDay } from '../../../lib/days';

const HOUR_MS = 3_600_000;
// Zones with northern and southern clock changes, changes at midnight itself, half-hour and no changes.
const ZONES = [
  'America/Los_Angeles',
  'Europe/Berlin',
  'Australia/Lord_Howe',
  'America/Sao_Paulo',
  'Africa/Cairo',
  'Asia/Beirut',
  'America/Havana',
  'Asia/Kolkata',
  'Pacific/Auckland',
  'UTC',
];
const zone = fc.constantFrom(...ZONES);
const day = fc.integer({ min: 0, max: 40 * 365 }).map((offset) => addDays('1996-01-01', offset));

test('rangeOfDay › any day, any zone › holds exactly the instants whose local date is that day', () => {
  fc.assert(
    fc.property(day, zone, (date, timeZone) => {
      const { from, to } = rangeOfDay(date, timeZone);
      expect(dayOf(from, timeZone)).toBe(date);
      expect(dayOf(new Date(from.getTime() - 1), timeZone) < date).toBe(true);
      expect(dayOf(new Date(to.getTime() - 1), timeZone)).toBe(date);
      expect(dayOf(to, timeZone) > date).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('rangeOfDay › neighbouring days › meet without gap or overlap', () => {
  fc.assert(
    fc.property(day, zone, (date, timeZone) => {
      expect(rangeOfDay(date, timeZone).to).toEqual(rangeOfDay(nextDay(date), timeZone).from);
    }),
  );
});

test.each([
  ['2026-03-08', 23],
  ['2026-03-09', 24],
  ['2026-11-01', 25],
])('rangeOfDay › %s in Los Angeles › lasts %i hours', (date, hours) => {
  const { from, to } = rangeOfDay(date, 'America/Los_Angeles');
  expect((to.getTime() - from.getTime()) / HOUR_MS).toBe(hours);
});

test('startOfDay › a midnight that the clocks skip › the day begins after the gap', () => {
  expect(startOfDay('2018-11-04', 'America/Sao_Paulo').toISOString()).toBe('2018-11-04T03:00:00.000Z');
});

test('isDay › only existing calendar days', () => {
  expect(isDay('2028-02-29')).toBe(true);
  for (const text of ['2027-02-29', '2027-13-01', '2027-1-1', '20270101', '2027-01-01T00:00', '', '9999-12-31', '0000-01-01'])
    expect(isDay(text)).toBe(false);
});

test('startOfDay › a word or an unknown zone › RangeError', () => {
  expect(() => startOfDay('tomorrow', 'UTC')).toThrow(RangeError);
  expect(() => startOfDay('2027-01-01', 'Mars/Olympus')).toThrow(RangeError);
});
