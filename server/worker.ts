/**
 * The process that the primary forks for each slot: the worker runtime with the application in it, and the cluster-wide
 * services handed to the code that uses them.
 */
import './cluster/parent-watch';

import { isSqlite } from '../lib/dialect';
import { log } from '../lib/log';
import { setLimitBackend } from '../lib/rate-limit';
import { closeRedis, redis, redisTried } from '../lib/redis';
import { prepareRedisLimits } from '../lib/redis-limits';
import { setRevocationBus } from '../lib/revocation';
import { connectRevocationRelay } from '../lib/revocation-relay';
import { setPinStore } from '../lib/write-pins';
import type { PrimaryLink } from './cluster/link';
import { runWorker } from './cluster/worker-runtime';
import { type AppOptions, createApp } from './http/app';
import { setMaintenanceSource } from './http/middleware/maintenance';
import { lifecycle } from './lifecycle';
import { watchDatabaseServer } from './ops/database-figures';
import { installReplyCache } from './reply-cache';

/** One worker of an instance asks the database server how it is. */
const ASKING_SLOT = 1;

/** How long a worker waits for Redis before it serves without it. */
const REDIS_MS = 1_000;

export async function installClusterServices(link: PrimaryLink, slot: number): Promise<void> {
  setLimitBackend(link.limits);
  setRevocationBus(link.bus);
  // SQLite has no server to ask.
  if (slot === ASKING_SLOT && !isSqlite) lifecycle.onShutdown('database figures', watchDatabaseServer());
  installReplyCache(link);
  setPinStore(link.pins);
  setMaintenanceSource(() => link.facts().maintenance);
  await joinRedis();
}

/** Connected before the worker serves, so that its first requests are counted with all others. */
async function joinRedis(): Promise<void> {
  if (!redis()) return;
  lifecycle.onShutdown('redis', closeRedis);
  lifecycle.onShutdown('revocations', connectRevocationRelay());
  await redisTried(REDIS_MS);
  // Away: the client says so itself, goes on trying, and limits are counted by this instance meanwhile.
  await prepareRedisLimits().catch((error: unknown) => log.debug('the script of the limits is not loaded yet', { error }));
}

/** @param options of the application; tests add routes that misbehave */
export const startWorker = (options: AppOptions = {}): Promise<void> =>
  runWorker({ createListener: () => createApp(options), install: installClusterServices });

if (require.main === module) void startWorker();
