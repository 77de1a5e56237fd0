/**
 * Who uses an embedded database, and who is just starting or stopping it: notes in its folder, each with a process number and
 * when that process began, so that a number used again is not taken for its former owner.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive, startMark } from './postmaster';

/** Twice what a start may take. */
const LOCK_TIMEOUT_MS = 120_000;
const POLL_MS = 50;

/**
 * One starts or stops at a time; the result gives the lock back. A lock of a dead process is taken over.
 * @throws Error when a living process holds it for too long
 */
export async function lock(home: string): Promise<() => void> {
  const path = join(home, 'lock');
  const deadline = Date.now() + LOCK_TIMEOUT_MS;
  for (;;) {
    try {
      writeFileSync(path, `${process.pid} ${startMark(process.pid)}`, { flag: 'wx', mode: 0o600 });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = existsSync(path) ? readFileSync(path, 'utf8') : '';
    // An empty file is a lock whose holder has not written its number yet.
    if (holder && !isSameProcess(holder)) rmSync(path, { force: true });
    if (Date.now() > deadline)
      throw new Error(`Process ${holder} has been starting or stopping the embedded PostgreSQL for too long; see ${path}`);
    await delay(POLL_MS);
  }
}

let registrations = 0;

/** Enters this process as a user of the server; the result takes the entry back. */
export function register(home: string): () => void {
  const path = join(home, 'users', `${process.pid}-${++registrations}`);
  writeFileSync(path, `${process.pid} ${startMark(process.pid)}`);
  return () => rmSync(path, { force: true });
}

/** Live processes that use the server, after forgetting the dead. */
export function users(home: string): number[] {
  const folder = join(home, 'users');
  const live: number[] = [];
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (isSameProcess(readFileSync(path, 'utf8'))) live.push(Number.parseInt(name, 10));
    else rmSync(path, { force: true });
  }
  return live;
}

/** Is the process that wrote `<pid> <start mark>` still the one with that number? */
function isSameProcess(note: string): boolean {
  const [pid, mark = ''] = note.split(' ');
  return isAlive(Number(pid)) && startMark(Number(pid)) === mark;
}
