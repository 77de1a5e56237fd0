/**
 * The read replicas as this process sees them: a pool for each, a watch that asks each twice a second whether it is there and how far
 * it has come, and the choice for a request. A replica that is down costs no request: those that hit it go on at the primary, and it
 * is asked again until it answers.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { config } from '../config';
import type { Actor } from './context';
import { unsafeQuery } from './db';
import { connectionOptions, DatabaseInstance } from './db-instance';
import { log } from './log';
import { metrics } from './metrics';
import type { ReplicaReport } from './pool-report';
import { ReadRoute, replicaDown } from './read-route';
import { chooseDatabase, Freshness, isUsable, type ReplicaState } from './replica-choice';
import { isSessionPinned } from './write-pins';

const PROBE_EVERY_MS = 500;
/** A replica that takes longer to connect or to answer the watch is down for now: its requests must not wait for it. */
const PROBE_TIMEOUT_MS = 1_000;
/** Each probe should know where the primary is now, but a primary that is slow to say so must not hold it up. */
const SAMPLE_WAIT_MS = 200;
/** Of a process's share of the connections to one server. */
const WATCH_CONNECTIONS = 1;

interface Position {
  standby: boolean;
  replayed: number | null;
  last_commit: number | null;
  system: string;
}
const POSITION = `SELECT pg_is_in_recovery() AS standby, pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::float8 AS replayed,
  (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000)::float8 AS last_commit, (SELECT system_identifier::text FROM pg_control_system()) AS system`;
/** What is flushed is what replicas can have. */
const PRIMARY_POSITION = `SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::float8 AS position,
  (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS clock, (SELECT system_identifier::text FROM pg_control_system()) AS system`;

class Replica {
  readonly name: string;
  readonly instance: DatabaseInstance;
  readonly #url: string;
  readonly #freshness = new Freshness();
  #watch: pg.Client | null = null;
  #probing: Promise<void> | null = null;
  #closed = false;
  #up = false;
  #saidDown = false;
  #freshAsOf: number | null = null;
  #latency: number | null = null;

  constructor(url: string, name: string) {
    this.name = name;
    this.#url = url;
    this.instance = new DatabaseInstance(url, { target: name, connectTimeoutMs: PROBE_TIMEOUT_MS, repeatsReads: false });
  }

  get up(): boolean {
    return this.#up;
  }

  get state(): ReplicaState {
    const { busy, waiting, max } = this.instance.pool.status;
    return { up: this.#up, freshAsOf: this.#freshAsOf, load: (busy + waiting) / Math.max(1, max) };
  }

  report(now: number): ReplicaReport {
    return {
      name: this.name,
      status: this.#up ? 'up' : 'down',
      latency: this.#latency,
      lag_s: this.#freshAsOf === null ? null : Math.max(0, Math.round(now - this.#freshAsOf) / 1000),
      pool: this.instance.pool.status,
    };
  }

  /** Asks where it is; at most one question is under way. Never rejects. */
  probe(): Promise<void> {
    this.#probing ??= this.#ask().finally(() => {
      this.#probing = null;
    });
    return this.#probing;
  }

  /** Out of use until the watch has heard from it. */
  suspect(error: unknown): void {
    log.debug('a request lost its replica', { replica: this.name, error });
    this.#up = false;
    void this.probe();
  }

  sampled(sample: Parameters<Freshness['add']>[0]): void {
    this.#freshness.add(sample);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#probing;
    this.#dropWatch();
    await this.instance.sequelize.close();
  }

  async #ask(): Promise<void> {
    const started = performance.now();
    try {
      const { standby, replayed, last_commit, system } = await this.#position();
      if (!standby || replayed === null) throw new Error('It is not a standby: what is written to the primary does not reach it');
      if (primarySystem !== null && system !== primarySystem) throw new Error('It is a standby of another database system');
      this.#latency = Math.round((performance.now() - started) * 10) / 10;
      this.#freshAsOf = this.#freshness.of({ replayed, lastCommit: last_commit });
      if (!this.#up) await this.#welcome();
    } catch (error) {
      this.#lose(error);
    }
  }

  async #position(): Promise<Position> {
    this.#watch ??= await this.#connect();
    const { rows } = await this.#watch.query<Position>(POSITION);
    return rows[0] as Position;
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      ...connectionOptions(this.#url),
      application_name: `${this.instance.connectionName}:watch`,
      connectionTimeoutMillis: PROBE_TIMEOUT_MS,
      query_timeout: PROBE_TIMEOUT_MS,
    });
    client.on('error', (error) => {
      if (this.#watch === client) this.#lose(error);
    });
    try {
      await client.connect();
    } catch (error) {
      client.connection.stream.destroy();
      throw error;
    }
    return client;
  }

  /** Its login may have changed while it was away. */
  async #welcome(): Promise<void> {
    const { stepsDownFrom, role } = await this.instance.inspect();
    if (stepsDownFrom !== null)
      log.warn('replica login bypasses row-level security; every transaction steps down', {
        replica: this.name,
        login: stepsDownFrom,
        role,
      });
    if (this.#closed) return;
    this.#up = true;
    this.#saidDown = false;
    log.info('replica in use', { replica: this.name });
  }

  #lose(error: unknown): void {
    this.#up = false;
    this.#freshAsOf = null;
    this.#latency = null;
    this.#dropWatch();
    if (this.#closed) return;
    this.instance.pool.sever(replicaDown());
    if (!this.#saidDown) log.warn('replica unavailable; the primary answers for it', { replica: this.name, error });
    this.#saidDown = true;
  }

  #dropWatch(): void {
    const client = this.#watch;
    this.#watch = null;
    client?.connection.stream.destroy();
  }
}

let replicas: readonly Replica[] = [];
/** The cluster that the primary belongs to, by its system identifier. */
let primarySystem: string | null = null;
let sampling: Promise<void> | null = null;
let watching: NodeJS.Timeout | undefined;
let turn = 0;

/** True where replicas are configured: only then must anybody remember who wrote. */
export const hasReplicas = (config.DATABASE_REPLICA_URLS ?? []).length > 0;

/**
 * Begins to watch and to use the configured replicas; without any it does nothing. Does not fail when they cannot be reached.
 * `poolMax` is this process's share of the connections to each of them, as it is to the primary.
 */
export async function openReplicas({ poolMax, name }: { poolMax: number; name: string }): Promise<void> {
  if (!hasReplicas) return;
  replicas = (config.DATABASE_REPLICA_URLS ?? []).map((url, index) => new Replica(url, `replica-${index + 1}`));
  for (const { instance } of replicas) instance.nameConnections(name);
  resizeReplicaPools(poolMax);
  await look();
  watching = setInterval(() => void look(), PROBE_EVERY_MS);
}

/** Sets this process's share; see {@link openReplicas}. */
export function resizeReplicaPools(poolMax: number): void {
  for (const { instance } of replicas) instance.pool.resize({ min: 0, max: Math.max(1, poolMax - WATCH_CONNECTIONS) });
}

/** The most connections this process has to any replica. */
export const replicaConnections = (): number =>
  Math.max(0, ...replicas.map(({ instance }) => instance.pool.status.size + WATCH_CONNECTIONS));

export const replicaReports = (now = performance.now()): ReplicaReport[] => replicas.map((replica) => replica.report(now));

/** True when every configured replica can be asked; true without any. */
export const areReplicasUp = (): boolean => replicas.every(({ up }) => up);

export async function closeReplicas(): Promise<void> {
  clearInterval(watching);
  const closing = replicas;
  replicas = [];
  await Promise.all([sampling, ...closing.map((replica) => replica.close())]);
}

/** Where a request of `actor` to a marked endpoint reads; undefined: from the primary. */
export async function routeReads(actor: Actor): Promise<ReadRoute | undefined> {
  if (replicas.length === 0) return undefined;
  const now = performance.now();
  const states = replicas.map(({ state }) => state);
  // Who wrote is asked of another process: only where the answer can matter.
  const pinned = 'sessionId' in actor && states.some((state) => isUsable(state, now)) && (await isSessionPinned(actor.sessionId));
  turn += 1;
  const choice = chooseDatabase({ marked: true, pinned, now, turn }, states);
  metrics.readChoices.inc({ choice: choice.target === 'replica' ? 'replica' : choice.why });
  const replica = choice.target === 'replica' ? replicas[choice.index] : undefined;
  return replica && new ReadRoute(replica, () => metrics.readChoices.inc({ choice: 'fallback' }));
}

async function look(): Promise<void> {
  sampling ??= samplePrimary().finally(() => {
    sampling = null;
  });
  await Promise.race([sampling, delay(SAMPLE_WAIT_MS, undefined, { ref: false })]);
  await Promise.all(replicas.map((replica) => replica.probe()));
}

async function samplePrimary(): Promise<void> {
  const askedAt = performance.now();
  try {
    const [row] = await unsafeQuery<{ position: number; clock: number; system: string }>({
      name: 'replicas_primary_position',
      text: PRIMARY_POSITION,
    });
    if (!row) return;
    primarySystem = row.system;
    for (const replica of replicas) replica.sampled({ askedAt, position: row.position, clock: row.clock });
  } catch (error) {
    // Then nobody knows how fresh the replicas are, and they go out of use by themselves; the probes say that the primary is down.
    log.debug('the position of the primary is not known', { error });
  }
}
