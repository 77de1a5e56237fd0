/** Which file of variables belongs to an environment. */
import { existsSync } from 'node:fs';

export type RawEnvironment = Readonly<Record<string, string | undefined>>;

/** A `.env` in the working folder is read without being named; tests never depend on what a developer keeps there. */
export function withEnvFile(source: RawEnvironment, file = '.env'): RawEnvironment {
  if (source['ENV_FILE'] || source['NODE_ENV'] === 'test' || !existsSync(file)) return source;
  return { ...source, ENV_FILE: file };
}
