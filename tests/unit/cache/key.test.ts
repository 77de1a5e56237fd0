import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { cacheKey, factsOf, type Question } from '../../../lib/cache/key';
import type { Actor, Role, StaffRole } from '../../../lib/context';

const NOON = new Date('2026-03-10T12:00:00Z');
const TENANTS = ['00000000-0000-0000-0000-000000000001', 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee', 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeef'];

const staff = (role: StaffRole, id: string): Actor => ({ kind: 'staff', id, role, name: id, sessionId: 's' });
const customer = (id: string): Actor => ({ kind: 'customer', id, customerId: Number(id), role: 'Customer', name: id, sessionId: 's' });
const question = (over: Partial<Question> = {}): Question => ({
  endpoint: 'readBoard',
  params: {},
  query: {},
  tenant: { id: TENANTS[0] as string, slug: 'a', name: 'A', timeZone: 'UTC' },
  actor: staff('Owner', '1'),
  sharedByRole: true,
  now: NOON,
  version: '1',
  ...over,
});

/** Text as an attacker would choose it: separators, quotes, escapes, other tenants' ids, lone surrogates, words of the encoding itself. */
const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    ...TENANTS,
    ':',
    ',',
    '"',
    '\\',
    '","',
    '],[',
    '$object',
    '$date',
    'null',
    '',
    ' ',
    '\0',
    '\u2028',
    '\ud800',
    '\udfff',
    '__proto__',
    '%3A',
  ),
  fc.array(fc.constantFrom('"', ',', '[', ']', '{', '}', ':', '\\', 'a', '|', ...TENANTS)).map((parts) => parts.join('')),
);
const value = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 2 },
    nasty,
    fc.constantFrom(null, undefined, true, false, 0, 1, Number.NaN, Number.POSITIVE_INFINITY),
    fc.date({ noInvalidDate: true }),
    fc.bigInt(),
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(nasty, tie('node'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).node;
const role = fc.constantFrom<StaffRole>('Owner', 'Advisor', 'Accountant', 'Technician');
const actor: fc.Arbitrary<Actor> = fc.oneof(
  fc.tuple(role, nasty).map(([one, id]) => staff(one, id)),
  fc.nat().map((id) => customer(String(id))),
  fc.constant<Actor>({ kind: 'anonymous', id: 'anonymous', role: null }),
);
const anyQuestion: fc.Arbitrary<Question> = fc.record({
  endpoint: fc.constantFrom('readBoard', 'readDashboardStats'),
  params: fc.dictionary(nasty, nasty, { maxKeys: 2, noNullPrototype: true }),
  query: fc.dictionary(nasty, value, { maxKeys: 3, noNullPrototype: true }),
  tenant: fc
    .tuple(fc.constantFrom(...TENANTS), nasty, fc.constantFrom('UTC', 'America/Los_Angeles'))
    .map(([id, name, timeZone]) => ({ id, slug: name, name, timeZone })),
  actor,
  sharedByRole: fc.boolean(),
  now: fc.date({ min: new Date('2026-01-01'), max: new Date('2026-01-04'), noInvalidDate: true }),
  version: fc.constantFrom('1', '2'),
});

/** What must be equal for one reply to serve both, compared without the encoding under test. */
const dayIn = ({ now, tenant }: Question): string => new Intl.DateTimeFormat('en-CA', { timeZone: tenant.timeZone }).format(now);
const isPersonal = ({ actor: one, sharedByRole }: Question): boolean => !sharedByRole || one.role === 'Customer';
const without = (input: unknown): unknown =>
  input !== null && typeof input === 'object' && !Array.isArray(input) && !(input instanceof Date)
    ? Object.fromEntries(Object.entries(input).flatMap(([name, part]) => (part === undefined ? [] : [[`#${name}`, without(part)]])))
    : Array.isArray(input)
      ? input.map(without)
      : input;
function same(a: Question, b: Question): boolean {
  const facts = (one: Question) => [
    one.version,
    one.endpoint,
    one.tenant.id,
    one.tenant.name,
    one.tenant.timeZone,
    dayIn(one),
    one.actor.role as Role | null,
    isPersonal(one) ? `${one.actor.kind} ${one.actor.id}` : null,
    without(one.params),
    without(one.query),
  ];
  return isDeepStrictEqual(facts(a), facts(b));
}

test('any two questions › one key exactly when tenant, day, role, actor, parameters and query are the same', () => {
  const pair = fc.oneof(
    fc.tuple(anyQuestion, anyQuestion),
    // Alike but for one part, which is where keys go wrong.
    fc
      .tuple(anyQuestion, anyQuestion, fc.constantFrom<keyof Question>('endpoint', 'params', 'query', 'tenant', 'actor', 'now', 'version'))
      .map(([a, b, part]): [Question, Question] => [a, { ...a, [part]: b[part] }]),
    anyQuestion.map((a): [Question, Question] => [a, { ...a, query: Object.fromEntries(Object.entries(a.query as object).reverse()) }]),
  );
  fc.assert(
    fc.property(pair, ([a, b]) => {
      if ((cacheKey(a) === cacheKey(b)) !== same(a, b)) throw new Error('one key for two questions, or two for one');
    }),
    { numRuns: 2_000 },
  );
});

test('two tenants › no key of one begins like one of the other, whatever is asked', () => {
  fc.assert(
    fc.property(anyQuestion, anyQuestion, (a, b) => {
      fc.pre(a.tenant.id !== b.tenant.id);
      expect([cacheKey(a).startsWith(`${a.tenant.id}:`), cacheKey(b).startsWith(`${a.tenant.id}:`), factsOf(a) === factsOf(b)]).toEqual([
        true,
        false,
        false,
      ]);
    }),
    { numRuns: 500 },
  );
});

test('customers › never share, though the endpoint says that a role does; staff of one role do', () => {
  expect(cacheKey(question({ actor: customer('1') }))).not.toBe(cacheKey(question({ actor: customer('2') })));
  expect(cacheKey(question({ actor: staff('Owner', '1') }))).toBe(cacheKey(question({ actor: staff('Owner', '2') })));
  expect(cacheKey(question({ actor: staff('Owner', '1') }))).not.toBe(cacheKey(question({ actor: staff('Advisor', '1') })));
  expect(cacheKey(question({ actor: staff('Owner', '1'), sharedByRole: false }))).not.toBe(
    cacheKey(question({ actor: staff('Owner', '2'), sharedByRole: false })),
  );
});

test("the shop's midnight › another key, though it is the same day elsewhere", () => {
  const tenant = { id: TENANTS[0] as string, slug: 'a', name: 'A', timeZone: 'America/Los_Angeles' };
  const at = (now: string) => cacheKey(question({ tenant, now: new Date(now) }));
  expect(at('2026-03-10T06:59:59Z')).not.toBe(at('2026-03-10T07:00:00Z'));
  expect(at('2026-03-10T07:00:00Z')).toBe(at('2026-03-11T06:59:59Z'));
});

test('a tenant without a proper id › refused', () => {
  for (const id of ['', 'x', `${TENANTS[0]}:`, '*'])
    expect(() => cacheKey(question({ tenant: { id, slug: '', name: '', timeZone: 'UTC' } }))).toThrow('id of a tenant');
});
