import pg from 'pg';
import { verifyPassword } from '../../lib/passwords';
import { type Outcome, seedDatabase } from '../../scripts/seed/database';
import { accountsOf, demoPlans, FIRST_TENANT, loadPlans, SECOND_TENANT } from '../../scripts/seed/plans';
import type { ShopPlan } from '../../scripts/seed/shop';
import { createDatabase, type TestDatabase } from '../support/database';

const NOW = new Date();

async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

interface Options {
  onlyIfEmpty?: boolean;
  beforeCommit?: () => void;
}

const seed = (database: TestDatabase, plans: readonly ShopPlan[], { onlyIfEmpty = false, ...rest }: Options = {}): Promise<Outcome> =>
  withClient(database.migrationUrl, (client) => seedDatabase(client, plans, { onlyIfEmpty, now: NOW, log: () => undefined, ...rest }));

/** One row, read past row-level security. */
const look = <Row extends object>(database: TestDatabase, text: string): Promise<Row> =>
  withClient(database.adminUrl, async (client) => (await client.query(text)).rows[0] as Row);

/** A shop of the same kind, small enough to be written many times. */
const small = (plan: ShopPlan): ShopPlan => ({
  ...plan,
  customers: 60,
  vehicles: 90,
  appointments: 120,
  technicians: 2,
  regularVisits: 5,
  past: 0.75,
});

describe('demo data', () => {
  const plans = demoPlans();
  let database: TestDatabase;
  let outcome: Outcome;

  beforeAll(async () => {
    database = await createDatabase();
    outcome = await seed(database, plans, { onlyIfEmpty: true });
  });

  test('fill the database as the owner, past every constraint', async () => {
    expect(outcome).toMatchObject({ kind: 'seeded', counts: { customers: 200, vehicles: 300, appointments: 1000, technicians: 5 } });
    const counts = await look(
      database,
      `SELECT (SELECT count(*)::int FROM customers) AS customers, (SELECT count(*)::int FROM appointments) AS appointments,
        (SELECT count(DISTINCT number)::int = max(number)::int FROM invoices) AS gapless,
        (SELECT count(*)::int FROM appointment_status_history) > 1000 AS history,
        (SELECT bool_and(tenant_id = '${FIRST_TENANT}') FROM payments) AS own`,
    );
    expect(counts).toEqual({ customers: 200, appointments: 1000, gapless: true, history: true, own: true });
  });

  test('let everybody who was named log in', async () => {
    const accounts = plans.flatMap(accountsOf);
    expect(accounts.map(({ role }) => role)).toEqual(['Owner', 'Advisor', 'Accountant', 'Technician', 'Customer']);
    for (const { role, username, password } of accounts) {
      const { stored } = await look<{ stored: string }>(
        database,
        role === 'Customer'
          ? `SELECT a.password_hash AS stored FROM customer_auth a JOIN user_tenant_memberships m ON m.tenant_id = a.tenant_id AND m.user_id = a.customer_id
              WHERE a.email = '${username}'`
          : `SELECT s.password_hash AS stored FROM staff_users s JOIN staff_tenant_memberships m ON m.staff_id = s.id
              WHERE s.username = '${username}' AND m.role = '${role}' AND s.default_tenant_id = m.tenant_id`,
      );
      await expect(verifyPassword(password, stored)).resolves.toBe(true);
    }
  });

  test('stay invisible to the service without their tenant', async () => {
    const seen = await withClient(database.url, async (client) => {
      const count = async () => (await client.query<{ n: number }>('SELECT count(*)::int AS n FROM customers')).rows[0]?.n;
      const nobody = await count();
      await client.query("SELECT set_config('app.tenant_id', $1, false)", [SECOND_TENANT]);
      const other = await count();
      await client.query("SELECT set_config('app.tenant_id', $1, false)", [FIRST_TENANT]);
      return [nobody, other, await count()];
    });
    expect(seen).toEqual([0, 0, 200]);
  });

  test('leave room for new rows: the next ids are free', async () => {
    const free = await withClient(database.migrationUrl, async (client) => {
      await client.query('BEGIN');
      await client.query("SELECT set_config('app.tenant_id', $1, true)", [FIRST_TENANT]);
      const { rows } = await client.query<{ id: string }>("INSERT INTO customers (tenant_id, name) VALUES ($1, 'New') RETURNING id", [
        FIRST_TENANT,
      ]);
      await client.query('ROLLBACK');
      return Number(rows[0]?.id);
    });
    expect(free).toBeGreaterThan(200);
  });

  test('are not written twice, nor over other data', async () => {
    await expect(seed(database, demoPlans(), { onlyIfEmpty: true })).resolves.toEqual({ kind: 'present' });
    await expect(seed(database, demoPlans())).resolves.toEqual({ kind: 'present' });
    await expect(seed(database, loadPlans())).resolves.toEqual({ kind: 'occupied', tenant: 'edgar-auto-shop' });
    await expect(look(database, 'SELECT count(*)::int AS n FROM customers')).resolves.toEqual({ n: 200 });
  });
});

test('a database with somebody’s own customers counts as not empty, whoever they belong to', async () => {
  const database = await createDatabase();
  await withClient(database.adminUrl, async (client) => {
    const { rows } = await client.query<{ id: string }>("INSERT INTO tenants (slug, name) VALUES ('other-shop', 'Other') RETURNING id");
    await client.query("INSERT INTO customers (tenant_id, name) VALUES ($1, 'Own')", [rows[0]?.id]);
  });
  await expect(seed(database, demoPlans(), { onlyIfEmpty: true })).resolves.toEqual({ kind: 'present' });
  await expect(look(database, 'SELECT count(*)::int AS n FROM staff_users')).resolves.toEqual({ n: 0 });
});

test('load data make two tenants that can be told apart, and fixed accounts', async () => {
  const database = await createDatabase();
  const plans = loadPlans().map(small);
  await expect(seed(database, plans)).resolves.toMatchObject({ kind: 'seeded', counts: { customers: 120, appointments: 240 } });
  const found = await look<{ owner: string; customer: string; tenants: number; logins: number; most: number }>(
    database,
    `SELECT (SELECT password_hash FROM staff_users WHERE email = 'admin@example.com') AS owner,
      (SELECT password_hash FROM customer_auth WHERE email = 'customer50@load.example') AS customer,
      (SELECT count(DISTINCT tenant_id)::int FROM appointments) AS tenants, (SELECT count(*)::int FROM customer_auth) AS logins,
      (SELECT count(*)::int FROM appointments a JOIN customers c USING (tenant_id) WHERE c.id = a.customer_id AND c.email = 'customer1@load.example') AS most`,
  );
  expect(found).toMatchObject({ tenants: 2, logins: 50, most: 5 });
  await expect(verifyPassword('admin123', found.owner)).resolves.toBe(true);
  await expect(verifyPassword('Load-test-1!', found.customer)).resolves.toBe(true);
  await expect(seed(database, plans)).resolves.toEqual({ kind: 'present' });
});

test('a seed that fails leaves nothing behind, and the connection as it was', async () => {
  const database = await createDatabase();
  const failing = seed(database, demoPlans().map(small), {
    beforeCommit: () => {
      throw new Error('disk full');
    },
  });
  await expect(failing).rejects.toThrow('disk full');
  await expect(
    look(database, 'SELECT (SELECT count(*)::int FROM tenants) + (SELECT count(*)::int FROM staff_users) AS n'),
  ).resolves.toEqual({ n: 0 });
  await expect(seed(database, demoPlans().map(small), { onlyIfEmpty: true })).resolves.toMatchObject({ kind: 'seeded' });
});

test('two processes that seed at once make one shop', async () => {
  const database = await createDatabase();
  const both = await Promise.all([1, 2].map(() => seed(database, demoPlans().map(small), { onlyIfEmpty: true })));
  expect(both.map(({ kind }) => kind).toSorted()).toEqual(['present', 'seeded']);
  await expect(look(database, 'SELECT count(*)::int AS n FROM customers')).resolves.toEqual({ n: 60 });
});

test('a database without a schema is named as such', async () => {
  const database = await createDatabase({ empty: true });
  await expect(seed(database, demoPlans())).rejects.toThrow('run the migrations first');
});
