/** Which indexes a schema lacks, and which it pays for in vain. Pure; `run.ts` reads the catalogue. */

export interface IndexFacts {
  table: string;
  name: string;
  method: string;
  /** Key columns in order, each with operator class, collation and direction; expressions as text. */
  keys: readonly string[];
  /** Names of the key columns; null for an expression. */
  columns: readonly (string | null)[];
  /** Further columns that it carries. */
  included: readonly string[];
  /** Condition of a partial index. */
  predicate: string | null;
  isUnique: boolean;
  /** Holds a primary key, unique or exclusion constraint. */
  isConstraint: boolean;
  scans: number;
  bytes: number;
}

export interface ForeignKeyFacts {
  table: string;
  name: string;
  columns: readonly string[];
}

/**
 * Foreign keys without an index that starts with their columns, in whatever order: a delete or update of the referenced row then
 * reads the whole table. A partial index serves only when its condition is that a column of the key is not null.
 */
export function unindexedForeignKeys(keys: readonly ForeignKeyFacts[], indexes: readonly IndexFacts[]): ForeignKeyFacts[] {
  const serves = ({ table, columns }: ForeignKeyFacts, index: IndexFacts): boolean =>
    index.table === table &&
    index.method === 'btree' &&
    (index.predicate === null || columns.some((column) => index.predicate === `(${column} IS NOT NULL)`)) &&
    columns.every((column) => index.columns.slice(0, columns.length).includes(column));
  return keys.filter((key) => !indexes.some((index) => serves(key, index)));
}

export interface Duplicate {
  index: IndexFacts;
  /** Answers the same questions. */
  by: IndexFacts;
}

/**
 * Indexes whose keys another index starts with. A unique one also forbids something, so only an equal unique one replaces it; of two
 * that replace each other the one that holds a constraint stays, else the first by name.
 */
export function duplicateIndexes(indexes: readonly IndexFacts[]): Duplicate[] {
  const replaces = (by: IndexFacts, index: IndexFacts): boolean =>
    by !== index &&
    by.table === index.table &&
    by.method === index.method &&
    by.predicate === index.predicate &&
    index.keys.every((key, place) => by.keys[place] === key) &&
    index.included.every((column) => by.included.includes(column) || by.columns.includes(column)) &&
    (!index.isUnique || (by.isUnique && by.keys.length === index.keys.length));
  const stays = (one: IndexFacts, other: IndexFacts): boolean =>
    one.isConstraint === other.isConstraint ? one.name < other.name : one.isConstraint;
  return indexes.flatMap((index) => {
    const by = indexes.find((other) => replaces(other, index) && (!replaces(index, other) || stays(other, index)));
    return by && !index.isConstraint ? [{ index, by }] : [];
  });
}

/** Never read since the server began to count, the largest first; what forbids duplicates earns its keep without being read. */
export const unusedIndexes = (indexes: readonly IndexFacts[]): IndexFacts[] =>
  indexes.filter(({ scans, isUnique, isConstraint }) => scans === 0 && !isUnique && !isConstraint).sort((a, b) => b.bytes - a.bytes);
