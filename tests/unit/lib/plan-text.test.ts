import { planLines } from '../../../lib/plan-text';

test('a plan › one line for each node and condition, indented, without the values of the statement', () => {
  const lines = planLines({
    'Node Type': 'Hash Join',
    'Join Type': 'Left',
    'Total Cost': 12.5,
    'Plan Rows': 3,
    'Hash Cond': '(v.customer_id = c.id)',
    Plans: [
      {
        'Node Type': 'Index Scan',
        'Relation Name': 'customers',
        'Index Name': 'customers_pk',
        'Total Cost': 2,
        'Plan Rows': 1,
        'Index Cond': "((tenant_id = 'b1946ac9-2492-4d23-8f5b-0d5b5d5b5d5b'::uuid) AND (id = 77))",
        Filter: "(email = 'jane@shop.example'::text)",
      },
      { 'Node Type': 'Seq Scan', 'Subplan Name': 'SubPlan 1', 'Relation Name': 'vehicles' },
    ],
  });
  expect(lines).toEqual([
    'Hash Join Left (cost 12.5, rows 3)',
    '  Hash Cond: (v.customer_id = c.id)',
    '  Index Scan on customers using customers_pk (cost 2, rows 1)',
    '    Index Cond: ((tenant_id = ?::uuid) AND (id = ?))',
    '    Filter: (email = ?::text)',
    '  SubPlan 1: Seq Scan on vehicles (cost ?, rows ?)',
  ]);
});

test('a plan of a hundred nodes › sixty lines, and how many more there are', () => {
  const lines = planLines({ 'Node Type': 'Append', Plans: Array.from({ length: 99 }, () => ({ 'Node Type': 'Result' })) });
  expect(lines).toHaveLength(60);
  expect(lines.at(-1)).toBe('… 41 more');
});
