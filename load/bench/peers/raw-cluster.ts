/**
 * node:cluster by itself, rolled by HUP as most services do it by hand: the new worker listens before the old one is told to go,
 * which then calls `server.close()`; one that is still there after 15 s is killed. Says `ready` and `rolled` on stdout.
 */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { handle } from './handler';

const WORKERS = 4;
const DRAIN_MS = 15_000;

async function startOne(): Promise<Worker> {
  const worker = cluster.fork();
  await once(worker, 'listening');
  return worker;
}

async function retire(worker: Worker): Promise<void> {
  const gone = once(worker, 'exit');
  worker.process.kill('SIGTERM');
  const force = setTimeout(() => worker.process.kill('SIGKILL'), DRAIN_MS);
  await gone;
  clearTimeout(force);
}

async function supervise(): Promise<void> {
  let workers = await Promise.all(Array.from({ length: WORKERS }, startOne));
  const roll = async (): Promise<void> => {
    const fresh: Worker[] = [];
    for (const old of workers) {
      fresh.push(await startOne());
      await retire(old);
    }
    workers = fresh;
    process.stdout.write('rolled\n');
  };
  process.on('SIGHUP', () => void roll());
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
    process.exit(0);
  });
  process.stdout.write('ready\n');
}

function serve(): void {
  const server = createServer(handle).listen(Number(process.env['PORT']), '127.0.0.1');
  process.on('SIGHUP', () => undefined);
  process.on('SIGTERM', () => server.close(() => process.exit(0)));
}

if (cluster.isPrimary) void supervise();
else serve();
