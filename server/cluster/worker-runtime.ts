/**
 * What an HTTP worker does from its first to its last moment: hello, grant, database, application, listen, ready; then
 * serve, until it is told to drain, crashes, or loses its primary. The application is a parameter, so that this file
 * knows nothing of routes. A worker ignores INT and TERM (Ctrl-C reaches the whole group): only the primary decides.
 */
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { config } from '../../config';
import { parsePostgresUrl } from '../../config/postgres-url';
import { currentContext } from '../../lib/context';
import { closeDatabase, openDatabase, poolStatus, resizePool, unsafeQuery } from '../../lib/db';
import { log } from '../../lib/log';
import { pending } from '../../lib/migrations';
import { closeReplicas, openReplicas, replicaConnections, resizeReplicaPools } from '../../lib/replicas';
import { createHttpServer } from '../http/http-server';
import { lifecycle } from '../lifecycle';
import { checkDatabase, setMigrationCounter } from '../ops/database-state';
import { watchPooler } from '../ops/pooler-watch';
import { setProbeSource } from '../ops/probes';
import { setOpsSource } from '../ops/public';
import { recordError } from '../ops/recorder';
import { rememberSlowQueries } from '../ops/slow-queries';
import { EXIT, exitCodeOf } from './exit-codes';
import { connectToPrimary, type Grant, type PrimaryLink } from './link';
import { RequestLimit } from './request-limit';
import { CRASH_DRAIN_MS, CRASH_IDLE_GRACE_MS, HALF_REQUEST_MS, IDLE_GRACE_MS, LAST_CALL_MS, PROMISES_MS } from './stop-times';
import { TakenConnections } from './taken-connections';
import { startWatchdog } from './watchdog';

export interface WorkerOptions {
  /** Makes the application; called before the hello, so that a worker in reserve has it ready. The database is not open yet. */
  createListener: () => RequestListener | Promise<RequestListener>;
  /** Hands the cluster-wide services (limits, bus) to the code that uses them; the worker serves when that is done. */
  install?: (link: PrimaryLink, slot: number) => void | Promise<void>;
  link?: PrimaryLink;
}

const RESIZE_POLL_MS = 20;

let leaving = false;
/** Where the primary gives the connections; undefined where this process accepts them itself. */
let taken: TakenConnections | undefined;

/** Runs this process as a worker; resolves when it serves. A start that fails ends the process with a telling code. */
export async function runWorker({ createListener, install, link = connectToPrimary() }: WorkerOptions): Promise<void> {
  const watchdog = startWatchdog('http');
  if (link.connected) for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  process.on('uncaughtException', (error) => void crash(link, error));
  process.on('unhandledRejection', (reason) => void crash(link, reason));
  try {
    const listener = await createListener();
    const grant = await link.hello();
    link.onDrain(({ whole }) => void leave(link, whole));
    await prepareDatabase(link, grant);
    setProbeSource({ facts: () => link.facts(), slot: () => grant.slot });
    setOpsSource(link.ops);
    await install?.(link, grant.slot);
    const given = link.connected && config.DISPATCH === 'least';
    const server = createHttpServer(listener, {
      max: config.MAX_CONNECTIONS,
      // Where the primary gives the connections it has counted them.
      maxPerAddress: given ? 0 : config.MAX_CONNECTIONS_PER_IP,
      maxRequests: config.MAX_REQUESTS_PER_CONNECTION,
    });
    lifecycle.attach(server);
    watchRequestLimit(link, grant.requestLimit);
    const address = given ? await takeFromPrimary(server) : await listen(server);
    watchdog.arm();
    if (!leaving) link.ready(address);
  } catch (error) {
    const code = exitCodeOf(error);
    const message = error instanceof Error ? error.message : String(error);
    log.error('worker cannot start', { code, error });
    await link.failed(code, message);
    process.exit(code);
  }
}

function watchRequestLimit(link: PrimaryLink, requestLimit: number): void {
  const limit = new RequestLimit(requestLimit, {
    reached: (answered, leaving) => link.limitReached(answered, leaving),
    leave: () => void leave(link, false),
  });
  link.onLimitLeave((allowed) => limit.allowLeave(allowed));
  lifecycle.onFinished((finished) => limit.onAnswered(finished));
}

/** What `pg_stat_activity.application_name` shows: the instance by its primary, the slot, the process. */
const connectionName = (link: PrimaryLink, slot: number): string =>
  `autoshop:${link.connected ? process.ppid : process.pid}:w${slot}:${process.pid}`;

async function prepareDatabase(link: PrimaryLink, { poolMin, poolMax, slot }: Grant): Promise<void> {
  rememberSlowQueries();
  const name = connectionName(link, slot);
  await openDatabase({ poolMin, poolMax, name });
  lifecycle.onShutdown('database', closeDatabase);
  await openReplicas({ poolMax, name });
  lifecycle.onShutdown('replicas', closeReplicas);
  setMigrationCounter(async () => (await missingMigrations()).length);
  const missing = await missingMigrations();
  if (missing.length > 0) throw new Error(`The database lacks ${missing.length} migrations, first ${missing[0]}`);
  await checkDatabase();
  if (slot === 1) followPooler();
  link.onResize((share) => void resize(link, share));
}

/** One worker is enough: what it reads is carried to the primary. */
function followPooler(): void {
  const { PGBOUNCER_ADMIN_URL: url, DATABASE_URL: databaseUrl } = config;
  if (!url || !databaseUrl) return;
  lifecycle.onShutdown('pooler', watchPooler({ url, database: parsePostgresUrl(databaseUrl).database }));
}

const missingMigrations = (): Promise<string[]> => pending({ query: async (text) => ({ rows: await unsafeQuery({ text }) }) });

/** Takes a new share; says so only when no connection above it is left, because somebody else gets them then. */
async function resize(link: PrimaryLink, { poolMin, poolMax }: { poolMin: number; poolMax: number }): Promise<void> {
  resizePool({ min: poolMin, max: poolMax });
  resizeReplicaPools(poolMax);
  while (Math.max(poolStatus().size, replicaConnections()) > poolMax) await new Promise((resolve) => setTimeout(resolve, RESIZE_POLL_MS));
  link.resized(poolMax);
}

/** @returns the address that the primary listens on for all workers */
async function takeFromPrimary(server: Server): Promise<{ host: string; port: number }> {
  taken = new TakenConnections(server, (count) => lifecycle.release(count));
  await taken.start();
  return { host: config.HOST, port: config.PORT };
}

function listen(server: Server): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: config.HOST, port: config.PORT }, () => {
      server.off('error', reject);
      server.on('error', (error) => log.error('the listener failed', { error }));
      const { address, port } = server.address() as AddressInfo;
      resolve({ host: address, port });
    });
  });
}

/** The lame-duck way out. Told twice (replaced, then the whole service stops), the second call only hurries the first. */
async function leave(link: PrimaryLink, whole: boolean): Promise<void> {
  // Others take over: leave idle connections for longer than the keep-alive time that clients were promised.
  const idleGraceMs = whole ? 0 : IDLE_GRACE_MS;
  // Elsewhere the others take what waits; at the end of all, closing at once would reset those clients.
  const drained = lifecycle.lameDuck({
    idleGraceMs,
    promisesMs: PROMISES_MS,
    silentMs: LAST_CALL_MS,
    halfRequestMs: HALF_REQUEST_MS,
    acceptMs: whole ? LAST_CALL_MS : 0,
    accepting: whole ? taken?.last() : undefined,
  });
  if (!whole) taken?.refuse();
  if (leaving) return;
  leaving = true;
  await drained;
  await goodbye(link);
  process.exit(EXIT.ok);
}

/**
 * Told to stop by somebody else's process manager. It does not say whether others take over, as in its reload; a stop only takes
 * some seconds longer that way, while the other mistake would cost requests.
 */
export const leaveAlone = (link: PrimaryLink): Promise<void> => leave(link, false);

/** Closes everything and hands the last counts to the primary. */
async function goodbye(link: PrimaryLink): Promise<void> {
  // The counters of the last answers are fed by listeners of the same event that ended them: let these run first.
  await nextTurn();
  await lifecycle.shutdown();
  await link.final();
}

let crashes = 0;

/** Nobody caught it, so nobody knows what is broken: tell the primary, answer what can be answered, and go. */
async function crash(link: PrimaryLink, error: unknown): Promise<void> {
  const requestId = currentContext()?.requestId ?? null;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  log.error('uncaught error', { error, request_id: requestId });
  recordError('uncaught', message, requestId);
  if (requestId) lifecycle.abandon(requestId);
  crashes += 1;
  if (crashes > 1) return;
  leaving = true;
  link.crashing(message, requestId);
  taken?.refuse();
  await lifecycle.lameDuck({ idleGraceMs: CRASH_IDLE_GRACE_MS, silentMs: CRASH_IDLE_GRACE_MS, limitMs: CRASH_DRAIN_MS });
  await goodbye(link);
  process.exit(EXIT.loadError);
}
