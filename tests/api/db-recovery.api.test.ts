/**
 * Connections that break, statements nobody waits for, transactions that stand still: `lib/db.ts` against a real server that ends
 * its backends. What reads is repeated once, what may have been stored never is.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Caller } from '../../lib/caller';
import { ANONYMOUS, newWorkStats, withContext } from '../../lib/context';
import { closeLater } from '../support/closers';
import { admin } from '../support/database';
import { createTenant, type Tenant } from '../support/factories';

type Database = typeof import('../../lib/db');

const NAME = `autoshop:recovery:${process.pid}`;
const POOL_MAX = 6;
/** Asked without a pause, the question would take the processor from what it waits for. */
const POLL_MS = 5;
let db: Database;
let tenant: Tenant;

// Dozens of backends are started and ended one after the other, which a busy machine takes its time for.
jest.setTimeout(120_000);

const inTenant = <T>(work: () => Promise<T>, caller?: Caller): Promise<T> =>
  withContext(
    {
      requestId: randomUUID(),
      operation: 'test',
      actor: ANONYMOUS,
      tenant,
      ip: null,
      userAgent: null,
      stats: newWorkStats(),
      ...(caller ? { caller } : {}),
    },
    work,
  );

beforeAll(async () => {
  // What is told here is between the service and the server; a pooler has connections of its own.
  process.env['DATABASE_URL'] = process.env['TEST_DIRECT_URL'];
  process.env['DB_PREPARED'] = 'true';
  process.env['DB_IDLE_TRANSACTION_TIMEOUT'] = '1';
  // Imported only now: the configuration is read at import.
  db = jest.requireActual<Database>('../../lib/db');
  await db.openDatabase({ poolMin: 1, poolMax: POOL_MAX, name: NAME });
  closeLater(() => db.closeDatabase());
  tenant = await createTenant();
  await admin('CREATE TABLE recovery (id int GENERATED ALWAYS AS IDENTITY, word text NOT NULL)');
  await admin('GRANT ALL ON recovery TO autoshop_app');
  await admin('CREATE TABLE recovery_pause (on_purpose boolean DEFAULT true)');
  await admin('GRANT SELECT ON recovery_pause TO autoshop_app');
  // A commit that takes as long as there is a pause, for the word `slow`.
  await admin(
    `CREATE FUNCTION recovery_slow() RETURNS trigger LANGUAGE plpgsql AS
     'BEGIN WHILE EXISTS (SELECT FROM recovery_pause) LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN NULL; END'`,
  );
  await admin(
    `CREATE CONSTRAINT TRIGGER recovery_slow AFTER INSERT ON recovery DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.word = 'slow')
     EXECUTE FUNCTION recovery_slow()`,
  );
});
afterAll(async () => {
  await admin('DROP TABLE recovery');
  await admin('DROP FUNCTION recovery_slow');
  await admin('DROP TABLE recovery_pause');
});

/** Opens every connection of the pool. Statements may be over before the last one is there: then once more. */
async function fillPool(): Promise<void> {
  while (db.poolStatus().idle < POOL_MAX)
    await Promise.all(Array.from({ length: POOL_MAX }, () => inTenant(() => db.query({ text: 'SELECT pg_sleep(0.05)' }))));
}
const pause = () => admin('INSERT INTO recovery_pause DEFAULT VALUES');
const goOn = () => admin('DELETE FROM recovery_pause');
const told = new Set<number>();
/** Tells backends of the service to end, all or those whose statement is like this. @returns how many */
async function terminate(like = '%'): Promise<number> {
  const rows = await admin<{ pid: number }>(
    `WITH theirs AS MATERIALIZED (SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND query LIKE $2)
      SELECT pid FROM theirs WHERE pg_terminate_backend(pid)`,
    [NAME, like],
  );
  for (const { pid } of rows) told.add(pid);
  return rows.length;
}
/** Resolves when who was told to has ended: until then, a moment or on a busy machine longer, they can be met again. */
async function allEnded(): Promise<void> {
  while ((await admin('SELECT FROM pg_stat_activity WHERE pid = ANY ($1)', [[...told]])).length > 0) await delay(POLL_MS);
}
/**
 * Resolves when a statement like this sleeps on the server. It is listed as active before, while its messages are still being read: a
 * request to cancel that comes between two of them is dropped.
 */
async function atWork(like: string): Promise<void> {
  const sleeping = () =>
    admin("SELECT FROM pg_stat_activity WHERE application_name = $1 AND query LIKE $2 AND wait_event = 'PgSleep'", [NAME, like]);
  while ((await sleeping()).length === 0) await delay(POLL_MS);
}
const words = async (): Promise<string[]> =>
  (await admin<{ word: string }>('SELECT word FROM recovery ORDER BY id')).map(({ word }) => word);
const add = (word: string) => db.query({ text: 'INSERT INTO recovery (word) VALUES ($1)' }, [word]);
/** How often statements like this were sent while `work` ran. */
async function counted<T>(like: RegExp, work: () => Promise<T>): Promise<{ result: T | Error; sent: number }> {
  let sent = 0;
  const stop = db.observeStatements(({ text }) => {
    if (like.test(text)) sent += 1;
  });
  const result = await work().catch((error: unknown) => error as Error);
  stop();
  return { result, sent };
}

beforeEach(async () => {
  await admin('TRUNCATE recovery');
  await goOn();
});
afterEach(allEnded);

describe('every backend is terminated', () => {
  test('while they are idle › reads and writes of the next moment succeed, each write once', async () => {
    await fillPool();
    expect(await terminate()).toBe(POOL_MAX);
    const results = await Promise.all([
      ...Array.from({ length: 12 }, () => inTenant(() => db.query<{ one: number }>({ text: 'SELECT 1 AS one' }))),
      ...Array.from({ length: 12 }, (_, index) => inTenant(() => db.inTransaction(() => add(`w${index}`)))),
    ]);
    expect(results.slice(0, 12)).toEqual(Array.from({ length: 12 }, () => [{ one: 1 }]));
    expect((await words()).sort()).toEqual(Array.from({ length: 12 }, (_, index) => `w${index}`).sort());
    expect(db.poolStatus()).toMatchObject({ busy: 0, waiting: 0 });
  });

  test('under a read › sent once more, and answered', async () => {
    await pause();
    const text = 'SELECT 7 AS n, pg_sleep(CASE WHEN EXISTS (SELECT FROM recovery_pause) THEN 20 ELSE 0 END) AS under_read';
    const reading = counted(/under_read/, () => inTenant(() => db.query<{ n: number }>({ text })));
    await atWork('%under_read%');
    await goOn();
    expect(await terminate('%under_read%')).toBe(1);
    const { result, sent } = await reading;
    expect(result).toMatchObject([{ n: 7 }]);
    expect(sent).toBe(2);
  });

  test('under a read, twice › the error of the second time', async () => {
    const reading = counted(/under_twice/, () => inTenant(() => db.query({ text: 'SELECT pg_sleep(20) AS under_twice' })));
    for (const round of [1, 2]) {
      await atWork('%under_twice%');
      expect([round, await terminate('%under_twice%')]).toEqual([round, 1]);
      await allEnded();
    }
    const { result, sent } = await reading;
    expect(db.translateDatabaseError(result)).toMatchObject({ status: 503, reason: 'database' });
    expect(sent).toBe(2);
  });

  test('in a transaction, before its commit › done again from its beginning, stored once', async () => {
    let runs = 0;
    await inTenant(() =>
      db.inTransaction(async () => {
        runs += 1;
        await add(`run ${runs}`);
        if (runs === 1) await terminate('%recovery%');
        await db.query({ text: 'SELECT 1' });
      }),
    );
    expect(await words()).toEqual(['run 2']);
  });

  test('in a transaction, twice › refused as unavailable, nothing stored', async () => {
    let runs = 0;
    const failure = await inTenant(() =>
      db.inTransaction(async () => {
        runs += 1;
        await add(`run ${runs}`);
        await terminate('%recovery%');
        await db.query({ text: 'SELECT 1' });
      }),
    ).catch((error: unknown) => error);
    expect(db.translateDatabaseError(failure)).toMatchObject({ status: 503, reason: 'database' });
    expect([runs, await words()]).toEqual([2, []]);
  });

  test('during the commit › outcome_unknown, never repeated, nothing done afterwards', async () => {
    let runs = 0;
    let after = 0;
    await pause();
    const storing = inTenant(() =>
      db.inTransaction(async () => {
        runs += 1;
        await db.afterCommit(() => {
          after += 1;
        });
        await add('slow');
      }),
    ).catch((error: unknown) => error);
    await atWork('COMMIT%');
    expect(await terminate('COMMIT%')).toBe(1);
    expect(await storing).toMatchObject({ status: 500, code: 'outcome_unknown' });
    expect([runs, after]).toEqual([1, 0]);
    expect(await inTenant(() => db.query({ text: 'SELECT 1 AS one' }))).toEqual([{ one: 1 }]);
  });

  test("after the commit, in what follows it › the error is the caller's, the transaction is not done again", async () => {
    let runs = 0;
    const failure = await inTenant(() =>
      db.inTransaction(async () => {
        runs += 1;
        await add(`run ${runs}`);
        await db.afterCommit(() => {
          throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
        });
      }),
    ).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'ECONNRESET' });
    expect([runs, await words()]).toEqual([1, ['run 1']]);
  });

  test('under a single statement that writes › outcome_unknown, sent once', async () => {
    const writing = counted(/under_write/, () =>
      inTenant(() => db.query({ text: "INSERT INTO recovery (word) SELECT 'w' FROM pg_sleep(20) AS under_write" })),
    );
    await atWork('%under_write%');
    await terminate('%under_write%');
    const { result, sent } = await writing;
    expect(result).toMatchObject({ status: 500, code: 'outcome_unknown' });
    expect([sent, await words()]).toEqual([1, []]);
  });
});

test('a single statement that writes, and the server has become a standby › unavailable: nothing can have been stored', async () => {
  await admin(`CREATE FUNCTION recovery_refused() RETURNS text LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''cannot execute INSERT in a read-only transaction'' USING ERRCODE = ''25006''; END'`);
  const failure = await inTenant(() => db.query({ text: 'INSERT INTO recovery (word) SELECT recovery_refused()' })).catch(
    (error: unknown) => error,
  );
  await admin('DROP FUNCTION recovery_refused');
  expect(db.translateDatabaseError(failure)).toMatchObject({ status: 503, reason: 'database' });
  expect(await words()).toEqual([]);
});

describe('the caller leaves', () => {
  test('while its statement runs › cancelled on the server, the connection stays and the next statement on it is not hit', async () => {
    db.resizePool({ min: 1, max: 1 });
    const [{ pid }] = (await inTenant(() => db.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' }))) as [{ pid: number }];
    for (let round = 0; round < 20; round += 1) {
      const caller = new Caller();
      const left = inTenant(() => db.query({ text: 'SELECT pg_sleep(20) AS for_nobody' }), caller).catch((error: unknown) => error);
      await atWork('%for_nobody%');
      caller.leave();
      const next = inTenant(() => db.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid, pg_sleep(0.02)' }));
      expect(await left).toMatchObject({ code: '57014' });
      expect(await next).toMatchObject([{ pid }]);
    }
    db.resizePool({ min: 1, max: POOL_MAX });
  });

  test.each<[string, (work: () => Promise<void>) => Promise<void>]>([
    ['single statements', (work) => work()],
    ['the statements of a transaction', (work) => db.inTransaction(work)],
    ['two transactions', async (work) => db.inTransaction(work).catch(() => db.inTransaction(work))],
  ])('between %s › none that follows is sent', async (_name, run) => {
    const caller = new Caller();
    const { result, sent } = await counted(/AS (before|after)_leaving/, () =>
      inTenant(
        () =>
          run(async () => {
            await db.query({ text: 'SELECT 1 AS before_leaving' });
            caller.leave();
            for (let n = 0; n < 3; n += 1) await db.query({ text: 'SELECT 2 AS after_leaving' }).catch(() => undefined);
            await add('never');
          }),
        caller,
      ),
    );
    expect(db.translateDatabaseError(result) ?? result).toMatchObject({ reason: 'client_gone' });
    expect([sent, await words()]).toEqual([1, []]);
  });

  test('in the middle of a transaction › what it did is undone', async () => {
    const caller = new Caller();
    const left = inTenant(
      () =>
        db.inTransaction(async () => {
          await add('never');
          await db.query({ text: 'SELECT pg_sleep(20) AS for_nobody' });
        }),
      caller,
    ).catch((error: unknown) => error);
    await atWork('%for_nobody%');
    caller.leave();
    expect(await left).toMatchObject({ code: '57014' });
    expect(await words()).toEqual([]);
  });

  test('before the commit is sent › not stored', async () => {
    const caller = new Caller();
    const left = inTenant(
      () =>
        db.inTransaction(async () => {
          await add('never');
          caller.leave();
        }),
      caller,
    );
    await expect(left).rejects.toMatchObject({ reason: 'client_gone' });
    expect(await words()).toEqual([]);
  });

  test('a commit that the server refuses › known to have stored nothing', async () => {
    const caller = new Caller();
    const refused = inTenant(
      () =>
        db.inTransaction(async () => {
          await add('never');
          await db.query({ text: 'SELECT 1 / 0' }).catch(() => undefined);
        }),
      caller,
    );
    await expect(refused).rejects.toThrow('rolled back');
    expect(caller.mayHaveStored).toBe(false);
    expect(await words()).toEqual([]);
  });

  test('after the commit was sent › it is known to be under way, and it is stored', async () => {
    const caller = new Caller();
    await pause();
    const stored = inTenant(() => db.inTransaction(() => add('slow')), caller);
    await atWork('COMMIT%');
    expect(caller.committing).toBe(true);
    caller.leave();
    await goOn();
    await stored;
    expect([caller.committing, caller.mayHaveStored]).toEqual([false, true]);
    expect(await words()).toEqual(['slow']);
  });
});

test('a transaction that stands still › ended by the server, its locks are free, nothing stored', async () => {
  let runs = 0;
  const still = inTenant(() =>
    db.inTransaction(async () => {
      runs += 1;
      await db.query({ text: 'LOCK TABLE recovery IN EXCLUSIVE MODE' });
      await add('never');
      // The event loop of this process may stop, here it only does nothing: the server must not wait for it.
      while ((await admin("SELECT FROM pg_locks WHERE relation = 'recovery'::regclass AND mode = 'ExclusiveLock'")).length > 0)
        await delay(POLL_MS);
    }),
  ).catch((error: unknown) => error);
  expect(db.translateDatabaseError(await still)).toMatchObject({ status: 503, reason: 'database' });
  expect([runs, await words()]).toEqual([2, []]);
});
