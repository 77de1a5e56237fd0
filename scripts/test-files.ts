/** What test files say of themselves in their first lines, for the scripts that decide what runs beside what. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../lib/project-root';

const HEAD = 500;

/**
 * The test files of these folders of tests/, by whether others may run beside them. One that says `@alone` compares times or memory, which
 * whatever else runs would spoil.
 */
export function splitAlone(folders: readonly string[]): { together: string[]; alone: string[] } {
  const files = folders.flatMap((name) => {
    const folder = join(PROJECT_ROOT, 'tests', name);
    return readdirSync(folder)
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => join(folder, file));
  });
  const isAlone = (path: string): boolean => readFileSync(path, 'utf8').slice(0, HEAD).includes('@alone');
  return { together: files.filter((path) => !isAlone(path)), alone: files.filter(isAlone) };
}

/** For jest: the order of tests/support/sequencer.js, the longest first, or the others would have to wait for it at the end. */
export const LONGEST_FIRST = ['--testSequencer', join(PROJECT_ROOT, 'tests', 'support', 'sequencer.js')];
