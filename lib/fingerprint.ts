/**
 * SQL without the values in it, for logs, counters and grouping: nothing that a customer typed may leave by a statement's text.
 * Reads PostgreSQL's lexical forms (documentation, 4.1 "Lexical Structure"): quoted, escaped and dollar-quoted text, bit strings,
 * numbers and comments.
 */
import { LRUCache } from 'lru-cache';

const MAX_LENGTH = 500;

/** An opening quote without its end swallows the rest: a text that was cut off may end inside a value. */
const TOKENS = [
  '(?<identifier>"(?:[^"]|"")*(?:"|$))',
  "\\b[eE]'(?:[^'\\\\]|\\\\[\\s\\S]|'')*(?:'|$)",
  "(?:\\b(?:[bBxXnN]|[uU]&))?'(?:[^']|'')*(?:'|$)",
  '\\$(?<tag>(?:[A-Za-z_\\u0080-\\uffff][\\w\\u0080-\\uffff]*)?)\\$[\\s\\S]*?(?:\\$\\k<tag>\\$|$)',
  '(?<comment>--[^\\n]*|/\\*[\\s\\S]*?(?:\\*/|$))',
  '(?<![\\w"$.])(?:0[xXoObB][\\da-fA-F_]+|(?:\\d[\\d_]*)?\\.?\\d[\\d_]*\\.?(?:[eE][+-]?\\d+)?)',
  '(?<parameter>\\$)\\d+',
].join('|');
const LITERAL = new RegExp(TOKENS, 'g');
/** A list of values is one value, however long it is. */
const LIST = /\(\s*(\$?\?)(?:\s*,\s*\$?\?)+\s*\)/g;

/** Replaces literals by `?` and parameters by `$?`, drops comments, and cuts after 500 characters. */
export function fingerprint(text: string): string {
  return text
    .replace(LITERAL, (found, ...rest) => {
      const groups = rest.at(-1) as { identifier?: string; comment?: string; parameter?: string };
      if (groups.identifier !== undefined) return found;
      if (groups.comment !== undefined) return ' ';
      return groups.parameter === undefined ? '?' : '$?';
    })
    .replace(LIST, '($1)')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, MAX_LENGTH);
}

/** Most statements are constant texts with parameters: each is normalised once for a process. */
const known = new LRUCache<string, string>({ max: 2_000 });

/** The same, remembered. */
export function fingerprintOf(text: string): string {
  let print = known.get(text);
  if (print === undefined) {
    print = fingerprint(text);
    known.set(text, print);
  }
  return print;
}
