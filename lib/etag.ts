/**
 * Entity tags of the form `<row version>.<representation hash>`: If-None-Match compares all of it, If-Match only the row
 * version. So one tag answers "is my copy fresh" and "did somebody else write meanwhile".
 */
import { createHash } from 'node:crypto';

const HASH_LENGTH = 16;

/** The tag of a representation (its JSON text) of a row. */
export function etagOf(version: number, representation: string): string {
  return `${version}.${createHash('sha1').update(representation).digest('base64url').slice(0, HASH_LENGTH)}`;
}

/**
 * True when a write may go on: the caller named no version, any version (`*`), or this one. A tag list matches when one of
 * its tags does; quotes and `W/` are optional, since callers also send the tag as they found it in a body.
 */
export function allowsVersion(ifMatch: string | null, version: number): boolean {
  if (ifMatch === null) return true;
  return ifMatch.split(',').some((item) => {
    const tag = item
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1');
    return tag === '*' || tag === String(version) || tag.startsWith(`${version}.`);
  });
}
