/**
 * Connects to the first suitable server of a URL with one or several hosts, as libpq does: hosts in turn, and with
 * `target_session_attrs` only one that is what is wanted. Begins with the host that served last, so that after a fail-over nobody
 * waits for the dead one again.
 */
import pg from 'pg';
import { type PostgresAddress, type PostgresHost, parsePostgresUrl, type SessionAttributes } from '../config/postgres-url';

/** Every host was asked and none is what is wanted. The code is SQLSTATE "unable to establish connection": trying later may work. */
export class NoSuitableServer extends Error {
  readonly code = '08001';
  constructor(wanted: SessionAttributes) {
    super(`No host of the database URL is ${wanted}`);
    this.name = 'NoSuitableServer';
  }
}

interface Session {
  query(text: string): Promise<{ rows: unknown[] }>;
}

interface Found {
  standby: boolean;
  read_only: boolean;
}

const LOOK = "SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only";

const SUITS: Readonly<Record<SessionAttributes, (found: Found) => boolean>> = {
  any: () => true,
  'read-write': ({ read_only }) => !read_only,
  primary: ({ standby }) => !standby,
  'read-only': ({ read_only }) => read_only,
  standby: ({ standby }) => standby,
};

/** SQLSTATE class 28 (the login is refused) and 3D (no such database): the next host would say the same. */
const REFUSED = /^(28|3D)/;

export class HostList {
  readonly #address: PostgresAddress;
  #begin = 0;

  constructor(address: PostgresAddress) {
    this.#address = address;
  }

  /**
   * @param open connects to one host
   * @param close ends a connection that will not be used; its failure is nobody's business
   * @throws what the last host answered with, or NoSuitableServer
   */
  async connect<C extends Session>(open: (host: PostgresHost) => Promise<C>, close: (session: C) => Promise<unknown>): Promise<C> {
    const { hosts, sessionAttributes: wanted } = this.#address;
    let failure: unknown = new NoSuitableServer(wanted);
    for (let step = 0; step < hosts.length; step += 1) {
      const index = (this.#begin + step) % hosts.length;
      try {
        const session = await open(hosts[index] ?? hosts[0]);
        if (await suits(session, wanted)) {
          this.#begin = index;
          return session;
        }
        await close(session).catch(() => undefined);
        failure = new NoSuitableServer(wanted);
      } catch (error) {
        if (REFUSED.test((error as { code?: string }).code ?? '')) throw error;
        failure = error;
      }
    }
    throw failure;
  }
}

async function suits(session: Session, wanted: SessionAttributes): Promise<boolean> {
  if (wanted === 'any') return true;
  const { rows } = await session.query(LOOK);
  return SUITS[wanted](rows[0] as Found);
}

/** The parts of an address that are the same for every host, as pg wants them. */
export const loginOf = ({ user, password, database }: PostgresAddress): Pick<pg.ClientConfig, 'user' | 'password' | 'database'> => ({
  user,
  password,
  database,
});

/**
 * A connection of its own to the database of a URL, TLS and limits as in `options`.
 * @param prepare gets each client before it connects, to listen to it
 */
export function connectTo(url: string, options: pg.ClientConfig = {}, prepare?: (client: pg.Client) => void): Promise<pg.Client> {
  const address = parsePostgresUrl(url);
  return new HostList(address).connect(
    async (host) => {
      const client = new pg.Client({ ...options, ...loginOf(address), ...host });
      prepare?.(client);
      await client.connect();
      return client;
    },
    (client) => client.end(),
  );
}
