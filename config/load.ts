/**
 * Environment -> one frozen configuration. Pure: reads only its arguments and the files they name.
 * All faults are collected and thrown together, so an operator repairs everything in one go.
 */
import { existsSync, readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import type { z } from 'zod';
import { buildName, UNNAMED_BUILD } from './build';
import { defaultControlSocket, SOCKET_PATH_MAX } from './control-socket';
import { type Environment, environmentSchema, isSecret, SECRET_VARIABLES } from './env';
import type { RawEnvironment } from './env-file';
import { type HostLimits, hostLimits } from './host';
import { isLocalUrl } from './postgres-url';
import { isSqliteUrl, sqliteFaults, withSqliteDefaults } from './sqlite';
import { type TlsMode, tlsModeOf } from './tls';

export { type RawEnvironment, withEnvFile } from './env-file';

export interface Fault {
  variable: string;
  problem: string;
}

/** Thrown by {@link loadConfig}; `faults` holds every problem found, not only the first. */
export class ConfigError extends Error {
  readonly faults: readonly Fault[];
  constructor(faults: Fault[]) {
    super(`Configuration refused:\n${faults.map(({ variable, problem }) => `  ${variable}: ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

const PLACEHOLDER = /^(change.?me|secret|dev.?secret|password|placeholder|example|test|your.*secret.*)/i;
/** Development hears of it, tests fail of it, production only counts. */
const N_PLUS_ONE_DEFAULT = { production: 'count', development: 'warn', test: 'raise' } as const;

export interface Config
  extends Omit<
    Environment,
    | 'APP_VERSION'
    | 'JWT_SECRET'
    | 'DB_SSL'
    | 'STRUCTURED_LOGGING'
    | 'WORKERS'
    | 'DB_SEED'
    | 'CONTROL_SOCKET'
    | 'EVIDENCE_DIR'
    | 'N_PLUS_ONE'
  > {
  readonly APP_VERSION: string;
  readonly WORKERS: number;
  readonly EVIDENCE_DIR: string;
  /** Where the worker count comes from, for `/stats`. */
  readonly workersSource: string;
  /** Empty until the launcher has filled it in (development generates it into `DATA_DIR`). */
  readonly JWT_SECRET: string;
  /** Of DATABASE_URL. */
  readonly DB_SSL: TlsMode;
  /** As it was given, for the other URLs. */
  readonly givenDbSsl: TlsMode | undefined;
  readonly STRUCTURED_LOGGING: boolean;
  readonly DB_SEED: 'demo' | 'none';
  readonly N_PLUS_ONE: 'off' | 'count' | 'warn' | 'raise';
  readonly CONTROL_SOCKET: string;
  /** No database was named: the primary starts the embedded one and hands its URLs to its children. */
  readonly embeddedDatabase: boolean;
  readonly isProduction: boolean;
  readonly secureCookies: boolean;
}

/**
 * @throws ConfigError naming every fault: wrong types, unreadable `*_FILE`s, contradictions, and what production refuses.
 */
export function loadConfig(source: RawEnvironment, host: HostLimits = hostLimits(), build = buildName()): Config {
  const faults: Fault[] = [];
  const raw = resolveFiles(source, faults);
  const parsed = environmentSchema.safeParse(raw, { error: readable });
  const unreadable = new Set<string>();
  for (const issue of parsed.error?.issues ?? []) {
    const variable = String(issue.path[0]);
    // A secret's value is never repeated: the message goes to logs.
    faults.push({ variable, problem: isSecret(variable) ? issue.message : `${issue.message}, not ${JSON.stringify(raw[variable])}` });
    unreadable.add(variable);
  }
  // Fall through with what is readable, so contradictions and production refusals are named in the same breath.
  for (const variable of unreadable) delete raw[variable];
  const config = withSqliteDefaults(derive(parsed.success ? parsed.data : environmentSchema.parse(raw), host, build), raw);
  const refusals = [...contradictions(config, raw), ...(config.isProduction ? productionRefusals(config) : [])];
  // What could not be read is already named; "is required" beside it would mislead.
  faults.push(...refusals.filter(({ variable }) => !faults.some((fault) => fault.variable.replace(/_FILE$/, '') === variable)));
  if (faults.length > 0) throw new ConfigError(unique(faults));
  return Object.freeze(config);
}

/** zod's findings as an operator reads them; messages given in the schema win over these. */
function readable(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'too_small':
      return `must be at least ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    case 'invalid_value':
      return (issue as { expected?: string }).expected === 'stringbool'
        ? 'must be true or false'
        : `must be one of ${issue.values.join(', ')}`;
    case 'invalid_format':
      return issue.format === 'guid' ? 'must be a UUID' : issue.format === 'url' ? 'must be a URL' : `must be a valid ${issue.format}`;
    default:
      return 'is not valid';
  }
}

/** Reads `ENV_FILE` and `NAME_FILE`s; an empty string counts as unset. */
function resolveFiles(source: RawEnvironment, faults: Fault[]): Record<string, string> {
  const merged: Record<string, string | undefined> = { ...source };
  const read = (variable: string, path: string): string | undefined => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      faults.push({ variable, problem: `cannot read the file it names (${(error as NodeJS.ErrnoException).code ?? 'error'})` });
      return undefined;
    }
  };
  if (source['ENV_FILE']) {
    const text = read('ENV_FILE', source['ENV_FILE']);
    for (const [name, value] of Object.entries(parseEnv(text ?? ''))) merged[name] ??= value;
  }
  for (const name of SECRET_VARIABLES) {
    const path = merged[`${name}_FILE`];
    if (!path) continue;
    if (merged[name]) faults.push({ variable: name, problem: `given twice: as ${name} and as ${name}_FILE` });
    else merged[name] = read(`${name}_FILE`, path)?.trim();
  }
  return Object.fromEntries(Object.entries(merged).filter((entry): entry is [string, string] => Boolean(entry[1])));
}

function derive(env: Environment, host: HostLimits, build: string): Config {
  const isProduction = env.NODE_ENV === 'production';
  const databaseUrl = env.DATABASE_URL ?? composeUrl(env);
  const embeddedDatabase = databaseUrl === undefined;
  const workers = isSqliteUrl(databaseUrl) && env.WORKERS === undefined ? { count: 1, source: 'SQLite' } : chooseWorkers(env, host);
  return {
    ...env,
    APP_VERSION: env.APP_VERSION ?? build,
    DATABASE_URL: databaseUrl,
    DATABASE_MIGRATION_URL: env.DATABASE_MIGRATION_URL ?? databaseUrl,
    DB_POOL_MAX: env.DB_POOL_SIZE ?? env.DB_POOL_MAX,
    WORKERS: workers.count,
    workersSource: workers.source,
    EVIDENCE_DIR: env.EVIDENCE_DIR ?? join(env.DATA_DIR, 'evidence'),
    JWT_SECRET: env.JWT_SECRET ?? '',
    DB_SSL: databaseUrl ? tlsModeOf(databaseUrl, { given: env.DB_SSL, isProduction }) : (env.DB_SSL ?? 'off'),
    givenDbSsl: env.DB_SSL,
    STRUCTURED_LOGGING: env.STRUCTURED_LOGGING ?? isProduction,
    N_PLUS_ONE: env.N_PLUS_ONE ?? N_PLUS_ONE_DEFAULT[env.NODE_ENV],
    DB_SEED: env.DB_SEED ?? (embeddedDatabase && env.NODE_ENV === 'development' ? 'demo' : 'none'),
    CONTROL_SOCKET: env.CONTROL_SOCKET ?? defaultControlSocket(env.DATA_DIR),
    embeddedDatabase,
    isProduction,
    secureCookies: isProduction || env.FORCE_SECURE_COOKIES,
  };
}

/** Several hosts may be named, with commas; they share the port. */
function composeUrl(env: Environment): string | undefined {
  if (!env.POSTGRES_HOST) return undefined;
  const [user, password, database] = [env.POSTGRES_USER, env.POSTGRES_PASSWORD ?? '', env.POSTGRES_DB].map(encodeURIComponent);
  const hosts = env.POSTGRES_HOST.split(',').map((host) => `${isIPv6(host) ? `[${host}]` : encodeURIComponent(host)}:${env.POSTGRES_PORT}`);
  return `postgres://${user}:${password}@${hosts.join(',')}/${database}`;
}

/** More than four workers by default would ask for more connections than DB_POOL_MAX's default divides well. */
const DEFAULT_WORKERS_MAX = 4;
/** What one worker is planned to use; a smaller machine gets fewer workers. */
const WORKER_MEMORY_MB = 256;

function chooseWorkers(env: Environment, host: HostLimits): { count: number; source: string } {
  if (env.WORKERS !== undefined) return { count: env.WORKERS, source: 'WORKERS' };
  const bounds = [
    { count: DEFAULT_WORKERS_MAX, source: `default ${DEFAULT_WORKERS_MAX}` },
    { count: host.processors, source: `${host.processors} processors` },
    { count: Math.ceil(host.cpuQuota ?? Number.POSITIVE_INFINITY), source: `quota of ${host.cpuQuota} processors` },
    { count: Math.floor(host.memoryMb / WORKER_MEMORY_MB), source: `${host.memoryMb} MB of memory` },
  ];
  const least = bounds.reduce((lowest, bound) => (bound.count < lowest.count ? bound : lowest));
  return { count: Math.max(1, least.count), source: least.source };
}

function contradictions(config: Config, raw: Record<string, string>): Fault[] {
  const faults: Fault[] = [];
  if (raw['DB_POOL_SIZE'] && raw['DB_POOL_MAX'] && raw['DB_POOL_SIZE'] !== raw['DB_POOL_MAX'])
    faults.push({ variable: 'DB_POOL_SIZE', problem: `contradicts DB_POOL_MAX (${raw['DB_POOL_SIZE']} and ${raw['DB_POOL_MAX']})` });
  if (config.DB_POOL_MIN > config.DB_POOL_MAX)
    faults.push({ variable: 'DB_POOL_MIN', problem: `is above DB_POOL_MAX (${config.DB_POOL_MIN} > ${config.DB_POOL_MAX})` });
  const jobs = config.JOBS ? 2 : 0;
  const needed = 2 * config.WORKERS + 2 + jobs;
  if (config.DB_POOL_MAX < needed)
    faults.push({
      variable: 'WORKERS',
      problem: `${config.WORKERS} workers x 2 + 2 for a replacement + ${jobs} for jobs = ${needed} connections, but DB_POOL_MAX is ${config.DB_POOL_MAX}`,
    });
  const all = config.INSTANCES * config.DB_POOL_MAX + config.DB_RESERVE;
  if (all > config.DB_MAX_CONNECTIONS)
    faults.push({
      variable: 'DB_POOL_MAX',
      problem: `${config.INSTANCES} instances x ${config.DB_POOL_MAX} + ${config.DB_RESERVE} reserved = ${all} connections, but DB_MAX_CONNECTIONS is ${config.DB_MAX_CONNECTIONS}`,
    });
  for (const name of ['JWT_SECRET', 'JWT_SECRET_PREVIOUS'])
    if (raw[name] && Buffer.byteLength(raw[name]) < 32) faults.push({ variable: name, problem: 'is shorter than 32 bytes' });
  if (!config.LOG_CONSOLE && !config.LOG_DIR)
    faults.push({ variable: 'LOG_CONSOLE', problem: 'is off, but there is no LOG_DIR: nothing would be logged' });
  if (Buffer.byteLength(config.CONTROL_SOCKET) > SOCKET_PATH_MAX)
    faults.push({ variable: 'CONTROL_SOCKET', problem: `is a path of more than ${SOCKET_PATH_MAX} bytes: "${config.CONTROL_SOCKET}"` });
  if (config.STATIC_DIR && !existsSync(join(config.STATIC_DIR, 'index.html')))
    faults.push({ variable: 'STATIC_DIR', problem: `must be a folder with an index.html, not "${config.STATIC_DIR}"` });
  return [...faults, ...sqliteFaults(config), ...replicaFaults(config)];
}

function replicaFaults({ DATABASE_URL, DATABASE_REPLICA_URLS = [], INSTANCES, REDIS_URL }: Config): Fault[] {
  if (DATABASE_REPLICA_URLS.length === 0) return [];
  const variable = 'DATABASE_REPLICA_URLS';
  const faults: Fault[] = [];
  if (DATABASE_URL === undefined || DATABASE_URL.startsWith('sqlite:'))
    faults.push({ variable, problem: 'needs DATABASE_URL: the embedded database and SQLite have no replicas' });
  if (INSTANCES > 1 && REDIS_URL === undefined)
    faults.push({
      variable,
      problem: `with ${INSTANCES} INSTANCES needs REDIS_URL: each must know who wrote at another, to show it at once`,
    });
  return faults;
}

function productionRefusals(config: Config): Fault[] {
  const faults: Fault[] = [];
  const refuse = (variable: string, problem: string) => faults.push({ variable, problem: `${problem} in production` });
  if (!config.JWT_SECRET) refuse('JWT_SECRET', 'is required');
  else if (looksInvented(config.JWT_SECRET)) refuse('JWT_SECRET', 'looks like a placeholder; not accepted');
  if (config.OPS_TOKEN && looksInvented(config.OPS_TOKEN)) refuse('OPS_TOKEN', 'looks like a placeholder; not accepted');
  if (!config.DATABASE_URL) refuse('DATABASE_URL', 'is required (or POSTGRES_HOST and its companions)');
  else if (isSqliteUrl(config.DATABASE_URL)) refuse('DATABASE_URL', 'SQLite is not accepted');
  for (const url of remoteUrls(config)) {
    const mode = tlsModeOf(url, { given: config.givenDbSsl, isProduction: true });
    if (mode !== 'verify') refuse('DB_SSL', 'must be verify for a database on another host (and sslmode of its URL, if any, verify-full)');
  }
  if (config.DB_SEED === 'demo') refuse('DB_SEED', 'demo data is not accepted');
  if (config.LOG_LEVEL === 'debug') refuse('LOG_LEVEL', 'DEBUG is not accepted');
  if (config.REDIS_URL && config.APP_VERSION === UNNAMED_BUILD)
    refuse('APP_VERSION', 'is required with REDIS_URL where the build has no fingerprint (dist/.tsbuildinfo)');
  return faults;
}

/** A sample value, or too few different characters to be random. */
const looksInvented = (secret: string): boolean => PLACEHOLDER.test(secret) || new Set(secret).size < 10;

/** Every PostgreSQL URL that leads to another machine. */
const remoteUrls = (config: Config): string[] =>
  [config.DATABASE_URL, config.DATABASE_MIGRATION_URL, config.PGBOUNCER_ADMIN_URL, ...(config.DATABASE_REPLICA_URLS ?? [])].filter(
    (url): url is string => url !== undefined && /^postgres/.test(url) && !isLocalUrl(url),
  );

function unique(faults: Fault[]): Fault[] {
  return [...new Map(faults.map((fault) => [`${fault.variable}|${fault.problem}`, fault])).values()];
}
