/** A refusal of the database under PostgreSQL's code for it, as the pg driver would report it (`lib/db-errors.ts` reads both). */
export class SqlFailure extends Error {
  readonly code: string;
  readonly severity = 'ERROR';
  readonly constraint: string | undefined;
  readonly table: string | undefined;
  /** Sequelize reads it without asking whether it is there. */
  readonly detail = '';

  constructor(
    code: string,
    message: string,
    { constraint, table, cause }: { constraint?: string | undefined; table?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.name = 'SqlFailure';
    this.code = code;
    this.constraint = constraint;
    this.table = table;
  }
}
