/**
 * Development: compiles on every change and restarts the service after each compilation without errors. One worker unless
 * WORKERS says otherwise. Plain JavaScript, because there may be nothing compiled yet.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

process.chdir(join(import.meta.dirname, '..'));
const env = { ...process.env, WORKERS: process.env.WORKERS ?? '1' };
let service;
let stopping = false;
let restart = Promise.resolve();

const compiler = spawn(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.', '--watch', '--preserveWatchOutput'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
compiler.stdout.setEncoding('utf8').on('data', (text) => {
  process.stdout.write(text);
  if (/Found 0 errors/.test(text)) restart = restart.then(serve);
});

/** Stops the running service in order, then starts what was just compiled. */
async function serve() {
  await stop();
  if (stopping) return;
  service = spawn(process.execPath, ['dist/server/index.js'], { stdio: 'inherit', env, detached: true });
}

/** The service runs in a group of its own, so Ctrl-C reaches it once, from here. */
async function stop() {
  if (!service || service.exitCode !== null || service.signalCode !== null) return;
  const gone = new Promise((resolve) => service.once('exit', resolve));
  service.kill('SIGTERM');
  await gone;
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, async () => {
    if (stopping) return service?.kill('SIGQUIT');
    stopping = true;
    compiler.kill();
    await restart;
    await stop();
    process.exit(0);
  });
}
