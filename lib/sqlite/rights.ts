/** What the service may do with each table: the migrations grant it to the role that the service works under. */
import { type GrantStmt, tableName } from './ast';
import { SqlFailure } from './sql-failure';

export type Right = 'select' | 'insert' | 'update' | 'delete';

/** Table -> rights. A right to some columns counts as one to the table. */
export type Rights = Map<string, Set<string>>;

const ALL: readonly Right[] = ['select', 'insert', 'update', 'delete'];

/** GRANT or REVOKE on tables; what else can be granted has no meaning here. */
export function changeRights(rights: Rights, { is_grant: grants = false, objtype, objects = [], privileges }: GrantStmt): void {
  if (objtype !== 'OBJECT_TABLE') return;
  const named = privileges?.map(({ AccessPriv: privilege }) => privilege?.priv_name ?? '') ?? ALL;
  for (const { RangeVar: range } of objects) {
    if (!range) continue;
    const known = rights.get(tableName(range)) ?? new Set();
    for (const name of named) {
      if (grants) known.add(name);
      else known.delete(name);
    }
    rights.set(tableName(range), known);
  }
}

/** @throws SqlFailure 42501 */
export function assertRight(rights: Rights, table: string, right: Right): void {
  if (!rights.get(table)?.has(right)) throw new SqlFailure('42501', `permission denied for table ${table}`, { table });
}
