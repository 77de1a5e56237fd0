/**
 * Reads `postmaster.pid`, the note that a PostgreSQL server keeps in its data folder, and tells whether the process it
 * names is really that server: numbers are used again, so a living process is no proof.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, join } from 'node:path';

export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  /** `starting`, `ready`, `stopping` or `standby`, as the server writes it. */
  readonly status: string;
}

/** The note as it stands, or `undefined` when there is none. @throws Error when it exists and may not be read. */
export function readPostmasterPid(dataDir: string): Postmaster | undefined {
  let text: string;
  try {
    text = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'EACCES')
      throw new Error(`The data in ${dataDir} belong to another user; start as that user or choose another DATA_DIR`, { cause: error });
    throw error;
  }
  // pid, data folder, start time, port, socket folder, address, shared memory key, status
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  return pid > 0 ? { pid, port: Number(lines[3] ?? 0), status: (lines[7] ?? '').trim() || 'starting' } : undefined;
}

/** The server that runs on this data folder now. */
export function findPostmaster(dataDir: string): Postmaster | undefined {
  const noted = readPostmasterPid(dataDir);
  if (!noted || !isAlive(noted.pid)) return undefined;
  const command = commandLine(noted.pid);
  const isServer = command === undefined || (basename(command[0] ?? '') === 'postgres' && command.includes(dataDir));
  return isServer ? noted : undefined;
}

const ANSWER_TIMEOUT_MS = 1_000;
/** The protocol's question whether TLS is spoken here: length 8, then the request's number. Every server answers it with one byte. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** True when a PostgreSQL server answers on this port of the loopback address. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: ANSWER_TIMEOUT_MS });
    const finish = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => socket.write(SSL_REQUEST));
    socket.once('data', (bytes) => finish(/^[NS]/.test(bytes.toString('latin1'))));
    for (const event of ['error', 'end', 'timeout']) socket.once(event, () => finish(false));
  });
}

/** True while this number is taken, even if only by an ended process whose parent has not asked for it yet. */
export function isTaken(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** True while a process of this number runs. */
export function isAlive(pid: number): boolean {
  return isTaken(pid) && processStat(pid)?.[0] !== 'Z';
}

/**
 * Tells one process from a later one with the same number. Empty where the system does not tell when it started, so
 * that there the number alone counts.
 */
export function startMark(pid: number): string {
  const START_TIME = 19; // field 22 of proc(5), counted from the state
  return processStat(pid)?.[START_TIME] ?? '';
}

/** The fields of proc(5)'s `stat` from the state on; the name before them may hold blanks and brackets. */
function processStat(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** `undefined` where the system does not tell. */
function commandLine(pid: number): string[] | undefined {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .split(' ');
  } catch {
    return undefined;
  }
}
