/**
 * The probes on the public port. Liveness (`/health`, `/health/live`) answers from memory and says 200 while the process
 * lives, whatever the database does: restarting a worker would not mend that. `/api/health` is service health for clients,
 * `/ready` tells a balancer whether to send traffic. None of them authenticates, waits for more than 250 ms or names a cause.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { IRouter, RequestHandler, Response } from 'express';
import { config } from '../../config';
import { type ClusterFacts, factsAlone } from '../../lib/cluster-ports';
import { currentContext } from '../../lib/context';
import { poolStatus } from '../../lib/db';
import { Unavailable } from '../../lib/errors';
import { redisReady } from '../../lib/redis';
import { areReplicasUp } from '../../lib/replicas';
import { failureBody, successBody } from '../http/envelope';
import { lifecycle } from '../lifecycle';
import { checkDatabase, type DatabaseState, databaseState, refreshDatabaseState } from './database-state';
import { hasRoomInQueue, type ReadinessChecks, readinessOf } from './readiness';

const SERVICE = 'autoshop';
const INSTANCE_ID = `${hostname()}-${process.ppid}`;

interface ProbeSource {
  facts(): ClusterFacts;
  /** Slot of this worker, 0 where there are no slots. */
  slot(): number;
}

let source: ProbeSource = {
  facts: () => factsAlone(lifecycle.draining),
  slot: () => 0,
};

/** The process composition says where facts about the cluster come from. */
export function setProbeSource(next: ProbeSource): void {
  source = next;
}

/** The state of the database for probes and other readers: at most a second old, found within 250 ms. */
export const probeState = (): Promise<DatabaseState> => checkDatabase();

function readinessChecks(state: DatabaseState): ReadinessChecks {
  const facts = source.facts();
  return {
    database: state.status === 'up',
    pool: hasRoomInQueue(poolStatus().waiting, config),
    migrations: state.pendingMigrations === 0,
    // Parts that this instance does not use cannot be broken.
    redis: config.REDIS_URL === undefined || redisReady(),
    replicas: areReplicasUp(),
    workers: facts.isWhole,
    draining: facts.draining,
  };
}

const raw =
  (answer: (response: Response) => void | Promise<void>): RequestHandler =>
  async (_request, response) => {
    response.set('Cache-Control', 'no-store');
    await answer(response);
  };

const identity = () => ({ timestamp: new Date().toISOString(), service: SERVICE, version: config.APP_VERSION, instance_id: INSTANCE_ID });

const health = raw((response) => {
  refreshDatabaseState();
  const db = databaseState().status;
  response.json({
    status: db === 'up' ? 'ok' : 'degraded',
    db,
    mode: 'database',
    environment: config.NODE_ENV,
    timestamp: new Date().toISOString(),
    version: config.APP_VERSION,
    uptime: Math.round(process.uptime()),
    worker: source.slot(),
    pid: process.pid,
  });
});

const alive = raw((response) => {
  response.json({ status: 'alive', ...identity() });
});

const ready = raw(async (response) => {
  const checks = readinessChecks(await checkDatabase());
  const status = readinessOf(checks);
  const maintenance = source.facts().maintenance !== null;
  response.status(status === 'not-ready' ? 503 : 200).json({ status, ...identity(), maintenance, checks });
});

const version = raw((response) => {
  response.json({ version: config.APP_VERSION, commit: null });
});

const serviceHealth = raw(async (response) => {
  const { status: db } = await checkDatabase();
  const requestId = currentContext()?.requestId ?? randomUUID();
  response.type('application/json');
  if (db === 'down') {
    const refusal = new Unavailable('database', { message: 'Database connection failed' });
    response.status(refusal.status).set(refusal.headers ?? {});
    response.send(failureBody(refusal, requestId));
    return;
  }
  response.send(successBody({ data: { status: 'ok', db, mode: 'database' }, requestId, mirror: { kind: 'all' } }));
});

/** Mounts all probes; call it before authentication, tenancy, limits and body parsing. */
export function mountProbes(app: IRouter): void {
  app.get('/health', health);
  for (const path of ['/health/live', '/healthz']) app.get(path, alive);
  app.get('/api/health', serviceHealth);
  for (const path of ['/ready', '/readyz']) app.get(path, ready);
  app.get('/version', version);
}
