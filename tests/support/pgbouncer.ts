/** PgBouncers for single test files, before the server of the run. A whole project goes through one with `TEST_THROUGH=pgbouncer`. */
import { type PgBouncer, startPgBouncer } from '../../scripts/pgbouncer';
import { freePort } from '../../scripts/ports';
import { closeLater } from './closers';
import { temporaryFolder } from './services';
import { withClient } from './test-cluster';

export interface TestPooler extends PgBouncer {
  /** The given URL through it. */
  readonly url: string;
}

/**
 * A PgBouncer of its own before a server, as in production: few server connections, shared between clients after every
 * transaction. Stopped with the test file.
 * @param url of the service role, past any pooler
 */
export async function startTestPooler(
  url: string,
  { poolSize = 2, maxServerConnections = 0 }: { poolSize?: number; maxServerConnections?: number } = {},
): Promise<TestPooler> {
  const pooler = await startPgBouncer({
    url,
    port: await freePort(),
    poolSize,
    maxServerConnections,
    maxClients: 1_000,
    folder: temporaryFolder('pgbouncer'),
  });
  closeLater(() => pooler.stop());
  return { ...pooler, url: pooler.through(url) };
}

/** Rows of `SHOW POOLS`, `SHOW CLIENTS` and so on, as the admin console tells them. */
export const show = (adminUrl: string, what: 'POOLS' | 'CLIENTS' | 'SERVERS'): Promise<Record<string, unknown>[]> =>
  withClient(adminUrl, async (client) => (await client.query<Record<string, unknown>>(`SHOW ${what}`)).rows);
