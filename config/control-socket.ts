/**
 * Where the control socket of the service that this environment describes is. Light and forgiving, unlike the whole configuration:
 * a command that steers a running service must start fast, and must not need the service's secrets.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { withEnvFile } from './env-file';

/** `sun_path` of Linux holds 108 bytes with the final zero; longer names would be cut off silently. */
export const SOCKET_PATH_MAX = 107;

/** In a folder of its own, which only its owner may enter: the data folder itself must stay open to the database's user. */
export const defaultControlSocket = (dataDir: string): string => join(dataDir, 'run', 'control.sock');

/** @throws the file error, when ENV_FILE names a file that cannot be read */
export function controlSocketOf(source: NodeJS.ProcessEnv = process.env): string {
  const { ENV_FILE, ...given } = withEnvFile(source);
  const file = ENV_FILE ? parseEnv(readFileSync(ENV_FILE, 'utf8')) : {};
  const read = (name: string): string | undefined => given[name] || file[name] || undefined;
  return read('CONTROL_SOCKET') ?? defaultControlSocket(read('DATA_DIR') ?? '.data');
}
