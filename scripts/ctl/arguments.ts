/** The command line of `npm run ctl`: words to a request of the control socket. Pure; the table is the socket's own. */
import { parseArgs } from 'node:util';
import { COMMANDS, type Command, type CommandName, ControlRefusal, readCommand } from '../../server/cluster/control-commands';

export interface Asked {
  request: Command;
  json: boolean;
  /** Another place than the environment says. */
  socket: string | undefined;
}

const optional = (positional: string): boolean => positional.endsWith('?');
const bare = (positional: string): string => positional.replace('?', '');

const usageOf = (name: string): string => {
  const { positionals = [], options = [], flags = [] } = COMMANDS[name as CommandName];
  return [
    name,
    ...positionals.map((positional) => (optional(positional) ? `[${bare(positional)}]` : `<${positional}>`)),
    ...options.map((option) => `[--${option} <${option}>]`),
    ...flags.map((flag) => `[--no-${flag}]`),
  ].join(' ');
};

const width = Math.max(...Object.keys(COMMANDS).map((name) => usageOf(name).length));

export const USAGE = [
  'usage: npm run ctl -- <command> [--json] [--socket <path>]',
  ...Object.entries(COMMANDS).map(([name, { says }]) => `  ${usageOf(name).padEnd(width)}  ${says}`),
].join('\n');

/** @throws ControlRefusal naming what is wrong */
export function readArguments(argv: readonly string[]): Asked | 'help' {
  const name = argv.find((word) => !word.startsWith('-'));
  if (argv.includes('--help') || argv.includes('-h') || name === 'help') return 'help';
  if (name === undefined) throw new ControlRefusal('usage', `which command? known: ${Object.keys(COMMANDS).join(', ')}`);
  const shape = Object.hasOwn(COMMANDS, name) ? COMMANDS[name as CommandName] : undefined;
  if (!shape) throw new ControlRefusal('usage', `unknown command ${name}; known: ${Object.keys(COMMANDS).join(', ')}`);
  const { positionals = [], options = [], flags = [] } = shape;
  const { values, words } = parse(argv, [...options, 'socket'], [...flags, ...flags.map((flag) => `no-${flag}`), 'json']);
  const [, ...given] = words;
  if (given.length > positionals.length)
    throw new ControlRefusal('usage', `${name} does not take ${JSON.stringify(given[positionals.length])}; usage: ${usageOf(name)}`);
  const request: Record<string, unknown> = { command: name };
  positionals.forEach((positional, index) => {
    if (given[index] !== undefined) request[bare(positional)] = given[index];
  });
  for (const option of options) if (values[option] !== undefined) request[option] = values[option];
  for (const flag of flags) if (values[flag] || values[`no-${flag}`]) request[flag] = !values[`no-${flag}`];
  return { request: readCommand(request), json: values['json'] === true, socket: values['socket'] as string | undefined };
}

function parse(
  args: readonly string[],
  strings: readonly string[],
  flags: readonly string[],
): { values: Record<string, string | boolean | undefined>; words: string[] } {
  const options = Object.fromEntries([
    ...strings.map((name) => [name, { type: 'string' as const }]),
    ...flags.map((name) => [name, { type: 'boolean' as const }]),
  ]);
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
    return { values: values as Record<string, string | boolean | undefined>, words: positionals };
  } catch (error) {
    throw new ControlRefusal('usage', (error as Error).message);
  }
}
