/**
 * The commands of the control socket: their names, arguments and limits. Pure, and light on purpose: `npm run ctl` reads the
 * same table before it connects, and the primary reads it again, because anything may be written into a socket.
 */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type Command =
  | { command: 'status' }
  /** `wait`: the answer comes when the roll has ended, else when it has begun. */
  | { command: 'roll'; wait: boolean }
  | { command: 'scale'; workers: number }
  | { command: 'recycle'; slot: number }
  | { command: 'drain'; slot: number }
  | { command: 'profile'; slot: number; seconds: number }
  | { command: 'maintenance'; state: 'on' | 'off'; reason: string | null }
  | { command: 'breaker-reset' }
  | { command: 'log-level'; level: LogLevel; minutes: number }
  | { command: 'reopen-logs' }
  | { command: 'stop' };

export type CommandName = Command['command'];

/** Why a command is not carried out; the client turns the kind into an exit code. */
export type RefusalKind =
  /** The command or one of its arguments is wrong. */
  | 'usage'
  /** Not now: something else is under way. The same may work later. */
  | 'busy'
  /** It was tried, or looked at, and does not work. */
  | 'failed'
  /** A rolling restart stopped half way; the old workers serve. */
  | 'aborted';

export class ControlRefusal extends Error {
  readonly kind: RefusalKind;
  /** The argument that is wrong. */
  readonly argument: string | undefined;
  readonly facts: Readonly<Record<string, unknown>>;
  constructor(kind: RefusalKind, message: string, { argument, ...facts }: { argument?: string; [fact: string]: unknown } = {}) {
    super(message);
    this.name = 'ControlRefusal';
    this.kind = kind;
    this.argument = argument;
    this.facts = facts;
  }
}

interface Shape {
  /** In the order in which a person types them; a `?` marks those that may be left out. */
  positionals?: readonly string[];
  /** `--name <value>`. */
  options?: readonly string[];
  /** `--name` and `--no-name`. */
  flags?: readonly string[];
  says: string;
}

export const COMMANDS: Readonly<Record<CommandName, Shape>> = {
  status: { says: 'what runs, and how it does' },
  roll: { flags: ['wait'], says: 'replace every worker, one by one; waits for the end unless --no-wait' },
  scale: { positionals: ['workers'], says: 'set the number of workers' },
  recycle: { positionals: ['slot'], says: 'replace one worker, the new one first' },
  drain: { positionals: ['slot'], says: 'take one worker out and let it finish; its slot is filled again' },
  profile: { positionals: ['slot', 'seconds?'], says: 'CPU profile of one worker (10 seconds), into the folder of evidence' },
  maintenance: { positionals: ['state'], options: ['reason'], says: 'on or off: refuse everybody but owners' },
  'breaker-reset': { says: 'fill the slots at once, whatever died before' },
  'log-level': { positionals: ['level', 'minutes?'], says: 'log more or less for a while (10 minutes), in every process' },
  'reopen-logs': { says: 'open the log files anew, after somebody else renamed them' },
  stop: { says: 'graceful stop, as TERM' },
};

/** More than this is a slip of the finger; the connection budget refuses earlier than that anyway. */
const MAX_WORKERS = 128;
const MAX_PROFILE_S = 60;
const MAX_LEVEL_MIN = 24 * 60;
const MAX_REASON = 200;
const PROFILE_S = 10;
const LEVEL_MIN = 10;

type Arguments = Readonly<Record<string, unknown>>;

/** The command that a parsed line asks for. Numbers may come as text, as a person types them. @throws ControlRefusal naming the argument */
export function readCommand(line: unknown): Command {
  if (typeof line !== 'object' || line === null || Array.isArray(line)) throw new ControlRefusal('usage', 'a request is a JSON object');
  const { command, ...given } = line as Record<string, unknown>;
  if (typeof command !== 'string' || !Object.hasOwn(COMMANDS, command))
    throw new ControlRefusal('usage', `unknown command ${JSON.stringify(command ?? null)}; known: ${Object.keys(COMMANDS).join(', ')}`, {
      argument: 'command',
    });
  const name = command as CommandName;
  const { positionals = [], options = [], flags = [] } = COMMANDS[name];
  const known = new Set([...positionals.map((positional) => positional.replace('?', '')), ...options, ...flags]);
  for (const argument of Object.keys(given))
    if (!known.has(argument)) throw new ControlRefusal('usage', `${name} has no argument ${argument}`, { argument });
  return READ[name](given);
}

const READ: { readonly [Name in CommandName]: (given: Arguments) => Extract<Command, { command: Name }> } = {
  status: () => ({ command: 'status' }),
  roll: (given) => ({ command: 'roll', wait: flag(given, 'wait', true) }),
  scale: (given) => ({ command: 'scale', workers: whole(given, 'workers', 1, MAX_WORKERS) }),
  recycle: (given) => ({ command: 'recycle', slot: slot(given) }),
  drain: (given) => ({ command: 'drain', slot: slot(given) }),
  profile: (given) => ({ command: 'profile', slot: slot(given), seconds: whole(given, 'seconds', 1, MAX_PROFILE_S, PROFILE_S) }),
  maintenance: (given) => {
    const state = oneOf(given, 'state', ['on', 'off'] as const);
    const reason = text(given, 'reason', MAX_REASON);
    if (state === 'off' && reason !== null) throw new ControlRefusal('usage', 'reason belongs to maintenance on', { argument: 'reason' });
    return { command: 'maintenance', state, reason };
  },
  'breaker-reset': () => ({ command: 'breaker-reset' }),
  'log-level': (given) => ({
    command: 'log-level',
    level: oneOf(given, 'level', LOG_LEVELS),
    minutes: whole(given, 'minutes', 1, MAX_LEVEL_MIN, LEVEL_MIN),
  }),
  'reopen-logs': () => ({ command: 'reopen-logs' }),
  stop: () => ({ command: 'stop' }),
};

const slot = (given: Arguments): number => whole(given, 'slot', 1, MAX_WORKERS);

function refuse(argument: string, problem: string, value: unknown): never {
  const shown = value === undefined ? 'is missing' : `not ${JSON.stringify(value)}`;
  throw new ControlRefusal('usage', value === undefined ? `${argument} ${shown}: ${problem}` : `${argument} ${problem}, ${shown}`, {
    argument,
  });
}

function whole(given: Arguments, argument: string, min: number, max: number, fallback?: number): number {
  const value = given[argument];
  if (value === undefined && fallback !== undefined) return fallback;
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number;
  return refuse(argument, `must be a whole number from ${min} to ${max}`, value);
}

function oneOf<const Word extends string>(given: Arguments, argument: string, words: readonly Word[]): Word {
  const value = given[argument];
  const found = words.find((word) => word === value);
  return found ?? refuse(argument, `must be ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`, value);
}

function flag(given: Arguments, argument: string, fallback: boolean): boolean {
  const value = given[argument];
  if (value === undefined) return fallback;
  return typeof value === 'boolean' ? value : refuse(argument, 'must be true or false', value);
}

/** One line that may be shown to clients and written into logs. */
function text(given: Arguments, argument: string, max: number): string | null {
  const value = given[argument];
  if (value === undefined || value === null) return null;
  const printable = typeof value === 'string' && value.trim() !== '' && value.length <= max && !/\p{Cc}/u.test(value);
  return printable ? value.trim() : refuse(argument, `must be a text of 1 to ${max} characters on one line`, value);
}
