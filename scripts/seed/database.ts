/**
 * Writes planned shops into a database, each in one transaction, so that a shop is there whole or not at all. Works as the
 * owner of the tables; row-level security is forced upon the owner too, so every transaction carries its tenant.
 */
import type pg from 'pg';
import { hashPassword } from '../../lib/passwords';
import { inventShop, type ReservedIds, type ShopPlan, type TableRows } from './shop';

/** The same number in every release: two processes never seed at once. */
const LOCK_KEY = 7_219_604_119;
const ROWS_PER_INSERT = 2_000;

export type Outcome =
  | { readonly kind: 'seeded'; readonly counts: Readonly<Record<string, number>> }
  /** Nothing was done: the shops of the plan are there already, or (`onlyIfEmpty`) any customer is. */
  | { readonly kind: 'present' }
  /** Nothing was done: another scale's or somebody's own data are in the way. */
  | { readonly kind: 'occupied'; readonly tenant: string };

export interface SeedOptions {
  /** Do nothing when the database holds any customer. */
  onlyIfEmpty: boolean;
  now: Date;
  log: (message: string) => void;
  /** Called when everything is written and before it is committed: keep the accounts here, since their passwords are not stored. */
  beforeCommit?: () => void;
}

/**
 * @param client connected as the owner, past any transaction-mode pooler
 * @throws the driver's error, with nothing written; Error when the schema is missing
 */
export async function seedDatabase(client: pg.Client, plans: readonly ShopPlan[], options: SeedOptions): Promise<Outcome> {
  await client.query('BEGIN');
  try {
    await client.query(`SELECT pg_advisory_xact_lock(${LOCK_KEY})`);
    const obstacle = await findObstacle(client, plans, options);
    if (obstacle) {
      await client.query('ROLLBACK');
      return obstacle;
    }
    const counts = new Map<string, number>();
    const hashes = await hashAll(plans);
    for (const plan of plans) await writeShop(client, plan, hashes, counts, options);
    options.beforeCommit?.();
    await client.query('COMMIT');
    options.log('updating statistics');
    for (const table of counts.keys()) await client.query(`VACUUM (ANALYZE) ${table}`);
    return { kind: 'seeded', counts: Object.fromEntries(counts) };
  } catch (error) {
    // The first error is the one to report, also when the connection is gone and nothing can be rolled back.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function findObstacle(client: pg.Client, plans: readonly ShopPlan[], { onlyIfEmpty }: SeedOptions): Promise<Outcome | undefined> {
  const { rows: schema } = await client.query<{ present: boolean }>("SELECT to_regclass('public.customers') IS NOT NULL AS present");
  if (!schema[0]?.present) throw new Error('The database has no schema yet: run the migrations first (npm run db:migrate)');
  const { rows: tenants } = await client.query<{ id: string; slug: string }>('SELECT id, slug FROM tenants ORDER BY slug');
  const { rows: staff } = await client.query<{ id: string }>('SELECT id FROM staff_users WHERE id = ANY ($1)', [
    plans.flatMap((plan) => plan.staff.map(({ id }) => id)),
  ]);
  if (staff.length > 0) return { kind: 'present' };
  for (const { id, slug } of tenants) {
    if (!onlyIfEmpty && !plans.some((plan) => plan.tenantId === id)) continue;
    await enterTenant(client, id);
    const { rows } = await client.query<{ present: boolean }>('SELECT EXISTS (SELECT FROM customers WHERE tenant_id = $1) AS present', [
      id,
    ]);
    if (rows[0]?.present) return onlyIfEmpty ? { kind: 'present' } : { kind: 'occupied', tenant: slug };
  }
  return undefined;
}

const enterTenant = (client: pg.Client, tenantId: string): Promise<unknown> =>
  client.query("SELECT set_config('app.tenant_id', $1, true)", [tenantId]);

/** Each different password once: hashing is slow on purpose. */
async function hashAll(plans: readonly ShopPlan[]): Promise<Map<string, string>> {
  const passwords = new Set(plans.flatMap((plan) => [...plan.staff, ...plan.logins].map(({ password }) => password)));
  return new Map(await Promise.all([...passwords].map(async (password) => [password, await hashPassword(password)] as const)));
}

async function writeShop(
  client: pg.Client,
  plan: ShopPlan,
  hashes: ReadonlyMap<string, string>,
  counts: Map<string, number>,
  { now, log }: SeedOptions,
): Promise<void> {
  const started = performance.now();
  await client.query(
    `INSERT INTO tenants (id, slug, name, plan, timezone, max_appointments, max_vehicles, max_customers)
      VALUES ($1, $2, $3, 'enterprise', $4, 1000000, 1000000, 1000000) ON CONFLICT (id) DO NOTHING`,
    [plan.tenantId, plan.slug, plan.name, plan.timeZone],
  );
  await enterTenant(client, plan.tenantId);
  for (const { table, rows } of [staffRows(plan, hashes), membershipRows(plan)]) await insertRows(client, { table, rows });
  const ids: ReservedIds = {
    customers: await reserveIds(client, 'customers', plan.customers),
    vehicles: await reserveIds(client, 'vehicles', plan.vehicles),
    appointments: await reserveIds(client, 'appointments', plan.appointments),
  };
  for (const { table, rows } of inventShop(plan, ids, hashes, now)) {
    await insertRows(client, { table, rows });
    counts.set(table, (counts.get(table) ?? 0) + rows.length);
  }
  log(
    `${plan.slug}: ${plan.customers} customers, ${plan.vehicles} vehicles, ${plan.appointments} appointments in ${Math.round(performance.now() - started)} ms`,
  );
}

const staffRows = (plan: ShopPlan, hashes: ReadonlyMap<string, string>): TableRows => ({
  table: 'staff_users',
  rows: plan.staff.map(({ id, username, email, name, password }) => ({
    id,
    username,
    email,
    name,
    password_hash: hashes.get(password),
    default_tenant_id: plan.tenantId,
  })),
});

const membershipRows = (plan: ShopPlan): TableRows => ({
  table: 'staff_tenant_memberships',
  rows: plan.staff.map(({ id, role }) => ({ staff_id: id, tenant_id: plan.tenantId, role })),
});

/** Takes ids from the table's own sequence, so that a row added later never meets one of ours. */
async function reserveIds(client: pg.Client, table: string, count: number): Promise<number[]> {
  const { rows } = await client.query<{ id: string }>(
    "SELECT nextval(pg_get_serial_sequence($1, 'id')) AS id FROM generate_series(1, $2)",
    [table, count],
  );
  return rows.map(({ id }) => Number(id));
}

/** The table's row type reads the JSON, so every column is checked by the database itself; columns not given take their default. */
async function insertRows(client: pg.Client, { table, rows }: TableRows): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).map((column) => `"${column}"`);
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT)
    await client.query(
      `INSERT INTO ${table} (${columns.join(', ')}) SELECT ${columns.join(', ')} FROM json_populate_recordset(NULL::${table}, $1)`,
      [JSON.stringify(rows.slice(from, from + ROWS_PER_INSERT))],
    );
}
