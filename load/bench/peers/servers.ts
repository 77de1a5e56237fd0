/** The servers of the comparison: how each is started, rolled and stopped. Each runs four workers with the same handler. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { PROJECT_ROOT } from '../../../lib/project-root';
import { freePort, waitForPort } from '../../../scripts/ports';
import { eventually, startChaos, stats } from '../../../tests/cluster/support';

export interface Peer {
  readonly name: string;
  start(): Promise<Running>;
}

export interface Running {
  readonly url: string;
  /** Where the handler is served. */
  readonly path: string;
  /** Replaces all workers once; resolves when all old ones are gone. */
  roll(): Promise<void>;
  stop(): Promise<void>;
}

const run = promisify(execFile);
const ROLL_MS = 180_000;
const compiled = (name: string): string => join(PROJECT_ROOT, 'dist', 'load', 'bench', 'peers', name);
const urlOf = (port: number): string => `http://127.0.0.1:${port}`;

export const ours: Peer = {
  name: 'this service, HUP',
  async start() {
    // The others have no gate: what it refuses on a busy machine is no fault of a roll.
    const service = await startChaos({ env: { MAX_REQUESTS: '0', SHED_LAG_MS: '0', SHED_POOL_WAIT_MS: '0' } });
    return {
      url: service.url,
      path: '/chaos/work',
      async roll() {
        const before = (await stats(service)).cluster.roll.id;
        service.kill('SIGHUP');
        const { last } = await eventually(
          'the end of the roll',
          async () => {
            const { roll } = (await stats(service)).cluster;
            return roll.id > before && roll.state === 'idle' && roll;
          },
          ROLL_MS,
        );
        if (last?.result !== 'completed') throw new Error(`the roll was ${last?.result}: ${last?.reason}`);
      },
      stop: async () => void (await service.stop()),
    };
  },
};

export const pm2: Peer = {
  name: 'pm2 reload, cluster mode',
  async start() {
    const port = await freePort();
    const home = mkdtempSync(join(tmpdir(), 'autoshop-pm2-'));
    const env = { ...process.env, PM2_HOME: home, PORT: String(port) };
    const call = (...args: string[]) => run(join(PROJECT_ROOT, 'node_modules', '.bin', 'pm2'), args, { env, timeout: ROLL_MS });
    await call('start', compiled('pm2-server.js'), '--name', 'peer', '-i', '4', '--wait-ready', '--listen-timeout', '20000');
    return {
      url: urlOf(port),
      path: '/',
      roll: async () => void (await call('reload', 'peer')),
      async stop() {
        await call('kill');
        rmSync(home, { recursive: true, force: true });
      },
    };
  },
};

export const rawCluster: Peer = {
  name: 'node:cluster, server.close()',
  async start() {
    const port = await freePort();
    const child = spawn(process.execPath, [compiled('raw-cluster.js')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PORT: String(port) },
    });
    const words = createInterface(child.stdout);
    await once(words, 'line');
    return {
      url: urlOf(port),
      path: '/',
      async roll() {
        const rolled = once(words, 'line');
        child.kill('SIGHUP');
        await rolled;
      },
      stop: () => end(child),
    };
  },
};

/** From PyPI, into a virtual environment under `.data/` the first time. */
export const gunicorn: Peer = {
  name: 'gunicorn HUP, gthread',
  async start() {
    const venv = join(PROJECT_ROOT, '.data', 'gunicorn');
    if (!existsSync(join(venv, 'bin', 'gunicorn'))) {
      await run('python3', ['-m', 'venv', venv]);
      await run(join(venv, 'bin', 'pip'), ['install', '--quiet', 'gunicorn']);
    }
    const port = await freePort();
    const child = spawn(
      join(venv, 'bin', 'gunicorn'),
      ['--bind', `127.0.0.1:${port}`, '--workers', '4', '--threads', '16', '-k', 'gthread', '--log-level', 'error', 'app:app'],
      { cwd: join(PROJECT_ROOT, 'load', 'bench', 'peers'), stdio: 'inherit' },
    );
    await waitForPort(port, 20_000);
    const workers = () => eventually('four workers', async () => childrenOf(child).length === 4 && childrenOf(child));
    return {
      url: urlOf(port),
      path: '/',
      async roll() {
        const old = await workers();
        child.kill('SIGHUP');
        await eventually('the new workers', async () => {
          const now = childrenOf(child);
          return now.length === 4 && now.every((pid) => !old.includes(pid));
        });
      },
      stop: () => end(child),
    };
  },
};

function childrenOf({ pid }: ChildProcess): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(force);
}
