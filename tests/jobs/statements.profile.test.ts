/** The profile of the service's own statements, against a real pg_stat_statements in a database of its own. */
import pg from 'pg';
import { closeLater } from '../support/closers';
import { createDatabase } from '../support/database';

let db: typeof import('../../lib/db');
let profiles: typeof import('../../services/statement-profiles.service');
let admin: pg.Client;

const MINUTE_MS = 60_000;
const START = Math.floor(Date.now() / (5 * MINUTE_MS)) * 5 * MINUTE_MS;
const at = (minutes: number): Date => new Date(START + minutes * MINUTE_MS);

beforeAll(async () => {
  const database = await createDatabase();
  process.env['DATABASE_URL'] = database.url;
  db = jest.requireActual('../../lib/db');
  profiles = jest.requireActual('../../services/statement-profiles.service');
  admin = new pg.Client({ connectionString: database.adminUrl });
  closeLater(() => admin.end());
  await admin.connect();
  await db.openDatabase({ poolMin: 1, poolMax: 4 });
  closeLater(db.closeDatabase);
});

const rows = async <Row extends object>(text: string): Promise<Row[]> => (await admin.query<Row & pg.QueryResultRow>(text)).rows;
const work = async (times: number): Promise<void> => {
  for (let count = 0; count < times; count += 1)
    await db.unsafeQuery({ text: `SELECT count(*) FROM pg_class WHERE relname = 'someone@shop.example' OR relpages = ${count}` });
};
const PRINT = 'SELECT count(*) FROM pg_class WHERE relname = $? OR relpages = $?';

test('no extension in the database › said so, no error, nothing kept', async () => {
  expect(await profiles.unsafeProfileStatements(at(0))).toEqual({ status: 'absent', kept: null, regressions: 0 });
  expect(await profiles.unsafeReadDatabaseFigures()).toMatchObject({ profiler: 'absent', sampled_at: null, top: [], regressions: [] });
});

test('readings five minutes apart › the difference, without literals; the same stretch is taken once, however many try', async () => {
  await admin.query('CREATE EXTENSION pg_stat_statements');
  await work(3);
  // The first reading is only remembered: it would be everything since the server began to count.
  expect(await profiles.unsafeProfileStatements(at(0))).toEqual({ status: 'up', kept: null, regressions: 0 });
  expect(await rows('SELECT 1 FROM statement_profiles')).toEqual([]);

  await work(7);
  const runs = await Promise.all([1, 2, 3].map(() => profiles.unsafeProfileStatements(at(5))));
  expect(runs.filter(({ kept }) => kept !== null)).toHaveLength(1);
  const kept = await rows<{ fingerprint: string; calls: string; total_ms: number; mean_ms: number }>(
    'SELECT fingerprint, calls, total_ms, mean_ms FROM statement_profiles ORDER BY total_ms DESC',
  );
  expect(kept.length).toBeLessThanOrEqual(20);
  const own = kept.find(({ fingerprint }) => fingerprint === PRINT);
  expect(own).toMatchObject({ calls: '7' });
  expect(own?.mean_ms).toBeCloseTo((own?.total_ms ?? 0) / 7, 6);
  expect(JSON.stringify(kept)).not.toContain('someone@');

  // A further minute is the same stretch.
  expect((await profiles.unsafeProfileStatements(at(6))).kept).toBeNull();
  const figures = await profiles.unsafeReadDatabaseFigures();
  expect(figures).toMatchObject({ profiler: 'up', sampled_at: at(5).toISOString() });
  expect(figures.top.find(({ fingerprint }) => fingerprint === PRINT)).toMatchObject({ calls: 7 });
  expect(figures.top.map(({ total }) => total)).toEqual([...figures.top.map(({ total }) => total)].sort((a, b) => b - a));
});

test('a statement three times as slow as in the week before › a regression, with both figures; older samples go', async () => {
  const slow = { text: 'SELECT pg_sleep($1)' };
  const run = async (times: number, seconds: number): Promise<void> => {
    for (let count = 0; count < times; count += 1) await db.unsafeQuery({ ...slow, values: [seconds] });
  };
  await run(1, 0.001);
  await profiles.unsafeProfileStatements(at(10));
  const [{ queryid } = { queryid: '' }] = await rows<{ queryid: string }>(
    `SELECT queryid FROM pg_stat_statements WHERE query = 'SELECT pg_sleep($1)' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  // A quick week, and one sample from before it.
  await admin.query(
    `INSERT INTO statement_profiles (sampled_at, queryid, fingerprint, calls, total_ms, rows)
      SELECT $2::timestamptz - n * interval '5 minutes', $1::bigint, 'x', 10, 20, 10 FROM generate_series(100, 120) n
      UNION ALL SELECT $2::timestamptz - interval '9 days', $1::bigint, 'x', 10, 99999, 10`,
    [queryid, at(0)],
  );
  await run(20, 0.008);
  expect(await profiles.unsafeProfileStatements(at(15))).toMatchObject({ regressions: 1 });
  const figures = await profiles.unsafeReadDatabaseFigures();
  expect(figures.regressions).toEqual([{ queryid, fingerprint: 'SELECT pg_sleep($?)', mean: expect.any(Number), baseline: 2 }]);
  expect(figures.regressions[0]?.mean).toBeGreaterThanOrEqual(8);
  expect(await rows(`SELECT 1 FROM statement_profiles WHERE total_ms = 99999`)).toEqual([]);
});

test('counters that were reset › what was counted since, nothing negative', async () => {
  await admin.query('SELECT pg_stat_statements_reset()');
  await work(2);
  await profiles.unsafeProfileStatements(at(20));
  expect(
    await rows(
      `SELECT calls FROM statement_profiles WHERE fingerprint = '${PRINT}' AND sampled_at = (SELECT max(sampled_at) FROM statement_profiles)`,
    ),
  ).toEqual([{ calls: '2' }]);
});

test('the server as it is now › limit, connections, an open transaction and its age', async () => {
  const before = (await profiles.unsafeReadDatabaseFigures()).server;
  const [limit] = await rows<{ max_connections: string }>('SHOW max_connections');
  expect(before.max_connections).toBe(Number(limit?.max_connections));
  await db.inTransaction(async () => {
    await db.unsafeQuery({ text: 'SELECT 1' });
    await db.unsafeQuery({ text: 'SELECT pg_sleep(0.05)' });
    // Asked over a connection of its own, as another process would.
    const other = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
    await other.connect();
    const { SERVER_FIGURES } = jest.requireActual<typeof import('../../models/statement-profiles.queries')>(
      '../../models/statement-profiles.queries',
    );
    const { rows: seen } = await other.query(SERVER_FIGURES.text);
    await other.end();
    // Of the whole server, which other tests use as well: ours at least.
    expect(seen[0].idle_in_transaction).toBeGreaterThanOrEqual(1);
    expect(seen[0].longest_transaction_s).toBeGreaterThanOrEqual(0.05);
    expect(seen[0].used).toBeGreaterThanOrEqual(2);
    expect(seen[0].used).toBeLessThanOrEqual(before.max_connections);
  });
});

test('statements.profile is a job, every five minutes, and the queue can run it', () => {
  const { statementsJobs } = jest.requireActual<typeof import('../../jobs/statements.jobs')>('../../jobs/statements.jobs');
  const { tasksOf } = jest.requireActual<typeof import('../../server/job-runner')>('../../server/job-runner');
  expect(statementsJobs.map(({ name, schedule }) => [name, schedule])).toEqual([['statements.profile', '*/5 * * * *']]);
  expect(Object.keys(tasksOf(statementsJobs))).toEqual(['statements.profile']);
});
