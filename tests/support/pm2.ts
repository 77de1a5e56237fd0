/** PM2 as an operator uses it, with a home and a daemon of its own, which end with the test file. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { closeLater } from './closers';
import { freePort, temporaryFolder } from './services';

const PM2 = join(PROJECT_ROOT, 'node_modules', 'pm2', 'bin', 'pm2');
const COMMAND_LIMIT_MS = 150_000;

export interface Ran {
  code: number | null;
  output: string;
}

export interface Listed {
  pid: number;
  pm_id: number;
  pm2_env: { status: string; restart_time: number; exec_mode: string; exit_code?: number };
}

/** Runs a program to its end, both streams together. @throws Error when it takes too long */
export function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: PROJECT_ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${args.join(' ')}: not within ${COMMAND_LIMIT_MS} ms. Output:\n${output}`));
    }, COMMAND_LIMIT_MS);
    child.once('error', reject);
    // Not `close`: the daemon that the first command starts holds the streams open.
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

export class Pm2 {
  readonly home = temporaryFolder('pm2');
  readonly url: string;
  readonly opsUrl: string;
  readonly controlSocket = join(this.home, 'control', 'control.sock');
  readonly #env: NodeJS.ProcessEnv;
  readonly #config: string;

  private constructor(ports: { port: number; opsPort: number }, config: object, env: NodeJS.ProcessEnv) {
    this.url = `http://127.0.0.1:${ports.port}`;
    this.opsUrl = `http://127.0.0.1:${ports.opsPort}`;
    this.#config = join(this.home, 'app.config.js');
    writeFileSync(this.#config, `module.exports = ${JSON.stringify({ apps: [config] })};\n`);
    this.#env = {
      ...process.env,
      PM2_HOME: this.home,
      PORT: String(ports.port),
      OPS_PORT: String(ports.opsPort),
      CONTROL_SOCKET: this.controlSocket,
      LOG_LEVEL: 'INFO',
      STRUCTURED_LOGGING: 'true',
      ...env,
    };
    closeLater(() => this.command('kill'));
  }

  /** @param change made to the app of ecosystem.config.js */
  static async prepare(change: object = {}, env: NodeJS.ProcessEnv = {}): Promise<Pm2> {
    const ports = { port: await freePort(), opsPort: await freePort() };
    const { apps } = require('../../ecosystem.config.js') as { apps: [object] };
    // The file takes its defaults from the environment of `pm2 start`, and paths from its own folder.
    const config = { ...apps[0], cwd: PROJECT_ROOT, env: {}, ...change };
    return new Pm2(ports, config, env);
  }

  command(...args: string[]): Promise<Ran> {
    return run(process.execPath, [PM2, ...args], this.#env);
  }

  start(): Promise<Ran> {
    return this.command('start', this.#config);
  }

  /** `npm run reload`, in the environment that the service has. */
  reload(): Promise<Ran> {
    return run('npm', ['run', '--silent', 'reload'], this.#env);
  }

  ctl(...args: string[]): Promise<Ran> {
    return run('npm', ['run', '--silent', 'ctl', '--', ...args], this.#env);
  }

  async list(): Promise<Listed[]> {
    const { output } = await this.command('jlist');
    return JSON.parse(output.slice(output.indexOf('['))) as Listed[];
  }

  /** What PM2 has written of one stream. */
  log(stream: 'out' | 'error'): string[] {
    const folder = join(this.home, 'logs');
    return readdirSync(folder)
      .filter((name) => name.startsWith(`autoshop-${stream}`))
      .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean));
  }

  /** How often PM2 has started the app, by its own log. */
  get starts(): number {
    return readFileSync(join(this.home, 'pm2.log'), 'utf8').match(/App \[autoshop:\d+\] starting/g)?.length ?? 0;
  }
}
