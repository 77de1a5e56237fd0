/**
 * One database server as this process sees it: a Sequelize instance whose transactions begin with the tenant scope, a pool whose
 * size can change, and reads that travel with their scope in one Sync. The primary has one, and each read replica.
 */
import type pg from 'pg';
import { type Options, Sequelize, type Transaction } from 'sequelize';
import { config } from '../config';
import { parsePostgresUrl } from '../config/postgres-url';
import { currentContext } from './context';
import { type InstrumentedClient, NO_JIT, prepareScope, type Scope, ScopedQuery } from './db-client';
import { isConnectionLost, isPlainRead, isRefusedWrite } from './db-errors';
import { HostList, loginOf } from './db-hosts';
import { type ConnectionManager, ManagedPool } from './db-pool';
import { sslOptions } from './db-ssl';
import { addressOf, driver, isSqlite, sqliteServer } from './dialect';
import { OutcomeUnknown } from './errors';
import { log } from './log';
import { metrics } from './metrics';

const APP_ROLE = 'autoshop_app';
const TENANT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** A connection unused for this long is closed, down to the pool's minimum. */
const IDLE_MS = 30_000;
export const STATEMENT_TIMEOUT_MS = config.DB_TIMEOUT * 1000;

interface QueryInterfaceInternals {
  queryGenerator: { startTransactionQuery(transaction: Transaction & { parent?: Transaction }): string };
}

/** `name` makes it a prepared statement, planned once for each connection: give hot reads one (unique in the project). */
export interface Sql {
  name?: string;
  text: string;
}

export interface ServerInfo {
  version: string;
  maxConnections: number;
  /** The role that statements run under. */
  role: string;
  /** Who logs in, where that is another: every transaction steps down. */
  stepsDownFrom: string | null;
}

export interface InstanceOptions {
  /** Label of metrics: `primary`, or a replica's name. */
  target: string;
  connectTimeoutMs: number;
  /** Whether a read that loses its connection is sent once more here; false where another server answers for this one. Default true. */
  repeatsReads?: boolean;
}

export class DatabaseInstance {
  readonly target: string;
  readonly sequelize: Sequelize;
  readonly pool: ManagedPool;
  readonly #manager: ConnectionManager;
  readonly #repeatsReads: boolean;
  #assumedRole: string | null = null;
  #connectionName = 'autoshop';

  constructor(url: string, { target, connectTimeoutMs, repeatsReads = true }: InstanceOptions) {
    this.target = target;
    this.#repeatsReads = repeatsReads;
    this.sequelize = this.#createSequelize(url, connectTimeoutMs);
    this.#manager = this.sequelize.connectionManager as unknown as ConnectionManager;
    this.pool = new ManagedPool(this.#manager, { maxWaiting: config.DB_QUEUE_MAX, target });
    metrics.connects.inc({ target }, 0);
  }

  get connectionName(): string {
    return this.#connectionName;
  }

  /** What the server shows as `application_name` of connections that are opened from now on. */
  nameConnections(name: string): void {
    this.#connectionName = name;
  }

  /**
   * Finds out under which role to work. A login that bypasses row-level security (superuser, BYPASSRLS, owner of the tables) steps
   * down to `autoshop_app` in every transaction.
   * @throws Error when the login is neither restricted nor that role's member, and the driver's error when the server cannot be reached
   */
  async inspect(): Promise<ServerInfo> {
    if (isSqlite) return { ...(await sqliteServer()), stepsDownFrom: null };
    const [row] = await this.read<{ version: string; max_connections: number; login: string; privileged: boolean; member: boolean }>(
      {
        text: `SELECT current_setting('server_version') AS version, current_setting('max_connections')::int AS max_connections, session_user::text AS login,
        (r.rolsuper OR r.rolbypassrls OR EXISTS (SELECT FROM pg_class c WHERE c.oid = to_regclass('public.customers') AND pg_has_role(session_user, c.relowner, 'MEMBER'))) AS privileged,
        EXISTS (SELECT FROM pg_roles a WHERE a.rolname = '${APP_ROLE}' AND pg_has_role(session_user, a.oid, 'MEMBER')) AS member
      FROM pg_roles r WHERE r.rolname = session_user`,
      },
      [],
      '',
    );
    if (!row) throw new Error('The database does not know the role that is logged in');
    const { version, max_connections: maxConnections, login, privileged, member } = row;
    if (privileged && !member) throw new Error(`Database role ${login} bypasses row-level security and may not become ${APP_ROLE}`);
    if (privileged && this.#assumedRole === null) {
      this.#assumedRole = APP_ROLE;
      // Connections opened before this prepared the scope without a role.
      await this.pool.closeIdle();
    }
    return { version, maxConnections, role: privileged ? APP_ROLE : login, stepsDownFrom: privileged ? login : null };
  }

  /** Opens `count` connections and keeps them in the pool. */
  async warm(count: number): Promise<void> {
    const connections = await Promise.all(Array.from({ length: count }, () => this.#manager.getConnection()));
    for (const connection of connections) this.#manager.releaseConnection(connection);
  }

  /**
   * Runs one statement alone, with its scope, in one round trip. A plain read whose connection turns out to be dead is sent once
   * more on another; a statement that could write never is.
   * @throws OutcomeUnknown when the connection broke under a statement that could write
   */
  async read<Row extends object>(sql: Sql, values: readonly unknown[], tenantId: string): Promise<Row[]> {
    const statement = { ...(sql.name ? { name: sql.name } : {}), text: sql.text, values: values as unknown[] };
    for (let first = true; ; first = false) {
      const client = (await this.#manager.getConnection({ type: 'SELECT' })) as pg.Client;
      const began = performance.now();
      try {
        const rows = await this.#send<Row>(client, statement, tenantId);
        this.#manager.releaseConnection(client);
        return rows;
      } catch (error) {
        if (!isConnectionLost(error)) {
          this.#manager.releaseConnection(client);
          throw error;
        }
        // A lost connection must not go back: the next caller would fail on it before its end is noticed.
        this.pool.destroyQuietly(client);
        this.pool.discardIdle(began);
        if (!this.#repeatsReads) throw error;
        // A standby refuses a write before it does anything.
        if (!isPlainRead(sql.text)) throw isRefusedWrite(error) ? error : new OutcomeUnknown(error);
        if (!first || currentContext()?.caller?.gone) throw error;
        log.info('read repeated on another connection', { target: this.target });
      }
    }
  }

  #send<Row extends object>(client: pg.Client, statement: Sql & { values: unknown[] }, tenantId: string): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      const scoped = new ScopedQuery(this.#scope(tenantId), statement, (error, result) =>
        error ? reject(error) : resolve(result.rows as Row[]),
      );
      client.query(scoped as unknown as pg.Query);
    });
  }

  #scope(tenantId: string): Scope {
    return { tenantId, timeoutMs: STATEMENT_TIMEOUT_MS, role: this.#assumedRole };
  }

  #createSequelize(url: string, connectTimeoutMs: number): Sequelize {
    const address = addressOf(url);
    const { host, port, database, user, password, ssl } = connectionOptions(address);
    const instance = new Sequelize({
      dialect: 'postgres',
      dialectModule: driver(this.target),
      host,
      port,
      database,
      username: user,
      password,
      logging: false,
      // Known, so that no connection outside the budget is opened to ask.
      databaseVersion: '15.0.0',
      keepDefaultTimezone: true,
      dialectOptions: {
        clientMinMessages: 'ignore',
        connectionTimeoutMillis: connectTimeoutMs,
        keepAlive: true,
        ssl,
      },
      pool: { min: 0, max: 2, acquire: STATEMENT_TIMEOUT_MS, idle: IDLE_MS },
      define: { underscored: true, freezeTableName: true, timestamps: false },
    } as Options);
    instance.addHook('beforeConnect', (settings) => {
      Object.assign(settings, { dialectOptions: { ...settings.dialectOptions, application_name: this.#connectionName } });
    });
    instance.addHook('afterConnect', async (connection) => {
      metrics.connects.inc({ target: this.target });
      await prepareScope(connection as pg.Client, this.#scope(''));
    });
    const internals = instance.getQueryInterface() as unknown as QueryInterfaceInternals;
    internals.queryGenerator.startTransactionQuery = (transaction) =>
      transaction.parent
        ? `SAVEPOINT "${(transaction as unknown as { name: string }).name}";`
        : `START TRANSACTION; ${scopeSql(this.#scope(ambientTenantId()))}`;
    connectToHosts(instance, new HostList(parsePostgresUrl(address)));
    return instance;
  }
}

/** What a URL and the configuration say about a connection, in the form that pg takes; of several hosts the first. */
export function connectionOptions(url: string) {
  const address = parsePostgresUrl(url);
  return { ...loginOf(address), ...address.hosts[0], ssl: sslOptions(url) };
}

/** Sequelize knows one host: each connection it opens goes to the first of the URL's that suits. */
function connectToHosts({ connectionManager }: Sequelize, hosts: HostList): void {
  const manager = connectionManager as unknown as ConnectionManager;
  const open = manager._connect.bind(manager);
  manager._connect = (settings) =>
    hosts.connect(
      (host) => open({ ...settings, ...host }),
      (client) => client.end(),
    );
}

/**
 * Ends a transaction by storing it, and gives its connection back.
 * @throws OutcomeUnknown when the connection broke before the server answered; any other error means that nothing was stored
 */
export async function commit(transaction: Transaction): Promise<void> {
  const state = transaction as unknown as { connection: InstrumentedClient; finished?: string; cleanup(): void };
  state.finished = 'commit';
  if (state.connection.isBroken) {
    await abandon(transaction);
    throw Object.assign(new Error('The connection broke before COMMIT was sent'), { code: 'ECONNRESET' });
  }
  let command: string;
  try {
    ({ command } = await state.connection.query('COMMIT'));
  } catch (error) {
    if (!isConnectionLost(error)) {
      state.cleanup();
      throw error;
    }
    await abandon(transaction);
    throw new OutcomeUnknown(error);
  }
  state.cleanup();
  // One that a failed statement has aborted answers COMMIT with ROLLBACK and no error: nothing was stored, so say so.
  if (command !== 'COMMIT') throw new Error('The transaction was rolled back: a statement in it had failed');
}

/** Gives up a transaction whose connection is lost: there is nobody left to roll it back with, and the server does it by itself. */
export async function abandon(transaction: Transaction): Promise<void> {
  const state = transaction as unknown as { finished?: string; forceCleanup(): Promise<void> };
  state.finished ??= 'rollback';
  await state.forceCleanup().catch((error: unknown) => log.warn('closing a connection failed', { error }));
}

/** A worker that stops in the middle of a transaction must not hold its locks for ever. */
const IDLE_LIMIT = `set_config('idle_in_transaction_session_timeout', '${config.DB_IDLE_TRANSACTION_TIMEOUT * 1000}', true)`;

function scopeSql({ tenantId, timeoutMs, role }: Scope): string {
  if (tenantId !== '' && !TENANT_ID.test(tenantId)) throw new Error('The tenant of the context is not a UUID');
  const setRole = role === null ? '' : `, set_config('role', '${role}', true)`;
  return `SELECT set_config('app.tenant_id', '${tenantId}', true), set_config('statement_timeout', '${timeoutMs}', true), ${IDLE_LIMIT}, ${NO_JIT}${setRole};`;
}

const ambientTenantId = (): string => currentContext()?.tenant?.id ?? '';
