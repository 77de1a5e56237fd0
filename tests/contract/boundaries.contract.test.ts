/**
 * Wrong types and values past a boundary, generated from the schema of every body and query: 400 with the field named, nothing
 * stored, and never a defect. What a schema takes in spite of its words is a defect of the schema, and fails here too.
 */
import { z } from 'zod';
import type { Role } from '../../lib/context';
import { overrideRate } from '../../lib/rate-limit';
import { endpoints } from '../../routes';
import type { Endpoint } from '../../routes/endpoint';
import { createCustomer, createStaff, createTenant } from '../support/factories';
import { type Agent, startApp } from '../support/server';
import { actAs } from '../support/sessions';

interface Schema {
  type?: string | string[];
  anyOf?: Schema[];
  enum?: unknown[];
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  properties?: Record<string, Schema>;
}
interface Case {
  field: string;
  what: string;
  value: unknown;
  /** The schema says nothing that this value would break: it only must not be a defect. */
  isFree: boolean;
}

const LONG = 10_000;
const MAX_SAFE = Number.MAX_SAFE_INTEGER;

const alternatives = (schema: Schema): Schema[] => schema.anyOf?.flatMap(alternatives) ?? [schema];
const typesOf = (schema: Schema): string[] => alternatives(schema).flatMap(({ type, enum: values }) => type ?? (values ? ['string'] : []));

function casesOf(field: string, schema: Schema): Case[] {
  const types = typesOf(schema);
  const one = (what: string, value: unknown, isFree = false): Case => ({ field, what, value, isFree: isFree || types.length === 0 });
  const wrong = [
    one('an object', { unknown_key: [1] }, types.includes('object')),
    one('a list of lists', [[[1]]], types.includes('array')),
    one('true', true, types.includes('boolean')),
    one('NUL', 'a\0b'),
    one('a long text', 'x'.repeat(LONG), true),
    one('a huge number', 1e300, true),
    one('a fraction', 1.5, true),
    one('null', null, true),
  ];
  // A boundary binds only where every alternative has it: another type may take the value.
  const bounds = alternatives(schema).filter(({ type }) => type !== 'null');
  const [only] = bounds;
  if (bounds.length !== 1 || !only) return wrong;
  const { maxLength, minimum, maximum, enum: values } = only;
  return [
    ...wrong,
    ...(maxLength === undefined ? [] : [one('one letter too many', 'x'.repeat(maxLength + 1))]),
    ...(minimum === undefined || minimum <= -MAX_SAFE ? [] : [one('below the least', minimum - 1)]),
    ...(maximum === undefined || maximum >= MAX_SAFE ? [] : [one('above the greatest', maximum + 1)]),
    ...(values === undefined ? [] : [one('none of the words', 'NONE_OF_THEM')]),
  ];
}

const propertiesOf = (schema: z.ZodType): [string, Schema][] =>
  Object.entries((z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema).properties ?? {});

const withBody = endpoints.filter(({ body, method }) => body && method !== 'get');
const withQuery = endpoints.filter(({ query }) => query);
const named = (list: readonly Endpoint[]): [string, Endpoint][] => list.map((one) => [`${one.method.toUpperCase()} ${one.path}`, one]);

/** Fields of which any value is taken on purpose: what cannot be read is not remembered. */
const FORGIVING: ReadonlySet<string> = new Set(['sendMessage.template_id', 'sendMessage.variables_used']);

/** The other fields of a body, where an endpoint judges them first. */
const GOOD: Readonly<Record<string, object>> = {
  recordPayment: { amountCents: 1, method: 'cash' },
  refundPayment: { amountCents: 1, method: 'cash' },
};

let owner: Agent;
let customer: Agent;
let stranger: Agent;

beforeAll(async () => {
  const app = await startApp();
  const tenant = await createTenant();
  owner = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
  customer = await actAs(app, await createCustomer({ tenant, canLogIn: true }));
  stranger = app.agent().set('X-Tenant-Id', tenant.id);
  for (const limiter of ['session', 'anonymous', 'login', 'loginIp', 'register', 'reset', 'export', 'move', 'telemetry'] as const)
    overrideRate(limiter, { limit: 1_000_000, windowMs: 60_000 });
});

/** Sessions are of no use where the endpoint makes one, or ends it. */
function callerOf({ allow, tag }: Endpoint): Agent {
  if (allow === 'public' && tag.startsWith('Auth')) return stranger;
  return typeof allow === 'string' || (allow as readonly Role[]).includes('Owner') ? owner : customer;
}
const target = ({ path }: Endpoint): string => path.replace(/:\w+/g, '999999999');

test.each(named(withBody))('%s › each field wrong › 400 naming it, never a defect', async (_name, endpoint) => {
  const cases = propertiesOf(endpoint.body as z.ZodType).flatMap(([field, schema]) => casesOf(field, schema));
  const faults: string[] = [];
  for (const { field, what, value, isFree } of cases) {
    const { status, body } = await callerOf(endpoint)
      [endpoint.method](target(endpoint))
      .send({ ...GOOD[endpoint.id], [field]: value });
    const answer = `${field} = ${what}: ${status} ${body?.error?.code ?? ''} ${JSON.stringify(body?.error?.details ?? null)}`;
    if (status >= 500) faults.push(answer);
    if (isFree || FORGIVING.has(`${endpoint.id}.${field}`)) continue;
    const names = `${Object.keys(body?.error?.details ?? {}).join(' ')} ${body?.error?.code} ${body?.error?.message}`;
    if (status !== 400 || !names.includes(field)) faults.push(answer);
  }
  expect(faults).toEqual([]);
});

test.each(named(withQuery))('%s › each parameter wrong › a refusal or a default, never a defect', async (_name, endpoint) => {
  const values = [
    '',
    'x'.repeat(LONG),
    '-1',
    '1e309',
    '99999999999999999999',
    'NaN',
    '%',
    "'",
    '2026-02-30',
    '9999-12-31',
    'a\0b',
    '\u{1F600}',
  ];
  const faults: string[] = [];
  for (const [field] of propertiesOf(endpoint.query as z.ZodType)) {
    for (const value of values) {
      const { status, body } = await callerOf(endpoint)
        .get(target(endpoint))
        .query({ [field]: value });
      if (status >= 500 || (status >= 400 && body?.error?.code === undefined)) faults.push(`${field} = ${value.slice(0, 30)}: ${status}`);
    }
  }
  expect(faults).toEqual([]);
});
