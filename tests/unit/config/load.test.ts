import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentSchema, SECRET_VARIABLES } from '../../../config/env';
import type { HostLimits } from '../../../config/host';
import { ConfigError, loadConfig, type RawEnvironment, withEnvFile } from '../../../config/load';
import { parsePostgresUrl } from '../../../config/postgres-url';
import { tlsModeOf } from '../../../config/tls';

const SECRET = 'f3b1c5d7e9a2468013579bdf02468ace';
const BIG: HostLimits = { processors: 64, cpuQuota: undefined, memoryMb: 65_536 };
const PRODUCTION = { NODE_ENV: 'production', JWT_SECRET: SECRET, DATABASE_URL: 'postgres://app:pw@localhost/shop' };

const load = (env: RawEnvironment, host = BIG, build?: string) => loadConfig(env, host, build);

function faultsOf(env: RawEnvironment): string[] {
  try {
    load(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ variable, problem }) => `${variable}: ${problem}`);
    throw error;
  }
  return [];
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

describe('loadConfig › defaults', () => {
  test('empty environment › development with the embedded database and demo data, frozen', () => {
    const config = load({});
    expect(config).toMatchObject({ NODE_ENV: 'development', HOST: '0.0.0.0', PORT: 3001, OPS_HOST: '127.0.0.1', OPS_PORT: 9090 });
    expect(config).toMatchObject({ WORKERS: 4, WORKER_TIMEOUT: 30, MAX_REQUESTS: 1000, MAX_REQUESTS_JITTER: 100, GRACEFUL_TIMEOUT: 30 });
    expect(config).toMatchObject({
      DB_POOL_MIN: 5,
      DB_POOL_MAX: 20,
      DB_TIMEOUT: 30,
      DB_MAX_CONNECTIONS: 100,
      DB_RESERVE: 10,
      INSTANCES: 1,
    });
    expect(config).toMatchObject({
      embeddedDatabase: true,
      DB_SEED: 'demo',
      DB_SSL: 'off',
      LOG_LEVEL: 'info',
      JOBS: true,
      secureCookies: false,
    });
    expect(config.RATE_LIMIT_LOGIN).toEqual({ limit: 10, windowMs: 300_000 });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test('blank values › count as unset', () => {
    expect(load({ PORT: '', OPS_TOKEN: '', WORKERS: '' })).toMatchObject({ PORT: 3001, WORKERS: 4 });
  });

  test.each([
    [{ processors: 2, cpuQuota: undefined, memoryMb: 8192 }, 2, '2 processors'],
    [{ processors: 16, cpuQuota: 1.5, memoryMb: 8192 }, 2, 'quota of 1.5 processors'],
    [{ processors: 16, cpuQuota: undefined, memoryMb: 600 }, 2, '600 MB of memory'],
    [{ processors: 16, cpuQuota: 0.2, memoryMb: 100 }, 1, '100 MB of memory'],
    [{ processors: 16, cpuQuota: 8, memoryMb: 8192 }, 4, 'default 4'],
  ])('workers on %j › the least of all bounds, at least one', (host, workers, source) => {
    expect(load({}, host)).toMatchObject({ WORKERS: workers, workersSource: source });
  });

  test('WORKERS given › wins over the machine', () => {
    expect(load({ WORKERS: '3' }, { processors: 1, cpuQuota: 0.5, memoryMb: 100 })).toMatchObject({ WORKERS: 3, workersSource: 'WORKERS' });
  });

  test('database by its parts › a URL with the parts encoded', () => {
    const config = load({
      POSTGRES_HOST: 'db',
      POSTGRES_PORT: '6432',
      POSTGRES_DB: 'shop',
      POSTGRES_USER: 'me',
      POSTGRES_PASSWORD: 'p@ss/word',
    });
    expect(config.DATABASE_URL).toBe('postgres://me:p%40ss%2Fword@db:6432/shop');
    expect(config).toMatchObject({ DATABASE_MIGRATION_URL: config.DATABASE_URL, embeddedDatabase: false, DB_SEED: 'none' });
  });

  test('several hosts and a percent sign in the password › a URL that reads back as given', () => {
    const { DATABASE_URL } = load({ POSTGRES_HOST: 'h1,::1', POSTGRES_PASSWORD: '50%,@' });
    expect(parsePostgresUrl(DATABASE_URL ?? '')).toMatchObject({ password: '50%,@', hosts: [{ host: 'h1' }, { host: '::1' }] });
  });

  test('DB_POOL_SIZE alone › is DB_POOL_MAX', () => {
    expect(load({ DB_POOL_SIZE: '24' }).DB_POOL_MAX).toBe(24);
  });

  test.each([
    ['WARNING', 'warn'],
    ['warn', 'warn'],
    ['error', 'error'],
    ['Debug', 'debug'],
  ])('LOG_LEVEL=%s › %s', (given, level) => {
    expect(load({ LOG_LEVEL: given }).LOG_LEVEL).toBe(level);
  });
});

describe('loadConfig › faults', () => {
  test('several wrong values › all named at once, in words', () => {
    expect(
      faultsOf({
        PORT: '70000',
        WORKERS: 'many',
        MAX_REQUESTS: '1.5',
        GRACEFUL_TIMEOUT: '0',
        JOBS: 'perhaps',
        DISPATCH: 'random',
        DEFAULT_TENANT_ID: 'shop',
        PUBLIC_URL: 'here',
        RATE_LIMIT_LOGIN: '10 per minute',
        LOG_LEVEL: 'loud',
        REDIS_URL: 'http://cache',
      }).sort(),
    ).toEqual([
      'DEFAULT_TENANT_ID: must be a UUID, not "shop"',
      'DISPATCH: must be one of least, rr, not "random"',
      'GRACEFUL_TIMEOUT: must be at least 1, not "0"',
      'JOBS: must be true or false, not "perhaps"',
      'LOG_LEVEL: must be one of ERROR, WARNING, WARN, INFO, DEBUG, not "loud"',
      'MAX_REQUESTS: must be a whole number, not "1.5"',
      'PORT: must be at most 65535, not "70000"',
      'PUBLIC_URL: must be a URL, not "here"',
      'RATE_LIMIT_LOGIN: must be count/seconds, both at least 1, for example 10/300, not "10 per minute"',
      'REDIS_URL: must start with redis:// or rediss://',
      'WORKERS: must be a number, not "many"',
    ]);
  });

  test.each(['10/0', '0/300', '0/0'])('a rate of %s, which would limit nothing or refuse everything › refused', (rate) => {
    expect(faultsOf({ RATE_LIMIT_SESSION: rate })).toEqual([
      `RATE_LIMIT_SESSION: must be count/seconds, both at least 1, for example 10/300, not "${rate}"`,
    ]);
  });

  test('a wrong value and contradictions › named in the same breath', () => {
    expect(faultsOf({ ...PRODUCTION, JWT_SECRET: '', PORT: 'http', DB_SEED: 'demo' })).toEqual([
      'PORT: must be a number, not "http"',
      'JWT_SECRET: is required in production',
      'DB_SEED: demo data is not accepted in production',
    ]);
  });

  test.each(SECRET_VARIABLES)('%s wrong › its value is not repeated', (name) => {
    const value = 'hunter2';
    expect(faultsOf({ NODE_ENV: 'production', [name]: value, POSTGRES_HOST: 'db' }).join('\n')).not.toContain(value);
  });

  test.each([
    [{ DB_POOL_SIZE: '30', DB_POOL_MAX: '20' }, 'DB_POOL_SIZE: contradicts DB_POOL_MAX (30 and 20)'],
    [{ DB_POOL_MIN: '21' }, 'DB_POOL_MIN: is above DB_POOL_MAX (21 > 20)'],
    [{ STATIC_DIR: '/nowhere' }, 'STATIC_DIR: must be a folder with an index.html, not "/nowhere"'],
    [{ WORKERS: '9' }, 'WORKERS: 9 workers x 2 + 2 for a replacement + 2 for jobs = 22 connections, but DB_POOL_MAX is 20'],
    [{ INSTANCES: '5' }, 'DB_POOL_MAX: 5 instances x 20 + 10 reserved = 110 connections, but DB_MAX_CONNECTIONS is 100'],
    [{ JWT_SECRET: 'short' }, 'JWT_SECRET: is shorter than 32 bytes'],
    [{ JWT_SECRET_PREVIOUS: 'short' }, 'JWT_SECRET_PREVIOUS: is shorter than 32 bytes'],
    [{ DATABASE_URL: 'sqlite::memory:', WORKERS: '2' }, 'WORKERS: must be 1 with a SQLite database'],
    [{ DATABASE_URL: 'sqlite:./shop.db', INSTANCES: '2' }, 'INSTANCES: must be 1 with a SQLite database'],
    [{ DATABASE_URL: 'sqlite:./shop.db', JOBS: 'yes' }, 'JOBS: must be off with a SQLite database: the job library needs PostgreSQL'],
    [{ DATABASE_URL: 'sqlite:./shop.db', DB_SEED: 'demo' }, 'DB_SEED: must be none with a SQLite database: seed data need PostgreSQL'],
    [
      { DATABASE_URL: 'sqlite::memory:', MAX_REQUESTS: '500' },
      'MAX_REQUESTS: must be 0 with sqlite::memory:, whose data go with the worker',
    ],
    [{ DATABASE_URL: 'mysql://db' }, 'DATABASE_URL: must start with postgres:// or sqlite:'],
    [{ DATABASE_URL: 'postgres://db:port/shop' }, 'DATABASE_URL: has a host that cannot be read'],
    [{ PGBOUNCER_ADMIN_URL: 'sqlite::memory:' }, 'PGBOUNCER_ADMIN_URL: must start with postgres://'],
    [
      { DATABASE_REPLICA_URLS: 'postgres://r1/shop' },
      'DATABASE_REPLICA_URLS: needs DATABASE_URL: the embedded database and SQLite have no replicas',
    ],
    [
      { DATABASE_URL: 'postgres://db/shop', DATABASE_REPLICA_URLS: 'postgres://r1/shop', INSTANCES: '2' },
      'DATABASE_REPLICA_URLS: with 2 INSTANCES needs REDIS_URL: each must know who wrote at another, to show it at once',
    ],
  ])('%j › refused with the arithmetic', (env, fault) => {
    expect(faultsOf(env)).toEqual([fault]);
  });

  test('SQLite in memory › one worker that is never replaced, no job process', () => {
    expect(load({ DATABASE_URL: 'sqlite::memory:' })).toMatchObject({ WORKERS: 1, JOBS: false, MAX_REQUESTS: 0, workersSource: 'SQLite' });
  });

  test('SQLite in a file › one worker, recycled as ever', () => {
    expect(load({ DATABASE_URL: 'sqlite:./shop.db' })).toMatchObject({ WORKERS: 1, JOBS: false, MAX_REQUESTS: 1000 });
  });

  test('8 workers without jobs on 18 connections › just enough', () => {
    expect(load({ WORKERS: '8', JOBS: 'no', DB_POOL_MAX: '18' }).WORKERS).toBe(8);
  });
});

describe('loadConfig › production', () => {
  const UNPROTECTED = 'DB_SSL: must be verify for a database on another host (and sslmode of its URL, if any, verify-full) in production';

  test('complete › accepted, secure cookies, JSON logs, no seed', () => {
    expect(load(PRODUCTION)).toMatchObject({ isProduction: true, secureCookies: true, STRUCTURED_LOGGING: true, DB_SEED: 'none' });
  });

  test('nothing but NODE_ENV › every gap named', () => {
    expect(faultsOf({ NODE_ENV: 'production' })).toEqual([
      'JWT_SECRET: is required in production',
      'DATABASE_URL: is required (or POSTGRES_HOST and its companions) in production',
    ]);
  });

  test.each([
    [{ JWT_SECRET: 'change-me-change-me-change-me-change-me' }, 'JWT_SECRET: looks like a placeholder; not accepted in production'],
    [{ JWT_SECRET: 'a'.repeat(64) }, 'JWT_SECRET: looks like a placeholder; not accepted in production'],
    [{ OPS_TOKEN: 'password12345678' }, 'OPS_TOKEN: looks like a placeholder; not accepted in production'],
    [{ DATABASE_URL: 'sqlite:./shop.db', WORKERS: '1' }, 'DATABASE_URL: SQLite is not accepted in production'],
    [{ DATABASE_URL: 'postgres://db.internal/shop', DB_SSL: 'off' }, UNPROTECTED],
    [{ DATABASE_URL: 'postgres://db.internal/shop?sslmode=disable' }, UNPROTECTED],
    [{ DATABASE_URL: 'postgres://db.internal/shop?sslmode=require', DB_SSL: 'verify' }, UNPROTECTED],
    [{ DATABASE_URL: 'postgres://localhost:1,db.internal:2/shop', DB_SSL: 'off' }, UNPROTECTED],
    [{ DATABASE_MIGRATION_URL: 'postgres://db.internal/shop', DB_SSL: 'off' }, UNPROTECTED],
    [{ PGBOUNCER_ADMIN_URL: 'postgres://pooler.internal/pgbouncer', DB_SSL: 'off' }, UNPROTECTED],
    [{ DATABASE_REPLICA_URLS: 'postgres://replica.internal/shop', DB_SSL: 'require' }, UNPROTECTED],
    [{ DATABASE_URL: 'postgres://db.internal/shop', DB_SSL: 'require' }, UNPROTECTED],
    [{ DB_SEED: 'demo' }, 'DB_SEED: demo data is not accepted in production'],
    [{ LOG_LEVEL: 'DEBUG' }, 'LOG_LEVEL: DEBUG is not accepted in production'],
    [
      { REDIS_URL: 'redis://r' },
      'APP_VERSION: is required with REDIS_URL where the build has no fingerprint (dist/.tsbuildinfo) in production',
    ],
  ])('%j › refused', (env, fault) => {
    expect(faultsOf({ ...PRODUCTION, ...env })).toEqual([fault]);
  });

  test('no version given › that of the build; one given wins', () => {
    const env = { ...PRODUCTION, REDIS_URL: 'redis://r' };
    expect(load(env, BIG, 'dev-0123').APP_VERSION).toBe('dev-0123');
    expect(load({ ...env, APP_VERSION: '2.1' }, BIG, 'dev-0123').APP_VERSION).toBe('2.1');
  });

  test('database elsewhere › TLS is verified without being asked', () => {
    expect(load({ ...PRODUCTION, DATABASE_URL: 'postgres://db.internal/shop' }).DB_SSL).toBe('verify');
    expect(load({ ...PRODUCTION, DATABASE_URL: 'postgres://db.internal/shop?sslmode=verify-full', DB_SSL: 'off' }).DB_SSL).toBe('verify');
  });

  test('a pooler on this machine before a database elsewhere › each by its own measure', () => {
    const config = load({ ...PRODUCTION, DATABASE_MIGRATION_URL: 'postgres://db.internal/shop' });
    expect(config.DB_SSL).toBe('off');
    expect(tlsModeOf(config.DATABASE_MIGRATION_URL ?? '', { given: config.givenDbSsl, isProduction: true })).toBe('verify');
  });
});

describe('loadConfig › files', () => {
  test.each(SECRET_VARIABLES)('%s_FILE › its trimmed content', (name) => {
    const value = name.startsWith('DATABASE')
      ? 'postgres://localhost/x'
      : ({
          PGBOUNCER_ADMIN_URL: 'postgres://localhost/pgbouncer',
          REDIS_URL: 'redis://r',
          SMTP_URL: 'smtp://m',
          SENTRY_DSN: 'https://k@s/1',
        }[name as string] ?? SECRET);
    // Replicas are of a database that is named.
    const primary = name === 'DATABASE_REPLICA_URLS' ? { DATABASE_URL: 'postgres://localhost/x' } : {};
    const config = load({ ...primary, [`${name}_FILE`]: file('secret', `${value}\n`) });
    expect([config[name]].flat()).toEqual([value]);
  });

  test('a secret given twice › refused', () => {
    expect(faultsOf({ JWT_SECRET: SECRET, JWT_SECRET_FILE: file('secret', SECRET) })).toEqual([
      'JWT_SECRET: given twice: as JWT_SECRET and as JWT_SECRET_FILE',
    ]);
  });

  test('a file that cannot be read › named with the reason, and its variable is not also called missing', () => {
    expect(faultsOf({ ...PRODUCTION, JWT_SECRET: '', JWT_SECRET_FILE: join(folder, 'none'), ENV_FILE: folder })).toEqual([
      'ENV_FILE: cannot read the file it names (EISDIR)',
      'JWT_SECRET_FILE: cannot read the file it names (ENOENT)',
    ]);
  });

  test('ENV_FILE › supplies what the environment does not', () => {
    const env = file('env', '# comment\nPORT=4000\nHOST="127.0.0.1"\nOPS_TOKEN=from-file-0123456789\n');
    expect(load({ ENV_FILE: env, PORT: '5000' })).toMatchObject({ PORT: 5000, HOST: '127.0.0.1', OPS_TOKEN: 'from-file-0123456789' });
  });

  test('withEnvFile › a .env is found, never in tests, never against an explicit choice', () => {
    const env = file('.env', 'PORT=1');
    expect(withEnvFile({}, env)).toEqual({ ENV_FILE: env });
    expect(withEnvFile({ ENV_FILE: 'other' }, env)).toEqual({ ENV_FILE: 'other' });
    expect(withEnvFile({ NODE_ENV: 'test' }, env)).toEqual({ NODE_ENV: 'test' });
    expect(withEnvFile({}, join(folder, 'absent'))).toEqual({});
    chmodSync(env, 0o600);
  });
});

test('environmentSchema › every variable has a line of documentation and a name in capitals', () => {
  for (const [name, schema] of Object.entries(environmentSchema.shape)) {
    expect(name).toMatch(/^[A-Z][A-Z0-9_]*$/);
    expect([name, schema.description]).toEqual([name, expect.stringMatching(/^\S.{8,}[^.]$/)]);
  }
});
