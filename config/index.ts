/**
 * The configuration of this process, read once at import: a bad value stops the process before it listens.
 * The only place where `process.env` is read.
 */
import { type Config, ConfigError, loadConfig, withEnvFile } from './load';

export type { Config } from './load';

/** sysexits.h EX_CONFIG: what the operator must repair before another start can work. */
const EXIT_CONFIG = 78;

function readOrExit(): Config {
  try {
    return loadConfig(withEnvFile(process.env));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(EXIT_CONFIG);
  }
}

export const config: Config = readOrExit();
