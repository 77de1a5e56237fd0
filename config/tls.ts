/** How a connection to PostgreSQL is protected. Pure. */
import { isLocalUrl, parsePostgresUrl } from './postgres-url';

/** `require` encrypts and believes any certificate; `verify` checks authority and host name. */
export type TlsMode = 'off' | 'require' | 'verify';

/** The URL's own `sslmode`, else DB_SSL as `given`, else verified TLS to another host in production. @throws Error for an unreadable URL */
export function tlsModeOf(url: string, { given, isProduction }: { given: TlsMode | undefined; isProduction: boolean }): TlsMode {
  if (url.startsWith('sqlite:')) return 'off';
  return parsePostgresUrl(url).ssl ?? given ?? (isProduction && !isLocalUrl(url) ? 'verify' : 'off');
}
