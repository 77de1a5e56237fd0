/** Remembers this process's slow statements for `/stats`; the log has them already. */
import { config } from '../../config';
import { observeStatements } from '../../lib/db';
import { fingerprint } from '../../lib/read-watch';
import { recordSlowQuery } from './recorder';

export function rememberSlowQueries(): void {
  observeStatements(({ text, ms, operation }) => {
    if (ms >= config.LOG_SLOW_QUERY_MS) recordSlowQuery(fingerprint(text), ms, operation);
  });
}
