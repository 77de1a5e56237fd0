/**
 * Row-level security against whoever can write SQL as the service: functions that tell what they are asked, errors that repeat a value,
 * direct and behind a transaction-mode PgBouncer.
 */
import pg from 'pg';
import { customerSearchSql } from '../../models/customer-lists.queries';
import { closeLater } from '../support/closers';
import { admin } from '../support/database';
import { createCustomer, createTenant, createVehicle, type Tenant } from '../support/factories';
import { startTestPooler } from '../support/pgbouncer';
import { describeWith } from '../support/services';

const OURS = 'zqOurOwnName';
const THEIRS = 'zqNeighboursName';
const INSUFFICIENT_PRIVILEGE = '42501';

let ours: Tenant;

beforeAll(async () => {
  const theirs = await createTenant();
  ours = await createTenant();
  for (const [tenant, name] of [
    [theirs, THEIRS],
    [ours, OURS],
  ] as const)
    await createVehicle({
      customer: await createCustomer({ tenant, columns: { name, phone: null } }),
      columns: { license_plate: name.toUpperCase() },
    });
});

interface Told {
  rows: pg.QueryResultRow[];
  /** Everything that came back besides rows: notices, the error with all its fields. */
  words: string;
  code: string | null;
}

function leakTests(connectionString: () => Promise<string>): void {
  let client: pg.Client;
  const notices: string[] = [];

  beforeAll(async () => {
    client = new pg.Client({ connectionString: await connectionString() });
    closeLater(() => client.end());
    client.on('notice', ({ message }) => notices.push(message ?? ''));
    await client.connect();
  });

  /** In one transaction, undone: preparations without a tenant, then `text` in the given one. */
  async function tell(tenant: Tenant | null, preparations: readonly string[], text: string): Promise<Told> {
    notices.length = 0;
    await client.query('BEGIN');
    try {
      await client.query('SET LOCAL client_min_messages = notice');
      for (const preparation of preparations) await client.query(preparation);
      if (tenant) await client.query("SELECT set_config('app.tenant_id', $1, true)", [tenant.id]);
      const { rows } = await client.query(text);
      return { rows, words: notices.join('\n'), code: null };
    } catch (error) {
      return {
        rows: [],
        words: `${notices.join('\n')}\n${JSON.stringify({ ...(error as object), message: (error as Error).message })}`,
        code: (error as { code?: string }).code ?? '',
      };
    } finally {
      await client.query('ROLLBACK');
    }
  }

  // As cheap as it can be said to be: the planner would ask it first, were it allowed to.
  const TALKING = `CREATE FUNCTION pg_temp.talk(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
    BEGIN RAISE NOTICE 'saw %', value; RETURN true; END $$`;
  const OPERATOR = 'CREATE OPERATOR pg_temp.~~~~ (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.talk2)';
  const TALKING2 = TALKING.replace('talk(value text)', 'talk2(value text, other text)');

  test.each([
    ['a function', [TALKING], 'SELECT name FROM customers WHERE pg_temp.talk(name::text)'],
    ['an operator', [TALKING2, OPERATOR], "SELECT name FROM customers WHERE name::text OPERATOR(pg_temp.~~~~) 'x'"],
    ['a join', [TALKING], 'SELECT c.name FROM customers c JOIN vehicles v ON v.customer_id = c.id AND pg_temp.talk(c.name::text)'],
    ['an aggregate filter', [TALKING], 'SELECT min(name) FILTER (WHERE pg_temp.talk(name::text)) AS name FROM customers'],
  ])('%s that tells what it is asked › hears our own rows and no others', async (_what, preparations, text) => {
    const own = await tell(ours, preparations, text);
    expect(own.code).toBeNull();
    expect(own.rows).toEqual([{ name: OURS }]);
    // It does tell: what follows would prove nothing otherwise.
    expect(own.words).toContain(OURS);
    expect(own.words).not.toContain(THEIRS);
    const nobody = await tell(null, preparations, text);
    expect([nobody.code, nobody.words]).toEqual([null, '']);
  });

  test.each([
    ['a cast', 'SELECT name::text::int FROM customers'],
    ['a cast in a condition', 'SELECT 1 FROM customers WHERE name::text::int = 1'],
    ['a division in an index condition', `SELECT 1 FROM customers WHERE id = 1 / (CASE WHEN name = '${THEIRS}' THEN 0 ELSE 1 END)`],
  ])(
    '%s that fails on a value › no word of the other shop, and no failure where only the other shop has such a row',
    async (_what, text) => {
      const own = await tell(ours, [], text);
      expect(own.words).not.toContain(THEIRS);
      expect([null, '22P02']).toContain(own.code);
      // Without a tenant there is no row to fail on.
      expect((await tell(null, [], text)).code).toBeNull();
    },
  );

  test('a function that calls itself leakproof › refused: only a superuser may say so', async () => {
    const { code, words } = await tell(ours, [TALKING.replace('LANGUAGE', 'LEAKPROOF LANGUAGE')], 'SELECT 1');
    expect([code, words.includes('leakproof')]).toEqual([INSUFFICIENT_PRIVILEGE, true]);
  });

  test.each([
    ['its own name', OURS, 1],
    ["the neighbour's name", THEIRS, 0],
    ["the neighbour's plate", THEIRS.toUpperCase(), 0],
    ['a text that every row contains', 'z', 1],
  ])('the search for %s › only what is ours', async (_what, text, count) => {
    await client.query('BEGIN');
    try {
      await client.query("SELECT set_config('app.tenant_id', $1, true)", [ours.id]);
      // As if the application had forgotten whose rows it wants: the filter names the neighbour, the scope does not.
      for (const asked of await admin<{ id: string }>('SELECT tenant_id AS id FROM customers WHERE name IN ($1, $2)', [OURS, THEIRS])) {
        const { rows } = await client.query(customerSearchSql('relevance', 'all').text, [
          asked.id,
          text,
          new Date(),
          '',
          text.toUpperCase(),
          25,
        ]);
        expect(rows).toHaveLength(asked.id === ours.id ? count : 0);
      }
    } finally {
      await client.query('ROLLBACK');
    }
  });
}

describe('direct', () => leakTests(async () => process.env['TEST_DIRECT_URL'] ?? ''));
describeWith('pgbouncer', 'behind PgBouncer in transaction mode', () =>
  leakTests(async () => (await startTestPooler(process.env['TEST_DIRECT_URL'] ?? '')).url),
);
