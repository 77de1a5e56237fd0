/**
 * Functions that translated statements call. SQLite gives and takes numbers, texts and NULL; unless it says so, a function is not
 * asked about NULL: the result is NULL then.
 */
import { createHash, randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { SqlFailure } from './sql-failure';
import {
  dayMinus,
  dayPlus,
  fromLocalTime,
  instantFloor,
  instantFormat,
  instantMinus,
  instantOfMs,
  instantPart,
  instantPlus,
  instantSeries,
  intervalOfSeconds,
  intervalPart,
  intervalTimes,
  localTime,
  toDay,
  toInstant,
  toInterval,
  toLocalTime,
  toTimeOfDay,
} from './times';
import { arrayText, numberText, parseArray } from './values';

type Value = string | number | bigint | null | Uint8Array;
type Result = string | number | bigint | null | boolean;

/** What the functions need to know of who is asking. */
export interface Session {
  /** Of the client whose statement runs. */
  readonly settings: Map<string, string>;
  /** May see and write every tenant's rows. */
  readonly unrestricted: boolean;
  /** When the open transaction, or the statement alone, began. */
  readonly startedAt: string;
}

interface Routine {
  readonly run: (...values: never[]) => Result;
  readonly arity: number;
  /** Depends on more than its arguments. */
  readonly isVolatile?: boolean;
  /** Is called with NULL too. */
  readonly takesNull?: boolean;
}

const UUID = /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;
const WHOLE = /^\s*[+-]?\d+\s*$/;
const BOOLEANS: Readonly<Record<string, boolean>> = {
  t: true,
  true: true,
  yes: true,
  on: true,
  '1': true,
  f: false,
  false: false,
  no: false,
  off: false,
  '0': false,
};

const invalid = (type: string, value: unknown): SqlFailure => new SqlFailure('22P02', `invalid input syntax for type ${type}: "${value}"`);

function toUuid(value: string): string {
  if (!UUID.test(value)) throw invalid('uuid', value);
  return value.toLowerCase();
}

function toWhole(value: string | number | bigint): number | bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Math.round(value);
  if (!WHOLE.test(value)) throw invalid('bigint', value);
  const exact = BigInt(value.trim());
  if (BigInt.asIntN(64, exact) !== exact) throw new SqlFailure('22003', `value "${value}" is out of range for type bigint`);
  return exact;
}

function toReal(value: string | number): number {
  const number = Number(value);
  if (Number.isNaN(number) || String(value).trim() === '') throw invalid('numeric', value);
  return number;
}

function toBoolean(value: string | number): boolean {
  const found = BOOLEANS[String(value).trim().toLowerCase()];
  if (found === undefined) throw invalid('boolean', value);
  return found;
}

function toJsonText(value: string | number): string {
  try {
    return JSON.stringify(JSON.parse(String(value)));
  } catch (error) {
    throw new SqlFailure('22P02', 'invalid input syntax for type json', { cause: error });
  }
}

function toInet(value: string): string {
  if (isIP(value.replace(/\/\d+$/, '')) === 0) throw invalid('inet', value);
  return value;
}

// ------------------------------------------------------------------ text

const patterns = new Map<string, RegExp>();
/** POSIX classes of the service's patterns mean the same in JavaScript. */
function pattern(source: string, flags: string): RegExp {
  const key = `${flags}/${source}`;
  const known = patterns.get(key) ?? new RegExp(source, flags);
  patterns.set(key, known);
  return known;
}

function like(text: string, wanted: string, ignoresCase: number): boolean {
  const source = wanted.replace(/\\([\s\S])|[%_]|[.*+?^${}()|[\]\\]/g, (token, escaped?: string) => {
    if (escaped !== undefined) return escaped.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    if (token === '%') return '.*';
    return token === '_' ? '.' : `\\${token}`;
  });
  return new RegExp(`^${source}$`, ignoresCase ? 'siu' : 'su').test(text);
}

const regexpReplace = (text: string, wanted: string, replacement: string, flags: string): string =>
  String(text).replace(
    pattern(wanted, flags),
    replacement
      .replace(/\$/g, '$$$$')
      .replace(/\\(\d)/g, '$$$1')
      .replace(/\\&/g, '$$&'),
  );

const left = (text: string, count: number): string => [...String(text)].slice(0, count).join('');
const right = (text: string, count: number): string => {
  const characters = [...String(text)];
  return (count >= 0 ? characters.slice(Math.max(0, characters.length - count)) : characters.slice(-count)).join('');
};

function translate(text: string, from: string, to: string): string {
  const targets = [...to];
  const map = new Map([...from].map((character, index) => [character, targets[index] ?? '']));
  return [...text].map((character) => map.get(character) ?? character).join('');
}

/** PostgreSQL breaks base64 after 76 characters. */
const encode = (text: string, format: string): string => {
  if (format === 'hex') return Buffer.from(text).toString('hex');
  return Buffer.from(text)
    .toString('base64')
    .replace(/(.{76})(?=.)/g, '$1\n');
};

// ------------------------------------------------------------------ JSON and arrays

const items = (array: string): unknown[] => JSON.parse(array) as unknown[];

function slice(array: string, lower: number | null, upper: number | null): string {
  return JSON.stringify(items(array).slice(lower === null ? 0 : Math.max(0, lower - 1), upper === null ? undefined : Math.max(0, upper)));
}

const join = (array: string, separator: string): string =>
  items(array)
    .filter((item) => item !== null)
    .join(separator);

function kind(text: string): string {
  const value: unknown = JSON.parse(text);
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== null)
      .map(([key, item]) => [key, withoutNulls(item)]),
  );
}

const ISOLATED_BY = 'app.tenant_id';

/** Later than every call before, however coarse the clock is: rows are ordered by it. */
let lastClock = 0;
function clock(): string {
  lastClock = Math.max(performance.timeOrigin + performance.now(), lastClock + 0.001);
  return instantOfMs(lastClock);
}

/** Every function by its name in SQL. `session` is asked at each call. */
export function routines(session: () => Session): Readonly<Record<string, Routine>> {
  const pure = (arity: number, run: Routine['run']): Routine => ({ run, arity });
  const asking = (arity: number, run: Routine['run']): Routine => ({ run, arity, isVolatile: true });
  return {
    to_instant: pure(1, (value: string) => toInstant(String(value))),
    to_local_time: pure(1, (value: string) => toLocalTime(String(value))),
    to_day: pure(1, (value: string) => toDay(String(value))),
    to_time: pure(1, (value: string) => toTimeOfDay(String(value))),
    to_interval: pure(1, (value: string) => toInterval(String(value))),
    to_uuid: pure(1, (value: string) => toUuid(String(value))),
    to_whole: pure(1, toWhole),
    to_real: pure(1, toReal),
    to_boolean: pure(1, toBoolean),
    to_inet: pure(1, toInet),
    to_json_text: pure(1, toJsonText),
    to_array: pure(2, (value: string, element: string) => JSON.stringify(parseArray(String(value), element))),
    array_text: pure(2, (value: string, element: string) => arrayText(items(value), element)),
    number_text: pure(1, numberText),
    instant_text: pure(
      1,
      (value: string) =>
        `${value
          .replace('T', ' ')
          .replace(/\.?0+(?=Z?$)/, '')
          .replace('Z', '+00')}`,
    ),
    json_time: pure(1, (value: string) => value.replace(/\.?0+(?=Z?$)/, '').replace('Z', '+00:00')),
    pg_lower: pure(1, (text: string) => String(text).toLowerCase()),
    pg_upper: pure(1, (text: string) => String(text).toUpperCase()),
    pg_left: pure(2, (text: string, count: number) => left(text, count)),
    pg_right: pure(2, right),
    pg_translate: pure(3, translate),
    pg_encode: pure(2, encode),
    pg_like: pure(3, like),
    pg_matches: pure(3, (text: string, wanted: string, ignoresCase: number) => pattern(wanted, ignoresCase ? 'iu' : 'u').test(text)),
    regexp_replace: pure(4, regexpReplace),
    md5: pure(1, (text: string) => createHash('md5').update(text).digest('hex')),
    text_hash: pure(1, (text: string) => createHash('sha256').update(text).digest().readBigInt64BE()),
    floor_: pure(1, Math.floor),
    greatest2: { arity: 2, takesNull: true, run: (one: Value, other: Value) => extreme(one, other, 1) },
    least2: { arity: 2, takesNull: true, run: (one: Value, other: Value) => extreme(one, other, -1) },
    interval_seconds: pure(1, intervalOfSeconds),
    interval_times: pure(2, intervalTimes),
    interval_part: pure(2, intervalPart),
    instant_part: pure(2, instantPart),
    instant_plus: pure(3, instantPlus),
    instant_minus: pure(2, instantMinus),
    instant_floor: pure(2, instantFloor),
    instant_format: pure(2, instantFormat),
    local_time: pure(2, localTime),
    from_local_time: pure(2, fromLocalTime),
    day_plus: pure(2, dayPlus),
    day_minus: pure(2, dayMinus),
    json_strip_nulls: pure(1, (value: string) => JSON.stringify(withoutNulls(JSON.parse(value)))),
    json_kind: pure(1, kind),
    array_slice: {
      arity: 3,
      takesNull: true,
      run: (array: string | null, from: number | null, to: number | null) => (array === null ? null : slice(array, from, to)),
    },
    array_join: pure(2, join),
    whole_series: pure(2, (from: number, to: number) =>
      JSON.stringify(Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)),
    ),
    instant_series: pure(3, (from: string, to: string, step: string) => JSON.stringify(instantSeries(from, to, step))),
    random_uuid: asking(0, () => randomUUID()),
    now_: asking(0, () => session().startedAt),
    clock_: asking(0, clock),
    set_setting: asking(2, (name: string, value: string) => {
      session().settings.set(name, value);
      return value;
    }),
    get_setting: asking(1, (name: string) => session().settings.get(name) ?? null),
    tenant_: asking(0, () => session().settings.get(ISOLATED_BY) || null),
    may_write: asking(1, (tenantId: string) => session().unrestricted || tenantId === session().settings.get(ISOLATED_BY)),
  };
}

/** NULL counts as absent. */
function extreme(one: Value, other: Value, sign: number): Result {
  if (one === null || other === null) return (one ?? other) as Result;
  return ((one > other ? 1 : -1) * sign > 0 ? one : other) as Result;
}
