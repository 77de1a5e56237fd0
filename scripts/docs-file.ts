/** Generated documents: written on demand, and compared with `--check` so that they cannot drift from what they describe. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../lib/project-root';

/** Writes `content` to `path` (relative to the project), or with `--check` on the command line exits 1 when it differs. */
export function publish(path: string, content: string, script: string): void {
  const file = join(PROJECT_ROOT, path);
  if (!process.argv.includes('--check')) {
    writeFileSync(file, content);
    console.log(`${path} written`);
    return;
  }
  if (existsSync(file) && readFileSync(file, 'utf8') === content) {
    console.log(`${path} is up to date`);
    return;
  }
  console.error(`${path} differs from what the code says: run npm run ${script}`);
  process.exitCode = 1;
}
