/** Finds installed programs as a shell would, and where Debian keeps daemons (sbin), which a user's PATH leaves out. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const DAEMONS = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The path of the first of these names that can be executed, `first` looked into before PATH; `undefined` when none is installed. */
export function findExecutable(names: readonly string[], first: readonly string[] = []): string | undefined {
  const folders = [...first, ...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), ...DAEMONS];
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
