/**
 * Jest environment of every project: a clean process environment, complete before a test imports the configuration, and for
 * projects with a database a copy of the template for this jest worker. Files of one worker follow each other on the same copy,
 * among their predecessors' rows: those are other tenants' rows, as in production.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestEnvironment } from 'jest-environment-node';
import { environmentSchema, SECRET_VARIABLES } from '../../config/env';
import { copyTemplate, currentCluster, withDatabase } from './test-cluster';

interface Options {
  database?: 'own' | 'server' | 'sqlite';
  timeoutMs: number;
}

// biome-ignore lint/style/noDefaultExport: Jest takes the default export
export default class ServiceEnvironment extends TestEnvironment {
  readonly #options: Options;
  #folder: string | undefined;

  constructor(...[config, context]: ConstructorParameters<typeof TestEnvironment>) {
    super(config, context);
    this.#options = config.projectConfig.testEnvironmentOptions as unknown as Options;
  }

  override async setup(): Promise<void> {
    await super.setup();
    const { env } = this.global.process;
    const redisUrl = env['REDIS_URL'];
    const serviceRedisUrl = env['TEST_SERVICE_REDIS_URL'];
    // Whatever the developer's shell or .env says must not decide a test.
    for (const name of Object.keys(environmentSchema.shape)) delete env[name];
    for (const name of SECRET_VARIABLES) delete env[`${name}_FILE`];
    Object.assign(env, {
      NODE_ENV: 'test',
      HOST: '127.0.0.1',
      PORT: '0',
      OPS_PORT: '0',
      JWT_SECRET: randomBytes(48).toString('base64url'),
      LOG_LEVEL: 'ERROR',
      WORKERS: '1',
      // Each test client comes from an address of its own (support/server.ts), so the real limits apply to each alone.
      TRUST_PROXY: '127.0.0.1,::1',
      APP_VERSION: 'test',
      // A busy machine must not turn answers into refusals; the tests of the overload gate set their own limits.
      SHED_POOL_WAIT_MS: '0',
      SHED_LAG_MS: '0',
      SHED_MEMORY_PERCENT: '0',
      TEST_TIMEOUT_MS: String(this.#options.timeoutMs),
      DATA_DIR: join(tmpdir(), 'autoshop-test-none'),
      ...(redisUrl ? { TEST_REDIS_URL: redisUrl } : {}),
      // A row of the matrix gives the service a Redis; without it each process counts alone.
      ...(serviceRedisUrl ? { REDIS_URL: ownRedisDatabase(serviceRedisUrl) } : {}),
    });
    if (this.#options.database === 'sqlite') this.#setUpSqlite(env);
    else if (this.#options.database) await this.#setUpDatabase(env);
  }

  /** In memory, so each test file has one of its own; no server is asked for anything. */
  #setUpSqlite(env: NodeJS.ProcessEnv): void {
    this.#folder = mkdtempSync(join(tmpdir(), 'autoshop-test-sqlite-'));
    env['DATA_DIR'] = this.#folder;
    env['TEST_FOLDER'] = this.#folder;
    env['DATABASE_URL'] = 'sqlite::memory:';
  }

  override async teardown(): Promise<void> {
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
    await super.teardown();
  }

  async #setUpDatabase(env: NodeJS.ProcessEnv): Promise<void> {
    const cluster = currentCluster();
    const worker = jestWorker();
    const name = `autoshop_${cluster.runId}_w${worker}`;
    const dataDir = join(cluster.folder, `data-${worker}`);
    // Not recursive: when the run's folder is gone, its end has begun.
    if (!existsSync(dataDir)) mkdirSync(dataDir);
    env['DATA_DIR'] = dataDir;
    if (this.#options.database !== 'own') return;
    await copyTemplate(cluster, name);
    env['DATABASE_URL'] = withDatabase(cluster.pooler?.url ?? cluster.appUrl, name);
    if (cluster.pooler) env['DB_PREPARED'] = String(cluster.pooler.keepsStatements);
    env['TEST_DIRECT_URL'] = withDatabase(cluster.appUrl, name);
    env['DATABASE_MIGRATION_URL'] = withDatabase(cluster.ownerUrl, name);
    env['TEST_ADMIN_URL'] = withDatabase(cluster.superuserUrl, name);
  }
}

const jestWorker = (): string => process.env['JEST_WORKER_ID'] ?? '1';

/** Each jest worker has rows of its own, also in tenants of the same id, so it must not meet replies of another's. */
function ownRedisDatabase(url: string): string {
  const REDIS_DATABASES = 16;
  return new URL(`/${Number(jestWorker()) % REDIS_DATABASES}`, url).href;
}
