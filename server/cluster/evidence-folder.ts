/**
 * The folder of evidence: what a stalled process was doing, profiles that an operator asked for. Bounded in number and bytes,
 * the oldest go first; readable for the owner alone. Everything is synchronous and small: a watchdog thread writes here while
 * its process stands still. Several processes share the folder, so a file that is gone already is nobody's mistake.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface EvidenceLimits {
  files: number;
  bytes: number;
}

export interface StoredFile {
  name: string;
  bytes: number;
  at: number;
}

/** Files by other names are not ours to delete. */
const OURS = /^(stall|profile)-[\w.-]+\.(json|cpuprofile)(\.part)?$/;

/** The files to delete, oldest first, so that one more of `incoming` bytes fits. */
export function surplusFiles(files: readonly StoredFile[], incoming: number, limits: EvidenceLimits): StoredFile[] {
  const oldestFirst = [...files].sort((a, b) => a.at - b.at || a.name.localeCompare(b.name));
  let bytes = files.reduce((sum, file) => sum + file.bytes, incoming);
  let count = files.length + 1;
  const surplus: StoredFile[] = [];
  for (const file of oldestFirst) {
    if (bytes <= limits.bytes && count <= limits.files) break;
    surplus.push(file);
    bytes -= file.bytes;
    count -= 1;
  }
  return surplus;
}

export class EvidenceFolder {
  readonly path: string;
  readonly #limits: EvidenceLimits;

  constructor(path: string, limits: EvidenceLimits) {
    this.path = path;
    this.#limits = limits;
  }

  /**
   * Writes a file whole or not at all, over an earlier one of that name. @returns its path
   * @throws RangeError when it alone is larger than the folder may be; the error of the file system
   */
  write(name: string, content: string): string {
    const bytes = Buffer.byteLength(content);
    if (bytes > this.#limits.bytes) throw new RangeError(`${bytes} bytes are more than the folder of evidence may hold`);
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    const others = this.list().filter((file) => file.name !== name);
    for (const { name: surplus } of surplusFiles(others, bytes, this.#limits)) rmSync(join(this.path, surplus), { force: true });
    const path = join(this.path, name);
    writeFileSync(`${path}.part`, content, { mode: 0o600 });
    renameSync(`${path}.part`, path);
    return path;
  }

  list(): StoredFile[] {
    return readdirSync(this.path).flatMap((name) => {
      if (!OURS.test(name)) return [];
      const found = statSync(join(this.path, name), { throwIfNoEntry: false });
      return found ? [{ name, bytes: found.size, at: found.mtimeMs }] : [];
    });
  }
}

/** `stall-20260114T093012.345Z-4711-2.json`: sorts by time. */
export const evidenceName = (kind: 'stall' | 'profile', at: Date, rest: string): string =>
  `${kind}-${at.toISOString().replace(/[-:]/g, '')}-${rest}`;
