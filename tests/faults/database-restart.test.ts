/**
 * @alone PostgreSQL is restarted under load without a chance to say good-bye (`pg_ctl restart -m immediate`), fsync and synchronous_commit
 * on: every answered write is there, none is there twice, what the answers say about the others is true, and the service is whole
 * within seconds of the server's return.
 *
 * What an answer promises: 201 stored; 503 not stored; 500 `outcome_unknown` either way, and a repetition under the same
 * Idempotency-Key comes to the same as one write.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { call, eventually, type Outcome, type Running, stats, TIMES } from '../cluster/support';
import { AS_SHIPPED, startService } from '../support/cluster';
import { admin } from '../support/database';
import { type DurablePostgres, startDurablePostgres } from '../support/durable-postgres';
import { createStaff, createTenant } from '../support/factories';
import { openSession } from '../support/sessions';
import { withClient } from '../support/test-cluster';

const WORKERS = 2;
const CLIENTS = 16;
const ROUNDS = 3;
/** Load before, between and after the restarts. */
const CALM_MS = 2_000;
const BACK_MS = 5_000;
const REPEAT_MS = 100;
/** Longer than anything here may take: what is slow is answered late, and judged by its answer. */
const ANSWER_MS = 90_000;

let database: DurablePostgres;
let service: Running;
let headers: Record<string, string>;

beforeAll(async () => {
  database = await startDurablePostgres();
  process.env['TEST_ADMIN_URL'] = database.adminUrl;
  service = await startService({
    database,
    env: {
      ...AS_SHIPPED,
      WORKERS: String(WORKERS),
      // A worker that is replaced in between starts without a database, which is another question.
      MAX_REQUESTS: '0',
      BOOT_TIMEOUT: '90',
      RATE_LIMIT_SESSION: '1000000/60',
      RATE_LIMIT_ANON: '1000000/60',
      LOG_LEVEL: 'WARNING',
    },
  });
  const tenant = await createTenant();
  headers = { ...(await openSession(await createStaff({ tenant }))), 'Content-Type': 'application/json' };
});
afterAll(() => service.stop());

interface Write {
  name: string;
  keyed: boolean;
  /** What came back, the last one first. */
  answers: string[];
}

const writes: Write[] = [];
/** Every request from its beginning to its answer, for the question when the service was whole again. */
const outcomes: { at: number; until: number; client: number; ok: boolean; what: string }[] = [];
let running = true;

/** One word for what the caller is told. */
function meaning({ result, body }: Outcome): string {
  if (result === 201 || result === 200) return 'done';
  if (result === 503) return 'not done';
  if (result === 500 && body.includes('"outcome_unknown"')) return 'unknown';
  return `${result} ${body.slice(0, 300)}`;
}

async function post(write: Write, number: number, key: string | null): Promise<string> {
  const at = performance.now();
  const outcome = await call(service.url, {
    path: '/api/admin/customers',
    method: 'POST',
    timeoutMs: ANSWER_MS,
    headers: { ...headers, ...(key ? { 'Idempotency-Key': key } : {}) },
    body: Buffer.from(JSON.stringify({ name: write.name })),
  });
  const what = meaning(outcome);
  write.answers.unshift(what);
  outcomes.push({ at, until: performance.now(), client: number, ok: what === 'done', what });
  return what;
}

/** Half of the clients send a key and repeat until they know; the others believe the first answer. */
async function client(number: number): Promise<void> {
  const keyed = number % 2 === 0;
  for (let count = 0; running; count += 1) {
    const write: Write = { name: `w-${number}-${count}`, keyed, answers: [] };
    writes.push(write);
    const key = keyed ? randomUUID() : null;
    let what = await post(write, number, key);
    while (keyed && (what === 'unknown' || what === 'not done')) {
      await delay(REPEAT_MS);
      what = await post(write, number, key);
    }
    if (what !== 'done') await delay(REPEAT_MS);
  }
}

/** Resolves when each client was served that asked after `moment`. */
const allServedAfter = (moment: number): Promise<unknown> =>
  eventually(
    'every client is served again',
    async () => new Set(outcomes.filter(({ at, ok }) => ok && at > moment).map(({ client: number }) => number)).size === CLIENTS,
    BACK_MS * TIMES,
  );

test('restarted three times under load › no answered write lost, none doubled, whole again within 5 s, nothing left in a transaction', async () => {
  const promises = await withClient(database.adminUrl, async (session) => {
    const { rows } = await session.query<{ setting: string }>(
      "SELECT setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')",
    );
    return rows.map(({ setting }) => setting);
  });
  expect(promises).toEqual(['on', 'on', 'on']);

  // The job process too: one that is only starting when the server falls ends, and is started again.
  const pids = await eventually('every process is ready', async () => {
    const { workers } = await stats(service);
    return workers.length === WORKERS + 1 && workers.every(({ state }) => state === 'ready') && workers.map(({ pid }) => pid).sort();
  });
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)));
  const restarts: { fall: number; back: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await delay(CALM_MS);
    const fall = performance.now();
    await database.control('restart', '-m', 'immediate');
    const back = performance.now();
    restarts.push({ fall, back });
    await allServedAfter(back);
  }
  await delay(CALM_MS);
  running = false;
  await clients;

  // Nothing was taken for a defect, and no process had to be replaced.
  expect(
    service
      .lines()
      .filter((line) => /request failed|uncaught|worker died|worker is killed/.test(line))
      .slice(0, 5),
  ).toEqual([]);
  // Every answer is one of the three that promise something.
  const kinds = new Set(outcomes.map(({ what }) => what));
  expect([...kinds].filter((kind) => !['done', 'not done', 'unknown'].includes(kind))).toEqual([]);
  // The restarts were felt, or nothing was tested.
  expect(kinds.has('not done')).toBe(true);

  const wholeAfter = restarts.map(({ back }, round) => {
    const nextFall = restarts[round + 1]?.fall ?? Number.POSITIVE_INFINITY;
    const refused = outcomes.filter(({ at, until, ok }) => !ok && at > back && until < nextFall);
    return Math.max(0, ...refused.map(({ at }) => at - back));
  });
  process.stdout.write(
    `${writes.length} writes, ${JSON.stringify(countOf(outcomes.map(({ what }) => what)))}; last refusal ${wholeAfter.map((ms) => Math.round(ms)).join(', ')} ms after the return\n`,
  );
  for (const ms of wholeAfter) expect(ms).toBeLessThan(BACK_MS * TIMES);

  const rows = await admin<{ name: string; n: number }>("SELECT name, count(*)::int AS n FROM customers WHERE name LIKE 'w-%' GROUP BY 1");
  const stored = new Map(rows.map(({ name, n }) => [name, n]));
  const wrong = writes.filter(({ name, answers, keyed }) => {
    const n = stored.get(name) ?? 0;
    const [last] = answers;
    if (last === 'done') return n !== 1;
    // A client with a key ends only when it knows.
    if (keyed || last === undefined) return true;
    return last === 'not done' ? n !== 0 : n > 1;
  });
  expect(wrong.slice(0, 10)).toEqual([]);
  expect([...stored.values()].filter((n) => n > 1)).toEqual([]);

  await eventually(
    'no open transaction',
    async () => {
      const open = await admin(
        "SELECT FROM pg_stat_activity WHERE application_name LIKE 'autoshop%' AND state LIKE 'idle in transaction%'",
      );
      return open.length === 0;
    },
    BACK_MS * TIMES,
  );
  // A worker tells once a second how many wait: what was told under load may still stand.
  const after = await eventually(
    'nobody waits for a connection',
    async () => {
      const told = await stats(service);
      return told.db.primary.pool.waiting === 0 && told;
    },
    BACK_MS * TIMES,
  );
  expect(after.workers.map(({ pid }) => pid).sort()).toEqual(pids);
  expect(after.db.budget.used).toBeLessThanOrEqual(after.db.budget.limit);
});

function countOf(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
