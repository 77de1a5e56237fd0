/**
 * Production with its defaults (port 5000, 4 workers), behind a preflight. The preflight is a child process, because it talks to
 * the database and the primary, which this process becomes, loads no driver. What the operator set, in the environment or in the
 * file, wins over the defaults here; only NODE_ENV does not: whoever starts production means it.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { withEnvFile } from '../config/load';

const DEFAULTS = { PORT: '5000', WORKERS: '4' };
/** sysexits.h EX_SOFTWARE, as for any file of ours that does not load. */
const EXIT_LOAD = 70;

process.env['NODE_ENV'] = 'production';
const { ENV_FILE } = withEnvFile(process.env);
const inFile = ENV_FILE ? namesIn(ENV_FILE) : {};
for (const [name, value] of Object.entries(DEFAULTS)) {
  if (!process.env[name] && !inFile[name]) process.env[name] = value;
}

const { status, signal } = spawnSync(process.execPath, [join(__dirname, 'preflight.js')], { stdio: 'inherit' });
if (status !== 0) {
  if (signal) process.kill(process.pid, signal);
  process.exit(status ?? EXIT_LOAD);
}

try {
  // Not an import: the configuration is read when the module loads, and it has to see what was decided above.
  const { main } = require('../server/index') as typeof import('../server/index.js');
  void main();
} catch (error) {
  console.error(error);
  process.exit(EXIT_LOAD);
}

/** An unreadable file is the preflight's to report, with every other fault. */
function namesIn(path: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(path, 'utf8'));
  } catch {
    return {};
  }
}
