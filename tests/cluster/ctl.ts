/** `npm run ctl` as an operator's shell runs it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import type { Service } from '../support/cluster';

export interface Ran {
  /** Of the program itself. */
  pid: number;
  code: number | null;
  stdout: string;
  stderr: string;
}

const CTL = join(PROJECT_ROOT, 'dist', 'scripts', 'ctl.js');

/** Runs one command to its end. */
export function ctl(service: Pick<Service, 'controlSocket'>, ...argv: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [CTL, ...argv], {
    cwd: PROJECT_ROOT,
    env: { PATH: process.env['PATH'], NODE_ENV: 'test', CONTROL_SOCKET: service.controlSocket },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ran: Ran = { pid: child.pid ?? 0, code: null, stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      ran[stream] += text;
    });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...ran, code }));
  });
}

/** The same with `--json`: its progress and its result. @throws Error when it was refused */
export async function ctlJson<Result = Record<string, unknown>>(
  service: Pick<Service, 'controlSocket'>,
  ...argv: string[]
): Promise<Ran & { result: Result; progress: Record<string, unknown>[] }> {
  const ran = await ctl(service, ...argv, '--json');
  const answers = ran.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const last = answers.pop();
  if (last?.['event'] !== 'done') throw new Error(`ctl ${argv.join(' ')}: ${ran.code}, ${ran.stdout} ${ran.stderr}`);
  return { ...ran, result: last['result'] as Result, progress: answers };
}
