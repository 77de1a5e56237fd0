/** The scenarios are made from the traffic profile; these tests hold the making. The load tools are ES modules, so a child process loads them. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const LOAD = join(__dirname, '../../../load');
const CSV = readFileSync(join(LOAD, 'profiles/traffic-profile.csv'), 'utf8');

interface Row {
  key: string;
  row: string;
  weight: number;
  p95: number;
  p99: number;
  errors: number;
}

/** Evaluates `expression` with the load modules in scope; `input` is its argument. */
function evaluate<T>(expression: string, input: unknown = null): T {
  const program = `
    import * as pace from './lib/pace.js';
    import * as profile from './lib/profile.js';
    import * as summary from './lib/summary.js';
    import { recipes, vin } from './lib/recipes.js';
    import { rowThresholds } from './thresholds.js';
    import { readFileSync } from 'node:fs';
    const csv = readFileSync('profiles/traffic-profile.csv', 'utf8');
    const input = ${JSON.stringify(input)};
    console.log(JSON.stringify(${expression}));`;
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: LOAD, encoding: 'utf8', stdio: 'pipe' }),
  ) as T;
}

test('parseProfile › the file › a row for each line, figures as written', () => {
  const rows = evaluate<Row[]>('profile.parseProfile(csv)');
  expect(rows).toHaveLength(CSV.trim().split('\n').length - 1);
  expect(rows[0]).toMatchObject({ key: 'POST /api/auth/login', weight: 50, p95: 250, p99: 400, errors: 0.01 });
  expect(rows.find(({ key }) => key === 'GET /api/invoices/{id}/pdf')).toMatchObject({ row: 'GET /api/invoices/:id/pdf', p95: 800 });
  expect(rows.find(({ key }) => key === 'GET /health')?.errors).toBeCloseTo(0.001);
  expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
});

test.each([
  ['a missing figure', CSV.replace(',50,250,400,', ',50,,400,')],
  ['a figure that is none', CSV.replace(',50,250,400,', ',50,fast,400,')],
  ['a missing column', CSV.replace('Target Peak Hourly', 'Peak')],
])('parseProfile › %s › refused with the row', (_, csv) => {
  expect(() => evaluate('profile.parseProfile(input)', csv)).toThrow(/traffic profile, row 2/);
});

test('splitServed › rows without a recipe › not served yet; a recipe without a row › refused', () => {
  const { served, notServed } = evaluate<{ served: Row[]; notServed: Row[] }>('profile.splitServed(profile.parseProfile(csv), recipes)');
  expect(served.length + notServed.length).toBe(CSV.trim().split('\n').length - 1);
  expect(served.map(({ key }) => key)).toEqual(
    expect.arrayContaining(['POST /api/auth/login', 'GET /health', 'DELETE /api/appointments/{id}']),
  );
  expect(() => evaluate("profile.splitServed(profile.parseProfile(csv), { 'GET /nowhere': {} })")).toThrow(/GET \/nowhere/);
});

test('rowThresholds › every served row is held to its own limits, samples and errors', () => {
  const expression = "rowThresholds(profile.parseProfile(csv).filter(({ key }) => key === 'GET /api/vehicles/{id}'), input)";
  expect(evaluate(expression, { samples: 200, noErrors: true })).toEqual({
    'http_req_duration{row:GET /api/vehicles/:id}': ['p(95)<120', 'p(99)<200'],
    'row_errors{row:GET /api/vehicles/:id}': ['rate==0'],
    'row_samples{row:GET /api/vehicles/:id}': ['count>=200'],
  });
  expect(evaluate(expression, { overall: true })).toMatchObject({
    'row_errors{row:GET /api/vehicles/:id}': ['rate<0.005'],
    'http_req_duration{kind:row}': ['p(95)<300', 'p(99)<800'],
  });
  expect(evaluate(expression, { factor: 3 })).toMatchObject({ 'http_req_duration{row:GET /api/vehicles/:id}': ['p(95)<360', 'p(99)<600'] });
});

test('weightedPicker › evenly spread draws › each row in proportion to its weight', () => {
  const shares = evaluate<{ weight: number; drawn: number }[]>(`(() => {
    const rows = profile.parseProfile(csv);
    const pick = profile.weightedPicker(rows);
    const drawn = new Map(rows.map(({ row }) => [row, 0]));
    for (let x = 0.5; x < 100000; x += 1) drawn.set(pick(x / 100000).row, drawn.get(pick(x / 100000).row) + 1);
    return rows.map(({ row, weight }) => ({ weight, drawn: drawn.get(row) }));
  })()`);
  const total = shares.reduce((sum, { weight }) => sum + weight, 0);
  for (const { weight, drawn } of shares) expect(Math.abs(drawn - (100_000 * weight) / total)).toBeLessThanOrEqual(1);
});

test.each([
  { duration: 600, samples: 500, times: 60 },
  { duration: 480, samples: 500, times: 60 },
  { duration: 60, samples: 20, times: 60 },
])('planned and spread › %j › every row at its multiple of the peak, and no fewer than the samples, evenly over the run', (demands) => {
  const rows = evaluate<{ weight: number; calls: number; made: number; madeByHalf: number }[]>(
    `(() => {
    const rows = pace.planned(profile.parseProfile(csv), input);
    const pick = profile.weightedPicker(rows.map((row) => ({ ...row, weight: row.calls })));
    const total = rows.reduce((sum, { calls }) => sum + calls, 0);
    const made = new Map(rows.map(({ row }) => [row, [0, 0]]));
    for (let n = 0; n < total; n += 1) made.get(pick(pace.spread(n)).row)[n < total / 2 ? 0 : 1] += 1;
    return rows.map(({ row, weight, calls }) => ({ weight, calls, made: made.get(row)[0] + made.get(row)[1], madeByHalf: made.get(row)[0] }));
  })()`,
    demands,
  );
  expect(rows).toHaveLength(37);
  for (const { weight, calls, made, madeByHalf } of rows) {
    expect(calls).toBeGreaterThanOrEqual((demands.times * weight * demands.duration) / 3600);
    expect(made).toBeGreaterThanOrEqual(demands.samples);
    expect(Math.abs(made - calls)).toBeLessThanOrEqual(5);
    expect(Math.abs(madeByHalf - calls / 2)).toBeLessThanOrEqual(5);
  }
});

test.each([
  ['90', 90],
  ['90s', 90],
  ['10m', 600],
])('seconds › %s › %d', (text, expected) => {
  expect(evaluate('pace.seconds(input)', text)).toBe(expected);
});

test.each(['', '0s', 'soon', '-1m', '1h'])('seconds › %j › refused', (text) => {
  expect(() => evaluate('pace.seconds(input)', text)).toThrow('not a duration');
});

test('vin › numbers of one run and of neighbouring runs › all different, all well-formed', () => {
  const vins = evaluate<string[]>('[7, 8].flatMap((run) => Array.from({ length: 2000 }, (_, n) => vin(45000000 + run, n)))');
  expect(new Set(vins).size).toBe(4000);
  for (const each of vins) expect(each).toMatch(/^[A-HJ-NPR-Z0-9]{17}$/);
});

test('table › a row over its limit, one short of samples, one with errors › FAILED, the others ok', () => {
  const passed = { thresholds: { any: { ok: true } } };
  const crossed = { thresholds: { one: { ok: true }, other: { ok: false } } };
  const duration = { values: { 'p(95)': 12.34, 'p(99)': 45.6 } };
  const rows = ['A', 'B', 'C', 'D'].map((row) => ({ row, p95: 100, p99: 200 }));
  const metrics: Record<string, unknown> = {};
  for (const { row } of rows) {
    metrics[`http_req_duration{row:${row}}`] = { ...duration, ...(row === 'B' ? crossed : passed) };
    metrics[`row_samples{row:${row}}`] = { values: { count: row === 'C' ? 3 : 200 }, ...(row === 'C' ? crossed : passed) };
    metrics[`row_errors{row:${row}}`] = { values: { passes: row === 'D' ? 1 : 0 }, ...(row === 'D' ? crossed : passed) };
  }
  const text = evaluate<string>('summary.table(input.data, input.rows, [{ row: "E" }])', { data: { metrics }, rows });
  expect(text).toMatch(/^A +200 +12\.3 \/ 100 +45\.6 \/ 200 +0 +ok$/m);
  for (const row of ['B', 'C', 'D']) expect(text).toMatch(new RegExp(`^${row} .*FAILED$`, 'm'));
  expect(text).toContain('not served yet: E');
  expect(text).toContain('FAILED: 1 rows ok, 3 failed, 1 not served yet');
});
