/**
 * A statement of PostgreSQL -> what SQLite runs for it. Nothing is guessed: what has no translation is refused
 * ({@link NotCarried}), so a wrong answer cannot come from here unnoticed.
 */
import { kindOf, type Node, type ResTarget, type SelectStmt, strings, type WithClause } from './ast';
import type { Catalog } from './catalog';
import { Expressions } from './expressions';
import { fromClause, withRowsFromFunction } from './from';
import { NotCarried } from './not-carried';
import type { Right } from './rights';
import type { Column, Scope, Shape, Source } from './scope';
import { coerce, commonType, identifier, type SqlType } from './types';

/** A query in SQLite's words. */
export interface Query {
  readonly sql: string;
  readonly shape: Shape;
  /** Its columns as identifiers, unique even where the shape repeats a name. */
  readonly names: readonly string[];
}

export interface TranslatorOptions {
  catalog: Catalog;
  /** Show and change the rows of the current tenant only; false for whoever may see all, as the owner of the tables. */
  isolated: boolean;
}

/** The condition that stands for row-level security. */
export const OWN_ROWS = `"tenant_id" = tenant_()`;

export class Translator {
  readonly catalog: Catalog;
  readonly expressions: Expressions;
  /** What the statement does with which table, gathered on the way. */
  readonly rights: (readonly [table: string, right: Right])[] = [];
  readonly #isolated: boolean;

  constructor({ catalog, isolated }: TranslatorOptions) {
    this.catalog = catalog;
    this.#isolated = isolated;
    this.expressions = new Expressions(this);
  }

  needs(table: string, right: Right): void {
    this.rights.push([table, right]);
  }

  isIsolated(table: string): boolean {
    return this.#isolated && (this.catalog.tables.get(table)?.isolated ?? false);
  }

  /** The rows of a table that may be seen. */
  visibleRows(table: string): string {
    return this.isIsolated(table) ? `(SELECT * FROM ${identifier(table)} WHERE ${OWN_ROWS})` : identifier(table);
  }

  /** @param scope a fresh one, child of what surrounds the query */
  select(node: Node, scope: Scope): Query {
    const { SelectStmt: statement } = node;
    if (!statement) throw new NotCarried(`${kindOf(node)} as a query`);
    const prefix = statement.withClause ? this.#with(statement.withClause, scope) : '';
    const query = this.#body(statement, scope);
    return { ...query, sql: prefix + query.sql };
  }

  #with({ ctes, recursive }: WithClause, scope: Scope): string {
    if (recursive) throw new NotCarried('WITH RECURSIVE');
    const parts = ctes.flatMap(({ CommonTableExpr: cte }) => {
      if (!cte) return [];
      const query = this.select(cte.ctequery, scope.child());
      const names = strings(cte.aliascolnames);
      const shape = query.shape.map((column, index) => ({ ...column, name: names[index] ?? column.name }));
      scope.ctes.set(cte.ctename, shape);
      const hint = cte.ctematerialized === 'CTEMaterializeAlways' ? ' MATERIALIZED' : '';
      return [`${identifier(cte.ctename)} (${shape.map(({ name }) => identifier(name))}) AS${hint} (${query.sql})`];
    });
    return `WITH ${parts.join(', ')} `;
  }

  #body(statement: SelectStmt, scope: Scope): Query {
    if (statement.op !== 'SETOP_NONE') return this.#setOperation(statement, scope);
    if (statement.valuesLists) return this.#valueList(statement.valuesLists, scope);
    return this.#plain(statement, scope);
  }

  #setOperation(statement: SelectStmt, scope: Scope): Query {
    const { larg, rarg, op, all } = statement;
    if (!larg || !rarg) throw new NotCarried(op);
    const left = this.select({ SelectStmt: larg }, scope.child());
    const right = this.select({ SelectStmt: rarg }, scope.child());
    const types = left.shape.map(({ type }, index) => commonType([type, right.shape[index]?.type ?? 'unknown']));
    const word = { SETOP_UNION: 'UNION', SETOP_INTERSECT: 'INTERSECT', SETOP_EXCEPT: 'EXCEPT', SETOP_NONE: '' }[op];
    const shape = left.shape.map(({ name }, index) => ({ name, type: types[index] ?? 'unknown' }));
    const sql = `${asTypes(left, types)} ${word}${all ? ' ALL' : ''} ${asTypes(right, types)}`;
    return { sql: sql + this.#orderAndLimit(statement, scope, shape), shape, names: left.names };
  }

  #valueList(lists: readonly Node[], scope: Scope): Query {
    const rows = lists.map(({ List: list }) => this.expressions.values(list?.items, scope));
    const types = (rows[0] ?? []).map((_, index) => commonType(rows.map((row) => row[index]?.type ?? 'unknown')));
    const shape = types.map((type, index) => ({ name: `column${index + 1}`, type: type === 'unknown' ? 'text' : type }));
    const sql = `VALUES ${rows.map((row) => `(${row.map((value, index) => coerce(value, types[index] ?? 'unknown').sql)})`)}`;
    return { sql, shape, names: shape.map(({ name }) => identifier(name)) };
  }

  #plain(given: SelectStmt, scope: Scope): Query {
    const { expressions } = this;
    const statement = withRowsFromFunction(given);
    const from = fromClause(statement.fromClause ?? [], this, scope);
    const columns = this.targets(statement.targetList ?? [], scope);
    const distinctOn = statement.distinctClause?.filter((node) => Object.keys(node).length > 0) ?? [];
    const shown = uniqueNames(columns);
    const list = columns.length === 0 ? '1' : columns.map(({ sql }, index) => `${sql} AS ${shown[index]}`).join(', ');
    const where = statement.whereClause ? ` WHERE ${expressions.condition(statement.whereClause, scope)}` : '';
    const group = statement.groupClause ? ` GROUP BY ${statement.groupClause.map((node) => this.#grouped(node, columns, scope))}` : '';
    const having = statement.havingClause ? ` HAVING ${expressions.condition(statement.havingClause, scope)}` : '';
    const rest = `${from === '' ? '' : ` FROM ${from}`}${where}${group}${having}`;
    const shape = columns.map(({ name, type }) => ({ name, type }));
    if (distinctOn.length > 0) return { sql: this.#firstOfEach(statement, { list, rest, shown, distinctOn }, scope), shape, names: shown };
    const distinct = statement.distinctClause ? 'DISTINCT ' : '';
    return { sql: `SELECT ${distinct}${list}${rest}${this.#orderAndLimit(statement, scope, shape)}`, shape, names: shown };
  }

  /** DISTINCT ON: the first row of each group, numbered in the order asked for. */
  #firstOfEach(
    statement: SelectStmt,
    { list, rest, shown, distinctOn }: { list: string; rest: string; shown: readonly string[]; distinctOn: readonly Node[] },
    scope: Scope,
  ): string {
    if (statement.limitCount || statement.limitOffset) throw new NotCarried('DISTINCT ON with LIMIT');
    const keys = this.expressions.values(distinctOn, scope).map(({ sql }) => sql);
    const order = statement.sortClause ? ` ORDER BY ${this.order(statement.sortClause, scope)}` : '';
    return `SELECT ${shown} FROM (SELECT ${list}, row_number() OVER (PARTITION BY ${keys}${order}) AS "row of key"${rest}) WHERE "row of key" = 1`;
  }

  #grouped(node: Node, columns: readonly Column[], scope: Scope): string {
    const place = node.A_Const?.ival?.ival;
    if (place !== undefined) return String(place);
    const [name, more] = strings(node.ColumnRef?.fields);
    // A name of the output stands for its expression unless a column has it.
    const output = more === undefined ? columns.find((column) => column.name === name) : undefined;
    try {
      return this.expressions.value(node, scope).sql;
    } catch (error) {
      if (output && error instanceof NotCarried) return output.sql;
      throw error;
    }
  }

  #orderAndLimit(statement: SelectStmt, scope: Scope, shape: Shape): string {
    const { sortClause, limitCount, limitOffset } = statement;
    const order = sortClause ? ` ORDER BY ${this.order(sortClause, scope, shape)}` : '';
    const count = (node: Node): string => coerce(this.expressions.value(node, scope), 'int8').sql;
    const offset = limitOffset ? ` OFFSET ${count(limitOffset)}` : '';
    // SQLite knows OFFSET only after LIMIT; -1 is none.
    const limit = limitCount ? ` LIMIT ${count(limitCount)}` : offset ? ' LIMIT -1' : '';
    return `${order}${limit}${offset}`;
  }

  /** @param output the columns of the query, whose names and numbers may be used */
  order(clause: readonly Node[], scope: Scope, output: Shape = []): string {
    return clause
      .flatMap(({ SortBy: sort }) => {
        if (!sort) return [];
        const [name, more] = strings(sort.node.ColumnRef?.fields);
        const place = more === undefined && name !== undefined ? output.findIndex((column) => column.name === name) + 1 : 0;
        const term = place > 0 ? String(place) : this.expressions.value(sort.node, scope).sql;
        const descends = sort.sortby_dir === 'SORTBY_DESC';
        // NULL counts as the greatest value in PostgreSQL, as the least in SQLite.
        const nullsFirst = sort.sortby_nulls === 'SORTBY_NULLS_DEFAULT' ? descends : sort.sortby_nulls === 'SORTBY_NULLS_FIRST';
        return [`${term}${descends ? ' DESC' : ''} NULLS ${nullsFirst ? 'FIRST' : 'LAST'}`];
      })
      .join(', ');
  }

  /** The columns of a SELECT list, stars spelled out. */
  targets(list: readonly Node[], scope: Scope): Column[] {
    return list.flatMap(({ ResTarget: target }) => {
      const fields = target?.val?.ColumnRef?.fields;
      if (fields?.at(-1)?.A_Star) return [...scope.expand(strings(fields)[0])];
      if (!target?.val) return [];
      const { sql, type } = this.expressions.value(target.val, scope);
      return [{ name: target.name ?? impliedName(target), sql, type }];
    });
  }

  /** A source for the rows that a statement writes: RETURNING and SET name columns bare. */
  written(table: string, alias: string, bare: boolean): Source {
    const columns = this.catalog.tables.get(table)?.columns;
    if (!columns) throw new NotCarried(`table ${table}`);
    const prefix = bare ? '' : `${identifier(alias)}.`;
    return { alias, columns: columns.map(({ name, type }) => ({ name, type, sql: prefix + identifier(name) })) };
  }
}

/** A query whose columns have these types; as it is when they have. */
function asTypes({ sql, shape, names }: Query, types: readonly SqlType[]): string {
  if (shape.every(({ type }, index) => type === types[index])) return `SELECT * FROM (${sql})`;
  return `SELECT ${names.map((name, index) => `${coerce({ sql: name, type: shape[index]?.type ?? 'unknown' }, types[index] ?? 'unknown').sql} AS ${name}`)} FROM (${sql})`;
}

function uniqueNames(columns: readonly Column[]): string[] {
  const seen = new Map<string, number>();
  return columns.map(({ name }) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return identifier(count === 1 ? name : `${name} ${count}`);
  });
}

/** The name that PostgreSQL gives to a column without one (parse_target.c, FigureColname). */
export function impliedName({ val = {} }: ResTarget): string {
  if (val.ColumnRef) return strings(val.ColumnRef.fields).at(-1) ?? '?column?';
  if (val.FuncCall) return strings(val.FuncCall.funcname).at(-1) ?? '?column?';
  if (val.TypeCast) {
    const inner = impliedName({ val: val.TypeCast.arg });
    return inner === '?column?' ? (strings(val.TypeCast.typeName.names).at(-1) ?? inner) : inner;
  }
  if (val.CoalesceExpr) return 'coalesce';
  if (val.CaseExpr) return 'case';
  if (val.MinMaxExpr) return val.MinMaxExpr.op === 'IS_GREATEST' ? 'greatest' : 'least';
  if (val.A_Expr?.kind === 'AEXPR_NULLIF') return 'nullif';
  if (val.SubLink?.subLinkType === 'EXISTS_SUBLINK') return 'exists';
  if (val.SubLink?.subLinkType === 'EXPR_SUBLINK') {
    const target = val.SubLink.subselect.SelectStmt?.targetList?.[0]?.ResTarget;
    return target?.name ?? (target ? impliedName(target) : '?column?');
  }
  return '?column?';
}
