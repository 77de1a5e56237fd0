/** Whatever stands in the environment, loading it either yields a whole configuration or names variables; it never throws anything else. */
import fc from 'fast-check';
import { environmentSchema, SECRET_VARIABLES } from '../../../config/env';
import { type Config, ConfigError, loadConfig } from '../../../config/load';

const HOST = { processors: 8, cpuQuota: undefined, memoryMb: 16_384 };
const names = Object.keys(environmentSchema.shape).filter((name) => name !== 'ENV_FILE');
const value = fc.oneof(
  fc.string(),
  fc.integer({ min: -10, max: 100_000 }).map(String),
  fc.constantFrom(
    'true',
    'off',
    'production',
    'postgres://u:p@h/d',
    'redis://h',
    'INFO',
    '3/4',
    'NaN',
    'Infinity',
    '0x10',
    '1e9',
    ' 5',
    '٣',
  ),
);
const environment = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 12 });

function attempt(env: Record<string, string>): Config | ConfigError {
  try {
    return loadConfig(env, HOST);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

test('any environment › a configuration or a ConfigError that names known variables, never their secrets', () => {
  fc.assert(
    fc.property(environment, (env) => {
      const result = attempt(env);
      if (!(result instanceof ConfigError)) return;
      expect(result.faults.length).toBeGreaterThan(0);
      for (const { variable, problem } of result.faults) {
        expect(names).toContain(variable);
        expect(problem.replace(/, not ".*$/s, '')).not.toMatch(/undefined|NaN|\[object|expected|received/i);
      }
      for (const secret of SECRET_VARIABLES) {
        const given = env[secret];
        const own = result.faults.filter(({ variable }) => variable === secret).map(({ problem }) => problem);
        if (given && given.length > 20) expect(own.join('\n')).not.toContain(given);
      }
    }),
    { numRuns: 500 },
  );
});

test('any accepted environment › keeps the promises that the pool is divided by', () => {
  fc.assert(
    fc.property(
      fc.record({
        WORKERS: fc.integer({ min: 0, max: 140 }).map(String),
        DB_POOL_MAX: fc.integer({ min: 0, max: 300 }).map(String),
        DB_POOL_MIN: fc.integer({ min: 0, max: 300 }).map(String),
        INSTANCES: fc.integer({ min: 0, max: 6 }).map(String),
        DB_MAX_CONNECTIONS: fc.integer({ min: 0, max: 500 }).map(String),
        JOBS: fc.constantFrom('1', '0'),
      }),
      (env) => {
        const config = attempt(env);
        if (config instanceof ConfigError) return;
        expect(2 * config.WORKERS + 2 + (config.JOBS ? 2 : 0)).toBeLessThanOrEqual(config.DB_POOL_MAX);
        expect(config.DB_POOL_MIN).toBeLessThanOrEqual(config.DB_POOL_MAX);
        expect(config.INSTANCES * config.DB_POOL_MAX + config.DB_RESERVE).toBeLessThanOrEqual(config.DB_MAX_CONNECTIONS);
      },
    ),
    { numRuns: 1000 },
  );
});

test('any decimal in range › read exactly; any other text › refused', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const result = attempt({ WORKER_TIMEOUT: text });
      if (text === '') expect(result).toMatchObject({ WORKER_TIMEOUT: 30 });
      else if (/^\d+(\.\d+)?$/.test(text) && Number(text) >= 1) expect(result).toMatchObject({ WORKER_TIMEOUT: Number(text) });
      else expect(result).toBeInstanceOf(ConfigError);
    }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e9 }), (seconds) => {
      expect(attempt({ WORKER_TIMEOUT: String(seconds) })).toMatchObject({ WORKER_TIMEOUT: seconds });
    }),
  );
});
