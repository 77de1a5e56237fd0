/** `lib/db.ts` behind a transaction-mode PgBouncer: server connections change hands between tenants after every transaction. */
import { randomUUID } from 'node:crypto';
import { ANONYMOUS, newWorkStats, withContext } from '../../lib/context';
import { closeLater } from '../support/closers';
import { createCustomer, createTenant, type Tenant } from '../support/factories';
import { startTestPooler } from '../support/pgbouncer';
import { describeWith } from '../support/services';

type Database = typeof import('../../lib/db');

function inTenant<T>(tenant: Tenant, work: () => Promise<T>): Promise<T> {
  return withContext(
    { requestId: randomUUID(), operation: 'test', actor: ANONYMOUS, tenant, ip: null, userAgent: null, stats: newWorkStats() },
    work,
  );
}

describeWith('pgbouncer', 'behind PgBouncer in transaction mode', () => {
  const CLIENTS = 6;
  const ROUNDS = 40;
  let db: Database;
  let shops: { tenant: Tenant; name: string }[];

  beforeAll(async () => {
    const pooler = await startTestPooler(process.env['TEST_DIRECT_URL'] ?? '');
    process.env['DATABASE_URL'] = pooler.url;
    // Named statements live on a server connection, which older poolers do not track.
    process.env['DB_PREPARED'] = String(pooler.keepsStatements);
    // Imported only now: the configuration is read at import.
    db = jest.requireActual<Database>('../../lib/db');
    await db.openDatabase({ poolMin: CLIENTS, poolMax: CLIENTS });
    closeLater(() => db.closeDatabase());
    shops = await Promise.all(
      [1, 2, 3].map(async () => {
        const tenant = await createTenant();
        return { tenant, name: (await createCustomer({ tenant })).name };
      }),
    );
  });

  const names = () => db.query<{ name: string }>({ name: 'pgbouncer_names', text: 'SELECT name FROM customers' });

  test('reads and transactions of three tenants at once on two server connections › each sees only its own', async () => {
    const rounds = Array.from({ length: ROUNDS }, (_, round) => shops[round % shops.length]!);
    const results = await Promise.all(
      rounds.map(({ tenant }, round) => inTenant(tenant, () => (round % 2 === 0 ? names() : db.inTransaction(names)))),
    );
    expect(results).toEqual(rounds.map(({ name }) => [{ name }]));
  });

  test('a write that is rolled back › gone, and the connection serves the next tenant clean', async () => {
    const [first, second] = [shops[0]!, shops[1]!];
    const attempt = inTenant(first.tenant, () =>
      db.inTransaction(async () => {
        await db.query({ text: "UPDATE customers SET name = 'changed'" });
        throw new Error('never mind');
      }),
    );
    await expect(attempt).rejects.toThrow('never mind');
    expect(await inTenant(second.tenant, names)).toEqual([{ name: second.name }]);
    expect(await inTenant(first.tenant, names)).toEqual([{ name: first.name }]);
  });

  test('no tenant › no rows, however many tenants used the connection before', async () => {
    const counts = await Promise.all(
      Array.from({ length: CLIENTS }, () => db.unsafeQuery<{ n: number }>({ text: 'SELECT count(*)::int AS n FROM customers' })),
    );
    expect(counts.flat()).toEqual(Array.from({ length: CLIENTS }, () => ({ n: 0 })));
  });

  test('the statement limit › travels with each transaction, not with the connection', async () => {
    const read = () => db.query<{ limit: string }>({ text: "SELECT current_setting('statement_timeout') AS limit" });
    const [alone] = await inTenant(shops[0]!.tenant, read);
    const [inside] = await inTenant(shops[0]!.tenant, () => db.inTransaction(read));
    expect([alone?.limit, inside?.limit]).toEqual(['30s', '30s']);
  });
});
