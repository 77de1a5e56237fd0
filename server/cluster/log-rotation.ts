/**
 * Rotation of the log file, by the primary alone: every process appends whole lines to the same file (see `lib/log.ts`), so one of
 * them renames it and tells the others to open it anew. What is written in between goes into the renamed file: no line is lost or
 * torn. `autoshop.log.1` is the newest of the old files; what is beyond `keep` is removed.
 */
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { config } from '../../config';
import { log, logFile, reopenLogs } from '../../lib/log';
import type { ToChild } from './messages';

export interface Rotation {
  path: string;
  /** Size at which the file is renamed; 0 = never. */
  maxBytes: number;
  /** Old files that stay. */
  keep: number;
}

/** Old files, newest first. */
export function oldFiles(path: string): { path: string; number: number }[] {
  const name = basename(path);
  return readdirSync(dirname(path))
    .filter((entry) => entry.startsWith(`${name}.`) && /^\d+$/.test(entry.slice(name.length + 1)))
    .map((entry) => ({ path: join(dirname(path), entry), number: Number(entry.slice(name.length + 1)) }))
    .sort((a, b) => a.number - b.number);
}

/**
 * Renames the file when it has reached its size. The caller then opens it anew in every process.
 * @returns true when it was renamed
 * @throws the file system's error; the log goes on in the file as it was
 */
export function rotateWhenFull({ path, maxBytes, keep }: Rotation): boolean {
  if (maxBytes === 0) return false;
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size < maxBytes) return false;
  for (const old of oldFiles(path).reverse()) {
    if (old.number >= keep) rmSync(old.path, { force: true });
    else renameSync(old.path, `${path}.${old.number + 1}`);
  }
  if (keep === 0) rmSync(path);
  else renameSync(path, `${path}.1`);
  return true;
}

/** After a failure (no space, no right) the next try waits, so that the log does not fill with complaints about itself. */
const RETRY_MS = 60_000;
const MEBIBYTE = 1024 * 1024;

/** The log file of this instance, looked at whenever the primary's clock says so. */
export class LogRotation {
  readonly #receivers: () => readonly { send(message: ToChild): void }[];
  #notBefore = Number.NEGATIVE_INFINITY;

  /** @param receivers the children that write to the same file */
  constructor(receivers: () => readonly { send(message: ToChild): void }[]) {
    this.#receivers = receivers;
  }

  tick(now: number): void {
    if (!logFile || now < this.#notBefore) return;
    try {
      if (rotateWhenFull({ path: logFile, maxBytes: config.LOG_MAX_MB * MEBIBYTE, keep: config.LOG_KEEP })) this.reopen();
    } catch (error) {
      this.#notBefore = now + RETRY_MS;
      log.error('the log file could not be rotated', { error });
    }
  }

  /** Opens the file anew, in every child and here. @throws the file system's error, when it cannot be done here */
  reopen(): void {
    for (const child of this.#receivers()) child.send({ type: 'reopen-logs' });
    reopenLogs();
  }
}
