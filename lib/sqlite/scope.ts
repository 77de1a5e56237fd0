/** Which names an expression may use, and what stands for each in SQLite. */
import { NotCarried } from './not-carried';
import { identifier, type SqlType, type Typed } from './types';

export interface Column {
  readonly name: string;
  readonly sql: string;
  readonly type: SqlType;
}

/** One item of a FROM list, or the rows a statement writes. */
export interface Source {
  readonly alias: string;
  readonly columns: readonly Column[];
}

/** Output of a query: names and types, without expressions. */
export type Shape = readonly Omit<Column, 'sql'>[];

/** An expression that is a whole row: only what makes JSON of it can use it. */
export interface WholeRow extends Typed {
  readonly row: readonly Column[];
}

export class Scope {
  readonly sources: Source[] = [];
  readonly ctes = new Map<string, Shape>();
  readonly #parent: Scope | undefined;

  constructor(parent?: Scope) {
    this.#parent = parent;
  }

  child(): Scope {
    return new Scope(this);
  }

  add(source: Source): void {
    this.sources.push(source);
  }

  cte(name: string): Shape | undefined {
    return this.ctes.get(name) ?? this.#parent?.cte(name);
  }

  /** `a.id`, `id`, or the row `a`. @throws NotCarried for a name that nothing here has */
  resolve(parts: readonly string[]): Typed | WholeRow {
    const found = parts.length === 2 ? this.#qualified(parts[0] ?? '', parts[1] ?? '') : this.#bare(parts[0] ?? '');
    const known = found ?? this.#parent?.resolve(parts);
    if (!known) throw new NotCarried(`the name ${parts.join('.')}`);
    return known;
  }

  #qualified(alias: string, name: string): Typed | undefined {
    return this.sources.find((source) => source.alias === alias)?.columns.find((column) => column.name === name);
  }

  #bare(name: string): Typed | WholeRow | undefined {
    for (const { columns } of this.sources) {
      const column = columns.find((candidate) => candidate.name === name);
      if (column) return column;
    }
    const source = this.sources.find(({ alias }) => alias === name);
    return source && { sql: '', type: 'record', row: source.columns };
  }

  /** The columns that `*` or `alias.*` stands for. */
  expand(alias?: string): readonly Column[] {
    if (alias === undefined) return this.sources.flatMap(({ columns }) => columns);
    const source = this.sources.find((candidate) => candidate.alias === alias);
    if (source) return source.columns;
    if (!this.#parent) throw new NotCarried(`${alias}.*`);
    return this.#parent.expand(alias);
  }
}

export const isWholeRow = (value: Typed): value is WholeRow => 'row' in value;

/** A source whose columns are its own, by name. */
export const sourceOf = (alias: string, shape: Shape): Source => ({
  alias,
  columns: shape.map(({ name, type }) => ({ name, type, sql: `${identifier(alias)}.${identifier(name)}` })),
});
