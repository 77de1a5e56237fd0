/**
 * One process of `bench:row-security`: reads per second of one connection string, by what is read and by the way its tenant scope
 * travels. DATABASE_URL is the service's role, UNSCOPED_URL one that row-level security does not bind; both lead to the load seed.
 * Prints JSON. The ways take turns in short rounds, so that a busy machine slows all of them.
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { config } from '../../config';
import { prepareScope, type Scope, ScopedQuery } from '../../lib/db-client';
import { customerListSql, customerSearchSql } from '../../models/customer-lists.queries';
import people from '../../models/seeds/people.json';
import { FIRST_TENANT } from '../../scripts/seed/plans';

const CONNECTIONS = 4;
const ROUND_MS = 250;
const SCOPE: Scope = { tenantId: FIRST_TENANT, timeoutMs: 30_000, role: null };

/** A family that the load seed has many of. */
const SOUGHT = people.family[0] ?? '';

/** What is read: its price without a scope is what the scope's is held against. */
const STATEMENTS = [
  {
    label: 'one customer',
    name: 'bench_customer',
    text: 'SELECT name, email, phone FROM customers WHERE tenant_id = $1 AND id = (SELECT min(id) FROM customers WHERE tenant_id = $1)',
    values: [FIRST_TENANT],
  },
  {
    label: 'list of 25',
    ...customerListSql({ sort: 'created_desc', filter: 'all', searching: false }),
    values: [FIRST_TENANT, 25, 0],
  },
  { label: 'search', ...customerSearchSql('relevance', 'all'), values: [FIRST_TENANT, SOUGHT, new Date(), '', SOUGHT.toUpperCase(), 25] },
] as const;
type Statement = (typeof STATEMENTS)[number];

const prepared = ({ name, text, values }: Statement): { name?: string; text: string; values: unknown[] } => ({
  ...(config.DB_PREPARED ? { name } : {}),
  text,
  values: [...values],
});

type Read = (client: pg.Client, statement: Statement) => Promise<number>;

/** Every way must give rows: none means that row-level security saw no tenant. */
const WAYS: Readonly<Record<string, { unscoped?: boolean; read: Read }>> = {
  'no row-level security': { unscoped: true, read: async (client, statement) => (await client.query(prepared(statement))).rows.length },
  'one Sync': {
    read: (client, statement) =>
      new Promise((resolve, reject) => {
        const query = new ScopedQuery(SCOPE, prepared(statement), (error, result) => (error ? reject(error) : resolve(result.rows.length)));
        client.query(query as unknown as pg.Query);
      }),
  },
  transaction: {
    read: async (client, statement) => {
      await client.query(
        `START TRANSACTION; SELECT set_config('app.tenant_id', '${FIRST_TENANT}', true), set_config('statement_timeout', '30000', true)`,
      );
      const { rows } = await client.query(prepared(statement));
      await client.query('COMMIT');
      return rows.length;
    },
  },
};

/** Reads made within the time by all connections together. */
async function count(clients: readonly pg.Client[], read: Read, statement: Statement): Promise<number> {
  const end = performance.now() + ROUND_MS;
  const counts = await Promise.all(
    clients.map(async (client) => {
      let made = 0;
      for (; performance.now() < end; made += 1) if ((await read(client, statement)) === 0) throw new Error('A read lost its tenant');
      return made;
    }),
  );
  return counts.reduce((sum, made) => sum + made, 0);
}

const connectAll = (connectionString: string | undefined, scoped: boolean): Promise<pg.Client[]> =>
  Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const client = new pg.Client({ connectionString });
      await client.connect();
      if (scoped) await prepareScope(client, SCOPE);
      return client;
    }),
  );

export interface ReadRates {
  /** Reads per second, by statement and way. */
  [statement: string]: Record<string, number>;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '8' } } });
  const rounds = Number(values.rounds);
  const scoped = await connectAll(process.env['DATABASE_URL'], true);
  const unscoped = await connectAll(process.env['UNSCOPED_URL'], false);
  const rates: ReadRates = {};
  for (const statement of STATEMENTS) {
    const made = new Map<string, number>();
    for (let round = 0; round <= rounds; round += 1)
      for (const [way, { unscoped: free, read }] of Object.entries(WAYS)) {
        const reads = await count(free ? unscoped : scoped, read, statement);
        // The first round only warms up.
        if (round > 0) made.set(way, (made.get(way) ?? 0) + reads);
      }
    rates[statement.label] = Object.fromEntries([...made].map(([way, reads]) => [way, Math.round((reads * 1000) / (rounds * ROUND_MS))]));
  }
  console.log(JSON.stringify(rates));
  await Promise.all([...scoped, ...unscoped].map((client) => client.end()));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
