/**
 * Micro-benchmark: what the tenant scope of one read costs, by the way it travels. Needs DATABASE_URL, the service role on a
 * database with the load seed: `DATABASE_URL=… node dist/load/bench/scoped-read.js [--seconds 2]`. Prints reads per second of
 * this one process over four connections; the ways take turns, so that a busy machine slows all of them.
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { prepareScope, type Scope, ScopedQuery } from '../../lib/db-client';
import { FIRST_TENANT } from '../../scripts/seed/plans';

const CONNECTIONS = 4;
const ROUNDS = 4;
// Small on purpose: the scope is what is measured.
const STATEMENT = { name: 'bench_customer', text: 'SELECT name, email, phone FROM customers WHERE tenant_id = $1 AND id = $2::bigint' };
const VALUES = [FIRST_TENANT, 1];
const SCOPE: Scope = { tenantId: FIRST_TENANT, timeoutMs: 30_000, role: null };

type Read = (client: pg.Client) => Promise<number>;

const oneSync = (client: pg.Client): Promise<number> =>
  new Promise((resolve, reject) => {
    const query = new ScopedQuery(SCOPE, { ...STATEMENT, values: VALUES }, (error, { rows }) =>
      error ? reject(error) : resolve(rows.length),
    );
    client.query(query as unknown as pg.Query);
  });

/** Every way must give one row: none means that row-level security saw no tenant. The first one has its tenant set on the connection, which no service may do. */
const WAYS: readonly (readonly [string, Read])[] = [
  ['no scope (tenant set on the connection)', async (client) => (await client.query({ ...STATEMENT, values: VALUES })).rows.length],
  ['scope and statement in one Sync', oneSync],
  [
    'BEGIN with scope, statement, COMMIT',
    async (client) => {
      await client.query(
        `BEGIN; SELECT set_config('app.tenant_id', '${FIRST_TENANT}', true), set_config('statement_timeout', '30000', true)`,
      );
      const { rows } = await client.query({ ...STATEMENT, values: VALUES });
      await client.query('COMMIT');
      return rows.length;
    },
  ],
  [
    'BEGIN, scope, statement, COMMIT, each awaited',
    async (client) => {
      await client.query('BEGIN');
      await client.query("SELECT set_config('app.tenant_id', $1, true), set_config('statement_timeout', '30000', true)", [FIRST_TENANT]);
      const { rows } = await client.query({ ...STATEMENT, values: VALUES });
      await client.query('COMMIT');
      return rows.length;
    },
  ],
];

/** Reads made within the time by all connections together. */
async function count(clients: readonly pg.Client[], read: Read, ms: number): Promise<number> {
  const end = performance.now() + ms;
  const counts = await Promise.all(
    clients.map(async (client) => {
      let made = 0;
      for (; performance.now() < end; made += 1) if ((await read(client)) !== 1) throw new Error('A read lost its tenant');
      return made;
    }),
  );
  return counts.reduce((sum, made) => sum + made, 0);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seconds: { type: 'string', default: '2' } } });
  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const client = new pg.Client({ connectionString: process.env['DATABASE_URL'] });
      await client.connect();
      await prepareScope(client, SCOPE);
      return client;
    }),
  );
  const ms = (Number(values.seconds) * 1000) / ROUNDS;
  const made = WAYS.map(() => 0);
  for (let round = 0; round <= ROUNDS; round += 1)
    for (const [index, [, read]] of WAYS.entries()) {
      for (const client of clients) await client.query(`SET app.tenant_id = '${index === 0 ? FIRST_TENANT : ''}'`);
      const reads = await count(clients, read, ms);
      // The first round only warms up.
      if (round > 0) made[index] = (made[index] ?? 0) + reads;
    }
  for (const [index, [name]] of WAYS.entries())
    console.log(`${name.padEnd(48)} ${Math.round((made[index] ?? 0) / ((ms * ROUNDS) / 1000))} reads/s`);
  await Promise.all(clients.map((client) => client.end()));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
