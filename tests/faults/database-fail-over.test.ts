/**
 * A URL with two hosts, and two real servers: the one that takes writes changes, as in a fail-over. Writes go on at the other one
 * without a restart, each of them once.
 */
import { randomUUID } from 'node:crypto';
import { ANONYMOUS, newWorkStats, withContext } from '../../lib/context';
import { closeLater } from '../support/closers';
import { type DurablePostgres, startDurablePostgres } from '../support/durable-postgres';
import { withClient } from '../support/test-cluster';

type Database = typeof import('../../lib/db');

let servers: [DurablePostgres, DurablePostgres];
let db: Database;
const portOf = ({ server }: DurablePostgres): number => server.port;

async function asAdmin(database: DurablePostgres, ...statements: string[]): Promise<void> {
  await withClient(database.adminUrl, async (client) => {
    for (const statement of statements) await client.query(statement);
  });
}

const inContext = <T>(work: () => Promise<T>): Promise<T> =>
  withContext(
    {
      requestId: randomUUID(),
      operation: 'test',
      actor: ANONYMOUS,
      tenant: { id: '00000000-0000-0000-0000-000000000001' } as never,
      ip: null,
      userAgent: null,
      stats: newWorkStats(),
    },
    work,
  );

const write = (word: string) =>
  inContext(() => db.inTransaction(() => db.query({ text: 'INSERT INTO fail_over (word) VALUES ($1)' }, [word])));
const readFrom = async (): Promise<number | undefined> =>
  (await inContext(() => db.query<{ port: number }>({ text: 'SELECT inet_server_port() AS port' })))[0]?.port;
const wordsOn = (database: DurablePostgres): Promise<string[]> =>
  withClient(database.adminUrl, async (client) =>
    (await client.query<{ word: string }>('SELECT word FROM fail_over ORDER BY word')).rows.map(({ word }) => word),
  );
const readOnly = (database: DurablePostgres, on: boolean) =>
  asAdmin(database, `ALTER SYSTEM SET default_transaction_read_only = ${on ? 'on' : 'off'}`, 'SELECT pg_reload_conf()');

beforeAll(async () => {
  servers = [await startDurablePostgres(), await startDurablePostgres()];
  const [first, second] = servers;
  const { username, password } = new URL(first.url);
  for (const one of servers)
    await asAdmin(
      one,
      `ALTER ROLE ${username} PASSWORD '${password}'`,
      'CREATE TABLE fail_over (word text PRIMARY KEY)',
      'GRANT ALL ON fail_over TO autoshop_app',
    );
  const hosts = [first, second].map((one) => `127.0.0.1:${portOf(one)}`).join(',');
  process.env['DATABASE_URL'] = `postgres://${username}:${password}@${hosts}/${first.name}?target_session_attrs=read-write`;
  // Imported only now: the configuration is read at import.
  db = jest.requireActual<Database>('../../lib/db');
  await db.openDatabase({ poolMin: 2, poolMax: 4, name: 'fail-over' });
  closeLater(() => db.closeDatabase());
});

test('the first host turns read-only, later the second dies › writes and reads follow, each write stored once', async () => {
  const [first, second] = servers;
  await Promise.all(['a1', 'a2', 'a3', 'a4'].map(write));
  expect(await wordsOn(first)).toEqual(['a1', 'a2', 'a3', 'a4']);

  // Four connections are open to a server that takes no more writes.
  await readOnly(first, true);
  await Promise.all(['b1', 'b2', 'b3', 'b4'].map(write));
  expect(await wordsOn(second)).toEqual(['b1', 'b2', 'b3', 'b4']);
  expect(await wordsOn(first)).toEqual(['a1', 'a2', 'a3', 'a4']);
  expect(await readFrom()).toBe(portOf(second));

  await readOnly(first, false);
  await second.control('stop', '-m', 'immediate');
  // The connections to it are dead, whether this process has noticed or not.
  expect(await readFrom()).toBe(portOf(first));
  await Promise.all(['c1', 'c2', 'c3', 'c4'].map(write));
  expect(await wordsOn(first)).toEqual(['a1', 'a2', 'a3', 'a4', 'c1', 'c2', 'c3', 'c4']);
  expect(db.poolStatus()).toMatchObject({ busy: 0, waiting: 0 });
});
