import fc from 'fast-check';
import { COMMANDS, ControlRefusal, readCommand } from '../../../server/cluster/control-commands';

const refusalOf = (line: unknown): ControlRefusal => {
  try {
    readCommand(line);
  } catch (error) {
    if (error instanceof ControlRefusal) return error;
    throw error;
  }
  throw new Error(`accepted: ${JSON.stringify(line)}`);
};

test.each([
  [{ command: 'status' }, { command: 'status' }],
  [{ command: 'roll' }, { command: 'roll', wait: true }],
  [
    { command: 'roll', wait: false },
    { command: 'roll', wait: false },
  ],
  [
    { command: 'scale', workers: '3' },
    { command: 'scale', workers: 3 },
  ],
  [
    { command: 'recycle', slot: 2 },
    { command: 'recycle', slot: 2 },
  ],
  [
    { command: 'maintenance', state: 'on', reason: ' new disk ' },
    { command: 'maintenance', state: 'on', reason: 'new disk' },
  ],
  [
    { command: 'maintenance', state: 'off' },
    { command: 'maintenance', state: 'off', reason: null },
  ],
  [
    { command: 'log-level', level: 'debug', minutes: 5 },
    { command: 'log-level', level: 'debug', minutes: 5 },
  ],
])('readCommand › %j › understood, with its defaults', (line, command) => {
  expect(readCommand(line)).toEqual(command);
});

test.each([
  [{ command: 'scale' }, 'workers', /workers is missing: must be a whole number from 1 to 128/],
  [{ command: 'scale', workers: 0 }, 'workers', /from 1 to 128, not 0/],
  [{ command: 'scale', workers: 'many' }, 'workers', /not "many"/],
  [{ command: 'scale', workers: '1e1' }, 'workers', /not "1e1"/],
  [{ command: 'drain', slot: 1.5 }, 'slot', /not 1.5/],
  [{ command: 'profile', slot: 1, seconds: 61 }, 'seconds', /from 1 to 60/],
  [{ command: 'maintenance' }, 'state', /must be on or off/],
  [{ command: 'maintenance', state: 'maybe' }, 'state', /not "maybe"/],
  [{ command: 'maintenance', state: 'on', reason: 'two\nlines' }, 'reason', /on one line/],
  [{ command: 'maintenance', state: 'on', reason: 'x'.repeat(201) }, 'reason', /1 to 200/],
  [{ command: 'maintenance', state: 'off', reason: 'why' }, 'reason', /belongs to maintenance on/],
  [{ command: 'log-level', level: 'loud' }, 'level', /error, warn, info or debug/],
  [{ command: 'log-level', level: 'info', minutes: 2000 }, 'minutes', /1440/],
  [{ command: 'roll', wait: 'yes' }, 'wait', /true or false/],
  [{ command: 'status', verbose: true }, 'verbose', /status has no argument verbose/],
  [{ command: 'toString' }, 'command', /unknown command "toString"; known: status, roll/],
  [{}, 'command', /unknown command null/],
])('readCommand › %j › refused, naming %s', (line, argument, message) => {
  const refusal = refusalOf(line);
  expect(refusal).toMatchObject({ kind: 'usage', argument });
  expect(refusal.message).toMatch(message);
});

test('readCommand › anything at all › a known command, or a refusal of usage; never another error', () => {
  const known = fc.constantFrom(...Object.keys(COMMANDS));
  const values = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.constant(null), fc.constantFrom('on', 'off', 'debug', '7'));
  const names = fc.constantFrom('workers', 'slot', 'seconds', 'state', 'reason', 'level', 'minutes', 'wait', '__proto__', 'constructor');
  const lines = fc.oneof(
    fc.anything(),
    fc.tuple(known, fc.dictionary(names, values)).map(([command, given]) => ({ ...given, command })),
  );
  fc.assert(
    fc.property(lines, (line) => {
      try {
        expect(Object.keys(COMMANDS)).toContain(readCommand(line).command);
      } catch (error) {
        expect(error).toBeInstanceOf(ControlRefusal);
        expect((error as ControlRefusal).kind).toBe('usage');
      }
    }),
  );
});
