/**
 * A SQLite database behind the interface of a pg client, as far as Sequelize and `lib/db.ts` use it: what they send is
 * PostgreSQL, what they get is what PostgreSQL would answer. One client is one session: it has settings, and at most one open transaction.
 */
import { EventEmitter } from 'node:events';
import type { GrantStmt, Node } from './ast';
import { openSqlite, type Rows, type SqliteDatabase } from './database';
import { changeRights } from './rights';
import type { Session } from './routines';
import { SqlFailure } from './sql-failure';
import { instantOf } from './times';
import { oidOf, typeRows } from './types';
import { serverText } from './values';

export interface SqliteClientOptions {
  url: string;
  types: { getTypeParser(oid: number, format?: 'text'): (text: string) => unknown };
  /** How long a statement waits for an open transaction to end. */
  waitMs: number;
  /** Sees and writes every tenant's rows, as the owner of the tables would. */
  unrestricted?: boolean;
}

export interface Result {
  command: string;
  rowCount: number;
  rows: Record<string, unknown>[];
  fields: { name: string; dataTypeID: number }[];
}

export interface Statement {
  text: string;
  values?: readonly unknown[] | undefined;
  /** Settings for this statement alone. */
  settings?: Readonly<Record<string, string>> | undefined;
}

type Callback = (error: Error | null, result?: unknown) => void;

/** Sequelize asks once which object ids the server's types have. */
const ASKS_FOR_TYPES = 'FROM pg_type LEFT OUTER JOIN ranges';
const NOTHING = { rowCount: 0, rows: [], fields: [] };

export class SqliteClient extends EventEmitter {
  /** pg's own connection object, of which Sequelize uses the events. */
  readonly connection = new EventEmitter();
  readonly #options: SqliteClientOptions;
  readonly #settings = new Map<string, string>();
  readonly #cursors = new Map<string, Record<string, unknown>[]>();
  #database: SqliteDatabase | undefined;
  /** pg sends the statements of a client one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #transaction: { release: () => void; startedAt: string; failed: boolean } | undefined;

  constructor(options: SqliteClientOptions) {
    super();
    this.#options = options;
  }

  connect(callback?: Callback): Promise<void> | undefined {
    const connected = this.#connect();
    if (!callback) return connected;
    connected.then(
      () => callback(null),
      (error: unknown) => callback(error as Error),
    );
    return undefined;
  }

  async #connect(): Promise<void> {
    this.#database = await openSqlite(this.#options.url);
    this.connection.emit('parameterStatus', { parameterName: 'standard_conforming_strings', parameterValue: 'on' });
  }

  get version(): string {
    return this.#opened.version;
  }

  get #opened(): SqliteDatabase {
    if (!this.#database) throw new SqlFailure('08003', 'the client is not connected');
    return this.#database;
  }

  /** Rolls back what is open. The database stays: another client may use it. */
  end(callback?: Callback): Promise<void> | undefined {
    const ended = this.#last.then(() => {
      if (this.#transaction) this.#finish('ROLLBACK');
      this.#database = undefined;
      this.emit('end');
    });
    if (!callback) return ended;
    ended.then(
      () => callback(null),
      (error: unknown) => callback(error as Error),
    );
    return undefined;
  }

  /** One statement, or several without values; several give a list of results. */
  send({ text, values = [], settings = {} }: Statement): Promise<Result | Result[]> {
    const answer = this.#last.then(() => this.#run(text, values, settings));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #run(text: string, values: readonly unknown[], settings: Readonly<Record<string, string>>): Promise<Result | Result[]> {
    if (text.includes(ASKS_FOR_TYPES)) return { ...NOTHING, command: 'SELECT', rows: typeRows() };
    const results: Result[] = [];
    for (const prepared of this.#opened.prepare(text)) {
      const { node } = prepared;
      const done = (await this.#control(node)) ?? this.#cursor(node, values);
      if (done) results.push(done);
      else
        results.push(
          await this.#statement(
            (database, session) => database.execute(database.plan(prepared, !this.#options.unrestricted), values, session),
            settings,
          ),
        );
    }
    const [only, ...more] = results;
    return only && more.length === 0 ? only : results;
  }

  // ------------------------------------------------------------------ transactions

  async #control({ TransactionStmt: control, VariableSetStmt: setting, GrantStmt: grant }: Node): Promise<Result | undefined> {
    if (setting) return { ...NOTHING, command: 'SET' };
    if (grant) return this.#grant(grant);
    if (!control) return undefined;
    const savepoint = `"${control.savepoint_name ?? ''}"`;
    switch (control.kind) {
      case 'TRANS_STMT_BEGIN':
      case 'TRANS_STMT_START': {
        const release = await this.#opened.begin(this.#options.waitMs);
        this.#transaction = { release, startedAt: instantOf(new Date()), failed: false };
        return { ...NOTHING, command: 'BEGIN' };
      }
      case 'TRANS_STMT_COMMIT':
        // As PostgreSQL does: a transaction in which a statement failed ends with a roll-back, and the tag says so.
        return { ...NOTHING, command: this.#finish(this.#transaction?.failed ? 'ROLLBACK' : 'COMMIT') };
      case 'TRANS_STMT_ROLLBACK':
        return { ...NOTHING, command: this.#finish('ROLLBACK') };
      case 'TRANS_STMT_SAVEPOINT':
        this.#opened.control(`SAVEPOINT ${savepoint}`);
        return { ...NOTHING, command: 'SAVEPOINT' };
      case 'TRANS_STMT_RELEASE':
        this.#opened.control(`RELEASE ${savepoint}`);
        return { ...NOTHING, command: 'RELEASE' };
      case 'TRANS_STMT_ROLLBACK_TO':
        this.#opened.control(`ROLLBACK TO ${savepoint}`);
        if (this.#transaction) this.#transaction.failed = false;
        return { ...NOTHING, command: 'ROLLBACK' };
      default:
        throw new SqlFailure('0A000', `${control.kind} is not supported`);
    }
  }

  #grant(statement: GrantStmt): Result {
    if (!this.#options.unrestricted) throw new SqlFailure('42501', 'only the owner of a table grants rights to it');
    changeRights(this.#opened.catalog.rights, statement);
    return { ...NOTHING, command: statement.is_grant ? 'GRANT' : 'REVOKE' };
  }

  #finish(word: 'COMMIT' | 'ROLLBACK'): string {
    const open = this.#transaction;
    if (!open) return word;
    this.#transaction = undefined;
    this.#settings.clear();
    this.#cursors.clear();
    try {
      this.#opened.control(word);
    } finally {
      open.release();
    }
    return word;
  }

  /** Everything set is set for one transaction, so a statement outside one begins with nothing but its own settings. */
  async #statement(
    work: (database: SqliteDatabase, session: Session) => Rows,
    settings: Readonly<Record<string, string>>,
  ): Promise<Result> {
    const database = this.#opened;
    const { unrestricted = false } = this.#options;
    const open = this.#transaction;
    if (open) {
      if (open.failed) throw new SqlFailure('25P02', 'current transaction is aborted, commands ignored until end of transaction block');
      try {
        return this.#result(work(database, { settings: this.#settings, unrestricted, startedAt: open.startedAt }));
      } catch (error) {
        open.failed = true;
        throw error;
      }
    }
    const release = await database.begin(this.#options.waitMs);
    try {
      const session = { settings: new Map(Object.entries(settings)), unrestricted, startedAt: instantOf(new Date()) };
      const result = this.#result(work(database, session));
      database.control('COMMIT');
      return result;
    } catch (error) {
      database.control('ROLLBACK');
      throw error;
    } finally {
      release();
    }
  }

  // ------------------------------------------------------------------ cursors

  /** A cursor holds its rows here: this database is small by purpose. */
  #cursor({ DeclareCursorStmt: declared, FetchStmt: fetched }: Node, values: readonly unknown[]): Result | undefined {
    if (declared) {
      const open = this.#transaction;
      if (!open) throw new SqlFailure('25P01', 'DECLARE CURSOR can only be used in transaction blocks');
      const database = this.#opened;
      const plan = database.plan({ node: declared.query, plans: new Map() }, !this.#options.unrestricted);
      const session = { settings: this.#settings, unrestricted: this.#options.unrestricted ?? false, startedAt: open.startedAt };
      this.#cursors.set(declared.portalname, this.#result(database.execute(plan, values, session)).rows);
      return { ...NOTHING, command: 'DECLARE CURSOR' };
    }
    if (!fetched) return undefined;
    const rows = this.#cursors.get(fetched.portalname);
    if (!rows) throw new SqlFailure('34000', `cursor "${fetched.portalname}" does not exist`);
    const taken = rows.splice(0, Number(fetched.howMany ?? 1));
    return { ...NOTHING, command: 'FETCH', rowCount: taken.length, rows: taken };
  }

  /** The rows as the driver would read them from the wire. */
  #result({ rows, count, step, command }: Rows): Result {
    const fields = step.shape.map(({ name, type }) => ({ name, dataTypeID: oidOf(type), type }));
    const parsers = fields.map(({ dataTypeID }) => this.#options.types.getTypeParser(dataTypeID, 'text'));
    const converted = rows.map((row) => {
      const values = Object.values(row);
      return Object.fromEntries(
        fields.map(({ name, type }, index) => {
          const value = values[index] ?? null;
          return [name, value === null ? null : parsers[index]?.(serverText(value, type))];
        }),
      );
    });
    return { command, rowCount: count, rows: converted, fields };
  }
}
