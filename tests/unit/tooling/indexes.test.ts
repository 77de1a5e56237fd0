import fc from 'fast-check';
import { duplicateIndexes, type IndexFacts, unindexedForeignKeys, unusedIndexes } from '../../../scripts/indexes/rules';

const index = (name: string, columns: string[], facts: Partial<IndexFacts> = {}): IndexFacts => ({
  table: 'visits',
  name,
  method: 'btree',
  keys: columns,
  columns,
  included: [],
  predicate: null,
  isUnique: false,
  isConstraint: false,
  scans: 1,
  bytes: 8192,
  ...facts,
});
const key = (...columns: string[]) => ({ table: 'visits', name: 'visits_fk', columns });

test.each([
  ['the columns in order', [index('a', ['tenant_id', 'car_id'])], true],
  ['the columns in another order, and more', [index('a', ['car_id', 'tenant_id', 'at'])], true],
  ['a partial index on what is not null', [index('a', ['tenant_id', 'car_id'], { predicate: '(car_id IS NOT NULL)' })], true],
  ['none', [], false],
  ['one that has another column between', [index('a', ['tenant_id', 'at', 'car_id'])], false],
  ['a partial index on something else', [index('a', ['tenant_id', 'car_id'], { predicate: "(status = 'open')" })], false],
  ['of another kind', [index('a', ['tenant_id', 'car_id'], { method: 'gist' })], false],
  ['of another table', [index('a', ['tenant_id', 'car_id'], { table: 'cars' })], false],
])('a foreign key with %s › named when nothing serves it', (_what, indexes, served) => {
  expect(unindexedForeignKeys([key('tenant_id', 'car_id')], indexes)).toHaveLength(served ? 0 : 1);
});

test.each<[string, IndexFacts[], string[]]>([
  ['a prefix of another', [index('short', ['a']), index('long', ['a', 'b'])], ['short by long']],
  ['twice the same', [index('one', ['a']), index('two', ['a'])], ['two by one']],
  [
    'beside the constraint that says the same',
    [index('a_one', ['a']), index('z_pk', ['a'], { isUnique: true, isConstraint: true })],
    ['a_one by z_pk'],
  ],
  ['unique and a prefix of another', [index('short', ['a'], { isUnique: true }), index('long', ['a', 'b'])], []],
  ['a constraint that another one covers', [index('pk', ['a'], { isUnique: true, isConstraint: true }), index('long', ['a', 'b'])], []],
  ['another order', [index('one', ['a', 'b']), index('two', ['b', 'a'])], []],
  ['another direction', [index('one', ['a']), index('two', ['a'], { keys: ['a option 3'] })], []],
  ['another condition', [index('one', ['a']), index('two', ['a', 'b'], { predicate: '(b IS NULL)' })], []],
  ['carries a column that the other does not', [index('one', ['a'], { included: ['z'] }), index('two', ['a', 'b'])], []],
])('an index that is %s › named with the one that replaces it, or left alone', (_what, indexes, expected) => {
  expect(duplicateIndexes(indexes).map(({ index: { name }, by }) => `${name} by ${by.name}`)).toEqual(expected);
});

test('whatever indexes there are › removing the named ones leaves each question an index that answers it, and nothing more to name', () => {
  const facts = fc.record({
    columns: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }),
    isUnique: fc.boolean(),
    predicate: fc.constantFrom(null, 'p'),
  });
  fc.assert(
    fc.property(fc.array(facts, { maxLength: 8 }), (all) => {
      const indexes = all.map(({ columns, ...rest }, place) => index(`i${place}`, columns, rest));
      const named = new Set(duplicateIndexes(indexes).map(({ index: { name } }) => name));
      const left = indexes.filter(({ name }) => !named.has(name));
      expect(duplicateIndexes(left)).toEqual([]);
      for (const one of indexes)
        expect(left.some((other) => other.predicate === one.predicate && one.keys.every((part, place) => other.keys[place] === part))).toBe(
          true,
        );
    }),
  );
});

test('an index that nobody has read › named, the largest first; keys are not', () => {
  const names = unusedIndexes([
    index('small', ['a'], { scans: 0, bytes: 1 }),
    index('large', ['a'], { scans: 0, bytes: 2 }),
    index('read', ['a']),
    index('key', ['a'], { scans: 0, isUnique: true }),
  ]).map(({ name }) => name);
  expect(names).toEqual(['large', 'small']);
});
