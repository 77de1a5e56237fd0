/** Where the project's files lie. The build copies no files, so SQL and other data are read from here also when run from `dist/`. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function findRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error(`No package.json above ${__dirname}`);
  return findRoot(parent);
}

/** Absolute path of the folder that holds `package.json`. */
export const PROJECT_ROOT = findRoot(__dirname);
