/**
 * The order of test files, the same on every machine: those that say `@long` in their first lines, then the larger files before the
 * smaller ones. For jest's `--testSequencer`.
 */
const { readFileSync } = require('node:fs');

const HEAD = 500;

module.exports = class {
  sort(tests) {
    const weighed = tests.map((test) => {
      const text = readFileSync(test.path, 'utf8');
      return { test, isLong: text.slice(0, HEAD).includes('@long'), size: text.length };
    });
    return weighed.sort((a, b) => Number(b.isLong) - Number(a.isLong) || b.size - a.size).map(({ test }) => test);
  }

  /** For `--onlyFailures`, which this order does not remember. */
  allFailedTests() {
    return [];
  }

  cacheResults() {}
};
