import fc from 'fast-check';
import { ReadWatch } from '../../../lib/read-watch';

const LIMIT = 5;
const visit = (id: number): string => `SELECT * FROM visits WHERE customer_id = ${id}`;

function send(watch: ReadWatch, texts: readonly string[]): number {
  let reached = 0;
  for (const text of texts) {
    if (watch.sent(text)) reached += 1;
    watch.answered(text, 2);
  }
  return reached;
}

test('one read, then one for each of its rows › named once, with its count, its place and the time of the repetitions', () => {
  const watch = new ReadWatch(LIMIT);
  const reached = send(watch, ['SELECT * FROM customers', ...Array.from({ length: 7 }, (_, id) => visit(id))]);
  expect(reached).toBe(1);
  expect(watch.repeated()).toEqual([
    {
      fingerprint: 'SELECT * FROM visits WHERE customer_id = ?',
      callSite: expect.stringMatching(/^tests\/unit\/lib\/read-watch\.test\.ts:\d+$/),
      repeats: 7,
      wastedMs: 12,
    },
  ]);
});

test.each([
  ['one statement for many rows', ['SELECT * FROM visits WHERE customer_id = ANY ($1)']],
  ['one repetition less than the limit', Array.from({ length: LIMIT - 1 }, (_, id) => visit(id))],
  ['writes', Array.from({ length: 20 }, (_, id) => `INSERT INTO visits VALUES (${id})`)],
  ['different statements', Array.from({ length: 20 }, (_, table) => `SELECT * FROM t${'x'.repeat(table)}`)],
])('%s › nothing', (_what, texts) => {
  const watch = new ReadWatch(LIMIT);
  expect(send(watch, texts)).toBe(0);
  expect(watch.repeated()).toEqual([]);
});

test.each([
  ['one read in each of 50 shops', 50, 1, 0],
  ['one read in each of more shops than a request may go through', 60, 1, 1],
  ['one read for each row in one shop of several', 3, LIMIT, 3],
])('%s › told as often as the limit was reached', (_what, shops, reads, told) => {
  const watch = new ReadWatch(LIMIT);
  let reached = 0;
  for (let shop = 1; shop <= shops; shop += 1)
    for (let id = 0; id < reads; id += 1) if (watch.sent(visit(id), `shop-${shop}`)) reached += 1;
  expect([reached, watch.repeated().length]).toEqual([told, told]);
});

test('any reads in any order › exactly the statements that came often enough, each told when it reached the limit', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 60 }), (tables) => {
      const watch = new ReadWatch(LIMIT);
      const reached = send(
        watch,
        tables.map((table, id) => `SELECT ${'abcde'[table]} FROM t WHERE id = ${id}`),
      );
      const often = [0, 1, 2, 3, 4].filter((table) => tables.filter((each) => each === table).length >= LIMIT);
      expect(reached).toBe(often.length);
      expect(
        watch
          .repeated()
          .map(({ fingerprint }) => fingerprint.charAt('SELECT '.length))
          .sort(),
      ).toEqual(often.map((table) => 'abcde'[table]));
    }),
  );
});

describe('associations loaded with their rows', () => {
  const visitsOf = (...rows: number[]) =>
    rows.map((id) => {
      const visits = [{ id }];
      return { visits, dataValues: { id, visits } };
    });

  test('nobody reads them › named', () => {
    const watch = new ReadWatch(LIMIT);
    watch.loaded('Customer', visitsOf(1, 2), ['visits']);
    expect(watch.unusedIncludes()).toEqual(['Customer.visits']);
  });

  test.each<[string, (rows: ReturnType<typeof visitsOf>) => unknown]>([
    ['as property of one row', ([, second]) => second?.visits[0]?.id],
    ['written out as a whole', ([first]) => JSON.stringify(first?.dataValues)],
  ])('read %s › not named, and the value is what it was', (_how, read) => {
    const watch = new ReadWatch(LIMIT);
    const rows = visitsOf(1, 2);
    watch.loaded('Customer', rows, ['visits']);
    expect(JSON.stringify(read(rows))).toContain(_how.startsWith('as') ? '2' : 'visits');
    expect(watch.unusedIncludes()).toEqual([]);
  });
});
