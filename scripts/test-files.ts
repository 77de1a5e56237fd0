/** What test files say of themselves in their first lines, for what decides what runs when and beside what. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../lib/project-root';

const HEAD = 500;

/**
 * `@alone`: it compares times or memory, which whatever else runs would spoil. `@long`: it takes so long that the others would have to wait
 * for it at the end.
 */
export const says = (path: string, mark: '@alone' | '@long'): boolean => readFileSync(path, 'utf8').slice(0, HEAD).includes(mark);

/** The test files of these folders of tests/, by whether others may run beside them. */
export function splitAlone(folders: readonly string[]): { together: string[]; alone: string[] } {
  const files = folders.flatMap((name) => {
    const folder = join(PROJECT_ROOT, 'tests', name);
    return readdirSync(folder)
      .filter((file) => file.endsWith('.test.ts'))
      .map((file) => join(folder, file));
  });
  return { together: files.filter((path) => !says(path, '@alone')), alone: files.filter((path) => says(path, '@alone')) };
}

/** For jest: the order of test-sequencer.ts. */
export const LONGEST_FIRST = ['--testSequencer', join(__dirname, 'test-sequencer.js')];
