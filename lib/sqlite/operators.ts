/** Binary operators, chosen by the types of their operands. */
import { NotCarried } from './not-carried';
import { coerce, commonType, isJson, isNumber, isWhole, quote, type SqlType, type Typed } from './types';

const COMPARISONS = new Set(['=', '<>', '!=', '<', '>', '<=', '>=', 'IS', 'IS NOT']);
const ARITHMETIC = new Set(['+', '-', '*', '/', '%']);
const INSTANTS: readonly SqlType[] = ['timestamptz', 'timestamp'];

/** @throws NotCarried for an operator, or a pair of types, that is not translated */
export function binaryOperator(name: string, left: Typed, right: Typed): Typed {
  if (COMPARISONS.has(name)) return compare(name === '!=' ? '<>' : name, left, right);
  if (ARITHMETIC.has(name)) return arithmetic(name, left, right);
  switch (name) {
    case '||':
      return concatenate(left, right);
    case '->>':
      return { sql: `(${left.sql} ->> ${right.sql})`, type: 'text' };
    case '->':
      return { sql: `(${left.sql} -> ${right.sql})`, type: 'json' };
    case '~':
    case '~*':
    case '!~':
    case '!~*': {
      const found = `pg_matches(${left.sql}, ${right.sql}, ${name.endsWith('*') ? 1 : 0})`;
      return { sql: name.startsWith('!') ? `(NOT ${found})` : found, type: 'bool' };
    }
    default:
      throw new NotCarried(`operator ${name}`);
  }
}

function compare(name: string, left: Typed, right: Typed): Typed {
  const type = commonType([left.type, right.type]);
  return { sql: `(${coerce(left, type).sql} ${name} ${coerce(right, type).sql})`, type: 'bool' };
}

function concatenate(left: Typed, right: Typed): Typed {
  if (left.type.endsWith('[]') || isJson(left.type)) throw new NotCarried(`${left.type} || ${right.type}`);
  const text = (value: Typed): string => (value.literal === undefined ? coerce(value, 'text').sql : quote(value.literal));
  return { sql: `(${text(left)} || ${text(right)})`, type: 'text' };
}

function arithmetic(name: string, left: Typed, right: Typed): Typed {
  return times(name, left, right) ?? numbers(name, left, right);
}

/** Instants, days and intervals; undefined when neither side is one. */
function times(name: string, left: Typed, right: Typed): Typed | undefined {
  const isInstant = (value: Typed) => INSTANTS.includes(value.type);
  const sign = name === '-' ? -1 : 1;
  if (isInstant(left) && right.type === 'interval') return { sql: `instant_plus(${left.sql}, ${right.sql}, ${sign})`, type: left.type };
  if (left.type === 'interval' && isInstant(right)) return { sql: `instant_plus(${right.sql}, ${left.sql}, 1)`, type: right.type };
  if (isInstant(left) && name === '-') return { sql: `instant_minus(${left.sql}, ${coerce(right, left.type).sql})`, type: 'interval' };
  if (isInstant(right) && name === '-') return { sql: `instant_minus(${coerce(left, right.type).sql}, ${right.sql})`, type: 'interval' };
  if (left.type === 'date' && isWhole(right.type)) return { sql: `day_plus(${left.sql}, ${sign} * ${right.sql})`, type: 'date' };
  if (left.type === 'date' && name === '-') return { sql: `day_minus(${left.sql}, ${coerce(right, 'date').sql})`, type: 'int4' };
  if (left.type === 'date' && right.type === 'interval')
    return { sql: `instant_plus(to_local_time(${left.sql}), ${right.sql}, ${sign})`, type: 'timestamp' };
  if (name !== '*') return undefined;
  if (left.type === 'interval') return { sql: `interval_times(${left.sql}, ${right.sql})`, type: 'interval' };
  if (right.type === 'interval') return { sql: `interval_times(${right.sql}, ${left.sql})`, type: 'interval' };
  return undefined;
}

function numbers(name: string, left: Typed, right: Typed): Typed {
  const type = commonType([left.type, right.type]);
  if (type !== 'unknown' && !isNumber(type)) throw new NotCarried(`${left.type} ${name} ${right.type}`);
  const [one, two] = [coerce(left, type).sql, coerce(right, type).sql];
  // SQLite divides whole numbers as whole numbers however they were declared.
  return { sql: name === '/' && !isWhole(type) ? `(CAST(${one} AS REAL) / ${two})` : `(${one} ${name} ${two})`, type };
}
