/** What this database cannot do for the service. */
import { AppError } from '../errors';

/** 501: the statement uses something of PostgreSQL that is not translated for SQLite. */
export class NotCarried extends AppError {
  readonly status = 501;
  constructor(what: string, options: { cause?: unknown } = {}) {
    super('not_implemented', 'Not available on a SQLite database', options);
    this.cause = options.cause ?? `not translated: ${what}`;
  }
}
