/**
 * Every environment variable the service reads, with its type, default and one line of documentation.
 * `docs/config.md` is generated from this file; nothing else in the project reads `process.env`.
 * Bare numbers are seconds; names ending in `_MS` and `_MB` say their unit.
 */
import { z } from 'zod';
import { parsePostgresUrl } from './postgres-url';

/** A plain decimal number. `Number()` alone would also take `0x10`, `1e3` and blanks. */
const decimal = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  z
    .string()
    .regex(/^-?\d+(\.\d+)?$/, 'must be a number')
    .transform(Number)
    .pipe(z.number().min(min).max(max));
const whole = (min: number, max?: number) => decimal(min, max).pipe(z.int('must be a whole number'));

const seconds = (fallback: number, min = 0) => decimal(min).default(fallback).meta({ kind: 'seconds' });
const count = (fallback: number, min = 0) => whole(min).default(fallback).meta({ kind: 'whole number' });
const flag = (fallback: boolean) => z.stringbool().default(fallback).meta({ kind: 'true/false' });
const port = (fallback: number) => whole(0, 65_535).default(fallback).meta({ kind: 'port' });
/** The limits by name, each with its RATE_LIMIT_ variable. */
export const LIMITERS = [
  'login',
  'loginIp',
  'register',
  'reset',
  'export',
  'session',
  'anonymous',
  'move',
  'booking',
  'bookingDay',
  'invoiceMail',
  'telemetry',
] as const;

const list = () =>
  z
    .string()
    .transform((value) =>
      value
        .split(',')
        .map((item) => item.trim())
        .filter(Boolean),
    )
    .meta({ kind: 'list' });

/** Its faults in words that do not repeat it: it holds a password. */
function checkPostgresUrl(url: string, context: Pick<z.RefinementCtx, 'addIssue'>): void {
  if (!/^postgres(ql)?:/.test(url)) return;
  try {
    parsePostgresUrl(url);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
  }
}
const postgresUrl = z
  .string()
  .regex(/^postgres(ql)?:\/\//, 'must start with postgres://')
  .superRefine(checkPostgresUrl);
const databaseUrl = z
  .string()
  .regex(/^(postgres(ql)?:\/\/|sqlite:)/, 'must start with postgres:// or sqlite:')
  .superRefine(checkPostgresUrl);

/**
 * `count/seconds`, for example `10/300`: at most `limit` requests in a window of `windowMs`. Neither may be 0: elsewhere that means
 * "no limit", and here no window would count nothing, no request refuse everything.
 */
export const Rate = z
  .string()
  .regex(/^[1-9]\d*\/[1-9]\d*$/, 'must be count/seconds, both at least 1, for example 10/300')
  .transform((value) => {
    const [limit = 0, window = 0] = value.split('/').map(Number);
    return { limit, windowMs: window * 1000 };
  });
export type Rate = z.infer<typeof Rate>;
const rate = (fallback: string) => Rate.prefault(fallback).meta({ kind: 'count/seconds' });

const LOG_LEVELS = { ERROR: 'error', WARNING: 'warn', WARN: 'warn', INFO: 'info', DEBUG: 'debug' } as const;

/** Variables that hold a secret: each may also be given as `NAME_FILE`, the path of a file that holds it. */
export const SECRET_VARIABLES = [
  'JWT_SECRET',
  'JWT_SECRET_PREVIOUS',
  'OPS_TOKEN',
  'DATABASE_URL',
  'DATABASE_MIGRATION_URL',
  'DATABASE_REPLICA_URLS',
  'PGBOUNCER_ADMIN_URL',
  'POSTGRES_PASSWORD',
  'REDIS_URL',
  'SENTRY_DSN',
  'SMTP_URL',
  'SMS_TOKEN',
] as const;

export const isSecret = (variable: string): boolean => (SECRET_VARIABLES as readonly string[]).includes(variable);

export const environmentSchema = z.object({
  NODE_ENV: z
    .enum(['development', 'test', 'production'])
    .default('development')
    .describe('Kind of environment; `production` refuses unsafe settings'),
  HOST: z.string().default('0.0.0.0').describe('Address of the public listener'),
  PORT: port(3001).describe('Port of the public listener (`start:prod` defaults to 5000)'),
  OPS_HOST: z.string().default('127.0.0.1').describe('Address of the operations listener'),
  OPS_PORT: port(9090).describe('Port of the operations listener (`/stats`, `/metrics`, `/alerts`)'),
  OPS_TOKEN: z
    .string()
    .min(16, 'must have at least 16 characters')
    .optional()
    .describe('Token that opens `/stats` and `/metrics` on the public port'),
  PUBLIC_URL: z.url().optional().describe('Base address in links that the service mails'),
  APP_VERSION: z
    .string()
    .optional()
    .describe(
      'Version shown in `X-App-Version` and `/stats`; instances of another version take no cached reply of this one. Default `dev-` and a fingerprint of the build',
    ),
  ENV_FILE: z
    .string()
    .optional()
    .describe('File of `NAME=value` lines; the environment wins over it. Default `.env` where there is one, except with NODE_ENV=test'),
  STATIC_DIR: z.string().optional().describe('Folder of a built SPA to serve beside the API'),

  WORKERS: whole(1, 128)
    .optional()
    .meta({ kind: 'whole number' })
    .describe('HTTP workers; default min(4, processors, cgroup quota, memory), `start:prod` 4'),
  WORKER_TIMEOUT: seconds(30, 1).describe('A worker silent for this long is killed and replaced'),
  WATCHDOG: flag(true).describe(
    'A thread in each process that sees its event loop stand still, and why; off = noticed by WORKER_TIMEOUT alone',
  ),
  EVIDENCE_DIR: z.string().optional().describe('Folder of what stalled workers were doing, and of profiles; default DATA_DIR/evidence'),
  EVIDENCE_MAX_MB: count(100, 1).describe('Size of that folder; the oldest files go first'),
  BOOT_TIMEOUT: seconds(30, 1).describe('A worker not ready within this time is killed'),
  MAX_REQUESTS: count(1000).describe('Requests after which a worker is recycled; 0 = never'),
  MAX_REQUESTS_JITTER: count(100).describe('Random addition to MAX_REQUESTS, so workers do not recycle together'),
  WORKER_STANDBY: flag(true).describe('Keep one loaded worker in reserve, so that a dead one is replaced at once; costs its memory'),
  WORKER_MAX_RSS_MB: count(0).describe('Resident memory above which a worker is recycled; 0 = never'),
  WORKER_MAX_AGE: seconds(0).describe('Age at which a worker is recycled, plus a random tenth; 0 = never'),
  ROLL_CANARY: seconds(10).describe('Time the first new worker of a rolling restart must live before an old one is told to go'),
  GRACEFUL_TIMEOUT: seconds(30, 1).describe(
    'Time for a stopping worker to finish its requests; one that others take over from has KEEP_ALIVE_TIMEOUT and a second more',
  ),
  PRESTOP_DELAY: seconds(0).describe('Time a stopping instance still serves after reporting not-ready'),
  SHED_POOL_WAIT_MS: count(250).describe('Expected wait for a database connection from which on requests are refused with 503; 0 = never'),
  SHED_LAG_MS: count(150).describe('Delay of the event loop, kept up, from which on requests are refused with 503; 0 = never'),
  SHED_MEMORY_PERCENT: whole(0, 99)
    .default(90)
    .meta({ kind: 'whole number' })
    .describe('Share of the memory one worker may use from which on requests are refused with 503; 0 = never'),
  KEEP_ALIVE_TIMEOUT: seconds(5, 1).describe('Idle time after which a keep-alive connection is closed'),
  REQUEST_TIMEOUT: seconds(30, 1).describe('Time a request may take before it is answered 503'),
  DISPATCH: z
    .enum(['least', 'rr'])
    .default('least')
    .describe('How connections are given to workers: `least` to the one that holds the fewest, `rr` in turn by node:cluster'),
  MAX_CONNECTIONS: count(10_000, 1).describe('Connections that one worker holds; further ones are answered 503 and closed'),
  MAX_CONNECTIONS_PER_IP: count(0).describe(
    'Connections of one peer address, of all workers together with DISPATCH=least, else of each; 0 = no limit (behind a proxy all share one)',
  ),
  MAX_REQUESTS_PER_CONNECTION: count(1000).describe(
    'Requests (plus up to a tenth, at random) after which a connection is closed, so that long-lived ones are spread anew; 0 = never',
  ),
  JOBS: flag(true).describe('Run the job process; off on SQLite'),
  INSTANCES: count(1, 1).describe('Instances of the service that share the database'),

  CONTROL_SOCKET: z
    .string()
    .optional()
    .describe('Unix socket by which `npm run ctl` steers the service; default `run/control.sock` in DATA_DIR. Each instance needs its own'),

  DATABASE_URL: databaseUrl
    .optional()
    .describe(
      'PostgreSQL URL of the service role, several hosts allowed (`h1:p1,h2:p2`, `target_session_attrs`); unset = embedded database; `sqlite::memory:` or `sqlite:<file>` = SQLite; neither in production',
    ),
  POSTGRES_HOST: z.string().optional().describe('Database host, or several with commas, when DATABASE_URL is not given'),
  POSTGRES_PORT: whole(1, 65_535).default(5432).meta({ kind: 'port' }).describe('Database port, when DATABASE_URL is not given'),
  POSTGRES_DB: z.string().default('autoshop').describe('Database name, when DATABASE_URL is not given'),
  POSTGRES_USER: z.string().default('autoshop_app').describe('Database role, when DATABASE_URL is not given'),
  POSTGRES_PASSWORD: z.string().optional().describe('Database password, when DATABASE_URL is not given'),
  DATABASE_MIGRATION_URL: databaseUrl.optional().describe('URL of the owner role, past any pooler; default DATABASE_URL'),
  PGBOUNCER_ADMIN_URL: postgresUrl
    .optional()
    .describe("URL of PgBouncer's admin console (database `pgbouncer`, a user of `stats_users`), for `/stats`; unset = not shown"),
  DATABASE_REPLICA_URLS: list()
    .superRefine((urls, context) => {
      for (const url of urls) {
        if (/^postgres(ql)?:\/\//.test(url)) checkPostgresUrl(url, context);
        else context.addIssue({ code: 'custom', message: 'must be a list of postgres:// URLs' });
      }
    })
    .optional()
    .describe('Comma-separated URLs of streaming replicas, for reports, analytics and exports'),
  DB_POOL_MIN: count(5, 1).describe('Connections kept open by one instance'),
  DB_POOL_MAX: count(20, 4).describe('All connections of one instance to one server: to the primary, and as many to each replica'),
  DB_POOL_SIZE: whole(4).optional().meta({ kind: 'whole number' }).describe('Alias of DB_POOL_MAX; both given and different is refused'),
  DB_QUEUE_MAX: count(200, 1).describe('Requests of one worker that may wait for a connection; more are answered 503'),
  DB_TIMEOUT: seconds(30, 1).describe('Limit for a statement, and for waiting for a connection'),
  DB_IDLE_TRANSACTION_TIMEOUT: seconds(30, 1).describe(
    'Time a transaction may stand still before the server ends it (`idle_in_transaction_session_timeout`)',
  ),
  DB_MAX_CONNECTIONS: count(100, 1).describe('`max_connections` of the server, for the connection arithmetic'),
  DB_RESERVE: count(10).describe('Connections left free for administration'),
  DB_SSL: z
    .enum(['off', 'require', 'verify'])
    .optional()
    .describe(
      'TLS to the database, where a URL says nothing itself (`sslmode`); default verify for a non-local host in production, else off',
    ),
  DB_SSL_CA_FILE: z.string().optional().describe('Certificate authority that signs the database certificate'),
  DB_PREPARED: flag(true).describe('Named prepared statements; off behind PgBouncer before 1.21'),
  DB_SEED: z.enum(['demo', 'none']).optional().describe('Seed an empty database; default demo for the embedded one in development'),
  DATA_DIR: z.string().default('.data').describe('Folder of the embedded database and of generated development secrets'),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\//, 'must start with redis:// or rediss://')
    .optional()
    .describe('Redis for limits, cache and revocation'),
  CACHE_MAX_MB: count(32).describe(
    'Memory for cached replies in each worker, and once more in the primary, where there is no Redis; 0 = no reply is cached, with Redis neither',
  ),

  JWT_SECRET: z.string().optional().describe('Key of access tokens, at least 32 bytes; required in production'),
  JWT_SECRET_PREVIOUS: z.string().optional().describe('Former key, still accepted for verification'),
  CORS_ORIGINS: list()
    .prefault('http://localhost:5173,http://127.0.0.1:5173,http://localhost:4173,http://127.0.0.1:4173')
    .describe('Comma-separated origins that may call with credentials'),
  // `guid`, not `uuid`: the well-known default tenant has no RFC version digit.
  DEFAULT_TENANT_ID: z.guid().default('00000000-0000-0000-0000-000000000001').describe('Tenant of anonymous requests'),
  FORCE_SECURE_COOKIES: flag(false).describe('Secure cookies outside production'),
  TRUST_PROXY: list().prefault('').describe('Comma-separated proxy addresses or networks whose X-Forwarded-For counts'),
  SMTP_URL: z
    .string()
    .regex(/^smtps?:\/\//, 'must start with smtp:// or smtps://')
    .optional()
    .describe('Mail server; unset = mail is written to DATA_DIR/mail outside production'),
  MAIL_FROM: z.string().default('Auto Shop <no-reply@localhost>').describe('Sender of mail'),
  SMS_API_URL: z
    .url()
    .optional()
    .describe('Base address of the SMS provider (Twilio-compatible); unset = texts are written to DATA_DIR/sms outside production'),
  SMS_ACCOUNT: z.string().optional().describe('Account at the SMS provider'),
  SMS_TOKEN: z.string().optional().describe('Token of that account; it also signs what the provider sends to /api/webhooks/sms'),
  SMS_FROM: z
    .string()
    .regex(/^\+[1-9]\d{9,14}$/, 'must be a number like +15550100000')
    .optional()
    .describe('Number that texts come from, for shops without one of their own'),

  LOG_LEVEL: z
    .string()
    .default('INFO')
    .transform((value) => value.toUpperCase())
    .pipe(z.enum(['ERROR', 'WARNING', 'WARN', 'INFO', 'DEBUG']))
    .transform((value) => LOG_LEVELS[value])
    .meta({ kind: 'ERROR \\| WARNING \\| INFO \\| DEBUG' })
    .describe('Least severe level that is logged'),
  STRUCTURED_LOGGING: z
    .stringbool()
    .optional()
    .meta({ kind: 'true/false' })
    .describe('JSON log lines on the console; default on in production'),
  LOG_DIR: z.string().optional().describe('Folder of the log file `autoshop.log`; unset = console only'),
  LOG_CONSOLE: flag(true).describe('Log to the console as well when there is a LOG_DIR; errors always go there'),
  LOG_MAX_MB: count(100).describe(
    'Size at which the log file is renamed and a new one begun; 0 = never (somebody else rotates: then USR2)',
  ),
  LOG_KEEP: count(5, 1).describe('Renamed log files that are kept'),
  LOG_SLOW_REQUEST_MS: count(1000).describe('Requests slower than this are logged as slow'),
  LOG_SLOW_QUERY_MS: count(100).describe('Statements slower than this are logged, without literals'),
  SLOW_QUERY_EXPLAIN: seconds(60).describe('Each process asks for the plan of its worst slow statement this often; 0 = never'),
  N_PLUS_ONE: z
    .enum(['off', 'count', 'warn', 'raise'])
    .optional()
    .describe('What happens when one request sends the same read again and again; default count in production, warn in development'),
  N_PLUS_ONE_REPEATS: count(5, 2).describe('Equal reads of one request from which on they are reported'),
  RETENTION_AUDIT_DAYS: count(730, 90).describe('Days that the audit trail and the histories of customers and vehicles are kept'),
  RETENTION_USAGE_DAYS: count(400, 90).describe('Days that uses of message templates and ids of incoming texts are kept'),
  PERFORMANCE_MONITORING: flag(true).describe('Collect request and query metrics'),
  SENTRY_DSN: z.url().optional().describe('Sentry project; unset = off'),
  MAINTENANCE_MODE: flag(false).describe('Start in maintenance mode'),

  RATE_LIMIT_LOGIN: rate('10/300').describe('Log-ins per address and identifier'),
  RATE_LIMIT_LOGIN_IP: rate('50/300').describe('Log-ins per address'),
  RATE_LIMIT_REGISTER: rate('10/300').describe('Registrations per address'),
  RATE_LIMIT_RESET: rate('5/300').describe('Password-reset requests per address and e-mail'),
  RATE_LIMIT_EXPORT: rate('5/3600').describe('CSV exports per user'),
  RATE_LIMIT_SESSION: rate('600/60').describe('Requests per session'),
  RATE_LIMIT_ANON: rate('120/60').describe('Requests per anonymous address'),
  RATE_LIMIT_MOVE: rate('60/60').describe('Board moves per user'),
  RATE_LIMIT_BOOKING: rate('5/600').describe('Anonymous bookings per address'),
  RATE_LIMIT_BOOKING_DAY: rate('20/86400').describe('Anonymous bookings per address over a day'),
  RATE_LIMIT_INVOICE_MAIL: rate('10/3600').describe('Mails of one invoice'),
  RATE_LIMIT_TELEMETRY: rate('30/60').describe('Telemetry posts per address'),
  RATE_LIMIT_FAIL_CLOSED: list()
    .prefault('')
    .pipe(z.array(z.enum(LIMITERS, `names one of ${LIMITERS.join(', ')}`)))
    .describe(
      `Comma-separated limits that refuse with 503 when nobody can count, instead of letting pass: ${LIMITERS.join(', ')}. Without Redis the primary still counts`,
    ),
});

export type Variable = keyof typeof environmentSchema.shape;
export type Environment = z.output<typeof environmentSchema>;
