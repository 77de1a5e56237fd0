/** FROM lists: tables, subqueries, functions that give rows, joins; and LATERAL, which SQLite knows for table functions alone. */
import { type Alias, lastName, type Node, type RangeFunction, type RangeVar, type SelectStmt, strings, tableName } from './ast';
import { itemType } from './functions';
import { NotCarried } from './not-carried';
import { type Column, type Scope, type Shape, type Source, sourceOf } from './scope';
import type { Query, Translator } from './translator';
import { coerce, commonType, identifier, isArray, isJson, isWhole, type SqlType, typeOf } from './types';

const ROW_FUNCTIONS = new Set([
  'unnest',
  'generate_series',
  'json_array_elements',
  'json_array_elements_text',
  'jsonb_array_elements_text',
]);

/** `SELECT f(x)` for a function that gives rows is `SELECT * FROM f(x)`; every other statement is as it was. */
export function withRowsFromFunction(statement: SelectStmt): SelectStmt {
  const [target, ...others] = statement.targetList ?? [];
  const call = target?.ResTarget?.val?.FuncCall;
  if (!call || others.length > 0 || statement.fromClause || !ROW_FUNCTIONS.has(lastName(call.funcname))) return statement;
  const name = target?.ResTarget?.name ?? lastName(call.funcname);
  return {
    ...statement,
    targetList: [{ ResTarget: { name, val: { ColumnRef: { fields: [{ String: { sval: name } }] } } } }],
    fromClause: [{ RangeFunction: { functions: [{ List: { items: [{ FuncCall: call }] } }], alias: { aliasname: name } } }],
  };
}

/** Adds the items to the scope and gives the FROM clause without its word; '' when there is none. */
export function fromClause(items: readonly Node[], translator: Translator, scope: Scope): string {
  return items
    .map((item) => fromItem(item, translator, scope))
    .filter(Boolean)
    .join(', ');
}

function fromItem(node: Node, translator: Translator, scope: Scope): string {
  if (node.RangeVar) return table(node.RangeVar, translator, scope);
  if (node.RangeSubselect) {
    const { subquery, alias, lateral } = node.RangeSubselect;
    if (!subquery.SelectStmt || !alias) throw new NotCarried('a subquery without a name');
    return lateral ? lateralQuery(subquery.SelectStmt, alias, translator, scope) : subselect(subquery, alias, translator, scope);
  }
  if (node.RangeFunction) return rowFunction(node.RangeFunction, translator, scope);
  if (node.JoinExpr) return join(node.JoinExpr, translator, scope);
  throw new NotCarried('an item of FROM');
}

function table(range: RangeVar, translator: Translator, scope: Scope): string {
  const name = tableName(range);
  const alias = range.alias?.aliasname ?? range.relname;
  const cte = range.schemaname ? undefined : scope.cte(name);
  const shape: Shape | undefined = cte ?? translator.catalog.tables.get(name)?.columns;
  if (!shape) throw new NotCarried(`table ${name}`);
  scope.add(sourceOf(alias, shape));
  if (!cte) translator.needs(name, 'select');
  const rows = cte ? identifier(name) : translator.visibleRows(name);
  return `${rows} AS ${identifier(alias)}`;
}

function renamed(shape: Shape, alias: Alias): Shape {
  const names = strings(alias.colnames);
  return shape.map((column, index) => ({ ...column, name: names[index] ?? column.name }));
}

function subselect(subquery: Node, alias: Alias, translator: Translator, scope: Scope): string {
  const query = translator.select(subquery, scope.child());
  const shape = renamed(query.shape, alias);
  scope.add(sourceOf(alias.aliasname, shape));
  return `(${withNames(query, shape)}) AS ${identifier(alias.aliasname)}`;
}

/** SQLite cannot name the columns of a subquery from outside. */
function withNames({ sql, shape, names }: Query, wanted: Shape): string {
  if (wanted.every((column, index) => column.name === shape[index]?.name)) return sql;
  return `SELECT ${names.map((name, index) => `${name} AS ${identifier(wanted[index]?.name ?? '')}`)} FROM (${sql})`;
}

/**
 * A subquery that sees the items before it. One row without a FROM is put in place of its columns; every other travels as a JSON
 * array of rows through json_each, whose argument may see what is to its left.
 */
function lateralQuery(select: SelectStmt, alias: Alias, translator: Translator, scope: Scope): string {
  const isOneRow =
    !select.fromClause && !select.whereClause && !select.withClause && !select.groupClause && !select.larg && !select.valuesLists;
  if (isOneRow) {
    const columns = translator.targets(select.targetList ?? [], scope);
    scope.add({ alias: alias.aliasname, columns });
    return '';
  }
  const query = translator.select({ SelectStmt: select }, scope.child());
  const name = identifier(alias.aliasname);
  const columns: Column[] = renamed(query.shape, alias).map(({ name: column, type }, index) => ({
    name: column,
    type,
    sql: `(${name}.value ->> ${index})`,
  }));
  scope.add({ alias: alias.aliasname, columns });
  return `json_each((SELECT json_group_array(json_array(${query.names})) FROM (${query.sql}))) AS ${name}`;
}

function join(
  { jointype, isNatural, larg, rarg, usingClause, quals }: NonNullable<Node['JoinExpr']>,
  translator: Translator,
  scope: Scope,
): string {
  if (isNatural || usingClause) throw new NotCarried('a join by equal names');
  const left = fromItem(larg, translator, scope);
  const right = fromItem(rarg, translator, scope);
  const word = { JOIN_INNER: 'JOIN', JOIN_LEFT: 'LEFT JOIN', JOIN_RIGHT: 'RIGHT JOIN', JOIN_FULL: 'FULL JOIN' }[jointype];
  if (right === '') return left;
  if (left === '') return right;
  const condition = quals ? ` ON ${translator.expressions.condition(quals, scope)}` : '';
  const nested = rarg.JoinExpr ? `(${right})` : right;
  return `${left} ${word} ${nested}${condition}`;
}

// ------------------------------------------------------------------ functions that give rows

function rowFunction({ functions, ordinality, alias, coldeflist }: RangeFunction, translator: Translator, scope: Scope): string {
  const call = functions[0]?.List?.items[0]?.FuncCall;
  if (!call || functions.length !== 1) throw new NotCarried('ROWS FROM');
  const name = lastName(call.funcname);
  const values = translator.expressions.values(call.args, scope);
  const label = alias?.aliasname ?? name;
  const names = strings(alias?.colnames);
  const each = (index: number): string => identifier(index === 0 ? label : `${label} ${index}`);
  const column = (index: number, fallback: string, type: SqlType, sql: string): Column => ({ name: names[index] ?? fallback, type, sql });
  const addSource = (columns: Column[]): void => {
    const place = column(columns.length, 'ordinality', 'int8', `(${each(0)}.key + 1)`);
    const source: Source = { alias: label, columns: ordinality ? [...columns, place] : columns };
    scope.add(source);
  };
  // A function that gives one column lends it the name of the item.
  const only = names.length === 0 && !coldeflist ? label : 'value';
  switch (name) {
    case 'unnest': {
      addSource(values.map((value, index) => column(index, only, itemType([value]), `${each(index)}.value`)));
      const lists = values.map(
        (value, index) => `json_each(${isArray(value.type) ? value.sql : coerce(value, 'text[]').sql}) AS ${each(index)}`,
      );
      return lists.map((list, index) => (index === 0 ? list : `JOIN ${list} ON ${each(index)}.key = ${each(0)}.key`)).join(' ');
    }
    case 'json_array_elements_text':
    case 'jsonb_array_elements_text':
      addSource([column(0, only, 'text', `${each(0)}.value`)]);
      return `json_each(${jsonText(values)}) AS ${each(0)}`;
    case 'json_array_elements':
    case 'jsonb_array_elements':
      addSource([column(0, only, 'json', `(${each(0)}.value)`)]);
      return `json_each(${jsonText(values)}) AS ${each(0)}`;
    case 'generate_series': {
      const found = commonType(values.slice(0, 2).map((value) => value.type));
      const type = found === 'unknown' ? 'int4' : found;
      const isSteps = values.length === 3;
      if (isSteps === isWhole(type)) throw new NotCarried('generate_series of these types');
      addSource([column(0, only, type, `${each(0)}.value`)]);
      const bounds = values.map((value, index) => coerce(value, index === 2 ? 'interval' : type).sql);
      return `json_each(${isSteps ? 'instant_series' : 'whole_series'}(${bounds})) AS ${each(0)}`;
    }
    case 'json_to_recordset':
    case 'jsonb_to_recordset':
      addSource(
        (coldeflist ?? []).flatMap(({ ColumnDef: defined }, index) => {
          if (!defined) return [];
          const type = typeOf(defined.typeName);
          const path = `'$.' || json_quote('${defined.colname}')`;
          const found = isJson(type) || isArray(type) ? `(${each(0)}.value -> (${path}))` : `(${each(0)}.value ->> (${path}))`;
          return [
            column(
              index,
              defined.colname,
              type,
              isArray(type) ? found : coerce({ sql: found, type: isJson(type) ? type : 'unknown' }, type).sql,
            ),
          ];
        }),
      );
      return `json_each(${jsonText(values)}) AS ${each(0)}`;
    default:
      throw new NotCarried(`rows of function ${name}`);
  }
}

function jsonText(values: Parameters<typeof itemType>[0]): string {
  const [value] = values;
  if (!value) throw new NotCarried('a JSON function without an argument');
  return coerce(value, 'json').sql;
}
