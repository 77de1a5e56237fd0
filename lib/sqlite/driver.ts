/** The SQLite client in the many call forms of pg's, counted and timed like it. */
import type pg from 'pg';
import { CONTROL, observed, ScopedQuery, typesOf } from '../db-client';
import { type Result, SqliteClient, type Statement } from './client';
import { closeSqlite, openSqlite } from './database';

type Callback = (error: Error | null, result?: unknown) => void;
type Given = string | { text: string; values?: unknown[] } | ScopedQuery;

/** The setting that row-level security reads. */
const TENANT = 'app.tenant_id';

class DriverClient extends SqliteClient {
  query(given: Given, values?: unknown[] | Callback, callback?: Callback): unknown {
    const statement = statementOf(given, Array.isArray(values) ? values : undefined);
    const answer = this.#counted(statement);
    const reply =
      given instanceof ScopedQuery
        ? (given as unknown as { callback: Callback }).callback
        : typeof values === 'function'
          ? values
          : callback;
    if (!reply) return answer;
    answer.then(
      (result) => reply(null, result),
      (error: unknown) => reply(error as Error),
    );
    return undefined;
  }

  async #counted(statement: Statement): Promise<Result | Result[]> {
    if (CONTROL.test(statement.text)) return this.send(statement);
    const answered = observed({ text: statement.text, values: statement.values ?? [], target: 'primary' });
    try {
      const result = await this.send(statement);
      answered(null);
      return result;
    } catch (error) {
      answered(error);
      throw error;
    }
  }
}

function statementOf(given: Given, values: unknown[] | undefined): Statement {
  if (typeof given === 'string') return { text: given, values };
  const own = (given as { values?: unknown[] }).values;
  if (!(given instanceof ScopedQuery)) return { text: given.text, values: values ?? own };
  return { text: (given as unknown as { text: string }).text, values: own, settings: { [TENANT]: given.scope.tenantId } };
}

/** A class that Sequelize makes with the options of a pg client, of which only the types count here. */
export const driverClient = ({ url, waitMs }: { url: string; waitMs: number }): (new (options: pg.ClientConfig) => SqliteClient) =>
  class extends DriverClient {
    constructor(options: pg.ClientConfig) {
      super({ url, waitMs, types: typesOf(options) });
    }
  };

/** @returns the version of SQLite */
export const openServer = async (url: string): Promise<string> => (await openSqlite(url)).version;
export const closeServer = closeSqlite;
