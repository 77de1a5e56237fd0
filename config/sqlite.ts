/**
 * What a SQLite database (development and tests) means for the other settings: one process writes to it, nothing works off its
 * jobs, and one in memory ends with the worker that holds it.
 */
import type { Config, Fault } from './load';

export const isSqliteUrl = (url: string | undefined): boolean => url?.startsWith('sqlite:') ?? false;
export const isInMemory = (url: string | undefined): boolean => /^sqlite:(\/\/)?:memory:$/.test(url ?? '');

const REPLACES_WORKERS = ['MAX_REQUESTS', 'WORKER_MAX_AGE', 'WORKER_MAX_RSS_MB'] as const;

/** Defaults that differ; what was given is judged by {@link sqliteFaults}. */
export function withSqliteDefaults(config: Config, raw: Readonly<Record<string, string>>): Config {
  if (!isSqliteUrl(config.DATABASE_URL)) return config;
  const kept = isInMemory(config.DATABASE_URL)
    ? Object.fromEntries(REPLACES_WORKERS.filter((name) => raw[name] === undefined).map((name) => [name, 0]))
    : {};
  return { ...config, ...kept, ...(raw['JOBS'] === undefined ? { JOBS: false } : {}) };
}

export function sqliteFaults(config: Config): Fault[] {
  if (!isSqliteUrl(config.DATABASE_URL)) return [];
  const faults: Fault[] = [];
  const refuse = (variable: string, problem: string): void => void faults.push({ variable, problem });
  if (config.WORKERS > 1) refuse('WORKERS', 'must be 1 with a SQLite database');
  if (config.INSTANCES > 1) refuse('INSTANCES', 'must be 1 with a SQLite database');
  if (config.JOBS) refuse('JOBS', 'must be off with a SQLite database: the job library needs PostgreSQL');
  if (config.DB_SEED === 'demo') refuse('DB_SEED', 'must be none with a SQLite database: seed data need PostgreSQL');
  if (config.DATABASE_REPLICA_URLS?.length) refuse('DATABASE_REPLICA_URLS', 'has no meaning with a SQLite database');
  if (isInMemory(config.DATABASE_URL))
    for (const name of REPLACES_WORKERS)
      if (config[name] > 0) refuse(name, 'must be 0 with sqlite::memory:, whose data go with the worker');
  return faults;
}
