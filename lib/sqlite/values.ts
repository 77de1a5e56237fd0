/** Values on their way in (as the pg driver takes them) and out (as the server would print them). */
import { instantOf, toInstant } from './times';
import { elementOf, isArray, isJson, isWhole, type SqlType } from './types';

export type Bound = string | number | bigint | null;

/** A parameter as SQLite takes it. Arrays become JSON lists, other objects JSON, as the driver would print them. */
export function bind(value: unknown): Bound {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') return value;
  if (value instanceof Date) return instantOf(value);
  return JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? item.toString() : item));
}

/** The literal of an array, `{a,"b c",NULL}` or JSON, as its items. */
export function parseArray(text: string, element: string): unknown[] {
  const list = text.startsWith('[') ? (JSON.parse(text) as unknown[]) : parseLiteral(text);
  return list.map((item) => itemOf(item, element));
}

function itemOf(item: unknown, element: string): unknown {
  if (item === null) return null;
  if (isWhole(element) || element === 'float8' || element === 'numeric') return Number(item);
  if (element === 'bool') return item === true || item === 't' || item === 'true' || item === 1;
  if (element === 'timestamptz') return toInstant(String(item));
  return element === 'uuid' ? String(item).toLowerCase() : String(item);
}

function parseLiteral(text: string): (string | null)[] {
  const inner = text.trim().replace(/^\{|\}$/g, '');
  return [...inner.matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(([, quoted, plain]) => {
    if (quoted !== undefined) return quoted.replace(/\\(.)/g, '$1');
    return plain === 'NULL' ? null : (plain ?? '');
  });
}

export function arrayText(list: readonly unknown[], element: string): string {
  const printed = list.map((item) => {
    if (item === null) return 'NULL';
    const text = serverText(item as Bound, element);
    return /^[^\s{}",\\]+$/.test(text) && text.toUpperCase() !== 'NULL' ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
  });
  return `{${printed.join(',')}}`;
}

/** 5 for 5.0, as PostgreSQL prints a number. */
export const numberText = (value: number | bigint): string => String(value);

/** A value as the server sends it in text format; the driver's parsers take it from there. */
export function serverText(value: Bound | boolean, type: SqlType): string {
  if (type === 'bool') return value === 1 || value === true ? 't' : 'f';
  if (type === 'timestamptz' || type === 'timestamp') return String(value).replace('T', ' ').replace('Z', '+00');
  if (isArray(type)) return arrayText(JSON.parse(String(value)) as unknown[], elementOf(type));
  if (isJson(type)) return String(value);
  return typeof value === 'number' ? numberText(value) : String(value);
}
