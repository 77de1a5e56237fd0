/** The difference between a row as read and as about to be saved, in the form that the audit tables keep. */
import type { Model, ModelStatic } from 'sequelize';

export interface Change {
  from: unknown;
  to: unknown;
}
/** By column name. */
export type Changes = Readonly<Record<string, Change>>;

const BOOKKEEPING = new Set(['version', 'updatedAt']);

/** What `row.save()` would change, without bookkeeping; empty when every value equals the stored one. */
export function pendingChanges(row: Model): Changes {
  const attributes = (row.constructor as ModelStatic<Model>).getAttributes() as Record<string, { field?: string }>;
  const names = (row.changed() || []).filter((name) => !BOOKKEEPING.has(name));
  return Object.fromEntries(
    names.map((name) => [
      attributes[name]?.field ?? name,
      { from: row.previous(name as never) ?? null, to: (row.get(name) as unknown) ?? null },
    ]),
  );
}

/** One side of the changes, for an audit row. */
export const side = (changes: Changes, which: 'from' | 'to'): Record<string, unknown> =>
  Object.fromEntries(Object.entries(changes).map(([name, change]) => [name, change[which]]));
