/** TLS to the database, the same for the service, migrations and commands. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { config } from '../config';
import { tlsModeOf } from '../config/tls';

/**
 * What a URL's `sslmode`, `DB_SSL` and `DB_SSL_CA_FILE` ask for, in the form that pg takes.
 * @param url default DATABASE_URL
 * @throws when the authority's file cannot be read
 */
export function sslOptions(url: string | undefined = config.DATABASE_URL): false | ConnectionOptions {
  const mode = url === undefined ? config.DB_SSL : tlsModeOf(url, { given: config.givenDbSsl, isProduction: config.isProduction });
  if (mode === 'off') return false;
  if (mode === 'require') return { rejectUnauthorized: false };
  return { rejectUnauthorized: true, ...(config.DB_SSL_CA_FILE ? { ca: readFileSync(config.DB_SSL_CA_FILE, 'utf8') } : {}) };
}
