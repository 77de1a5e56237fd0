/** Finds installed programs as a shell would, and where Debian keeps daemons (sbin), which a user's PATH leaves out. */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const DAEMONS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];
/** Where Debian keeps the programs of each PostgreSQL version, off the PATH. */
const POSTGRES = '/usr/lib/postgresql';

/** The path of the first of these names that can be executed, `first` looked into before PATH; `undefined` when none is installed. */
export function findExecutable(names: readonly string[], first: readonly string[] = []): string | undefined {
  const folders = [...first, ...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), ...DAEMONS];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

/** Folders of the PostgreSQL programs that the system has, the oldest version first. */
export function postgresFolders(): string[] {
  const versions = existsSync(POSTGRES) ? readdirSync(POSTGRES) : [];
  return versions.sort((one, other) => Number(one) - Number(other)).map((version) => join(POSTGRES, version, 'bin'));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
