import fc from 'fast-check';
import { fingerprint } from '../../../lib/fingerprint';

test.each([
  ["SELECT * FROM t WHERE a = 'it''s' AND b = 12.5 AND c = $1", 'SELECT * FROM t WHERE a = ? AND b = ? AND c = $?'],
  ["SELECT E'a\\'b', x", 'SELECT ?, x'],
  ['SELECT $$one$$, $q$ tw$$o $q$', 'SELECT ?, ?'],
  [`SELECT "we'ird" FROM "t1" -- Jane's\n WHERE x IN (1, 2,3)`, `SELECT "we'ird" FROM "t1" WHERE x IN (?)`],
  ["SELECT U&'d\\0061t', B'101', 0xFF, 1e5, .5, t2.col1, a[3], 5::int", 'SELECT ?, ?, ?, ?, ?, t2.col1, a[?], ?::int'],
  ['SELECT /* 42 */ 1 WHERE x IN ($1, $2)', 'SELECT ? WHERE x IN ($?)'],
  ["SELECT 'cut off", 'SELECT ?'],
])('%s › without its values', (text, expected) => {
  expect(fingerprint(text)).toBe(expected);
});

test('any value in any form of quoting › never in the fingerprint, and the same fingerprint for all values', () => {
  const forms: ((value: string) => string)[] = [
    (value) => `'${value.replaceAll("'", "''")}'`,
    (value) => `E'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`,
    (value) => `$mark$${value.replaceAll('$mark$', '')}$mark$`,
    (value) => `U&'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`,
  ];
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.constantFrom(...forms), (text, quoted) => {
      const value = `zq${text}qz`;
      expect(fingerprint(`SELECT a FROM t WHERE b = ${quoted(value)} AND c = 1`)).toBe('SELECT a FROM t WHERE b = ? AND c = ?');
    }),
  );
});
