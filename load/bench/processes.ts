/**
 * Servers under comparison as processes: start one and wait until it serves, and read from /proc how much CPU a whole tree of
 * processes has used. Linux only.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const READY_TIMEOUT_MS = 40_000;
const STOP_TIMEOUT_MS = 15_000;
const MS_PER_TICK = 1000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

interface ProcessStat {
  parent: number;
  /** Own CPU and that of children that have ended and were waited for, in clock ticks. */
  ticks: number;
}

/** Undefined for a process that has ended. */
function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  // The name in parentheses may hold anything; behind it: state, parent, … user, system, children's user, children's system.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { parent: Number(fields[1]), ticks: fields.slice(11, 15).reduce((sum, value) => sum + Number(value), 0) };
}

/** Milliseconds of CPU that a process and all its descendants, living and ended, have used since they started. */
export function treeCpuMs(root: number): number {
  const all = new Map<number, ProcessStat>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? readStat(Number(name)) : undefined;
    if (stat) all.set(Number(name), stat);
  }
  if (!all.has(root)) throw new Error(`Process ${root} is gone`);
  const children = new Map<number, number[]>();
  for (const [pid, { parent }] of all) children.set(parent, [...(children.get(parent) ?? []), pid]);
  const sum = (pid: number): number =>
    (all.get(pid)?.ticks ?? 0) + (children.get(pid) ?? []).reduce((total, child) => total + sum(child), 0);
  return sum(root) * MS_PER_TICK;
}

/** The parent of a process: for a PostgreSQL backend, the server itself. @throws Error when it is not on this machine */
export function parentOf(pid: number): number {
  const parent = readStat(pid)?.parent;
  if (!parent) throw new Error(`Process ${pid} does not run on this machine, so its CPU cannot be read`);
  return parent;
}

export interface Server {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts a Node script that prints a JSON line with `"event":"ready"`. @throws Error with its last words when it does not */
export async function startServer(name: string, script: string, port: number, env: Readonly<Record<string, string>>): Promise<Server> {
  const child = spawn(process.execPath, [script], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const words: string[] = [];
  const ready = new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${name} was not ready in time`)), READY_TIMEOUT_MS);
    const settle = (act: () => void) => {
      clearTimeout(late);
      act();
    };
    for (const stream of [child.stdout, child.stderr])
      createInterface(stream).on('line', (line) => {
        words.splice(0, Math.max(0, words.length - 20));
        words.push(line);
        if (line.includes('"event":"ready"')) settle(resolve);
      });
    child.once('exit', (code) => settle(() => reject(new Error(`${name} ended with code ${code}`))));
  });
  try {
    await ready;
  } catch (error) {
    await end(child);
    throw new Error(`${(error as Error).message}:\n${words.join('\n')}`);
  }
  if (child.pid === undefined) throw new Error(`${name} has no process`);
  return { name, pid: child.pid, url: `http://127.0.0.1:${port}`, stop: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(force);
}
