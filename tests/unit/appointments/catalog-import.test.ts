import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseCsv } from '../../../lib/csv-parse';
import { PROJECT_ROOT } from '../../../lib/project-root';
import { parseCatalog } from '../../../services/catalog-import.service';

const HEADER = 'internal_code,category,name,default_price_cents,default_hours,skill_level,keywords,is_active';
const faultsOf = (...lines: string[]): unknown => {
  try {
    parseCatalog([HEADER, ...lines].join('\n'));
  } catch (error) {
    return (error as { details: unknown }).details;
  }
  return undefined;
};

describe('parseCatalog', () => {
  test('the shipped file › 50 rows, hyphens folded, order 10, 20, 30 … in each category', () => {
    const rows = parseCatalog(readFileSync(join(PROJECT_ROOT, 'models/seeds/service-catalog.csv'), 'utf8'));
    expect(rows).toHaveLength(50);
    expect(JSON.stringify(rows)).not.toMatch(/[\u2010-\u2015]/);
    expect(rows.find(({ internal_code }) => internal_code === 'OIL_HIGH_MILE')).toMatchObject({
      name: 'High-Mileage Oil Change',
      keywords: ['oil', 'high-mileage', 'seal'],
      default_price_cents: 13_000,
    });
    const orders = new Map<string, number[]>();
    for (const { category, display_order } of rows) orders.set(category, [...(orders.get(category) ?? []), display_order]);
    for (const list of orders.values()) expect(list).toEqual(list.map((_, index) => (index + 1) * 10));
    expect(orders.get('MAINTENANCE')).toHaveLength(10);
  });

  test.each([
    ['A,PAINTING,Wax,100,1,1,,true', 'line 2.category', 'unknown_category'],
    ['A,BRAKES,Pads,-1,1,1,,true', 'line 2.default_price_cents', 'must_not_be_negative'],
    ['A,BRAKES,Pads,1.5,1,1,,true', 'line 2.default_price_cents', 'must_be_whole_cents'],
    ['A,BRAKES,Pads,100,0,1,,true', 'line 2.default_hours', 'must_be_positive'],
    ['A,BRAKES,Pads,100,1,6,,true', 'line 2.skill_level', 'out_of_range'],
    ['A,BRAKES,Pads,100,1,x,,true', 'line 2.skill_level', 'must_be_a_number'],
    ['A,BRAKES,,100,1,1,,true', 'line 2.name', 'required'],
    ['A,BRAKES,Pads,100,1,1,,perhaps', 'line 2.is_active', 'must_be_true_or_false'],
  ])('%s › refused by line and field', (line, field, reason) => {
    expect(faultsOf(line)).toEqual({ [field]: reason });
  });

  test('several faults › all named at once, a duplicate code among them', () => {
    expect(faultsOf('A,BRAKES,Pads,100,1,1,,true', 'A,BRAKES,Discs,100,1,1,,true', 'B,BRAKES,Hose,100,-1,9,,true')).toEqual({
      'line 3.internal_code': 'duplicate',
      'line 4.default_hours': 'must_be_positive',
      'line 4.skill_level': 'out_of_range',
    });
  });

  test('a column is missing › refused by its name', () => {
    expect(() => parseCatalog('internal_code,name\nA,Pads')).toThrow('Catalogue file refused');
  });
});

test('parseCsv › whatever is written by the rules › is read back', () => {
  const cell = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', ' ', 'é'), maxLength: 6 });
  const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 5 });
  const written = (rows: string[][]) => rows.map((row) => row.map((text) => `"${text.replaceAll('"', '""')}"`).join(',')).join('\r\n');
  fc.assert(fc.property(table, (rows) => expect(parseCsv(written(rows))).toEqual(rows)));
});

test.each([
  [
    'a,b\nc,d\n',
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
  ],
  [
    'a,\n,b',
    [
      ['a', ''],
      ['', 'b'],
    ],
  ],
  ['a,b,', [['a', 'b', '']]],
  ['\uFEFFa\r\n\r\nb', [['a'], ['b']]],
  ['', []],
])('parseCsv › %j', (text, rows) => {
  expect(parseCsv(text)).toEqual(rows);
});

test.each(['"open', '"a"b'])('parseCsv › %j › refused', (text) => {
  expect(() => parseCsv(text)).toThrow('CSV');
});
