import { toE164 } from '../../../lib/phone';
import { afterQuiet } from '../../../lib/quiet-hours';
import { renderTemplate, templateVariables } from '../../../lib/templates';

test.each([
  ['(555) 010-0000', '+15550100000'],
  ['1 555 010 0000', '+15550100000'],
  ['+44 20 7946 0000', '+442079460000'],
  ['+123', null],
  ['2 555 010 0000', null],
  ['555-0100', null],
  ['', null],
  [null, null],
])('toE164 › %j is %j', (typed, number) => {
  expect(toE164(typed)).toBe(number);
});

test('templates › value, fallback, nothing; a literal stays; values are not read again', () => {
  const body = String.raw`{{ a }}|{{ b | friend }}|{{c}}|\{{ a }}|{{ bad-path }}`;
  expect(templateVariables(body)).toEqual(['a', 'b', 'c']);
  expect(renderTemplate(body, { a: '{{ c }}', b: ' ' })).toBe('{{ c }}|friend||{{ a }}|{{ bad-path }}');
  expect(renderTemplate('{{ toString }}{{ constructor }}', {})).toBe('');
});

const NIGHT = { from: '21:00', to: '08:00' };
const zone = 'America/Los_Angeles';
test.each([
  ['2026-06-01T19:00:00Z', NIGHT, '2026-06-01T19:00:00.000Z'],
  ['2026-06-02T04:00:00Z', NIGHT, '2026-06-02T15:00:00.000Z'],
  ['2026-06-02T03:59:59Z', NIGHT, '2026-06-02T03:59:59.000Z'],
  ['2026-06-02T15:00:00Z', NIGHT, '2026-06-02T15:00:00.000Z'],
  // The night has an hour more, or less.
  ['2026-11-01T05:00:00Z', NIGHT, '2026-11-01T16:00:00.000Z'],
  ['2026-03-08T06:00:00Z', NIGHT, '2026-03-08T15:00:00.000Z'],
  ['2026-06-01T19:30:00Z', { from: '12:00', to: '13:00' }, '2026-06-01T20:00:00.000Z'],
  ['2026-06-01T19:30:00Z', { from: '12:00', to: '12:00' }, '2026-06-01T19:30:00.000Z'],
])('quiet hours › %s with %j › %s', (at, quiet, expected) => {
  expect(afterQuiet(new Date(at), quiet, zone).toISOString()).toBe(expected);
});
