/** The command line of `npm run admin`: which commands there are, and what each takes. Pure. */
import { parseArgs } from 'node:util';

interface Command {
  /** Options that take a value. */
  required: readonly string[];
  optional?: readonly string[];
  flags?: readonly string[];
}

export const COMMANDS = {
  'user:create': { required: ['username', 'name', 'role'], optional: ['email', 'tenant'], flags: ['password-stdin', 'allow-weak'] },
  'user:password': { required: ['user'], flags: ['password-stdin', 'allow-weak'] },
  'user:role': { required: ['user', 'role'], optional: ['tenant'] },
  'user:list': { required: [] },
  'tenant:create': { required: ['slug', 'name'], optional: ['timezone'], flags: ['default'] },
  'tenant:update': { required: ['tenant', 'sms-number'] },
  'tenant:list': { required: [] },
  'session:revoke': { required: ['user'] },
  'retention:run': { required: [], flags: ['dry-run'] },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof COMMANDS;

export interface Arguments {
  command: CommandName;
  values: Readonly<Record<string, string>>;
  flags: ReadonlySet<string>;
}

export class UsageError extends Error {}

export const USAGE = [
  'usage: npm run admin -- <command> [options]',
  ...Object.entries(COMMANDS as Record<string, Command>).map(([name, { required, optional = [], flags = [] }]) =>
    [
      `  ${name}`,
      ...required.map((option) => `--${option} <${option}>`),
      ...optional.map((option) => `[--${option} <${option}>]`),
      ...flags.map((flag) => (flag === 'password-stdin' ? `--${flag}` : `[--${flag}]`)),
    ].join(' '),
  ),
  '',
  '  --user takes a user name, an e-mail or an id; --tenant a slug or an id (default: the default tenant)',
  '  --sms-number is like +15550100000 and of no other shop; none: texts come from the number of the service',
  '  --dry-run counts what would be removed, and removes nothing',
  '  --role is Owner, Advisor, Accountant or Technician; the password is read from standard input',
].join('\n');

/** @throws UsageError with one sentence */
export function readArguments(argv: readonly string[]): Arguments {
  const [command = '', ...rest] = argv;
  if (!Object.hasOwn(COMMANDS, command)) throw new UsageError(command ? `unknown command ${command}` : 'which command?');
  const { required, optional = [], flags = [] } = (COMMANDS as Record<string, Command>)[command] as Command;
  const parsed = parse(rest, [...required, ...optional], flags);
  const missing = required.filter((option) => !parsed[option]);
  if (missing.length > 0) throw new UsageError(`${command} needs ${missing.map((option) => `--${option}`).join(', ')}`);
  if (flags.includes('password-stdin') && !parsed['password-stdin']) throw new UsageError(`${command} needs --password-stdin`);
  return {
    command: command as CommandName,
    values: Object.fromEntries(Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
    flags: new Set(flags.filter((flag) => parsed[flag] === true)),
  };
}

function parse(args: string[], strings: readonly string[], flags: readonly string[]): Record<string, string | boolean | undefined> {
  try {
    const options = Object.fromEntries([
      ...strings.map((name) => [name, { type: 'string' as const }]),
      ...flags.map((name) => [name, { type: 'boolean' as const }]),
    ]);
    return parseArgs({ args, options, strict: true }).values as Record<string, string | boolean | undefined>;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
