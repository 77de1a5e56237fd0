import { config } from '../../../config';
import { OpsDocuments } from '../../../server/ops/listener';
import { checksOf, readinessOf } from '../../../server/ops/readiness';
import type { StatsSource } from '../../../server/ops/stats';
import { REPORT, running } from '../cluster/world';

jest.mock('../../../lib/log');

const UP = { status: 'up', latency: 1, checked_at: null, server_max: 100, pending_migrations: 0 } as const;
const DOWN = { ...UP, status: 'down' } as const;

describe('readiness', () => {
  const fine = { database: true, pool: true, migrations: true, redis: true, replicas: true, workers: true, draining: false };

  test.each([
    [{}, 'ready'],
    [{ pool: false }, 'degraded'],
    [{ redis: false }, 'degraded'],
    [{ replicas: false }, 'degraded'],
    [{ workers: false }, 'degraded'],
    [{ database: false }, 'not-ready'],
    [{ migrations: false }, 'not-ready'],
    [{ draining: true }, 'not-ready'],
    [{ pool: false, database: false }, 'not-ready'],
  ])('%j › %s', (change, expected) => {
    expect(readinessOf({ ...fine, ...change })).toBe(expected);
  });
});

describe('what workers report', () => {
  const rules = { DB_QUEUE_MAX: 10, REDIS_URL: undefined };
  const fine = { database: true, pool: true, migrations: true, redis: true, replicas: true };
  const pool = { min: 1, max: 5, size: 5, idle: 0, busy: 5, waiting: 5 };
  const replica = { name: 'replica-1', status: 'down', latency: null, lag_s: null, pool } as const;

  test.each([
    ['nobody has told yet', [], {}],
    ['all is well', [{ db: UP }, { db: UP }], {}],
    ['one of two reaches the database', [{ db: DOWN }, { db: UP }], {}],
    ['none does', [{ db: DOWN }, { db: DOWN }], { database: false }],
    ['migrations are missing', [{ db: { ...UP, pending_migrations: 2 } }], { migrations: false }],
    ['a queue is half full', [{ db: UP, pool }, { db: UP }], { pool: false }],
    ['a replica is down', [{ db: UP, replicas: [replica] }], { replicas: false }],
  ])('%s', (_what, reports, change) => {
    expect(
      checksOf(
        reports.map((report) => ({ ...REPORT, ...report })),
        rules,
      ),
    ).toEqual({ ...fine, ...change });
  });

  test('Redis is away › said where it is used, not elsewhere', () => {
    const reports = [{ ...REPORT, cache: { ...REPORT.cache, ready: false } }];
    expect(checksOf(reports, rules).redis).toBe(true);
    expect(checksOf(reports, { ...rules, REDIS_URL: 'redis://127.0.0.1' }).redis).toBe(false);
  });
});

describe('/ready of the operations port', () => {
  function asked(): ReturnType<typeof running> & { stop(): void; answer(): { status: number; body: object } } {
    const made = running();
    let stopping = false;
    const source = { config, supervisor: made.supervisor, now: () => 0, stopping: () => stopping };
    const documents = new OpsDocuments(source as unknown as StatsSource);
    const answer = () => {
      const { status, body } = documents.ready();
      return { status, body: JSON.parse(body) as object };
    };
    return { ...made, answer, stop: () => (stopping = true) };
  }

  test('the database is down for all › 503 as on the public port, and why; up again › 200', () => {
    const { first, second, answer } = asked();
    for (const child of [first, second]) child.reports({ db: UP });
    expect(answer()).toMatchObject({ status: 200, body: { status: 'ready', workers_ready: 2, workers_target: 2 } });
    first.reports({ db: DOWN });
    expect(answer().status).toBe(200);
    second.reports({ db: DOWN });
    expect(answer()).toMatchObject({
      status: 503,
      body: { status: 'not-ready', checks: { database: false, workers: true, draining: false } },
    });
    first.reports({ db: UP });
    expect(answer().status).toBe(200);
  });

  test('a worker is lost › degraded; all of them › 503', () => {
    const { first, second, answer } = asked();
    first.exits(null, 'SIGKILL');
    expect(answer()).toMatchObject({ status: 200, body: { status: 'degraded', checks: { workers: false } } });
    second.exits(null, 'SIGKILL');
    expect(answer()).toMatchObject({ status: 503, body: { status: 'not-ready', checks: { workers: false } } });
  });

  test('told to stop, but still serving › 503 already', () => {
    const { stop, answer } = asked();
    stop();
    expect(answer()).toMatchObject({ status: 503, body: { status: 'not-ready', checks: { draining: true } } });
  });
});
