/**
 * The entry: decides which role this process has. Started by hand, by a container or by a process manager in fork mode it
 * is the primary. Inside somebody else's cluster (PM2's cluster mode) it is already one of several workers and serves alone.
 */
import cluster from 'node:cluster';
import { join } from 'node:path';
import { Primary } from './cluster/primary';

const compiled = (...path: string[]): string => join(__dirname, ...path);

export const SCRIPTS = {
  worker: compiled('worker.js'),
  jobs: compiled('job-runner.js'),
  migrate: compiled('..', 'scripts', 'migrate.js'),
  seed: compiled('..', 'scripts', 'seed.js'),
};

/** For launchers that prepare the environment first; see `scripts/start-production.ts`. */
export async function main(): Promise<void> {
  if (cluster.isPrimary) {
    await new Primary({ scripts: SCRIPTS }).start();
    return;
  }
  const { serveAlone } = await import('./standalone.js');
  await serveAlone();
}

if (require.main === module || !cluster.isPrimary) void main();
