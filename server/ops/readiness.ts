/**
 * Whether traffic should be sent, decided in one place for both ports: on the public one from what a worker finds out itself, on the
 * operations port from what the workers report. Pure, and light enough for the primary.
 */
import type { Config } from '../../config';
import type { Report } from '../cluster/messages';

export type Readiness = 'ready' | 'degraded' | 'not-ready';

export interface ReadinessChecks {
  database: boolean;
  pool: boolean;
  migrations: boolean;
  redis: boolean;
  replicas: boolean;
  /** As many are ready as there should be. */
  workers: boolean;
  /** True while the whole service stops. */
  draining: boolean;
}

/** What the checks mean for a balancer. Without database or schema, or while stopping, no traffic should come. */
export function readinessOf({ database, pool, migrations, redis, replicas, workers, draining }: ReadinessChecks): Readiness {
  if (draining || !database || !migrations) return 'not-ready';
  return pool && redis && replicas && workers ? 'ready' : 'degraded';
}

/** More callers that wait for a connection are a sign that it will not get better by itself. */
export const hasRoomInQueue = (waiting: number, { DB_QUEUE_MAX }: Pick<Config, 'DB_QUEUE_MAX'>): boolean =>
  waiting < Math.max(1, DB_QUEUE_MAX / 2);

type Told = Pick<Report, 'db' | 'pool' | 'replicas' | 'cache'>;

/**
 * What workers that serve say of everything but themselves. What no traffic could live without is missing when all of them miss it; what
 * only makes the service worse, when one does. Where nobody has told yet nothing is missing: no worker is ready without its database.
 */
export function checksOf(
  reports: readonly Told[],
  config: Pick<Config, 'DB_QUEUE_MAX' | 'REDIS_URL'>,
): Omit<ReadinessChecks, 'workers' | 'draining'> {
  const states = reports.flatMap(({ db }) => db ?? []);
  const pending = states.flatMap(({ pending_migrations }) => pending_migrations ?? []);
  return {
    database: states.length === 0 || states.some(({ status }) => status === 'up'),
    pool: reports.every(({ pool }) => pool === null || hasRoomInQueue(pool.waiting, config)),
    migrations: pending.length === 0 || pending.includes(0),
    redis: config.REDIS_URL === undefined || reports.every(({ cache }) => cache.ready),
    replicas: reports.every(({ replicas }) => replicas.every(({ status }) => status === 'up')),
  };
}
