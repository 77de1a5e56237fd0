/**
 * Reads PostgreSQL URLs as libpq does, several hosts included: `postgres://user:password@h1:p1,h2:p2/database?target_session_attrs=read-write`.
 * The platform's URL knows one host, and the driver's own parser as well. Pure.
 * Form: PostgreSQL documentation, 34.1.1 "Connection Strings" and 34.1.2 (`host`, `port`, `sslmode`, `target_session_attrs`).
 */
export interface PostgresHost {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
}

const SESSION_ATTRIBUTES = ['any', 'read-write', 'primary', 'read-only', 'standby'] as const;
/** What a server must be for a connection to it to count. */
export type SessionAttributes = (typeof SESSION_ATTRIBUTES)[number];

export interface PostgresAddress {
  /** In the order in which they are tried; never empty. */
  readonly hosts: readonly [PostgresHost, ...PostgresHost[]];
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** Default `read-write` where several hosts are named (libpq's is `any`): the service writes. */
  readonly sessionAttributes: SessionAttributes;
  /** TLS as the URL asks for it, in the words of DB_SSL; undefined when it says nothing. */
  readonly ssl: 'off' | 'require' | 'verify' | undefined;
}

const FORM = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^@/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const HOST = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/i;
const DEFAULT_PORT = 5432;
const LOCAL = /^(localhost|127\.\d+\.\d+\.\d+|::1|\/.*)$/;
/** Where none is named: said in so many words, because the driver would ask PGHOST for it. */
const DEFAULT_HOST = 'localhost';
const SSL_MODES: Readonly<Record<string, PostgresAddress['ssl']>> = {
  disable: 'off',
  require: 'require',
  'verify-ca': 'verify',
  'verify-full': 'verify',
};
const PARAMETERS = new Set(['host', 'port', 'sslmode', 'target_session_attrs']);

/** @throws Error in words for the operator, which never repeat the URL */
export function parsePostgresUrl(url: string): PostgresAddress {
  const [, credentials = '', authority = '', path = '', search = ''] = FORM.exec(url) ?? fail('is not a PostgreSQL URL');
  const parameters = new URLSearchParams(search);
  for (const name of parameters.keys()) if (!PARAMETERS.has(name)) fail(`has a parameter that is not supported: ${name}`);
  const [user = '', ...rest] = credentials.split(':');
  const hosts = hostsOf(authority, parameters);
  return {
    hosts,
    database: decoded(path),
    user: decoded(user),
    password: decoded(rest.join(':')),
    sessionAttributes: sessionAttributesOf(parameters.get('target_session_attrs'), hosts.length),
    ssl: sslOf(parameters.get('sslmode')),
  };
}

/** True when every host is this machine (loopback or a Unix socket), where TLS adds nothing. */
export function isLocalUrl(url: string): boolean {
  try {
    return parsePostgresUrl(url).hosts.every(({ host }) => LOCAL.test(host));
  } catch {
    return false; // what cannot be read is not known to be local
  }
}

function fail(problem: string): never {
  throw new Error(problem);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return fail('has a percent sign that encodes nothing: write %25');
  }
}

function hostsOf(authority: string, parameters: URLSearchParams): PostgresAddress['hosts'] {
  const named = authority.split(',').map((text) => {
    const [, v6, name = '', port] = HOST.exec(text) ?? fail('has a host that cannot be read');
    return { host: v6 ?? (decoded(name) || DEFAULT_HOST), port: portOf(port) };
  });
  const ports = parameters.get('port')?.split(',').map(portOf);
  const hosts =
    parameters
      .get('host')
      ?.split(',')
      .map((host) => ({ host: host || DEFAULT_HOST, port: named[0]?.port ?? DEFAULT_PORT })) ?? named;
  if (ports && ports.length !== 1 && ports.length !== hosts.length) fail('names as many ports as hosts, or one for all');
  const [first, ...others] = hosts.map(({ host, port }, index) => ({ host, port: ports?.[index] ?? ports?.[0] ?? port }));
  return [first ?? fail('names no host'), ...others];
}

function portOf(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_PORT;
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : fail('has a port that is none');
}

function sessionAttributesOf(text: string | null, hosts: number): SessionAttributes {
  if (text === null) return hosts > 1 ? 'read-write' : 'any';
  return (
    SESSION_ATTRIBUTES.find((known) => known === text) ?? fail(`has a target_session_attrs other than ${SESSION_ATTRIBUTES.join(', ')}`)
  );
}

function sslOf(mode: string | null): PostgresAddress['ssl'] {
  if (mode === null) return undefined;
  if (!(mode in SSL_MODES)) fail(`has an sslmode other than ${Object.keys(SSL_MODES).join(', ')}`);
  return SSL_MODES[mode];
}
