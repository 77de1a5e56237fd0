/**
 * Structured log: winston, one JSON object a line (or one readable line in development), to the console and, with
 * `LOG_DIR`, to a file. `error` means a person must act; `warn` means it healed itself; `info` is lifecycle and requests.
 * Every line of a request carries its id, tenant and actor. Secrets are removed by key and by pattern, here and nowhere else.
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createLogger, format, type Logger, transports } from 'winston';
import Transport from 'winston-transport';
import { config } from '../config';
import { currentContext } from './context';

const REDACTED = '[redacted]';
const SECRET_KEY = /pass(word)?|secret|token|authorization|cookie|api[-_]?key|dsn|_url$|email|phone/i;
const SECRET_VALUE = [
  /eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, // JSON web tokens
  /\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi,
  /\b(postgres(?:ql)?|rediss?|smtps?):\/\/[^@\s/]+@/gi, // credentials in URLs
  /\$argon2\w*\$[^\s"]+/g,
];

/** Removes secrets from a value about to be logged: by key name, then by pattern in every string. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return SECRET_VALUE.reduce((text, pattern) => text.replace(pattern, REDACTED), value);
  if (value === null || typeof value !== 'object' || depth > 6) return value;
  if (value instanceof Error)
    return redact(
      {
        name: value.name,
        message: value.message,
        stack: value.stack,
        ...('code' in value ? { code: value.code } : {}),
        ...(value.cause ? { cause: value.cause } : {}),
      },
      depth + 1,
    );
  if (value instanceof Date) return value;
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      SECRET_KEY.test(key) && item != null && typeof item !== 'boolean' ? REDACTED : redact(item, depth + 1),
    ]),
  );
}

const enrich = format((info) => {
  const current = currentContext();
  const { level, message, ...fields } = info;
  const line: Record<string, unknown> = { at: new Date().toISOString(), level, message: redact(message), pid: process.pid };
  if (current) {
    line['request_id'] = current.requestId;
    line['operation'] = current.operation;
    line['tenant'] = current.tenant?.id;
    line['actor'] = current.actor.kind === 'anonymous' ? undefined : current.actor.id;
  }
  Object.assign(line, redact(fields) as object);
  for (const symbol of Object.getOwnPropertySymbols(info))
    (line as Record<symbol, unknown>)[symbol] = (info as unknown as Record<symbol, unknown>)[symbol];
  return line as unknown as typeof info;
});

const readable = format.printf(({ at, level, message, pid, ...fields }) => {
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
  return `${String(at).slice(11, 23)} ${String(level).padEnd(5)} [${pid}] ${message}${rest ? ` ${rest}` : ''}`;
});

const MESSAGE = Symbol.for('message');

/** A full disk would fill the console with one complaint a line. */
const COMPLAINT_GAP_MS = 60_000;

/**
 * Appends whole lines with one write to a file opened O_APPEND, so lines of several workers never tear and a killed worker's last
 * words survive. A line that cannot be written (disk full) is counted and named on stderr; logging never fails a request.
 */
class AppendTransport extends Transport {
  readonly #path: string;
  #fd: number;
  #lost = 0;
  #complainedAt = Number.NEGATIVE_INFINITY;
  constructor(path: string) {
    super();
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true });
    this.#fd = openSync(path, 'a');
  }
  override log(info: Record<symbol, string>, done: () => void): void {
    try {
      writeSync(this.#fd, `${info[MESSAGE]}\n`);
    } catch (error) {
      this.#complain(error as Error);
    }
    done();
  }
  /** After the primary renamed the file: go on in a new one of the same name. */
  reopen(): void {
    const renamed = this.#fd;
    // Somebody may have cleared the whole folder away.
    mkdirSync(dirname(this.#path), { recursive: true });
    this.#fd = openSync(this.#path, 'a');
    closeSync(renamed);
  }
  #complain({ message }: Error): void {
    this.#lost += 1;
    if (performance.now() - this.#complainedAt < COMPLAINT_GAP_MS) return;
    this.#complainedAt = performance.now();
    process.stderr.write(
      `${JSON.stringify({ level: 'error', message: 'log lines cannot be written', pid: process.pid, lost: this.#lost, problem: message })}\n`,
    );
  }
}

// Whoever read the console may be gone (a pager, a pipe to another program). Unhandled, each line would raise an error, the error
// would be logged, and the process would do nothing else any more. It serves on; the file, if there is one, has the lines.
for (const stream of [process.stdout, process.stderr]) if (stream.listenerCount('error') === 0) stream.on('error', () => undefined);

/** Undefined without LOG_DIR. */
export const logFile = config.LOG_DIR ? join(config.LOG_DIR, 'autoshop.log') : undefined;
const fileTransport = logFile ? new AppendTransport(logFile) : undefined;
if (fileTransport) fileTransport.format = format.json();

export const log: Logger = createLogger({
  level: config.LOG_LEVEL,
  format: enrich(),
  transports: [
    new transports.Console({
      // A start that fails must be seen where it was started, whatever goes into files.
      ...(config.LOG_CONSOLE ? {} : { level: 'error' }),
      format: config.STRUCTURED_LOGGING ? format.json() : readable,
      stderrLevels: ['error', 'warn', 'info', 'debug'],
    }),
    ...(fileTransport ? [fileTransport] : []),
  ],
});

/** @throws the file system's error; the log goes on in the file as it was */
export const reopenLogs = (): void => fileTransport?.reopen();

/** Logs more or less than LOG_LEVEL says, in this process, until told null. */
export function overrideLogLevel(level: typeof config.LOG_LEVEL | null): void {
  log.level = level ?? config.LOG_LEVEL;
}

/** For what must be in the log whatever LOG_LEVEL says: acts of operators. At `info`, or at the least severe level that is written. */
export function audit(message: string, fields: Readonly<Record<string, unknown>>): void {
  const level = ['info', 'warn'].find((one) => log.isLevelEnabled(one)) ?? 'error';
  log.log(level, message, fields);
}
