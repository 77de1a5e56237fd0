/**
 * One SQLite database of this process: one connection, and a turnstile before it, because a transaction stays open while the
 * service thinks. SQLite itself is a WebAssembly build, so nothing is compiled at install time; it runs on the event loop.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { listMigrations } from '../migrations';
import type { Node } from './ast';
import { type Catalog, readCatalog } from './catalog';
import { loadParser, parseSql } from './parser';
import { assertRight } from './rights';
import { routines, type Session } from './routines';
import { EXCLUSION_FAILED, ISOLATION_FAILED, schemaSql } from './schema';
import { SqlFailure } from './sql-failure';
import { type Plan, planStatement, type Step } from './statements';
import { type Bound, bind } from './values';

interface SqliteStatement {
  all(values: Bound[]): Record<string, Bound>[];
  run(values: Bound[]): { changes: number };
  finalize(): void;
}

interface SqliteConnection {
  exec(text: string): void;
  prepare(text: string): SqliteStatement;
  function(name: string, run: (...values: never[]) => unknown, options: { deterministic: boolean }): void;
  close(): void;
}

interface SqliteModule {
  Database: new (path: string) => SqliteConnection;
}

export interface Rows {
  readonly rows: Record<string, Bound>[];
  /** Rows given, or changed by a statement that gives none. */
  readonly count: number;
  readonly step: Step;
  readonly command: Plan['command'];
}

/** A parsed text: each statement with its plan, made when it first runs. */
interface Prepared {
  readonly node: Node;
  readonly plans: Map<boolean, Plan>;
}

/** How often a file that another process has locked is tried. */
const FILE_POLL_MS = 10;
const TEXTS_KEPT = 2_000;
const CACHED_STATEMENTS = 200;

export class SqliteDatabase {
  readonly catalog: Catalog;
  readonly version: string;
  readonly #connection: SqliteConnection;
  readonly #texts = new Map<string, Prepared[]>();
  readonly #statements = new Map<string, SqliteStatement>();
  readonly #turns: (() => void)[] = [];
  #session: Session | undefined;
  #failure: unknown;
  #isTaken = false;

  private constructor(connection: SqliteConnection, catalog: Catalog) {
    this.#connection = connection;
    this.catalog = catalog;
    this.version = String(this.#run('SELECT sqlite_version() AS version', []).rows[0]?.['version']);
  }

  /**
   * Opens the file, or ':memory:', and makes the tables where there are none.
   * @throws Error for a file that other migrations made: it is for development, so it is made anew rather than migrated
   */
  static async open(path: string): Promise<SqliteDatabase> {
    const packageName = 'node-sqlite3-wasm';
    const loaded = (await import(packageName)) as SqliteModule & { default?: SqliteModule };
    await loadParser();
    const database = new SqliteDatabase(new (loaded.default ?? loaded).Database(path), readCatalog());
    database.#defineRoutines();
    database.#makeTables(path);
    return database;
  }

  close(): void {
    for (const statement of this.#statements.values()) statement.finalize();
    this.#statements.clear();
    this.#connection.close();
  }

  // ------------------------------------------------------------------ turns

  /** Waits until no other transaction of this process is open. @returns the function that lets the next one in */
  async #takeTurn(waitMs: number): Promise<() => void> {
    if (this.#isTaken) await this.#queue(waitMs);
    this.#isTaken = true;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const next = this.#turns.shift();
      if (next) next();
      else this.#isTaken = false;
    };
  }

  /**
   * Takes the turn and begins a transaction. Another process may hold the file: that one is waited for as well.
   * @throws SqlFailure 55P03 after `waitMs`
   */
  async begin(waitMs: number): Promise<() => void> {
    const deadline = performance.now() + waitMs;
    const release = await this.#takeTurn(waitMs);
    try {
      // At once for writing: a reader that begins to write later could find the file taken.
      while (!this.#hasBegun()) {
        if (performance.now() > deadline)
          throw new SqlFailure(
            '55P03',
            'the database file is locked by another process, or by one that was killed: then remove the folder beside it that ends in .lock',
          );
        await delay(FILE_POLL_MS);
      }
      return release;
    } catch (error) {
      release();
      throw error;
    }
  }

  #hasBegun(): boolean {
    try {
      this.control('BEGIN IMMEDIATE');
      return true;
    } catch (error) {
      // The driver gives SQLITE_BUSY as text alone.
      if (error instanceof Error && error.message === 'database is locked') return false;
      throw error;
    }
  }

  #queue(waitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#turns.splice(this.#turns.indexOf(enter), 1);
        reject(new SqlFailure('55P03', 'the database is taken by another transaction'));
      }, waitMs);
      this.#turns.push(enter);
    });
  }

  // ------------------------------------------------------------------ statements

  /** The statements of a text. @throws SqlFailure 42601 for what PostgreSQL could not read either */
  prepare(text: string): Prepared[] {
    const known = this.#texts.get(text);
    if (known) return known;
    const prepared = parsed(text).map((node) => ({ node, plans: new Map<boolean, Plan>() }));
    if (this.#texts.size >= TEXTS_KEPT) this.#texts.clear();
    this.#texts.set(text, prepared);
    return prepared;
  }

  plan({ node, plans }: Prepared, isolated: boolean): Plan {
    const known = plans.get(isolated) ?? planStatement(node, { catalog: this.catalog, isolated });
    plans.set(isolated, known);
    return known;
  }

  /** Runs a plan for a session; the caller has the turn. @throws SqlFailure, NotCarried */
  execute({ steps, command, rights }: Plan, values: readonly unknown[], session: Session): Rows {
    if (!session.unrestricted) for (const [table, right] of rights) assertRight(this.catalog.rights, table, right);
    this.#session = session;
    const bound: Bound[] = values.map(bind);
    let last: Rows | undefined;
    for (const step of steps) {
      const reads = step.shape.length > 0 || command === 'SELECT';
      last = { ...this.#run(step.sql, bound, reads), step, command };
      if (step.handsOn !== undefined) {
        while (bound.length < step.handsOn) bound.push(null);
        bound[step.handsOn - 1] = JSON.stringify(last.rows.map((row) => step.names.map((_, index) => Object.values(row)[index])));
      }
    }
    if (!last) throw new Error('A plan without a step');
    return last;
  }

  /** Transaction control. */
  control(text: string): void {
    this.#connection.exec(text);
  }

  #run(sql: string, bound: readonly Bound[], reads = true): { rows: Record<string, Bound>[]; count: number } {
    this.#failure = undefined;
    try {
      const statement = this.#statement(sql);
      const values = bound.slice(0, highestParameter(sql));
      if (!reads) return { rows: [], count: statement.run(values).changes };
      const rows = statement.all(values);
      return { rows, count: rows.length };
    } catch (error) {
      const refusal = this.#failure ?? this.#translated(error, sql);
      this.#discard(sql);
      throw refusal;
    }
  }

  #statement(sql: string): SqliteStatement {
    const known = this.#statements.get(sql);
    if (known) return known;
    if (this.#statements.size >= CACHED_STATEMENTS) {
      for (const statement of this.#statements.values()) statement.finalize();
      this.#statements.clear();
    }
    const statement = this.#connection.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  /** A statement that failed reports its failure once more, to whoever resets or ends it. */
  #discard(sql: string): void {
    const failed = this.#statements.get(sql);
    this.#statements.delete(sql);
    try {
      failed?.finalize();
    } catch {
      // Known already: see above.
    }
  }

  #translated(error: unknown, sql: string): unknown {
    const message = error instanceof Error ? error.message : String(error);
    return constraintError(message, this.catalog, error) ?? new SqlFailure('XX000', `${message} in: ${sql}`, { cause: error });
  }

  // ------------------------------------------------------------------ opening

  #currentSession(): Session {
    if (!this.#session) throw new Error('A function of a statement is called outside one');
    return this.#session;
  }

  #defineRoutines(): void {
    const defined = routines(() => this.#currentSession());
    for (const [name, { run, arity, isVolatile = false, takesNull = false }] of Object.entries(defined)) {
      const call = (...values: unknown[]): unknown => {
        if (!takesNull && values.includes(null)) return null;
        try {
          return run(...(values as never[]));
        } catch (error) {
          // What is thrown here comes out as text alone; the error itself is kept for the caller.
          this.#failure = error;
          throw error;
        }
      };
      this.#define(name, arity, call, !isVolatile);
    }
    this.#define('enqueue_', 5, (...values) => this.#enqueue(values as Bound[]), false);
  }

  /** The driver reads the number of arguments off the function. */
  #define(name: string, arity: number, call: (...values: unknown[]) => unknown, deterministic: boolean): void {
    Object.defineProperty(call, 'length', { value: arity });
    this.#connection.function(name, call as (...values: never[]) => unknown, { deterministic });
  }

  /** A job of the same key takes the place of the one before, as in the job library. @returns its id */
  #enqueue([task, payload, at, attempts, key]: Bound[]): Bound {
    const { rows } = this.#run(
      `INSERT INTO "graphile_worker._private_jobs" (task_identifier, payload, run_at, max_attempts, key)
        VALUES (?1, ?2, coalesce(?3, now_()), coalesce(?4, 25), ?5)
        ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, run_at = excluded.run_at, max_attempts = excluded.max_attempts RETURNING id`,
      [task ?? null, payload ?? null, at ?? null, attempts ?? null, key ?? null],
    );
    return rows[0]?.['id'] ?? null;
  }

  #makeTables(path: string): void {
    this.#session = { settings: new Map(), unrestricted: true, startedAt: new Date().toISOString().replace('Z', '000Z') };
    const wanted = listMigrations().map(({ name }) => name);
    const isEmpty = this.#run(`SELECT 1 FROM sqlite_schema LIMIT 1`, []).count === 0;
    if (isEmpty) {
      this.control('BEGIN');
      for (const sql of schemaSql(this.catalog)) this.control(sql);
      for (const name of wanted) this.#run('INSERT INTO schema_migrations (name) VALUES (?1)', [name], false);
      this.control('COMMIT');
      return;
    }
    const made = this.#run('SELECT name FROM schema_migrations ORDER BY name', []).rows.map((row) => row['name']);
    if (made.join() !== wanted.join())
      throw new Error(`${path} was made by other migrations than this version has: remove the file, and it is made anew`);
  }
}

function parsed(text: string): Node[] {
  try {
    return parseSql(text);
  } catch (error) {
    throw new SqlFailure('42601', `syntax error: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

const highest = new Map<string, number>();
/** SQLite refuses values beyond the last parameter of a statement; the pg driver would have them ignored. */
function highestParameter(sql: string): number {
  const known = highest.get(sql);
  if (known !== undefined) return known;
  let found = 0;
  for (const [, number] of sql.matchAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\?(\d+)/g)) found = Math.max(found, Number(number ?? 0));
  if (highest.size >= TEXTS_KEPT) highest.clear();
  highest.set(sql, found);
  return found;
}

/** SQLite's words for a refused write -> the code and name that PostgreSQL gives it. */
export function constraintError(message: string, catalog: Catalog, cause: unknown): SqlFailure | undefined {
  const [, kind, what = ''] = /^(UNIQUE|CHECK|NOT NULL|FOREIGN KEY|EXCLUDE) constraint failed(?:: (.*))?$/s.exec(message) ?? [];
  switch (kind) {
    case 'UNIQUE':
      return new SqlFailure('23505', message, { constraint: uniqueName(what, catalog), cause });
    case 'CHECK':
      return new SqlFailure('23514', message, { constraint: what, cause });
    case 'NOT NULL':
      return new SqlFailure('23502', message, { cause });
    case 'FOREIGN KEY':
      return new SqlFailure('23503', message, { cause });
    case 'EXCLUDE':
      return new SqlFailure('23P01', EXCLUSION_FAILED + what, { constraint: what, cause });
    default:
      return message.startsWith(ISOLATION_FAILED) ? new SqlFailure('42501', message, { cause }) : undefined;
  }
}

/** `index 'name'`, or `table.column, table.column`. */
function uniqueName(what: string, catalog: Catalog): string | undefined {
  const [, index] = /^index '(.*)'$/.exec(what) ?? [];
  if (index) return index;
  const places = what.split(', ').map((place) => place.split('.'));
  const name = places[0]?.slice(0, -1).join('.') ?? '';
  const columns = places.map((place) => place.at(-1)).join();
  const table = catalog.tables.get(name);
  const constraint = table?.constraints.find(
    (candidate) => ['primary', 'unique'].includes(candidate.kind) && candidate.columns.join() === columns,
  );
  if (constraint) return constraint.name;
  return table?.indexes.find(
    (candidate) => candidate.unique && candidate.indexParams.map((node) => node.IndexElem?.name).join() === columns,
  )?.idxname;
}

// ------------------------------------------------------------------ the databases of this process

const open = new Map<string, Promise<SqliteDatabase>>();

/** The database behind `sqlite::memory:` or `sqlite:<file>`: the same for every client of this process until it is closed. */
export function openSqlite(url: string): Promise<SqliteDatabase> {
  const path = url.replace(/^sqlite:(\/\/)?/, '');
  const known = open.get(path) ?? SqliteDatabase.open(path);
  open.set(path, known);
  known.catch(() => open.delete(path));
  return known;
}

export async function closeSqlite(): Promise<void> {
  const databases = [...open.values()];
  open.clear();
  for (const database of databases) (await database).close();
}
