/**
 * Whole statements: queries, and INSERT, UPDATE and DELETE with what PostgreSQL allows around them. SQLite knows no writing
 * statement inside WITH: there every part runs for itself, in the order written, and its rows reach the later parts as JSON.
 */
import { type DeleteStmt, type InsertStmt, kindOf, type Node, type Returning, tableName, type UpdateStmt, type WithClause } from './ast';
import type { Table } from './catalog';
import { fromClause } from './from';
import { NotCarried } from './not-carried';
import type { Right } from './rights';
import { Scope, type Shape } from './scope';
import { OWN_ROWS, type Query, Translator, type TranslatorOptions } from './translator';
import { coerce, identifier, isJson, type SqlType } from './types';

export interface Step extends Query {
  /** Number of the parameter under which the rows of this step reach the later ones. */
  readonly handsOn?: number;
}

export interface Plan {
  /** In order; the last one gives the rows of the statement. */
  readonly steps: readonly Step[];
  /** The word of the command tag. */
  readonly command: 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';
  /** What the session must be allowed to do. */
  readonly rights: readonly (readonly [table: string, right: Right])[];
}

/** Parameters of ours begin here; a statement of the service has fewer. */
const FIRST_OWN_PARAMETER = 100;

export function planStatement(node: Node, options: TranslatorOptions): Plan {
  const translator = new Translator(options);
  const { InsertStmt: insert, UpdateStmt: update, DeleteStmt: remove, SelectStmt: select } = node;
  const statement = insert ?? update ?? remove ?? select;
  if (!statement) throw new NotCarried(kindOf(node));
  const scope = new Scope();
  const { withClause } = statement;
  const isSplit = (withClause?.ctes ?? []).some(({ CommonTableExpr: cte }) => cte && !cte.ctequery.SelectStmt);
  const command = insert ? 'INSERT' : update ? 'UPDATE' : remove ? 'DELETE' : 'SELECT';
  if (!isSplit && select) return { steps: [translator.select(node, scope)], command, rights: translator.rights };
  const steps: Step[] = [];
  const prefix = withClause ? splitWith(withClause, translator, scope, steps) : '';
  const last = writeOrRead(withoutWith(node), translator, scope);
  return { steps: [...steps, { ...last, sql: prefix + last.sql }], command, rights: translator.rights };
}

/** The same statement without its WITH, which has been dealt with. */
function withoutWith(node: Node): Node {
  const [kind, statement] = Object.entries(node)[0] ?? [];
  const { withClause: _, ...rest } = statement as { withClause?: WithClause };
  return { [kind ?? '']: rest } as Node;
}

/** A step for each part. @returns the WITH clause that gives the rows of the parts so far */
function splitWith({ ctes }: WithClause, translator: Translator, scope: Scope, steps: Step[]): string {
  const known: string[] = [];
  const prefix = (): string => (known.length > 0 ? `WITH ${known.join(', ')} ` : '');
  for (const { CommonTableExpr: cte } of ctes) {
    if (!cte) continue;
    const parameter = FIRST_OWN_PARAMETER + steps.length;
    const query = writeOrRead(cte.ctequery, translator, scope.child());
    steps.push({ ...query, sql: prefix() + query.sql, handsOn: parameter });
    scope.ctes.set(cte.ctename, query.shape);
    if (query.shape.length === 0) continue;
    const columns = query.shape.map(({ type }, index) => (isJson(type) ? `value -> ${index}` : `value ->> ${index}`));
    known.push(
      `${identifier(cte.ctename)} (${query.shape.map(({ name }) => identifier(name))}) AS MATERIALIZED (SELECT ${columns} FROM json_each(?${parameter}))`,
    );
  }
  return prefix();
}

function writeOrRead(node: Node, translator: Translator, scope: Scope): Query {
  if (node.InsertStmt) return insertInto(node.InsertStmt, translator, scope);
  if (node.UpdateStmt) return updateOf(node.UpdateStmt, translator, scope);
  if (node.DeleteStmt) return deleteFrom(node.DeleteStmt, translator, scope);
  return translator.select(node, scope);
}

function tableOf(name: string, translator: Translator): Table {
  const table = translator.catalog.tables.get(name);
  if (!table) throw new NotCarried(`table ${name}`);
  return table;
}

const typeIn = (table: Table, column: string): SqlType => {
  const found = table.columns.find(({ name }) => name === column);
  if (!found) throw new NotCarried(`column ${table.name}.${column}`);
  return found.type;
};

// ------------------------------------------------------------------ INSERT

function insertInto(statement: InsertStmt, translator: Translator, scope: Scope): Query {
  const table = tableOf(tableName(statement.relation), translator);
  const alias = statement.relation.alias?.aliasname ?? table.name;
  const named = (statement.cols ?? []).flatMap(({ ResTarget: target }) => (target?.name ? [target.name] : []));
  const columns = named.length > 0 ? named : table.columns.map(({ name }) => name);
  translator.needs(table.name, 'insert');
  const rows = rowsToInsert(statement, columns, table, translator, scope);
  const conflict = statement.onConflictClause ? onConflict(statement.onConflictClause, table, alias, translator, scope) : '';
  const returned = returning(statement.returningClause, table, alias, translator, scope);
  const as = alias === table.name ? '' : ` AS ${identifier(alias)}`;
  return { ...returned, sql: `INSERT INTO ${identifier(table.name)}${as} ${rows}${conflict}${returned.sql}` };
}

function rowsToInsert(statement: InsertStmt, columns: readonly string[], table: Table, translator: Translator, scope: Scope): string {
  const select = statement.selectStmt?.SelectStmt;
  if (!select) return 'DEFAULT VALUES';
  if (!select.valuesLists) {
    const query = translator.select({ SelectStmt: select }, scope.child());
    const values = query.names.map((sql, index) =>
      coerce({ sql, type: query.shape[index]?.type ?? 'unknown' }, typeIn(table, columns[index] ?? '')),
    );
    // WHERE tells a following ON CONFLICT from the ON of a join.
    return `(${columns.map(identifier)}) SELECT ${values.map(({ sql }) => sql)} FROM (${query.sql}) WHERE true`;
  }
  const rows = select.valuesLists.map(({ List: list }) => list?.items ?? []);
  // A column that takes its default is left out: SQLite has no word for it among values.
  const isDefault = columns.map((_, index) => rows.every((row) => row[index]?.SetToDefault));
  if (rows.some((row) => row.some((node, index) => node.SetToDefault && !isDefault[index]))) throw new NotCarried('DEFAULT in some rows');
  const given = columns.filter((_, index) => !isDefault[index]);
  const lists = rows.map((row) => {
    const values = row.flatMap((node, index) =>
      isDefault[index] ? [] : [coerce(translator.expressions.value(node, scope), typeIn(table, columns[index] ?? '')).sql],
    );
    return `(${values})`;
  });
  return given.length === 0 ? 'DEFAULT VALUES' : `(${given.map(identifier)}) VALUES ${lists}`;
}

function onConflict(
  clause: NonNullable<InsertStmt['onConflictClause']>,
  table: Table,
  alias: string,
  translator: Translator,
  outer: Scope,
): string {
  const { action, infer, targetList, whereClause } = clause;
  const bare = outer.child();
  bare.add(translator.written(table.name, alias, true));
  const constraint = table.constraints.find(({ name }) => name === infer?.conname);
  const keys = constraint
    ? constraint.columns.map(identifier)
    : (infer?.indexElems ?? []).map(({ IndexElem: item }) =>
        item?.name ? identifier(item.name) : translator.expressions.value(item?.expr ?? {}, bare).sql,
      );
  const filter = infer?.whereClause ? ` WHERE ${translator.expressions.condition(infer.whereClause, bare)}` : '';
  const target = keys.length > 0 ? ` (${keys})${filter}` : '';
  if (action === 'ONCONFLICT_NOTHING') return ` ON CONFLICT${target} DO NOTHING`;
  translator.needs(table.name, 'update');
  const scope = outer.child();
  scope.add(translator.written(table.name, alias, false));
  scope.add({ ...translator.written(table.name, 'excluded', false), alias: 'excluded' });
  const where = whereClause ? ` WHERE ${translator.expressions.condition(whereClause, scope)}` : '';
  return ` ON CONFLICT${target} DO UPDATE SET ${assignments(targetList ?? [], table, translator, scope)}${where}`;
}

// ------------------------------------------------------------------ UPDATE, DELETE

function updateOf(statement: UpdateStmt, translator: Translator, outer: Scope): Query {
  const table = tableOf(tableName(statement.relation), translator);
  const alias = statement.relation.alias?.aliasname ?? table.name;
  const scope = outer.child();
  scope.add(translator.written(table.name, alias, false));
  translator.needs(table.name, 'update');
  const from = fromClause(statement.fromClause ?? [], translator, scope);
  const set = assignments(statement.targetList, table, translator, scope);
  const where = whereOwn(statement.whereClause, table, alias, translator, scope);
  const returned = returning(statement.returningClause, table, alias, translator, outer);
  return {
    ...returned,
    sql: `UPDATE ${identifier(table.name)} AS ${identifier(alias)} SET ${set}${from === '' ? '' : ` FROM ${from}`}${where}${returned.sql}`,
  };
}

function deleteFrom(statement: DeleteStmt, translator: Translator, outer: Scope): Query {
  const table = tableOf(tableName(statement.relation), translator);
  const alias = statement.relation.alias?.aliasname ?? table.name;
  const scope = outer.child();
  scope.add(translator.written(table.name, alias, false));
  translator.needs(table.name, 'delete');
  if (statement.usingClause) throw new NotCarried('DELETE USING');
  const where = whereOwn(statement.whereClause, table, alias, translator, scope);
  const returned = returning(statement.returningClause, table, alias, translator, outer);
  return { ...returned, sql: `DELETE FROM ${identifier(table.name)} AS ${identifier(alias)}${where}${returned.sql}` };
}

function assignments(list: readonly Node[], table: Table, translator: Translator, scope: Scope): string {
  return list
    .flatMap(({ ResTarget: target }) => {
      if (!target?.name || !target.val) return [];
      return [`${identifier(target.name)} = ${coerce(translator.expressions.value(target.val, scope), typeIn(table, target.name)).sql}`];
    })
    .join(', ');
}

function whereOwn(clause: Node | undefined, table: Table, alias: string, translator: Translator, scope: Scope): string {
  const conditions = [
    ...(clause ? [translator.expressions.condition(clause, scope)] : []),
    ...(translator.isIsolated(table.name) ? [`${identifier(alias)}.${OWN_ROWS}`] : []),
  ];
  return conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '';
}

/** RETURNING of SQLite sees the written row alone. */
function returning(
  clause: Returning | undefined,
  table: Table,
  alias: string,
  translator: Translator,
  outer: Scope,
): { sql: string; shape: Shape; names: readonly string[] } {
  if (!clause?.exprs) return { sql: '', shape: [], names: [] };
  const scope = outer.child();
  scope.add(translator.written(table.name, alias, true));
  const columns = translator.targets(clause.exprs, scope);
  const names = columns.map(({ name }) => identifier(name));
  return {
    sql: ` RETURNING ${columns.map(({ sql }, index) => `${sql} AS ${names[index]}`)}`,
    shape: columns.map(({ name, type }) => ({ name, type })),
    names,
  };
}
