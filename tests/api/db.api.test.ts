/** `lib/db.ts` against a real PostgreSQL: tenant scope, transactions, errors, the bounded pool. */
import { randomUUID } from 'node:crypto';
import { Caller } from '../../lib/caller';
import { ANONYMOUS, type Context, context, newWorkStats, withContext } from '../../lib/context';
import {
  afterCommit,
  closeDatabase,
  expectedPoolWaitMs,
  inTransaction,
  observeStatements,
  openDatabase,
  ping,
  poolStatus,
  query,
  resizePool,
  sequelize,
  streamRows,
  translateDatabaseError,
  unsafeQuery,
} from '../../lib/db';
import { Conflict } from '../../lib/errors';
import { show } from '../support/pgbouncer';
import { currentCluster } from '../support/test-cluster';

const POOL_MAX = 4;

/** Asks until `fact` holds; the time limit is the test's. */
async function until(fact: () => boolean): Promise<void> {
  while (!fact()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Takes a connection of the pool until it is told to give it back. */
async function holdConnection(tenant: string): Promise<() => Promise<void>> {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let holding: Promise<void> = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    holding = inTenant(tenant, () =>
      inTransaction(async () => {
        resolve();
        await released;
      }),
    );
    holding.catch(reject);
  });
  return () => {
    release();
    return holding;
  };
}

function inTenant<T>(id: string | null, work: () => Promise<T>, caller?: Caller): Promise<T> {
  const scope: Context = {
    requestId: randomUUID(),
    operation: 'test',
    actor: ANONYMOUS,
    tenant: id === null ? null : { id, slug: 'test', name: 'Test', timeZone: 'UTC' },
    ip: null,
    userAgent: null,
    stats: newWorkStats(),
    ...(caller ? { caller } : {}),
  };
  return withContext(scope, work);
}

async function newTenant(): Promise<string> {
  const id = randomUUID();
  await unsafeQuery({ text: 'INSERT INTO tenants (id, slug, name) VALUES ($1, $2, $3)', values: [id, `t-${id}`, 'Test shop'] });
  return id;
}

const addCustomer = (name: string, email: string | null = null) =>
  query<{ id: number }>({ text: 'INSERT INTO customers (tenant_id, name, email) VALUES (current_tenant_id(), $1, $2) RETURNING id' }, [
    name,
    email,
  ]);
const names = async () =>
  (await query<{ name: string }>({ name: 'test_names', text: 'SELECT name FROM customers ORDER BY id' })).map((row) => row.name);

const NAME = `autoshop:test:${process.pid}`;
const ownConnections = async () => {
  const { pooler } = currentCluster();
  if (pooler) return (await show(pooler.adminUrl, 'CLIENTS')).filter((client) => client['application_name'] === NAME).length;
  return (
    await unsafeQuery<{ n: number }>({ text: 'SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = $1', values: [NAME] })
  )[0]?.n;
};

beforeAll(() => openDatabase({ poolMin: 1, poolMax: POOL_MAX, name: NAME }));
afterAll(() => closeDatabase());

describe('tenant scope', () => {
  test('a read without a tenant in the context › refused before any statement', async () => {
    await expect(inTenant(null, async () => names())).rejects.toThrow(/No tenant/);
  });

  test('two tenants alternate on one connection › each sees only its rows, and nothing is left on the connection', async () => {
    resizePool({ min: 1, max: 1 });
    const [one, two] = [await newTenant(), await newTenant()];
    await inTenant(one, () => addCustomer('Of one'));
    await inTenant(two, () => addCustomer('Of two'));
    for (let round = 0; round < 20; round += 1) {
      expect(await inTenant(one, names)).toEqual(['Of one']);
      expect(await inTenant(two, names)).toEqual(['Of two']);
      const [row] = await unsafeQuery<{ tenant: string; seen: number }>({
        text: "SELECT current_setting('app.tenant_id', true) AS tenant, (SELECT count(*) FROM customers) AS seen",
      });
      expect(row).toEqual({ tenant: '', seen: 0 });
    }
    resizePool({ min: 1, max: POOL_MAX });
  });

  test('a failed read › the connection serves the next one with its own scope', async () => {
    const tenant = await newTenant();
    await inTenant(tenant, () => addCustomer('Kept'));
    await expect(inTenant(tenant, () => query({ name: 'test_bad', text: 'SELECT 1 / 0 AS x' }))).rejects.toMatchObject({ code: '22012' });
    await expect(inTenant(tenant, () => query({ name: 'test_worse', text: 'SELECT no_such_column' }))).rejects.toMatchObject({
      code: '42703',
    });
    await expect(inTenant(tenant, () => query({ name: 'test_worse', text: 'SELECT no_such_column' }))).rejects.toMatchObject({
      code: '42703',
    });
    expect(await inTenant(tenant, names)).toEqual(['Kept']);
  });

  test('an insert for another tenant › refused by row-level security', async () => {
    const [one, two] = [await newTenant(), await newTenant()];
    const insert = inTenant(one, () =>
      inTransaction(() => query({ text: 'INSERT INTO customers (tenant_id, name) VALUES ($1, $2)' }, [two, 'Smuggled'])),
    );
    await expect(insert).rejects.toMatchObject({ code: '42501' });
  });

  test('a tenant id that is not a UUID › no transaction starts', async () => {
    await expect(inTenant("x'; DROP TABLE customers; --", () => inTransaction(() => names()))).rejects.toThrow(/not a UUID/);
  });

  test('a context › counts its own statements, transaction control apart', async () => {
    const tenant = await newTenant();
    const seen: string[] = [];
    const stop = observeStatements(({ text }) => seen.push(text));
    await inTenant(tenant, async () => {
      await inTransaction(async () => {
        await addCustomer('A');
        await addCustomer('B');
      });
      await names();
    });
    stop();
    expect(seen.filter((text) => /customers/.test(text))).toHaveLength(3);
    expect(seen.filter((text) => /START|COMMIT|set_config/.test(text))).toEqual([]);
  });
});

test('statements › none is compiled to machine code, whatever the planner thinks it costs', async () => {
  const tenant = await newTenant();
  const jit = () => query<{ jit: string }>({ text: `SELECT current_setting('jit') AS jit` });
  // One connection, whose own setting says the opposite: servers compile by default.
  resizePool({ min: 1, max: 1 });
  await sequelize.query(`SET jit = 'on'`);
  await inTenant(tenant, async () => {
    expect(await jit()).toEqual([{ jit: 'off' }]);
    expect(await inTransaction(jit)).toEqual([{ jit: 'off' }]);
    for await (const rows of streamRows({ text: `SELECT current_setting('jit') AS jit` })) expect(rows).toEqual([{ jit: 'off' }]);
  });
  const [[own]] = (await sequelize.query(`SELECT current_setting('jit') AS jit`)) as [{ jit: string }[], unknown];
  resizePool({ min: 1, max: POOL_MAX });
  expect(own).toEqual({ jit: 'on' });
});

test('a read outside a transaction › its time counts for the context that sent it', async () => {
  const tenant = await newTenant();
  const ms = await inTenant(tenant, async () => {
    await query({ text: 'SELECT pg_sleep(0.02)' });
    return context().stats;
  });
  expect(ms.queries).toBe(1);
  expect(ms.dbMs).toBeGreaterThanOrEqual(20);
});

describe('transactions', () => {
  test('a throw › nothing is stored and afterCommit does not run', async () => {
    const tenant = await newTenant();
    let ran = false;
    const failing = inTenant(tenant, () =>
      inTransaction(async () => {
        await addCustomer('Gone');
        await afterCommit(() => {
          ran = true;
        });
        throw new Error('no');
      }),
    );
    await expect(failing).rejects.toThrow('no');
    expect(await inTenant(tenant, names)).toEqual([]);
    expect(ran).toBe(false);
  });

  test('a statement error that is caught inside › the commit fails loudly instead of storing nothing in silence', async () => {
    const tenant = await newTenant();
    const failing = inTenant(tenant, () =>
      inTransaction(async () => {
        await addCustomer('Half');
        await query({ text: 'SELECT 1 / 0' }).catch(() => undefined);
      }),
    );
    await expect(failing).rejects.toThrow(/rolled back/);
    expect(await inTenant(tenant, names)).toEqual([]);
  });

  test('a nested call › joins the open transaction on the same connection', async () => {
    const tenant = await newTenant();
    resizePool({ min: 1, max: 1 });
    const pids = await inTenant(tenant, () =>
      inTransaction(async () => {
        const [outer] = await query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' });
        const [inner] = await inTransaction(() => query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' }));
        return [outer?.pid, inner?.pid];
      }),
    );
    resizePool({ min: 1, max: POOL_MAX });
    expect(pids[0]).toBe(pids[1]);
  });

  test('two transactions that deadlock › both succeed, the victim by a retry', async () => {
    const tenant = await newTenant();
    const [a] = await inTenant(tenant, () => addCustomer('A'));
    const [b] = await inTenant(tenant, () => addCustomer('B'));
    let arrived = 0;
    let open: () => void = () => undefined;
    const both = new Promise<void>((resolve) => {
      open = resolve;
    });
    const touch = (id: number | undefined) =>
      query({ text: "UPDATE customers SET name = name || '+' WHERE tenant_id = current_tenant_id() AND id = $1" }, [id]);
    const cross = (first: number | undefined, second: number | undefined) =>
      inTenant(tenant, () =>
        inTransaction(async () => {
          await touch(first);
          arrived += 1;
          if (arrived === 2) open();
          await both;
          await touch(second);
        }),
      );
    await Promise.all([cross(a?.id, b?.id), cross(b?.id, a?.id)]);
    expect(await inTenant(tenant, names)).toEqual(['A++', 'B++']);
  });

  test('a unique violation › the refusal of its constraint', async () => {
    const tenant = await newTenant();
    await inTenant(tenant, () => addCustomer('A', 'a@example.com'));
    const error = await inTenant(tenant, () => inTransaction(() => addCustomer('B', 'a@example.com'))).catch((caught: unknown) => caught);
    expect(translateDatabaseError(error)).toBeInstanceOf(Conflict);
    expect(translateDatabaseError(error)).toMatchObject({ code: 'already_exists', status: 409 });
  });
});

/** All connections of the share, idle. Not held one by one: a pooler may have fewer of its own. */
async function openAll(tenant: string): Promise<void> {
  while (poolStatus().size < POOL_MAX)
    await Promise.all(Array.from({ length: POOL_MAX }, () => inTenant(tenant, () => query({ text: 'SELECT pg_sleep(0.01)' }))));
}

describe('the pool', () => {
  test('more callers than connections › all are served, never above the share', async () => {
    const tenant = await newTenant();
    let most = 0;
    await Promise.all(
      Array.from({ length: 40 }, () =>
        inTenant(tenant, async () => {
          await query({ text: 'SELECT pg_sleep(0.005)' });
          most = Math.max(most, poolStatus().size);
        }),
      ),
    );
    expect(most).toBeLessThanOrEqual(POOL_MAX);
    expect(poolStatus()).toMatchObject({ busy: 0, waiting: 0 });
  });

  test('a shrink › idle connections above the new share are closed, and a grow serves those that wait', async () => {
    const tenant = await newTenant();
    await Promise.all(Array.from({ length: POOL_MAX }, () => inTenant(tenant, () => query({ text: 'SELECT pg_sleep(0.01)' }))));
    resizePool({ min: 1, max: 2 });
    await until(() => poolStatus().size <= 2);
    // A size that has come down means that the server has let go of them as well.
    expect(await ownConnections()).toBeLessThanOrEqual(2);
    const work = Array.from({ length: 6 }, () => inTenant(tenant, () => query({ text: 'SELECT pg_sleep(0.02)' })));
    resizePool({ min: 1, max: POOL_MAX });
    await Promise.all(work);
    expect(poolStatus()).toMatchObject({ max: POOL_MAX, busy: 0, waiting: 0 });
  });

  test('a share that is set again while connections are being closed › no more of them go than must', async () => {
    const tenant = await newTenant();
    await openAll(tenant);
    const giveBack = await holdConnection(tenant);
    resizePool({ min: 1, max: 2 });
    resizePool({ min: 1, max: 2 });
    await giveBack();
    await until(() => poolStatus().size <= 2);
    expect(poolStatus()).toMatchObject({ size: 2, idle: 2 });
    resizePool({ min: 1, max: POOL_MAX });
  });

  test('a caller leaves while it waits › its place is free at once, and its statement never runs', async () => {
    const tenant = await newTenant();
    resizePool({ min: 1, max: 1 });
    const caller = new Caller();
    const ran: string[] = [];
    const stop = observeStatements(({ text }) => ran.push(text));
    const giveBack = await holdConnection(tenant);
    const left = inTenant(tenant, () => query({ text: 'SELECT 1 /* for nobody */' }), caller).catch((error: unknown) => error);
    const stayed = inTenant(tenant, () => query({ text: 'SELECT 1 /* for somebody */' }), new Caller());
    await until(() => poolStatus().waiting === 2);
    caller.leave();
    expect(poolStatus().waiting).toBe(1);
    expect(await left).toMatchObject({ reason: 'client_gone' });
    await expect(inTenant(tenant, () => query({ text: 'SELECT 2 /* for nobody */' }), caller)).rejects.toMatchObject({
      reason: 'client_gone',
    });
    await Promise.all([giveBack(), stayed]);
    // Nor is a connection that is free of any use to it.
    await expect(inTenant(tenant, () => query({ text: 'SELECT 3 /* for nobody */' }), caller)).rejects.toMatchObject({
      reason: 'client_gone',
    });
    stop();
    resizePool({ min: 1, max: POOL_MAX });
    expect(ran.filter((text) => text.includes('/*'))).toEqual(['SELECT 1 /* for somebody */']);
  });

  test('a queue for one connection › the expected wait follows its length and what a statement takes; none without a queue', async () => {
    const tenant = await newTenant();
    resizePool({ min: 1, max: 1 });
    expect(expectedPoolWaitMs()).toBe(0);
    const work = Array.from({ length: 16 }, () => inTenant(tenant, () => query({ text: 'SELECT pg_sleep(0.05)' })));
    await Promise.all(work.slice(0, 11));
    expect(poolStatus().waiting).toBe(4);
    const expected = expectedPoolWaitMs();
    const asked = performance.now();
    const last = inTenant(tenant, () => names());
    await last;
    const waited = performance.now() - asked;
    await Promise.all(work);
    // It learns from eleven statements what they take now; before, other tests ran shorter ones.
    expect(expected).toBeGreaterThan(100);
    expect(waited).toBeGreaterThanOrEqual(4 * 50);
    expect(expectedPoolWaitMs()).toBe(0);
    resizePool({ min: 1, max: POOL_MAX });
  });

  test('a busy pool whose statements finish › ping says up', async () => {
    const tenant = await newTenant();
    resizePool({ min: 1, max: 1 });
    let busy = true;
    const loop = inTenant(tenant, async () => {
      while (busy) await query({ text: 'SELECT pg_sleep(0.05)' });
    });
    const queued = Array.from({ length: 10 }, () => inTenant(tenant, () => query({ text: 'SELECT pg_sleep(0.05)' })));
    await expect(ping(20)).resolves.toBeUndefined();
    busy = false;
    await Promise.all([loop, ...queued]);
    resizePool({ min: 1, max: POOL_MAX });
  });
});

test('a large result › streamed in batches, and the connection comes back when the reader stops early', async () => {
  const tenant = await newTenant();
  const sizes: number[] = [];
  await inTenant(tenant, async () => {
    for await (const rows of streamRows<{ n: number }>({ text: 'SELECT n FROM generate_series(1, $1::int) AS n' }, [1200]))
      sizes.push(rows.length);
    for await (const rows of streamRows({ text: 'SELECT n FROM generate_series(1, 5000) AS n' })) {
      expect(rows).toHaveLength(500);
      break;
    }
  });
  expect(sizes).toEqual([500, 500, 200]);
  expect(poolStatus().busy).toBe(0);
});

test('the internals of sequelize-pool and pg that lib/db.ts and lib/db-pool.ts rely on › are there', () => {
  const { pool } = sequelize.connectionManager as unknown as { pool: Record<string, unknown> };
  for (const field of ['size', 'available', 'using', 'waiting', '_count']) expect(typeof pool[field]).toBe('number');
  for (const method of ['_dispense', '_ensureMinimum', 'acquire', 'release', 'destroy']) expect(typeof pool[method]).toBe('function');
  expect(pool['_factory']).toMatchObject({ min: expect.any(Number), max: expect.any(Number) });
  for (const list of ['_availableObjects', '_pendingAcquires']) expect(Array.isArray(pool[list])).toBe(true);
});
