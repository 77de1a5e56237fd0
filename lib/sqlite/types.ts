/**
 * The types of PostgreSQL that the schema uses, how SQLite stores each, and how one becomes another. SQLite keeps every value
 * as INTEGER, REAL or TEXT: an instant is text in UTC with six decimals (so that text order is time order), an interval
 * `months days microseconds`, a boolean 0 or 1, JSON and arrays JSON text.
 */
import { type Node, strings, type TypeName } from './ast';
import { NotCarried } from './not-carried';

export type SqlType = string;

/** An expression in SQLite's words with the type it has in PostgreSQL's. */
export interface Typed {
  readonly sql: string;
  readonly type: SqlType;
  /** The text of a string constant: its type comes from where it stands. */
  readonly literal?: string;
}

const ALIASES: Readonly<Record<string, SqlType>> = {
  int2: 'int4',
  integer: 'int4',
  bigint: 'int8',
  float4: 'float8',
  varchar: 'text',
  bpchar: 'text',
  name: 'text',
  regclass: 'text',
};
const KNOWN = new Set(
  'int4 int8 float8 numeric text bool timestamptz timestamp date time interval uuid json jsonb inet void record unknown bytea'.split(' '),
);
/** Object ids of the server's catalogue (`pg_type.dat`), by which the driver chooses how to read a value; arrays second. */
const OIDS: Readonly<Record<SqlType, readonly [number, number]>> = {
  bool: [16, 1000],
  int8: [20, 1016],
  int4: [23, 1007],
  text: [25, 1009],
  json: [114, 199],
  float8: [701, 1022],
  inet: [869, 1041],
  date: [1082, 1182],
  time: [1083, 1183],
  timestamp: [1114, 1115],
  timestamptz: [1184, 1185],
  interval: [1186, 1187],
  numeric: [1700, 1231],
  void: [2278, 2278],
  uuid: [2950, 2951],
  jsonb: [3802, 3807],
};
const NUMBERS: readonly SqlType[] = ['int4', 'int8', 'numeric', 'float8'];

export const isArray = (type: SqlType): boolean => type.endsWith('[]');
export const elementOf = (type: SqlType): SqlType => (isArray(type) ? type.slice(0, -2) : 'unknown');
export const isJson = (type: SqlType): boolean => type === 'json' || type === 'jsonb';
export const isNumber = (type: SqlType): boolean => NUMBERS.includes(type);
export const isWhole = (type: SqlType): boolean => type === 'int4' || type === 'int8';
export const oidOf = (type: SqlType): number => (isArray(type) ? OIDS[elementOf(type)]?.[1] : OIDS[type]?.[0]) ?? 25;

/** What the server's catalogue says of these types, for a driver that asks. */
export const typeRows = (): { typname: string; typtype: 'b'; oid: number; typarray: number }[] =>
  Object.entries(OIDS).map(([typname, [oid, typarray]]) => ({ typname, typtype: 'b', oid, typarray }));

/** @throws NotCarried for a type that the schema does not use */
export function typeOf({ names, arrayBounds }: TypeName): SqlType {
  const name = strings(names).at(-1) ?? '';
  const type = ALIASES[name] ?? name;
  if (!KNOWN.has(type)) throw new NotCarried(`type ${name}`);
  return arrayBounds ? `${type}[]` : type;
}

/** The numbers in the brackets of a type: `varchar(100)` -> [100]. */
export const modifiersOf = ({ typmods = [] }: TypeName): number[] =>
  typmods.flatMap((node: Node) => (node.A_Const?.ival ? [node.A_Const.ival.ival ?? 0] : []));

/** Column affinity, chosen so that what is stored never changes its kind. */
export const affinityOf = (type: SqlType): string => {
  if (isWhole(type) || type === 'bool') return 'INTEGER';
  return isNumber(type) ? 'REAL' : 'TEXT';
};

/** What both sides of a comparison, or all branches of a CASE, become. */
export function commonType(types: readonly SqlType[]): SqlType {
  const known = types.filter((type) => type !== 'unknown');
  const [first = 'unknown'] = known;
  if (known.every(isNumber)) return NUMBERS[Math.max(...known.map((type) => NUMBERS.indexOf(type)))] ?? first;
  return first;
}

export const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Functions of `routines.ts` that read text as a type, refusing what PostgreSQL refuses. */
const READERS: Readonly<Record<SqlType, string>> = {
  timestamptz: 'to_instant',
  timestamp: 'to_local_time',
  date: 'to_day',
  time: 'to_time',
  interval: 'to_interval',
  uuid: 'to_uuid',
  int4: 'to_whole',
  int8: 'to_whole',
  bool: 'to_boolean',
  inet: 'to_inet',
  json: 'to_json_text',
  jsonb: 'to_json_text',
};

/** `expression` as a value of type `to`, as a cast or an assignment would make it. */
export function coerce(expression: Typed, to: SqlType): Typed {
  const { sql, type, literal } = expression;
  if (literal !== undefined && to === 'text') return { sql, type: to };
  if (type === to || to === 'unknown' || to === 'record') return expression;
  if (isArray(to)) return { sql: isArray(type) ? sql : `to_array(${sql}, ${quote(elementOf(to))})`, type: to };
  if (to === 'text') return { sql: asText(expression), type: to };
  if (to === 'float8' || to === 'numeric')
    return { sql: `CAST(${type === 'unknown' || type === 'text' ? `to_real(${sql})` : sql} AS REAL)`, type: to };
  if (isWhole(to)) {
    if (isWhole(type)) return { sql, type: to };
    if (type === 'bool') return { sql, type: to };
    return isNumber(type) ? { sql: `CAST(round(${sql}) AS INTEGER)`, type: to } : { sql: `to_whole(${sql})`, type: to };
  }
  if (to === 'bool' && isWhole(type)) return { sql: `(${sql} <> 0)`, type: to };
  if (isJson(to) && isJson(type)) return { sql, type: to };
  if (to === 'date' && (type === 'timestamp' || type === 'timestamptz')) return { sql: `substr(${sql}, 1, 10)`, type: to };
  if (to === 'timestamp' && type === 'timestamptz') return { sql: `rtrim(${sql}, 'Z')`, type: to };
  if (to === 'void') return { sql, type: to };
  const reader = READERS[to];
  if (!reader) throw new NotCarried(`a cast from ${type} to ${to}`);
  return { sql: `${reader}(${sql})`, type: to };
}

function asText({ sql, type }: Typed): string {
  if (type === 'bool') return `(CASE ${sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)`;
  if (type === 'timestamptz' || type === 'timestamp') return `instant_text(${sql})`;
  if (isArray(type)) return `array_text(${sql}, ${quote(elementOf(type))})`;
  if (isNumber(type)) return `number_text(${sql})`;
  return type === 'unknown' ? `CAST(${sql} AS TEXT)` : sql;
}

/** `expression` as an argument of json_object and its kin: booleans and nested JSON keep what they are. */
export function asJsonValue({ sql, type }: Typed): string {
  if (type === 'bool') return `json(CASE ${sql} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END)`;
  if (isJson(type) || isArray(type)) return `json(${sql})`;
  if (type === 'timestamptz' || type === 'timestamp') return `json_time(${sql})`;
  return sql;
}
