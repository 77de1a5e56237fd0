/**
 * What has to be there before the first worker: free addresses, the embedded database, a secret, the migrated and seeded
 * database. What it finds out or makes reaches the children through their environment.
 */
import { config } from '../../config';
import { ineffectiveSettings } from '../../config/ineffective';
import { log } from '../../lib/log';
import { assertPortFree, BootFailure, developmentSecret, Steps } from './boot';
import { EXIT } from './exit-codes';

interface Embedded {
  url: string;
  migrationUrl: string;
  description: string;
  stop(): Promise<void>;
}

/**
 * For all that a migration, or the demo seed, has to do. Longer than the ten minutes for which one migration waits for another. What takes
 * longer still is done beforehand, by `npm run db:migrate`.
 */
const STEP_LIMIT_MS = 30 * 60_000;

export class Preparation {
  readonly #scripts: { migrate: string; seed: string };
  readonly #steps = new Steps();
  /** The addresses and how they are shared are the primary's: a rolling restart must not split the service over two of them. */
  #childEnv: Record<string, string> = { HOST: config.HOST, PORT: String(config.PORT), DISPATCH: config.DISPATCH };
  #embedded: Embedded | null = null;
  /** A start of it that is under way. */
  #embedding: Promise<unknown> | null = null;

  constructor(scripts: { migrate: string; seed: string }) {
    this.#scripts = scripts;
  }

  /** Over our own environment, for every child. */
  get childEnv(): Readonly<Record<string, string>> {
    return this.#childEnv;
  }

  /** What is embedded, in words; null when nothing is. */
  get embedded(): string | null {
    return this.#embedded?.description ?? null;
  }

  /** @throws BootFailure */
  async run(): Promise<void> {
    await assertPortFree(config.HOST, config.PORT, 'public');
    if (config.embeddedDatabase) await this.#startEmbedded();
    if (!config.JWT_SECRET) this.#makeSecret();
    for (const variable of ineffectiveSettings(config)) log.warn('a setting has no effect in this version', { variable });
    await this.migrate();
    // It prints the passwords of the demo accounts; the banner shows them in development.
    if (config.DB_SEED === 'demo')
      await this.#steps.run({
        what: 'the demo seed',
        script: this.#scripts.seed,
        args: ['--if-empty'],
        env: this.#childEnv,
        secret: true,
        limitMs: STEP_LIMIT_MS,
      });
  }

  /**
   * Loads the configuration as a new worker would, and brings the schema up: in a child, which ends with the telling code when
   * either fails. @throws BootFailure
   */
  migrate(): Promise<void> {
    return this.#steps.run({
      what: 'the migration',
      script: this.#scripts.migrate,
      env: this.#childEnv,
      limitMs: STEP_LIMIT_MS,
      loadLimitMs: config.BOOT_TIMEOUT * 1_000,
    });
  }

  /** Ends a step that is under way, and lets none begin. */
  cancel(): void {
    this.#steps.cancel();
  }

  /** Stops what is embedded; waits for it, at most `limitMs`. */
  async stop(limitMs?: number): Promise<void> {
    const stopped = this.#stopEmbedded();
    if (limitMs === undefined) await stopped;
    else await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, limitMs))]);
  }

  /** It runs on without us, so one that is just starting is waited for: nobody else would end it. */
  async #stopEmbedded(): Promise<void> {
    await this.#embedding;
    await this.#embedded?.stop().catch((error: unknown) => log.error('the embedded database did not stop cleanly', { error }));
  }

  async #startEmbedded(): Promise<void> {
    // Loaded only when needed: production images do not have it.
    const { startEmbeddedPostgres } = await import('./embedded-postgres.js');
    try {
      const starting = startEmbeddedPostgres({ dataDir: config.DATA_DIR, log: (message) => log.info(message) });
      this.#embedding = starting.catch(() => undefined);
      this.#embedded = await starting;
    } catch (error) {
      throw new BootFailure(EXIT.databaseDown, `the embedded database does not start: ${(error as Error).message}`, error);
    }
    this.#childEnv = { ...this.#childEnv, DATABASE_URL: this.#embedded.url, DATABASE_MIGRATION_URL: this.#embedded.migrationUrl };
  }

  #makeSecret(): void {
    const { secret, path, fresh } = developmentSecret(config.DATA_DIR);
    this.#childEnv = { ...this.#childEnv, JWT_SECRET: secret };
    if (fresh) log.warn('JWT_SECRET is not set: a development secret was generated', { path });
  }
}
