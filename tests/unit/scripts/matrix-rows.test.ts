import { chooseRows, commandsIn, conclude, countsIn, faultOf, type Outcome, ROWS, strayFrom, table } from '../../../scripts/matrix-rows';

const outcome = (name: string, fault: string | null = null, isMissing = false): Outcome => ({
  row: ROWS.find((row) => row.name === name)!,
  server: '',
  counts: fault === null ? { passed: 3, failed: 0, skipped: 0 } : null,
  seconds: 1,
  fault,
  isMissing,
});

describe('chooseRows', () => {
  test('nothing named › all rows', () => {
    expect(chooseRows([])).toEqual({ rows: ROWS, more: [] });
  });

  test('rows and files › those rows in their order, the rest for jest', () => {
    const { rows, more } = chooseRows(['sqlite', 'tests/api/auth', 'postgres15']);
    expect(rows.map(({ name }) => name)).toEqual(['postgres15', 'sqlite']);
    expect(more).toEqual(['tests/api/auth']);
  });
});

describe('countsIn', () => {
  test('several lines of counts › the last', () => {
    expect(countsIn('1 passed, 2 failed, 3 skipped\nTook 4 s\n5 passed, 0 failed, 1 skipped\n')).toEqual({
      passed: 5,
      failed: 0,
      skipped: 1,
    });
  });

  test('a run that ended early › none', () => {
    expect(countsIn('boom')).toBeNull();
  });
});

describe('faultOf', () => {
  test.each([
    [0, { passed: 1, failed: 0, skipped: 0 }, null],
    [1, { passed: 1, failed: 2, skipped: 0 }, '2 failed'],
    [0, { passed: 0, failed: 0, skipped: 4 }, 'no test ran'],
    [1, { passed: 3, failed: 0, skipped: 1 }, 'ended with code 1'],
    [70, null, 'ended with code 70 before it counted'],
  ])('code %p, %p › %p', (code, counts, fault) => {
    expect(faultOf(code, counts)).toBe(fault);
  });
});

describe('strayFrom', () => {
  test.each([
    ['postgres15', 'PostgreSQL 15.14 under its own user, data in /tmp/x', null],
    ['postgres15', 'PostgreSQL 16.2 under its own user', 'ran on PostgreSQL 16.2 under its own user, not on PostgreSQL 15'],
    ['postgres15', '', 'ran on an unknown server, not on PostgreSQL 15'],
    ['postgres18', 'PostgreSQL 18.1 under its own user', null],
    ['pgbouncer', 'PostgreSQL 18.1 under its own user, through PgBouncer', null],
    ['pgbouncer', 'PostgreSQL 18.1 under its own user', 'did not go through PgBouncer'],
    ['sqlite', 'none', null],
  ])('%s on %j › %p', (name, server, fault) => {
    expect(strayFrom(outcome(name).row, server, ['evalsha', 'mget'])).toBe(fault);
  });

  test.each([
    [['mget', 'evalsha', 'info'], null],
    [['evalsha', 'info'], 'sent Redis no mget'],
    [[], 'sent Redis no evalsha and no mget'],
  ])('redis, which carried out %j › %p', (commands, fault) => {
    expect(strayFrom(outcome('redis').row, 'PostgreSQL 18.1', commands)).toBe(fault);
  });

  test('the commands of a Redis › those that it has carried out', () => {
    const info = '# Commandstats\r\ncmdstat_mget:calls=7,usec=9\r\ncmdstat_script|load:calls=1,usec=2\r\ncmdstat_get:calls=0,usec=0\r\n';
    expect(commandsIn(info)).toEqual(['mget']);
  });
});

describe('conclude', () => {
  const MISSING = outcome('redis', 'redis is not installed', true);

  test('all passed › says how many', () => {
    expect(conclude([outcome('postgres18'), outcome('sqlite')], { strict: true })).toEqual({
      verdict: 'matrix passed: 2 of 2 runs',
      ok: true,
    });
  });

  test('a failure › named, with what is wrong', () => {
    const { verdict, ok } = conclude([outcome('postgres18'), outcome('pgbouncer', '2 failed')], { strict: false });
    expect([verdict, ok]).toEqual(['matrix FAILED: pgbouncer (2 failed)', false]);
  });

  test('a service is missing › named; a failure when services are required', () => {
    const runs = [outcome('postgres18'), MISSING];
    expect(conclude(runs, { strict: false })).toEqual({
      verdict: 'matrix passed: 1 of 2 runs; not run: redis (redis is not installed)',
      ok: true,
    });
    expect(conclude(runs, { strict: true }).ok).toBe(false);
  });

  test('nothing could run › never passed', () => {
    expect(conclude([MISSING], { strict: false }).ok).toBe(false);
  });
});

test('table › one line for each run under a head, with what happened', () => {
  const lines = table([outcome('postgres18'), outcome('sqlite', '2 failed')]).split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[1]).toMatch(/^postgres18 .* 3 +0 +0 +1 s +passed$/);
  expect(lines[2]).toMatch(/^sqlite .* - +- +- +1 s +2 failed$/);
});
