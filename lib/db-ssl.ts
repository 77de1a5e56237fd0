/** TLS to the database, the same for the service, migrations and commands. */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { config } from '../config';

/** What `DB_SSL` and `DB_SSL_CA_FILE` ask for, in the form that pg takes. @throws when the authority's file cannot be read */
export function sslOptions(): false | ConnectionOptions {
  if (config.DB_SSL === 'off') return false;
  if (config.DB_SSL === 'require') return { rejectUnauthorized: false };
  return { rejectUnauthorized: true, ...(config.DB_SSL_CA_FILE ? { ca: readFileSync(config.DB_SSL_CA_FILE, 'utf8') } : {}) };
}
