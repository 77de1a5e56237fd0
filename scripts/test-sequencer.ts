/**
 * The order of test files, the same on every machine: those that say `@long`, then the larger files before the smaller ones. For jest's
 * `--testSequencer`, in the built form.
 */
import { statSync } from 'node:fs';
import { says } from './test-files';

// biome-ignore lint/style/noDefaultExport: jest takes the default export
export default class LongestFirst {
  sort<T extends { path: string }>(tests: readonly T[]): T[] {
    const weighed = tests.map((test) => ({ test, isLong: says(test.path, '@long'), size: statSync(test.path).size }));
    return weighed.sort((a, b) => Number(b.isLong) - Number(a.isLong) || b.size - a.size).map(({ test }) => test);
  }

  /** For `--onlyFailures`, which this order does not remember. */
  allFailedTests(): never[] {
    return [];
  }

  cacheResults(): void {}
}
