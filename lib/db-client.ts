/**
 * The pg client under Sequelize and under our own SQL: counts and times every statement for the request that sent it,
 * reports slow ones without their literals, and knows {@link ScopedQuery}, a read that carries its tenant scope with it.
 */
import pg from 'pg';
import { config } from '../config';
import { breadcrumbs } from './breadcrumbs';
import type { Caller } from './caller';
import { type Context, currentContext, withContext } from './context';
import { cancelStatement } from './db-cancel';
import { Unavailable } from './errors';
import { fingerprint } from './fingerprint';
import { log } from './log';
import { metrics } from './metrics';
import { RepeatedReadError } from './read-watch';

/** Settings that hold for one transaction, explicit or implicit. */
export interface Scope {
  /** '' for none: row-level security then shows no tenant row. */
  tenantId: string;
  timeoutMs: number;
  /** Role to step down to, when the login itself would bypass row-level security. */
  role: string | null;
}

export interface Statement {
  text: string;
  /** Its parameters, as the driver got them; never for logs. */
  values: readonly unknown[];
  /** The server it went to: `primary`, or a replica's name. */
  target: string;
  ms: number;
  failed: boolean;
  /** Endpoint or job that sent it; null outside both. */
  operation: string | null;
  /** In which it was sent; the driver answers outside it. */
  context: Context | undefined;
}

type Listener = (statement: Statement) => void;
const listeners = new Set<Listener>();

/** Calls `listener` after each statement of this process that is not transaction control. Returns the function that ends it. */
export function observeStatements(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Told of each statement as it is sent, in its sender's context. What it returns is called when the statement has succeeded. */
export type WriteWatch = (text: string) => (() => void) | undefined;
let writeWatch: WriteWatch = () => undefined;

export function watchWrites(watch: WriteWatch): void {
  writeWatch = watch;
}

let lastSuccess = Number.NEGATIVE_INFINITY;
/** `performance.now()` of the last statement that the primary answered without a connection error. */
export const lastAnswerAt = (): number => lastSuccess;

/** Transaction control, which is not counted as a statement. */
export const CONTROL = /^\s*(start\s+transaction|begin|commit|rollback|savepoint|release|set\s)/i;
/** What ends a transaction is always sent; whether COMMIT may be is decided where it is sent from. */
const ENDS = /^\s*(commit|rollback)/i;
const KINDS = new Set(['select', 'insert', 'update', 'delete']);

type Sent = Pick<Statement, 'text' | 'values' | 'target'>;

/** `current` is the context that sent the statement: the driver calls back outside it. */
function finished({ text, values, target }: Sent, started: number, current: Context | undefined, error: unknown): void {
  const ms = performance.now() - started;
  if (current) {
    current.stats.dbMs += ms;
    current.stats.reads?.answered(text, ms, current.tenant?.id);
    breadcrumbs.resume(current.stats.crumb);
  }
  if (!error && target === 'primary') lastSuccess = performance.now();
  const verb = /^\s*(\w+)/.exec(text)?.[1]?.toLowerCase() ?? '';
  const kind = KINDS.has(verb) ? verb : 'other';
  metrics.querySeconds.observe({ target, kind }, ms / 1000);
  const route = current?.operation ?? 'none';
  metrics.routeQueries.inc({ route, kind });
  metrics.routeQuerySeconds.inc({ route, kind }, ms / 1000);
  if (error) metrics.queryErrors.inc();
  if (ms >= config.LOG_SLOW_QUERY_MS) {
    metrics.slowQueries.inc();
    const report = () => log.warn('slow query', { ms: Math.round(ms), fingerprint: fingerprint(text) });
    if (current) withContext(current, report);
    else report();
  }
  for (const listener of listeners)
    listener({ text, values, target, ms, failed: Boolean(error), operation: current?.operation ?? null, context: current });
}

/** @throws RepeatedReadError in mode `raise`, before the statement is sent */
function count({ stats, operation, tenant }: Context, text: string): void {
  stats.queries += 1;
  const repeated = stats.reads?.sent(text, tenant?.id);
  if (!repeated) return;
  if (config.N_PLUS_ONE === 'raise') throw new RepeatedReadError(repeated, operation);
  if (config.N_PLUS_ONE === 'warn') log.warn('one read for each row', { ...repeated, wastedMs: undefined });
}

/** Between two statements a caller can leave too: nothing is begun for nobody. @throws Unavailable `client_gone` */
function refuseIfGivenUp(current: Context | undefined): void {
  if (current?.caller?.isGivenUp) throw new Unavailable('client_gone');
}

/**
 * Counts and times a statement that is about to be sent, and tells who watches writes of it. @returns what to call when it has been answered
 * @throws RepeatedReadError in mode `raise`; Unavailable `client_gone` when nobody waits for it any more
 */
export function observed(sent: Sent): (error: unknown) => void {
  const started = performance.now();
  const current = currentContext();
  refuseIfGivenUp(current);
  if (current) count(current, sent.text);
  const written = writeWatch(sent.text);
  return (error) => {
    if (!error) written?.();
    finished(sent, started, current, error);
  };
}

/** int8 and numeric(5,2) as numbers: ids and cents stay far below 2^53, hours have two decimals. */
const PARSERS = new Map<number, (value: string) => unknown>([
  [pg.types.builtins.INT8, Number],
  [pg.types.builtins.NUMERIC, Number],
]);

/** How values are read off the wire: by the parsers above, else as the options or the driver say. */
export const typesOf = (options: pg.ClientConfig): { getTypeParser: typeof pg.types.getTypeParser } => ({
  getTypeParser: ((oid: number, format?: 'text') =>
    PARSERS.get(oid) ?? (options.types ?? pg.types).getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
});

type Callback = (error: Error | null, result: pg.QueryResult) => void;
interface Submittable {
  submit: (connection: unknown) => void;
  text: string;
  callback: Callback;
}
const isSubmittable = (value: unknown): value is Submittable => typeof (value as Submittable).submit === 'function';

const NO_VALUES: readonly unknown[] = Object.freeze([]);
/** A QueryConfig and a submitted query both carry their values. */
const valuesOf = (query: QueryArguments[0]): readonly unknown[] =>
  (typeof query === 'string' ? undefined : (query as { values?: unknown[] }).values) ?? NO_VALUES;

interface ClientInternals {
  _queryable: boolean;
  _ending: boolean;
}

type QueryArguments = [config: string | pg.QueryConfig | Submittable, values?: unknown, callback?: unknown];
type AnyQuery = (...args: QueryArguments) => unknown;

export class InstrumentedClient extends pg.Client {
  readonly target: string = 'primary';

  constructor(options: pg.ClientConfig) {
    super({ ...options, types: typesOf(options) });
  }

  // One override for the many call forms of pg (text or config or submittable; promise or callback).
  override query: pg.Client['query'] = ((...args: QueryArguments): unknown => {
    const original = pg.Client.prototype.query as unknown as AnyQuery;
    const [query, values, callback] = args;
    const text = typeof query === 'string' ? query : (query.text ?? '');
    if (CONTROL.test(text)) {
      if (!ENDS.test(text)) refuseIfGivenUp(currentContext());
      return this.#control(original, args);
    }
    const answered = observed({ text, values: Array.isArray(values) ? values : valuesOf(query), target: this.target });
    const caller = currentContext()?.caller;
    const cancellation = caller && new Cancellation(this, caller);
    const done = (error: unknown): void => {
      cancellation?.over();
      this.#nameLostConnection(error);
      answered(error);
    };
    const wrap =
      (next: Callback): Callback =>
      (error, result) => {
        done(error);
        if (cancellation?.underWay) void cancellation.underWay.then(() => next(error, result));
        else next(error, result);
      };
    if (isSubmittable(query)) {
      query.callback = wrap(query.callback);
      return original.call(this, query);
    }
    if (typeof values === 'function') return original.call(this, query, wrap(values as Callback));
    if (typeof callback === 'function') return original.call(this, query, values, wrap(callback as Callback));
    return (original.apply(this, args) as Promise<unknown>).then(
      async (result) => {
        done(null);
        await cancellation?.underWay;
        return result;
      },
      async (error: unknown) => {
        done(error);
        await cancellation?.underWay;
        throw error;
      },
    );
  }) as unknown as pg.Client['query'];

  /** True when nothing that is sent here reaches the server. */
  get isBroken(): boolean {
    const { _queryable, _ending } = this as unknown as ClientInternals;
    return !_queryable || _ending;
  }

  /** Not counted, but its failure has to be told apart as well: Sequelize sends BEGIN with a callback, we send COMMIT without. */
  #control(send: AnyQuery, args: QueryArguments): unknown {
    const at = args.findIndex((arg) => typeof arg === 'function');
    if (at >= 0) {
      const next = args[at] as Callback;
      const named: Callback = (error, result) => {
        this.#nameLostConnection(error);
        next(error, result);
      };
      return send.apply(this, args.with(at, named) as unknown as QueryArguments);
    }
    return (send.apply(this, args) as Promise<unknown>).catch((error: unknown) => {
      this.#nameLostConnection(error);
      throw error;
    });
  }

  /** pg reports a connection that broke under a statement as a bare Error; give it the code that says so. */
  #nameLostConnection(error: unknown): void {
    if (error instanceof Error && !('code' in error) && this.isBroken) Object.assign(error, { code: 'ECONNRESET' });
  }
}

/** A statement that is cancelled ends within a moment. One that has not, after this time, hangs on a connection that leads nowhere. */
const CANCELLED_MS = 2_000;

/** Ends a statement when nobody waits for its result any more. */
class Cancellation {
  readonly #stop: () => void;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  /** Set while the request to cancel is on its way: until it has arrived it could hit the connection's next statement. */
  underWay: Promise<void> | undefined;

  constructor(client: pg.Client, caller: Caller) {
    this.#stop = caller.onLeave(() => {
      this.underWay = cancelStatement(client).then(() => {
        if (!this.#over) this.#timer = setTimeout(() => destroy(client), CANCELLED_MS);
      });
    });
  }

  /** The statement has ended, by itself or not. */
  over(): void {
    this.#over = true;
    this.#stop();
    clearTimeout(this.#timer);
  }
}

/** Breaks the connection off: whatever waits on it fails at once. */
function destroy(client: pg.Client): void {
  log.warn('a statement did not end when it was cancelled; its connection is given up');
  client.connection.stream.destroy();
}

/** The client class for one server: Sequelize makes its clients itself, so what it knows of them is their class. */
export const clientFor = (target: string): typeof InstrumentedClient =>
  class extends InstrumentedClient {
    override readonly target = target;
  };

/** Compiling a statement to machine code takes longer (half a second) than any of ours runs; an estimate over many rows would trigger it. */
export const NO_JIT = "set_config('jit', 'off', true)";
const SCOPE_COLUMNS = `set_config('app.tenant_id', $1, true), set_config('statement_timeout', $2, true), ${NO_JIT}`;
const SCOPE_TEXT = `SELECT ${SCOPE_COLUMNS}`;
const SCOPE_TEXT_WITH_ROLE = `SELECT ${SCOPE_COLUMNS}, set_config('role', $3, true)`;
const SCOPE_NAME = 'autoshop_scope';

const scopeStatement = ({ tenantId, timeoutMs, role }: Scope): { text: string; values: string[] } =>
  role === null
    ? { text: SCOPE_TEXT, values: [tenantId, String(timeoutMs)] }
    : { text: SCOPE_TEXT_WITH_ROLE, values: [tenantId, String(timeoutMs), role] };

/** Prepares the scope statement on a fresh connection, so that {@link ScopedQuery} only binds it. */
export async function prepareScope(client: pg.Client, scope: Scope): Promise<void> {
  if (config.DB_PREPARED) await client.query({ name: SCOPE_NAME, ...scopeStatement(scope) });
}

/** What pg's Query does to a connection; internal to pg, held by the pinned version and a contract test. */
interface WireConnection {
  parse(message: { text: string; name: string; types?: number[] }): void;
  bind(message: { portal: string; statement: string; values: string[]; valueMapper: (value: unknown) => unknown }): void;
  execute(message: { portal: string; rows?: number }): void;
}
interface QueryInternals {
  prepare(connection: WireConnection): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: WireConnection): void;
}
const base = pg.Query.prototype as unknown as QueryInternals;

/**
 * A statement that travels with its scope in ONE Sync: bind and execute of set_config, then parse, bind and execute of the
 * statement itself. PostgreSQL runs both in one implicit transaction, so the transaction-local settings hold for exactly this
 * statement and nothing is left on the connection, also behind a transaction-mode pooler. One round trip instead of four.
 */
export class ScopedQuery extends pg.Query {
  readonly scope: Scope;
  #scopeAnswered = false;

  constructor(scope: Scope, statement: { name?: string; text: string; values: unknown[] }, callback: Callback) {
    super(
      { ...statement, ...(config.DB_PREPARED ? {} : { name: undefined }), queryMode: 'extended' } as pg.QueryConfig,
      undefined as never,
      callback as never,
    );
    this.scope = scope;
  }

  prepare(connection: WireConnection): void {
    const { text, values } = scopeStatement(this.scope);
    const statement = config.DB_PREPARED ? SCOPE_NAME : '';
    if (!config.DB_PREPARED) connection.parse({ text, name: '' });
    connection.bind({ portal: '', statement, values, valueMapper: (value) => value });
    connection.execute({ portal: '' });
    base.prepare.call(this, connection);
  }

  handleDataRow(message: unknown): void {
    if (this.#scopeAnswered) base.handleDataRow.call(this, message);
  }

  handleCommandComplete(message: unknown, connection: WireConnection): void {
    if (this.#scopeAnswered) base.handleCommandComplete.call(this, message, connection);
    else this.#scopeAnswered = true;
  }
}
