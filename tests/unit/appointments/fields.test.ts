import fc from 'fast-check';
import { centsOf, parseInstant } from '../../../schemas/fields.schema';

test.each([
  ['2027-03-14T09:30:00Z', '2027-03-14T09:30:00.000Z'],
  ['2027-03-14T09:30:00.123456Z', '2027-03-14T09:30:00.123Z'],
  ['2027-03-14T09:30:00-08:00', '2027-03-14T17:30:00.000Z'],
  ['2027-03-14T09:30:00-0800', '2027-03-14T17:30:00.000Z'],
  ['2027-03-14 09:30', '2027-03-14T09:30:00.000Z'],
  ['2027-03-14T09:30:00', '2027-03-14T09:30:00.000Z'],
  ['2027-03-14', '2027-03-14T00:00:00.000Z'],
])('parseInstant › %s › %s', (text, iso) => {
  expect(parseInstant(text)?.toISOString()).toBe(iso);
});

test.each([
  '',
  'tomorrow',
  '2027-02-29',
  '2027-02-29T10:00:00Z',
  '2027-13-01',
  '2027-01-01T25:00:00Z',
  '2027-01-01T10:61Z',
  '1',
  '14/03/2027',
  '9999-12-31',
  '0001-01-01T00:00:00Z',
])('parseInstant › %j › refused', (text) => {
  expect(parseInstant(text)).toBeNull();
});

test('parseInstant › what toISOString writes › comes back', () => {
  fc.assert(
    fc.property(fc.date({ min: new Date('1900-01-01'), max: new Date('2200-01-01'), noInvalidDate: true }), (date) => {
      expect(parseInstant(date.toISOString())).toEqual(date);
    }),
  );
});

test.each([
  [0.005, 1],
  [1.005, 101],
  [0.1 + 0.2, 30],
  [240, 24_000],
  [99_999_999.99, 9_999_999_999],
  [1e-7, 0],
])('centsOf › %d dollars › %i cents', (dollars, cents) => {
  expect(centsOf(dollars)).toBe(cents);
});

test('centsOf › any whole cents › survive the way to dollars and back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9_999_999_999 }), (cents) => {
      expect(centsOf(cents / 100)).toBe(cents);
    }),
  );
});
