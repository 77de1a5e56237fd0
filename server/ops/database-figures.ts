/**
 * What the database server says of itself, for `/stats`: read every few seconds by one worker of the instance, the one in the first
 * slot, and carried to the primary by its next report. Older figures show by their age.
 */
import type { DatabaseFigures } from '../../lib/database-figures';
import { log } from '../../lib/log';
import { unsafeReadDatabaseFigures } from '../../services/statement-profiles.service';
import { keepFigures } from './figures-report';

const EVERY_MS = 5_000;

/** Reads now and again and again, one after another. @returns what ends it */
export function watchDatabaseServer(read: () => Promise<DatabaseFigures> = unsafeReadDatabaseFigures): () => void {
  let reading = false;
  const look = (): void => {
    if (reading) return;
    reading = true;
    read()
      .then((figures) => keepFigures({ ...figures, read_at: new Date().toISOString() }))
      // The probes report a database that does not answer; here the age of the figures shows.
      .catch((error: unknown) => log.debug('the database server could not be asked', { error }))
      .finally(() => {
        reading = false;
      });
  };
  look();
  const timer = setInterval(look, EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
