/**
 * One project for each folder of tests/. The database is started by the runner (`npm test`) or, when jest is called by itself,
 * by the global setup; each jest worker gets its own copy of a migrated template. See tests/support/.
 */
const { readdirSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

const SECOND = 1000;

const common = {
  rootDir: __dirname,
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022', keepClassNames: true },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  // Relative imports carry no extension; `.ts` first, so that a test never picks up a built file.
  moduleFileExtensions: ['ts', 'js', 'json', 'node'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/\\.data/'],
  testEnvironment: '<rootDir>/tests/support/environment.ts',
  setupFilesAfterEnv: ['<rootDir>/tests/support/setup.ts'],
};

const database = {
  globalSetup: '<rootDir>/tests/support/global-setup.ts',
  globalTeardown: '<rootDir>/tests/support/global-teardown.ts',
};

/** `database: 'own'`: a copy for the jest worker. `'server'`: only the server; the tests make their own copies. */
const project = (name, seconds, use) => ({
  ...common,
  ...(use ? database : {}),
  displayName: name,
  testMatch: [`<rootDir>/tests/${name}/**/*.test.ts`],
  testEnvironmentOptions: { database: use, timeoutMs: seconds * SECOND },
});

/** API tests whose first lines say `@core`: they hold on SQLite too. */
const coreTests = () => {
  const HEAD = 300;
  const folder = join(__dirname, 'tests', 'api');
  return readdirSync(folder).filter((file) => /@core\b/.test(readFileSync(join(folder, file), 'utf8').slice(0, HEAD)));
};

module.exports = {
  projects: [
    project('unit', 10),
    project('api', 30, 'own'),
    // The same tests on SQLite in memory, without any server.
    {
      ...project('sqlite', 30),
      testMatch: coreTests().map((file) => `<rootDir>/tests/api/${file}`),
      testEnvironmentOptions: { database: 'sqlite', timeoutMs: 30 * SECOND },
    },
    project('jobs', 30, 'own'),
    project('contract', 60, 'own'),
    project('migrations', 60, 'server'),
    // These spawn the built service: `npm run build` first. How many at a time: scripts/run-tests.ts.
    // Longer than the limits of what they wait for, so that these say what did not come.
    project('cluster', 300, 'own'),
    project('faults', 300, 'own'),
    // The table of cluster criteria: `npm run test:cluster`, not part of `npm test`.
    project('criteria', 1_500, 'own'),
  ],
  reporters: ['default', '<rootDir>/tests/support/reporter.js'],
};
