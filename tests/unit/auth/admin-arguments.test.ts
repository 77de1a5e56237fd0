import { COMMANDS, readArguments, USAGE } from '../../../scripts/admin/arguments';

describe('arguments of the administration command', () => {
  it('a complete command › values and flags', () => {
    const { command, values, flags } = readArguments([
      'user:create',
      ...['--username', 'ada', '--name', 'Ada Example', '--role=Owner', '--password-stdin', '--allow-weak'],
    ]);
    expect(command).toBe('user:create');
    expect(values).toEqual({ username: 'ada', name: 'Ada Example', role: 'Owner' });
    expect([...flags]).toEqual(['password-stdin', 'allow-weak']);
  });

  it.each([
    [[], 'which command?'],
    [['user:delete'], 'unknown command user:delete'],
    [['toString'], 'unknown command toString'],
    [['user:role', '--user', 'ada'], 'user:role needs --role'],
    [['user:password', '--user', 'ada'], 'user:password needs --password-stdin'],
    [['user:list', 'extra'], /Unexpected argument 'extra'/],
    [['user:password', '--user', 'ada', '--password', 'secret'], /Unknown option '--password'/],
    [['user:list', '--allow-weak'], /Unknown option/],
  ])('%j › %s', (argv, message) => {
    expect(() => readArguments(argv)).toThrow(message);
  });

  it('the usage › names every command', () => {
    for (const name of Object.keys(COMMANDS)) expect(USAGE).toContain(`  ${name}`);
  });
});
