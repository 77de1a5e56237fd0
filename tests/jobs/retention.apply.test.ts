/** Old histories go, young ones stay, in batches and of every tenant; and the service can reach them by no other way. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { job, runJob } from '../../jobs/job';
import { retentionJobs } from '../../jobs/retention.jobs';
import { closeDatabase, openDatabase } from '../../lib/db';
import { HISTORIES } from '../../models/retention.queries';
import { ApplyRetention } from '../../schemas/jobs.schema';
import { unsafeApplyRetention, unsafeTakeRetentionTurn } from '../../services/history-retention.service';
import { closeLater } from '../support/closers';
import { admin } from '../support/database';
import { createFullShop, type FullShop } from '../support/full-shop';

const OLD_DAYS = 800;
const YOUNG_DAYS = 300;
/** Each run looks at every shop that other files have left in this database. */
const EVERY_SHOP_MS = 180_000;

let shops: FullShop[];
let service: pg.Client;

beforeAll(async () => {
  await openDatabase({ poolMin: 1, poolMax: 3 });
  closeLater(closeDatabase);
  shops = [await createFullShop(), await createFullShop()];
  service = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
  closeLater(() => service.end());
  await service.connect();
});

/** Copies of the shop's own rows, `days` old. */
async function age({ tenant }: FullShop, days: number, copies: number): Promise<void> {
  for (const { table, column } of HISTORIES) {
    const [row] = await admin<{ row: Record<string, unknown> }>(`SELECT to_jsonb(t) AS row FROM ${table} t WHERE tenant_id = $1 LIMIT 1`, [
      tenant.id,
    ]);
    for (let copy = 0; copy < copies; copy += 1) {
      const { id, ...rest } = row?.row ?? {};
      const values: Record<string, unknown> = { ...rest, [column]: new Date(Date.now() - days * 86_400_000).toISOString() };
      // Keys that are no generated number.
      if (typeof id === 'string') values['id'] = randomUUID();
      for (const key of ['hash', 'provider_id']) if (key in values) values[key] = randomUUID();
      const columns = Object.keys(values).join(', ');
      await admin(`INSERT INTO ${table} (${columns}) SELECT ${columns} FROM jsonb_populate_record(NULL::${table}, $1)`, [
        JSON.stringify(values),
      ]);
    }
  }
}

const countsOf = async (shop: FullShop): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const { table } of HISTORIES) {
    const [row] = await admin<{ n: number }>(`SELECT count(*)::int AS n FROM ${table} WHERE tenant_id = $1`, [shop.tenant.id]);
    counts[table] = row?.n ?? 0;
  }
  return counts;
};
const rowsBy = (lines: { table: string; rows: number }[]): Record<string, number> =>
  Object.fromEntries(lines.map(({ table, rows }) => [table, rows]));
const plus = (counts: Record<string, number>, more: number) =>
  Object.fromEntries(Object.entries(counts).map(([table, n]) => [table, n + more]));

test(
  'rows past their time in two shops › a dry run names them and removes none; two runs at once remove each once; the others stay',
  async () => {
    const before = await Promise.all(shops.map(countsOf));
    // Other files' shops are in the same database.
    const others = rowsBy(await unsafeApplyRetention({ dryRun: true }));
    for (const shop of shops) {
      await age(shop, OLD_DAYS, 5);
      await age(shop, YOUNG_DAYS, 2);
    }
    const dry = await unsafeApplyRetention({ dryRun: true });
    expect(await Promise.all(shops.map(countsOf))).toEqual(before.map((counts) => plus(counts, 7)));
    const named = rowsBy(dry);
    for (const { table } of HISTORIES) expect([table, (named[table] ?? 0) - (others[table] ?? 0)]).toEqual([table, 10]);

    const runs = await Promise.all([unsafeApplyRetention({ dryRun: false, batch: 2 }), unsafeApplyRetention({ dryRun: false, batch: 2 })]);
    for (const { table } of HISTORIES) {
      const removed = runs.flatMap((lines) => lines.filter((line) => line.table === table)).reduce((sum, { rows }) => sum + rows, 0);
      expect([table, removed]).toEqual([table, named[table]]);
    }
    expect(await Promise.all(shops.map(countsOf))).toEqual(before.map((counts) => plus(counts, 2)));
    expect((await unsafeApplyRetention({ dryRun: true })).filter(({ rows }) => rows > 0)).toEqual([]);
  },
  EVERY_SHOP_MS,
);

test(
  'what has expired › the dry run counts it too',
  async () => {
    const [shop] = shops;
    await admin(
      `INSERT INTO idempotency_keys (tenant_id, actor, method, route, key, body_hash, status, response, expires_at)
      VALUES ($1, 'a', 'POST', 'r', $2, 'h', 200, '{}', now() - interval '1 minute')`,
      [shop?.tenant.id, randomUUID()],
    );
    const rowsOf = (lines: Awaited<ReturnType<typeof unsafeApplyRetention>>) =>
      lines.find(({ table }) => table === 'idempotency_keys')?.rows;
    expect(rowsOf(await unsafeApplyRetention({ dryRun: true }))).toBe(1);
    expect(rowsOf(await unsafeApplyRetention({ dryRun: false }))).toBe(1);
    expect(rowsOf(await unsafeApplyRetention({ dryRun: true }))).toBe(0);
  },
  EVERY_SHOP_MS,
);

test(
  'one table cannot be cleared › the others are all the same, and the failure names that one alone',
  async () => {
    const [shop] = shops as [FullShop];
    const before = await countsOf(shop);
    await age(shop, OLD_DAYS, 1);
    await admin(`CREATE FUNCTION retention_refused() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''refused''; END'`);
    await admin('CREATE TRIGGER retention_refused BEFORE DELETE ON audit_logs EXECUTE FUNCTION retention_refused()');
    try {
      await expect(unsafeApplyRetention({ dryRun: false })).rejects.toThrow(/^Retention failed for audit_logs$/);
    } finally {
      await admin('DROP TRIGGER retention_refused ON audit_logs');
      await admin('DROP FUNCTION retention_refused');
    }
    expect(await countsOf(shop)).toEqual({ ...before, audit_logs: (before['audit_logs'] ?? 0) + 1 });
    await unsafeApplyRetention({ dryRun: false });
    expect(await countsOf(shop)).toEqual(before);
  },
  EVERY_SHOP_MS,
);

test(
  'more to remove than one turn may › so many batches, then again behind what waits; nothing left › no further turn',
  async () => {
    const [shop] = shops as [FullShop];
    const before = await countsOf(shop);
    await age(shop, OLD_DAYS, 5);
    const waiting = () =>
      admin(`SELECT FROM graphile_worker._private_jobs j JOIN graphile_worker._private_tasks t ON t.id = j.task_id
        WHERE t.identifier = 'retention.apply'`);
    const takeTurn = (batches: number) =>
      runJob(
        job({ name: 'retention.apply', payload: ApplyRetention, run: () => unsafeTakeRetentionTurn({ batches, batch: 2 }) }),
        {},
        { attempt: 1, maxAttempts: 1 },
      );
    await takeTurn(2);
    expect(await countsOf(shop)).toEqual({ ...plus(before, 5), audit_logs: (before['audit_logs'] ?? 0) + 1 });
    expect(await waiting()).toHaveLength(1);
    await admin(`DELETE FROM graphile_worker._private_jobs WHERE key = 'retention.apply'`);
    await takeTurn(1_000);
    expect(await countsOf(shop)).toEqual(before);
    expect(await waiting()).toEqual([]);
  },
  EVERY_SHOP_MS,
);

describe('the function by which histories are removed, called by whoever has the service role', () => {
  const remove = async (scope: string | null, table: string, days: number, more = '0'): Promise<number | string> => {
    await service.query('BEGIN');
    try {
      if (scope) await service.query("SELECT set_config('app.tenant_id', $1, true)", [scope]);
      const { rows } = await service.query(`SELECT remove_old_history($1, now() - make_interval(days => $2) + $3::interval, 100) AS n`, [
        table,
        days,
        more,
      ]);
      return rows[0].n as number;
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      await service.query('ROLLBACK');
    }
  };
  const INVALID = '22023';

  test.each<[string, () => Promise<number | string>, number | string]>([
    ['rows of yesterday', () => remove(shops[0]?.tenant.id ?? '', 'audit_logs', 1), INVALID],
    ['rows of the last eighty-eight days', () => remove(shops[0]?.tenant.id ?? '', 'audit_logs', 88), INVALID],
    ['ninety days, by a clock that is hours ahead', () => remove(randomUUID(), 'audit_logs', 90, '5 hours'), 0],
    ['a table that is no history', () => remove(shops[0]?.tenant.id ?? '', 'payments', 400), INVALID],
    ['SQL for a name', () => remove(shops[0]?.tenant.id ?? '', 'audit_logs; DROP TABLE payments', 400), INVALID],
    ['no tenant', () => remove(null, 'audit_logs', 400), INVALID],
    ['a tenant that does not exist', () => remove(randomUUID(), 'audit_logs', 200), 0],
  ])('%s › refused or nothing', async (_what, call, expected) => {
    expect(await call()).toBe(expected);
  });

  test('old rows of our own shop alone › removed, though the role may not delete from the table', async () => {
    const [first, second] = shops as [FullShop, FullShop];
    for (const shop of shops) await age(shop, YOUNG_DAYS, 1);
    const theirs = await countsOf(second);
    expect(await remove(first.tenant.id, 'audit_logs', 200)).toBeGreaterThanOrEqual(1);
    expect(await countsOf(second)).toEqual(theirs);
    await expect(service.query('DELETE FROM audit_logs')).rejects.toMatchObject({ code: '42501' });
  });
});

test('retention.apply is a job, once a day', () => {
  expect(retentionJobs.map(({ name, schedule }) => [name, schedule])).toEqual([['retention.apply', '41 9 * * *']]);
});
