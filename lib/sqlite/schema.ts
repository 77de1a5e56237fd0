/** The tables of a SQLite database: from the same migrations that PostgreSQL runs, with the same names of constraints. */
import { type IndexStmt, type Node, strings } from './ast';
import type { Catalog, Table, TableColumn, TableConstraint } from './catalog';
import { NotCarried } from './not-carried';
import { Scope } from './scope';
import { Translator } from './translator';
import { affinityOf, coerce, identifier, modifiersOf, quote } from './types';

/** What the messages of our triggers begin with; {@link constraintError} reads them. */
export const EXCLUSION_FAILED = 'EXCLUDE constraint failed: ';
export const ISOLATION_FAILED = 'row-level security of ';

/** The statements that make an empty database, in an order that works. */
export function schemaSql(catalog: Catalog): string[] {
  const translator = new Translator({ catalog, isolated: false });
  return [...catalog.tables.values()].flatMap((table) => [
    createTable(table, translator),
    ...table.indexes.map((index) => createIndex(index, table, translator)),
    ...table.constraints
      .filter(({ kind }) => kind === 'exclusion')
      .flatMap((constraint) => exclusionTriggers(constraint, table, translator)),
    ...(table.isolated ? isolationTriggers(table) : []),
  ]);
}

function bareScope(table: Table, translator: Translator): Scope {
  const scope = new Scope();
  scope.add(translator.written(table.name, table.name, true));
  return scope;
}

/** The column that numbers the rows. Its key is the id alone: SQLite counts up no other. */
const identityOf = (table: Table): string | undefined =>
  table.columns.find(({ definition }) => definition.constraints?.some((node) => node.Constraint?.contype === 'CONSTR_IDENTITY'))?.name;

function createTable(table: Table, translator: Translator): string {
  const scope = bareScope(table, translator);
  const identity = identityOf(table);
  const columns = table.columns.map((column) =>
    column.name === identity ? `${identifier(column.name)} INTEGER PRIMARY KEY AUTOINCREMENT` : columnSql(column, translator, scope),
  );
  const constraints = table.constraints.flatMap((constraint) => constraintSql(constraint, identity, translator, scope));
  return `CREATE TABLE ${identifier(table.name)} (\n  ${[...columns, ...constraints].join(',\n  ')}\n)`;
}

function columnSql({ name, type, definition }: TableColumn, translator: Translator, scope: Scope): string {
  const parts = [identifier(name), affinityOf(type)];
  const [length] = definition.typeName.typmods ? modifiersOf(definition.typeName) : [];
  for (const { Constraint: constraint } of definition.constraints ?? []) {
    if (!constraint) continue;
    const value = () => coerce(translator.expressions.value(constraint.raw_expr ?? {}, scope), type).sql;
    if (constraint.contype === 'CONSTR_NOTNULL') parts.push('NOT NULL');
    if (constraint.contype === 'CONSTR_DEFAULT') parts.push(`DEFAULT (${value()})`);
    if (constraint.contype === 'CONSTR_GENERATED') parts.push(`GENERATED ALWAYS AS (${value()}) STORED`);
  }
  if (length !== undefined && type === 'text')
    parts.push(`CONSTRAINT ${identifier(`${name} is too long`)} CHECK (length(${identifier(name)}) <= ${length})`);
  return parts.join(' ');
}

const ON_DELETE: Readonly<Record<string, string>> = { a: 'NO ACTION', r: 'RESTRICT', c: 'CASCADE' };

function constraintSql(
  { name, kind, columns, definition }: TableConstraint,
  identity: string | undefined,
  translator: Translator,
  scope: Scope,
): string[] {
  const list = columns.map(identifier);
  const named = `CONSTRAINT ${identifier(name)} `;
  switch (kind) {
    case 'primary':
      if (identity === undefined) return [`${named}PRIMARY KEY (${list})`];
      return columns.length === 1 ? [] : [`${named}UNIQUE (${list})`];
    case 'unique':
      return [`${named}UNIQUE (${list})`];
    case 'check':
      return [`${named}CHECK (${translator.expressions.condition(definition.raw_expr ?? {}, scope)})`];
    case 'foreign': {
      const action = ON_DELETE[definition.fk_del_action ?? 'a'];
      if (!action || !definition.pktable) throw new NotCarried(`foreign key ${name}`);
      return [
        `${named}FOREIGN KEY (${list}) REFERENCES ${identifier(definition.pktable.relname)} (${strings(definition.pk_attrs).map(identifier)}) ON DELETE ${action}`,
      ];
    }
    case 'exclusion':
      return [];
  }
}

function createIndex(index: IndexStmt, table: Table, translator: Translator): string {
  const scope = bareScope(table, translator);
  const items = index.indexParams.map(({ IndexElem: item }) => {
    const what = item?.name ? identifier(item.name) : translator.expressions.value(item?.expr ?? {}, scope).sql;
    return item?.ordering === 'SORTBY_DESC' ? `${what} DESC` : what;
  });
  const where = index.whereClause ? ` WHERE ${translator.expressions.condition(index.whereClause, scope)}` : '';
  return `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${identifier(index.idxname)} ON ${identifier(table.name)} (${items})${where}`;
}

/** EXCLUDE with equality and overlapping ranges: one transaction writes at a time, so looking is enough. */
function exclusionTriggers({ name, definition }: TableConstraint, table: Table, translator: Translator): string[] {
  const scopeOf = (alias: string): Scope => {
    const scope = new Scope();
    scope.add({
      alias: table.name,
      columns: table.columns.map((column) => ({ name: column.name, type: column.type, sql: `${alias}.${identifier(column.name)}` })),
    });
    return scope;
  };
  const [fresh, other] = [scopeOf('NEW'), scopeOf('other')];
  const both = (node: Node): [string, string] => [
    translator.expressions.value(node, fresh).sql,
    translator.expressions.value(node, other).sql,
  ];
  const conditions = (definition.exclusions ?? []).map(({ List: list }) => {
    const [element, operator] = list?.items ?? [];
    const what = element?.IndexElem;
    const call = what?.expr?.FuncCall;
    const [sign] = strings(operator?.List?.items);
    if (what?.name && sign === '=') return `other.${identifier(what.name)} = NEW.${identifier(what.name)}`;
    const [start, end] = call?.args ?? [];
    if (sign !== '&&' || !start || !end) throw new NotCarried(`exclusion constraint ${name}`);
    const [starts, ends] = [both(start), both(end)];
    return `${starts[1]} < ${ends[0]} AND ${starts[0]} < ${ends[1]}`;
  });
  const applies = (scope: Scope): string =>
    definition.where_clause ? translator.expressions.condition(definition.where_clause, scope) : 'true';
  const on = identifier(table.name);
  const body = `SELECT RAISE(ABORT, ${quote(EXCLUSION_FAILED + name)}) FROM ${on} AS other
    WHERE other.rowid <> NEW.rowid AND ${conditions.join(' AND ')} AND ${applies(other)};`;
  return ['INSERT', 'UPDATE'].map(
    (event) => `CREATE TRIGGER ${identifier(`${name} ${event}`)} AFTER ${event} ON ${on} WHEN ${applies(fresh)} BEGIN ${body} END`,
  );
}

/** No row may be written for another tenant than the current one. */
function isolationTriggers(table: Table): string[] {
  return ['INSERT', 'UPDATE'].map(
    (event) => `CREATE TRIGGER ${identifier(`${table.name} isolation ${event}`)} BEFORE ${event} ON ${identifier(table.name)}
      WHEN NOT may_write(NEW.tenant_id) BEGIN SELECT RAISE(ABORT, ${quote(ISOLATION_FAILED + table.name)}); END`,
  );
}
