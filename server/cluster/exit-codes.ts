/**
 * The exit codes by which a process manager, or an operator, learns what to do next. From sysexits(3) where it has a word.
 * 70 and 78 cannot be mended by another start; 75 can; 71 means somebody else holds the address.
 */
export const EXIT = {
  ok: 0,
  /** Work was cut off: a forced stop, or requests that outlived GRACEFUL_TIMEOUT. */
  forced: 1,
  loadError: 70,
  portInUse: 71,
  databaseDown: 75,
  config: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const MEANING: Readonly<Record<number, string>> = {
  [EXIT.loadError]: 'the application failed to load',
  [EXIT.portInUse]: 'the address is in use',
  [EXIT.databaseDown]: 'the database is unreachable',
  [EXIT.config]: 'the configuration is refused',
};

export const meaningOf = (code: number | null): string | undefined => (code === null ? undefined : MEANING[code]);

/** What the death of the last worker before any was ready says about the start as a whole. */
export function bootExitCode(childCodes: readonly (number | null)[]): ExitCode {
  for (const code of [EXIT.config, EXIT.portInUse, EXIT.databaseDown] as const) if (childCodes.includes(code)) return code;
  return EXIT.loadError;
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ENOENT',
]);
/** SQLSTATE classes and codes of a server that cannot be used now: connection exceptions, too many clients, starting or stopping. */
const UNREACHABLE_STATES = /^(08...|53300|57P0[123])$/;
const DATABASE_ERROR = /^(Sequelize)?(Connection|HostNotFound|HostNotReachable|AccessDenied|InvalidConnection)\w*Error$/;
const ADDRESS_CODES = new Set(['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES']);

/** The exit code of a process that could not start because of `error`; follows `cause`, `parent` and `original` links. */
export function exitCodeOf(error: unknown): ExitCode {
  for (let link = error, depth = 0; link && typeof link === 'object' && depth < 6; depth += 1) {
    const { code, name, syscall, cause, parent, original } = link as Record<string, unknown>;
    if (syscall === 'listen' && typeof code === 'string' && ADDRESS_CODES.has(code)) return EXIT.portInUse;
    if (typeof code === 'string' && (UNREACHABLE_STATES.test(code) || (UNREACHABLE.has(code) && syscall !== 'open')))
      return EXIT.databaseDown;
    if (typeof name === 'string' && DATABASE_ERROR.test(name)) return EXIT.databaseDown;
    if (name === 'ConfigError') return EXIT.config;
    if (name === 'Unavailable') return EXIT.databaseDown;
    link = cause ?? original ?? parent;
  }
  return EXIT.loadError;
}
