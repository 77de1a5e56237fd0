/** Which build this is, for whoever did not say so: releases that share a Redis must not take each other's replies for their own. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The compiler's own record: it holds a hash of every source. Beside the compiled files, so absent where sources are run as they are. */
const RECORD = '.tsbuildinfo';
const LENGTH = 12;
export const UNNAMED_BUILD = 'dev';

/** @param folder that the build went to */
export function buildName(folder = join(__dirname, '..')): string {
  try {
    const record = readFileSync(join(folder, RECORD));
    return `${UNNAMED_BUILD}-${createHash('sha256').update(record).digest('hex').slice(0, LENGTH)}`;
  } catch {
    return UNNAMED_BUILD;
  }
}
