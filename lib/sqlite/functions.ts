/** Function calls: aggregates, window functions, the functions of the migrations, and those of PostgreSQL that the service uses. */
import { type FuncCall, lastName, type Node, type WindowDef } from './ast';
import type { Expressions } from './expressions';
import { NotCarried } from './not-carried';
import { isWholeRow, Scope } from './scope';
import { asJsonValue, coerce, commonType, elementOf, isArray, isJson, isWhole, quote, type SqlType, type Typed } from './types';

export function callFunction(call: FuncCall, expressions: Expressions, scope: Scope): Typed {
  const name = lastName(call.funcname);
  const aggregate = AGGREGATES[name];
  if (aggregate) return callAggregate(name, aggregate, call, expressions, scope);
  if (call.over) return callWindow(name, call, expressions, scope);
  if (name === 'row_to_json' || name === 'to_json' || name === 'to_jsonb') return jsonOf(call, expressions, scope);
  const own = expressions.translator.catalog.functions.get(name);
  const values = (call.args ?? []).map((node) => argument(node, expressions, scope));
  if (own) {
    // The body stands where the call is; nothing else is visible in it.
    const inside = new Scope();
    inside.add({
      alias: '',
      columns: own.parameters.map((parameter, index) => ({ ...parameter, sql: coerce(values[index] ?? NULL, parameter.type).sql })),
    });
    return coerce(expressions.value(own.body, inside), own.returns);
  }
  const translate = SCALARS[name];
  if (!translate) throw new NotCarried(`function ${name}`);
  return translate(values);
}

const NULL: Typed = { sql: 'NULL', type: 'unknown' };

/** `secs => 5` is the only named argument in use, and the only one of its function. */
const argument = (node: Node, expressions: Expressions, scope: Scope): Typed => {
  if (!node.NamedArgExpr) return expressions.value(node, scope);
  if (node.NamedArgExpr.name !== 'secs') throw new NotCarried(`argument ${node.NamedArgExpr.name}`);
  return expressions.value(node.NamedArgExpr.arg, scope);
};

// ------------------------------------------------------------------ JSON of rows

/** A row as JSON, or a value. */
export function jsonValueOf(value: Typed): string {
  if (!isWholeRow(value)) return asJsonValue(value);
  return `json_object(${value.row.flatMap((column) => [quote(column.name), asJsonValue(column)])})`;
}

function jsonOf({ args }: FuncCall, expressions: Expressions, scope: Scope): Typed {
  const value = expressions.any(args?.[0] ?? {}, scope);
  if (isWholeRow(value)) return { sql: jsonValueOf(value), type: 'json' };
  if (isJson(value.type)) return value;
  return { sql: `json_quote(${asJsonValue(value)})`, type: 'json' };
}

// ------------------------------------------------------------------ aggregates

interface Aggregate {
  name: string;
  type: (argument: SqlType) => SqlType;
  /** No rows give NULL in PostgreSQL and this in SQLite. */
  empty?: string;
  json?: boolean;
}

const same = (type: SqlType): SqlType => type;
const AGGREGATES: Readonly<Record<string, Aggregate>> = {
  count: { name: 'count', type: () => 'int8' },
  sum: { name: 'sum', type: (type) => (type === 'int4' ? 'int8' : type === 'int8' ? 'numeric' : type) },
  avg: { name: 'avg', type: (type) => (isWhole(type) ? 'numeric' : type) },
  min: { name: 'min', type: same },
  max: { name: 'max', type: same },
  bool_or: { name: 'max', type: same },
  bool_and: { name: 'min', type: same },
  string_agg: { name: 'string_agg', type: () => 'text' },
  array_agg: { name: 'json_group_array', type: (type) => `${type === 'unknown' ? 'text' : type}[]`, empty: '[]' },
  json_agg: { name: 'json_group_array', type: () => 'json', empty: '[]', json: true },
  jsonb_agg: { name: 'json_group_array', type: () => 'jsonb', empty: '[]', json: true },
  json_object_agg: { name: 'json_group_object', type: () => 'json', empty: '{}', json: true },
};

function callAggregate(name: string, aggregate: Aggregate, call: FuncCall, expressions: Expressions, scope: Scope): Typed {
  if (call.agg_within_group) throw new NotCarried(`${name} WITHIN GROUP`);
  const args = (call.args ?? []).map((node) => expressions.any(node, scope));
  const [first = NULL] = args;
  const list = args.map((value, index) =>
    aggregate.json && !(name === 'json_object_agg' && index === 0) ? jsonValueOf(value) : value.sql,
  );
  const order = call.agg_order ? ` ORDER BY ${expressions.translator.order(call.agg_order, scope)}` : '';
  const filter = call.agg_filter ? ` FILTER (WHERE ${expressions.condition(call.agg_filter, scope)})` : '';
  const inner = call.agg_star ? '*' : `${call.agg_distinct ? 'DISTINCT ' : ''}${list}${order}`;
  const sql = `${aggregate.name}(${inner})${filter}${call.over ? ` OVER ${window(call.over, expressions, scope)}` : ''}`;
  return { sql: aggregate.empty ? `nullif(${sql}, ${quote(aggregate.empty)})` : sql, type: aggregate.type(first.type) };
}

/** `RANGE UNBOUNDED PRECEDING` alone is the default frame (parsenodes.h, FRAMEOPTION_DEFAULTS with its end). */
const DEFAULT_FRAME = 1058;

function window({ name, partitionClause, orderClause, frameOptions }: WindowDef, expressions: Expressions, scope: Scope): string {
  if (name || (frameOptions ?? DEFAULT_FRAME) !== DEFAULT_FRAME) throw new NotCarried('a window with a name or frame');
  const partition = partitionClause ? `PARTITION BY ${expressions.values(partitionClause, scope).map(({ sql }) => sql)}` : '';
  const order = orderClause ? `ORDER BY ${expressions.translator.order(orderClause, scope)}` : '';
  return `(${[partition, order].filter(Boolean).join(' ')})`;
}

function callWindow(name: string, { over, args }: FuncCall, expressions: Expressions, scope: Scope): Typed {
  if (!['row_number', 'rank', 'dense_rank'].includes(name) || !over || args) throw new NotCarried(`${name} OVER`);
  return { sql: `${name}() OVER ${window(over, expressions, scope)}`, type: 'int8' };
}

// ------------------------------------------------------------------ scalars

type Translate = (values: Typed[]) => Typed;

const texts = (values: readonly Typed[]): string[] => values.map((value) => coerce(value, 'text').sql);
/** A function of texts and whole numbers that has this name here. */
const named =
  (name: string, type: SqlType): Translate =>
  (values) => ({ sql: `${name}(${values.map((value) => (value.type === 'unknown' ? coerce(value, 'text') : value).sql)})`, type });
const build =
  (type: SqlType, name: string): Translate =>
  (values) => ({
    sql: `${name}(${values.map((value, index) => (name === 'json_object' && index % 2 === 0 ? value.sql : jsonValueOf(value)))})`,
    type,
  });
const constantSql =
  (sql: string, type: SqlType): Translate =>
  () => ({ sql, type });

const rounded: Translate = ([value = NULL, digits]) => ({ sql: `round(${value.sql}${digits ? `, ${digits.sql}` : ''})`, type: 'numeric' });

/** `timezone(zone, x)` is `x AT TIME ZONE zone`: an instant becomes local time, local time an instant. */
const timezone: Translate = ([zone = NULL, at = NULL]) =>
  at.type === 'timestamp'
    ? { sql: `from_local_time(${at.sql}, ${zone.sql})`, type: 'timestamptz' }
    : { sql: `local_time(${coerce(at, 'timestamptz').sql}, ${zone.sql})`, type: 'timestamp' };

const extract: Translate = ([part = NULL, from = NULL]) => {
  const routine = from.type === 'interval' ? 'interval_part' : 'instant_part';
  // An epoch without a fraction would come back as a whole number and then divide as one.
  return { sql: `CAST(${routine}(${part.sql}, ${from.sql}) AS REAL)`, type: 'numeric' };
};

const SCALARS: Readonly<Record<string, Translate>> = {
  // Text. lower and upper of SQLite know ASCII alone.
  lower: named('pg_lower', 'text'),
  upper: named('pg_upper', 'text'),
  length: named('length', 'int4'),
  left: named('pg_left', 'text'),
  right: named('pg_right', 'text'),
  btrim: named('trim', 'text'),
  ltrim: named('ltrim', 'text'),
  rtrim: named('rtrim', 'text'),
  replace: named('replace', 'text'),
  translate: named('pg_translate', 'text'),
  md5: named('md5', 'text'),
  strpos: named('instr', 'int4'),
  concat_ws: (values) => ({ sql: `concat_ws(${texts(values)})`, type: 'text' }),
  concat: (values) => ({ sql: `concat(${texts(values)})`, type: 'text' }),
  starts_with: ([text = NULL, start = NULL]) => ({ sql: `(instr(${texts([text])}, ${texts([start])}) = 1)`, type: 'bool' }),
  regexp_replace: (values) => ({ sql: `regexp_replace(${texts(values.length < 4 ? [...values, EMPTY] : values)})`, type: 'text' }),
  encode: named('pg_encode', 'text'),
  convert_to: ([text = NULL]) => coerce(text, 'text'),
  host: ([address = NULL]) => ({ sql: address.sql, type: 'text' }),
  // Numbers
  abs: ([value = NULL]) => ({ sql: `abs(${value.sql})`, type: value.type }),
  round: rounded,
  floor: ([value = NULL]) => ({ sql: `floor_(${value.sql})`, type: value.type }),
  ceil: ([value = NULL]) => ({ sql: `-floor_(-${value.sql})`, type: value.type }),
  // Time
  now: constantSql('now_()', 'timestamptz'),
  clock_timestamp: constantSql('clock_()', 'timestamptz'),
  make_interval: ([seconds = NULL]) => ({ sql: `interval_seconds(${coerce(seconds, 'float8').sql})`, type: 'interval' }),
  timezone,
  extract,
  date_part: extract,
  to_char: ([at = NULL, format = NULL]) => ({ sql: `instant_format(${at.sql}, ${format.sql})`, type: 'text' }),
  date_trunc: ([unit = NULL, at = NULL]) => ({ sql: `instant_floor(${at.sql}, ${texts([unit])})`, type: at.type }),
  // JSON and arrays
  json_build_object: build('json', 'json_object'),
  jsonb_build_object: build('jsonb', 'json_object'),
  json_build_array: build('json', 'json_array'),
  json_strip_nulls: ([value = NULL]) => ({ sql: `json_strip_nulls(${value.sql})`, type: 'json' }),
  jsonb_typeof: ([value = NULL]) => ({ sql: `json_kind(${value.sql})`, type: 'text' }),
  json_typeof: ([value = NULL]) => ({ sql: `json_kind(${value.sql})`, type: 'text' }),
  array_position: ([array = NULL, item = NULL]) => ({
    sql: `(SELECT key + 1 FROM json_each(${array.sql}) WHERE value = ${coerce(item, isArray(array.type) ? elementOf(array.type) : item.type).sql} LIMIT 1)`,
    type: 'int4',
  }),
  array_to_string: ([array = NULL, separator = NULL]) => ({ sql: `array_join(${array.sql}, ${texts([separator])})`, type: 'text' }),
  cardinality: ([array = NULL]) => ({ sql: `json_array_length(${array.sql})`, type: 'int4' }),
  // Session. One transaction runs at a time, so an advisory lock is always free.
  gen_random_uuid: constantSql('random_uuid()', 'uuid'),
  hashtextextended: ([text = NULL]) => ({ sql: `text_hash(${texts([text])})`, type: 'int8' }),
  pg_advisory_xact_lock: constantSql("''", 'void'),
  pg_try_advisory_xact_lock: constantSql('1', 'bool'),
  set_config: ([name = NULL, value = NULL]) => ({ sql: `set_setting(${texts([name, value])})`, type: 'text' }),
  current_setting: ([name = NULL]) => ({ sql: `get_setting(${texts([name])})`, type: 'text' }),
  to_regclass: ([name = NULL]) => ({
    sql: `(SELECT name FROM sqlite_schema WHERE type = 'table' AND name = replace(${texts([name])}, 'public.', ''))`,
    type: 'text',
  }),
  enqueue_job: ([task = NULL, payload = NULL, at = NULL, attempts = NULL, key = NULL]) => ({
    sql: `enqueue_(${[coerce(task, 'text'), coerce(payload, 'json'), coerce(at, 'timestamptz'), coerce(attempts, 'int4'), coerce(key, 'text')].map(({ sql }) => sql)})`,
    type: 'int8',
  }),
};

const EMPTY: Typed = { sql: "''", type: 'text' };

/** The type of the items of what `unnest` and its kin walk through. */
export const itemType = (values: readonly Typed[]): SqlType => {
  const [type = 'unknown'] = values.map((value) => value.type);
  return isArray(type) ? elementOf(type) : commonType([type]);
};
