/** SQLite answers as PostgreSQL does: the same statements on both, and the same refusals. */
import fc from 'fast-check';
import pg from 'pg';
import { SqliteClient } from '../../lib/sqlite/client';
import { closeLater } from '../support/closers';
import { admin } from '../support/database';
import { createCustomer, createTechnician, createTenant, createVehicle } from '../support/factories';

const WAIT_MS = 5_000;
let sqlite: SqliteClient;

beforeAll(async () => {
  sqlite = new SqliteClient({ url: 'sqlite::memory:', waitMs: WAIT_MS, types: pg.types as never, unrestricted: true });
  await sqlite.connect();
  closeLater(() => sqlite.end());
});

async function onSqlite(text: string, values: readonly unknown[] = []): Promise<unknown[]> {
  const result = await sqlite.send({ text, values });
  return (Array.isArray(result) ? result.flatMap(({ rows }) => rows) : result.rows) as unknown[];
}

/** The first row of each, both in UTC. */
async function bothOf(text: string, values: readonly unknown[] = []): Promise<[unknown, unknown]> {
  const [row] = await admin<object>(text, values);
  return [row, (await onSqlite(text, values))[0]];
}

const NOW = new Date('2026-03-08T09:59:30.250Z');

describe('one expression', () => {
  test.each([
    // Types on the wire
    [
      `SELECT 5::bigint AS a, 5 AS b, 1.5::float8 AS c, true AS d, 'x' AS e, NULL AS f, '[1,"a"]'::jsonb AS g, '{a,NULL,"b c"}'::text[] AS h`,
    ],
    [`SELECT '2026-03-08T09:59:30.123456Z'::timestamptz AS a, '00000000-0000-0000-0000-00000000000A'::uuid AS c`],
    [`SELECT ARRAY[1, 2, 3] AS a, (ARRAY[1, 2, 3])[2] AS b, (ARRAY['a', 'b', 'c'])[2:3] AS c`],
    // NULL and its order
    ['SELECT array_agg(x ORDER BY x) AS a, array_agg(x ORDER BY x DESC) AS b FROM (VALUES (2), (NULL), (1)) v (x)'],
    ['SELECT greatest(1, NULL, 3) AS a, least(NULL, 2) AS b, coalesce(NULL, 4) AS c, nullif(1, 1) AS d'],
    [`SELECT (NULL IS TRUE) AS a, (NULL IS NOT TRUE) AS b, (1 IS DISTINCT FROM NULL) AS c, NOT (NULL = 1) AS d`],
    [
      "SELECT count(x) AS a, count(*) AS b, sum(x) AS c, max(x) AS d, json_agg(x) AS e, string_agg(x::text, ',') AS f FROM (SELECT 1 AS x WHERE false) v",
    ],
    // Text
    [`SELECT left('abcdef', -2) AS a, right('abcdef', 2) AS b, right('abcdef', -4) AS c, strpos('abc', 'c') AS d, btrim('  x ') AS e`],
    [`SELECT upper('é') AS a, lower('ÄB') AS b, length('äöü') AS c, replace('a-b-c', '-', '') AS d, starts_with('abc', 'ab') AS e`],
    [
      `SELECT 'A' LIKE 'a' AS a, 'A' ILIKE 'a' AS b, 'a%c' LIKE 'a\\%c' AS c, 'abc' LIKE 'a\\%c' AS d, E'a\\nc' LIKE 'a_c' AS e, '(x)' LIKE '(%)' AS f`,
    ],
    [`SELECT concat_ws(' ', 2019, NULL, '', 'Honda') AS a, md5('x') AS b, 'a' || 5 || 'b' AS c, translate('a+b/c', '+/', '-_') AS d`],
    [`SELECT regexp_replace('+1 (555) 010', '\\D', '', 'g') AS a, 'abc' ~ '^[a-c]+$' AS b, 'ABC' !~ 'b' AS c, 'ABC' ~* 'b' AS d`],
    [`SELECT phone_digits('+1 555 010 0000') AS a, phone_digits('') AS b, plate_key('ab-12 c') AS c, dollars(1250) AS d`],
    [`SELECT encode(convert_to('2026-01-01T00:00:00.000000Z|12345', 'UTF8'), 'base64') AS a`],
    // Numbers
    [
      'SELECT 7 / 2 AS a, (7 / 2.0)::float8 AS b, 7 % 4 AS c, round(2.5) AS d, round(-2.5) AS e, (2.5)::int AS f, floor(-1.5) AS g, ceil(1.2) AS h',
    ],
    ['SELECT avg(x)::float8 AS a, (sum(x) / 4)::float8 AS b, round(avg(x))::bigint AS c FROM (VALUES (1::bigint), (2), (4)) v (x)'],
    // Time
    [
      `SELECT extract(epoch FROM '2026-01-02'::timestamptz - '2026-01-01 12:00Z'::timestamptz)::float8 AS a, (extract(epoch FROM interval '90 minutes') / 60)::int AS b`,
    ],
    [
      `SELECT '2026-01-31T10:00:00Z'::timestamptz + interval '1 month' AS a, '2026-03-31T10:00:00Z'::timestamptz - interval '12 months' AS b`,
    ],
    [
      `SELECT to_char('2026-03-08T09:59:30.25Z'::timestamptz AT TIME ZONE 'America/Los_Angeles', 'YYYY-MM-DD HH24:MI') AS a, iso_utc('2026-03-08 10:00:30.1+00'::timestamptz) AS b`,
    ],
    [
      `SELECT ('2026-03-08 02:30'::timestamp AT TIME ZONE 'America/Los_Angeles') AS a, ('2026-11-01 01:30'::timestamp AT TIME ZONE 'America/Los_Angeles') AS b`,
    ],
    [
      `SELECT '2026-03-09'::date - '2026-03-01'::date AS a, ('2026-03-08T09:59:30Z'::timestamptz AT TIME ZONE 'America/Los_Angeles')::date::text AS b`,
    ],
    [`SELECT json_build_object('a', true, 'b', NULL, 'c', 1.5::float8, 'd', '[1]'::json, 'e', ARRAY[1], 'f', 'x"y') AS a`],
    [`SELECT row_to_json(r) AS a FROM (SELECT 1 AS x, false AS y, 'z' AS "camelCase") r`],
    // Rows
    [
      `SELECT array_agg(a.x || ':' || l.y ORDER BY a.x, l.y) AS a FROM (VALUES (1), (2)) a (x), LATERAL (SELECT a.x + n AS y FROM unnest(ARRAY[10, 20]) AS n) l`,
    ],
    [
      `SELECT a.x, l.total FROM (VALUES (1), (2)) a (x) LEFT JOIN LATERAL (SELECT sum(n) AS total FROM unnest(ARRAY[1, 2, 3]) AS n WHERE n > a.x) l ON true ORDER BY a.x DESC LIMIT 1`,
    ],
    [
      `SELECT json_agg(x) AS a FROM (SELECT DISTINCT ON (k) k, v AS x FROM (VALUES (1, 'a'), (1, 'b'), (2, 'c')) t (k, v) ORDER BY k, v DESC) d`,
    ],
    [`SELECT array_agg(id || place::text) AS a FROM unnest(ARRAY['x', 'y']) WITH ORDINALITY AS given (id, place)`],
    [`SELECT (1, 'b') < (1, 'c') AS a, 2 = ANY (ARRAY[1, 2]) AS b, 3 <> ALL ('{1,2}'::int[]) AS c, 5 BETWEEN 1 AND 4 AS d`],
    [
      `SELECT count(*) FILTER (WHERE x > 1) AS a, bool_or(x > 2) AS b, array_to_string(array_agg(x), '-') AS c FROM unnest(ARRAY[1, 2, 3]) AS x`,
    ],
    [`SELECT array_agg(x) AS a, ARRAY(SELECT json_array_elements_text('["p","q"]')) AS b FROM generate_series(2, 4) AS x`],
    [
      `SELECT array_agg(to_char(at, 'YYYY-MM-DD')) AS a FROM (SELECT generate_series(date_trunc('week', '2026-03-05'::date::timestamp), '2026-03-31'::date::timestamp, '1 week'::interval) AS at) b`,
    ],
    [
      `SELECT array_agg(to_char(at, 'YYYY-MM-DD')) AS a FROM (SELECT generate_series('2026-01-31'::timestamp, '2026-05-31'::timestamp, '1 month'::interval) AS at) b`,
    ],
    [
      `WITH a AS (SELECT 1 AS x UNION ALL SELECT 2), b (y) AS MATERIALIZED (SELECT x * 2 FROM a) SELECT sum(y)::int AS total, (SELECT count(*) FROM a) AS n FROM b`,
    ],
  ])('%s › the same', async (text) => {
    const [expected, found] = await bothOf(text);
    expect(found).toEqual(expected);
  });

  test('with parameters of every kind › the same', async () => {
    const text = `SELECT $1::bigint AS a, $2::text AS b, $3::timestamptz AS c, $4::boolean AS d, $5::text[] AS e, $6::jsonb AS f, $7::uuid AS g,
      $8::float8 AS h, $9::bigint[] AS i, ($3::timestamptz - interval '180 days') AS j`;
    const values = [
      '12',
      7,
      NOW,
      true,
      ['a"b', 'c,d', ''],
      JSON.stringify({ a: [1] }),
      '00000000-0000-0000-0000-00000000000A',
      0.1,
      [1, 2],
    ];
    const [expected, found] = await bothOf(text, values);
    expect(found).toEqual(expected);
  });

  test('instants and intervals at random › the same sum, difference and local time', async () => {
    const instants = fc.date({ min: new Date('1990-01-01'), max: new Date('2090-01-01'), noInvalidDate: true });
    const zones = fc.constantFrom('America/Los_Angeles', 'Europe/Berlin', 'Asia/Kolkata', 'Australia/Lord_Howe', 'UTC');
    await fc.assert(
      fc.asyncProperty(instants, instants, fc.integer({ min: -40, max: 40 }), zones, async (one, other, months, zone) => {
        const text = `SELECT $1::timestamptz + interval '${months} months' AS plus, extract(epoch FROM $1::timestamptz - $2::timestamptz)::float8 AS minus,
          to_char($1::timestamptz AT TIME ZONE $3, 'YYYY-MM-DD HH24:MI:SS.US') AS local, ($1::timestamptz AT TIME ZONE $3)::date - ($2::timestamptz AT TIME ZONE $3)::date AS days`;
        const [expected, found] = await bothOf(text, [one, other, zone]);
        expect(found).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });
});

describe('what is refused', () => {
  test.each([
    [`SELECT 'abc'::bigint AS a`],
    [`SELECT 'x'::uuid AS a`],
    [`SELECT '2026-02-30'::timestamptz AS a`],
    [`SELECT 'maybe'::boolean AS a`],
    [`SELECT '{'::json AS a`],
    [`SELECT now() AT TIME ZONE 'Mars/Olympus' AS a`],
    [`SELECT 99999999999999999999::text::bigint AS a`],
    ['SELECT FROM WHERE'],
  ])('%s › the same code', async (text) => {
    const code = await admin(text).catch((error: { code: string }) => error.code);
    expect(typeof code).toBe('string');
    await expect(onSqlite(text)).rejects.toMatchObject({ code });
  });

  test('an operator that is not translated › 501, never a guess', async () => {
    await expect(onSqlite(`SELECT '[1]'::jsonb @> '1' AS a`)).rejects.toMatchObject({ status: 501, code: 'not_implemented' });
  });

  test('rows that break a constraint › the same code and name', async () => {
    const shop = await createTenant();
    const [customer, technician] = [await createCustomer({ tenant: shop }), await createTechnician({ tenant: shop })];
    const car = await createVehicle({ customer });
    // The same shop over there.
    for (const [table, key, id] of [
      ['tenants', 'id', shop.id],
      ['customers', 'tenant_id', shop.id],
      ['technicians', 'tenant_id', shop.id],
      ['vehicles', 'tenant_id', shop.id],
    ] as const) {
      const [row] = await admin<Record<string, unknown>>(`SELECT * FROM ${table} WHERE ${key} = $1`, [id]);
      const columns = Object.keys(row!).filter((name) => !['phone_digits', 'plate_key'].includes(name));
      const values = columns.map((name) => (name === 'tags' ? JSON.stringify(row![name]) : row![name]));
      await onSqlite(`INSERT INTO ${table} (${columns}) VALUES (${columns.map((_, index) => `$${index + 1}`)})`, values);
    }
    const start = new Date('2026-05-01T10:00:00Z');
    const end = new Date('2026-05-01T11:00:00Z');
    const book = `INSERT INTO appointments (tenant_id, tech_id, vehicle_id, start_ts, block_end_ts) VALUES ($1, $2, $3, $4, $5)`;
    const first = [shop.id, technician.id, car.id, start, end];
    await admin(book, first);
    await onSqlite(book, first);
    const broken: [string, unknown[]][] = [
      [`INSERT INTO customers (tenant_id, name, email) VALUES ($1, 'Twin', $2)`, [shop.id, customer.email]],
      [`INSERT INTO customers (tenant_id, name, email) VALUES ($1, 'Loud', 'UPPER@x.example')`, [shop.id]],
      [`INSERT INTO customers (tenant_id, name) VALUES ($1, NULL)`, [shop.id]],
      [`INSERT INTO tenants (slug, name) VALUES ($1, 'x')`, [shop.slug]],
      [`INSERT INTO vehicles (tenant_id, customer_id, make, model, vin) VALUES ($1, $2, 'a', 'b', $3)`, [shop.id, customer.id, car.vin]],
      [
        `INSERT INTO vehicles (tenant_id, customer_id, make, model, license_plate) VALUES ($1, $2, 'a', 'b', $3)`,
        [shop.id, customer.id, car.plate],
      ],
      [`INSERT INTO technicians (tenant_id, name, initials) VALUES ($1, 'x', $2)`, [shop.id, technician.initials]],
      [book, [shop.id, technician.id, null, new Date('2026-05-01T10:30:00Z'), new Date('2026-05-01T12:00:00Z')]],
      [book, [shop.id, null, car.id, new Date('2026-05-01T09:00:00Z'), new Date('2026-05-01T10:00:00.001Z')]],
      [book, [shop.id, null, null, end, start]],
    ];
    for (const [text, values] of broken) {
      const refusal = await admin(text, values).then(
        () => undefined,
        ({ code, constraint }: { code: string; constraint?: string }) => ({ code, constraint }),
      );
      expect(refusal).toBeDefined();
      await expect(onSqlite(text, values)).rejects.toMatchObject(refusal!);
    }
    // Half-open: the end of one may be the start of the next.
    await onSqlite(book, [shop.id, technician.id, car.id, end, new Date('2026-05-01T12:00:00Z')]);
  });
});
