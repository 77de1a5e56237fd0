/**
 * Removes what has been kept for long enough: histories after RETENTION_AUDIT_DAYS and RETENTION_USAGE_DAYS, and with them what
 * `retention.service.ts` removes every hour. In batches, each a transaction of its own, found by an index, so that nobody waits for it
 * and a stop at any moment loses nothing; two runs at once share the work. A dry run counts and removes nothing.
 */
import { config } from '../config';
import { clock } from '../lib/clock';
import { inTransaction, query, unsafeQuery } from '../lib/db';
import { log } from '../lib/log';
import { enqueue } from '../lib/queue';
import { COUNT_EXPIRED, COUNT_EXPIRED_KEYS, countHistory, HISTORIES, type History, REMOVE_HISTORY } from '../models/retention.queries';
import { countOldNotifications } from './reminders.service';
import { unsafePruneExpired } from './retention.service';
import { inScope } from './sessions.service';
import { unsafeFindTenant, unsafeListTenants } from './tenants.service';

const BATCH = 1_000;
/** Of a turn: some seconds, which mail and texts can wait. */
const BATCHES_PER_TURN = 20;
/** A line in the log after so many rows of one table of one shop. */
const PROGRESS_ROWS = 50_000;
const DAY_MS = 24 * 60 * 60_000;

export interface Retained {
  table: string;
  /** Rows removed, or in a dry run those that would be. */
  rows: number;
  /** Rows before this moment; null: each row knows its own end. */
  before: Date | null;
}

export interface RetentionOptions {
  dryRun: boolean;
  batch?: number;
  now?: Date;
  /** Default: as long as there is something to remove. */
  turn?: Turn;
}

/** How much one run may remove before others are let through. Only full batches count: then there may be more. */
class Turn {
  #left: number;
  constructor(batches: number) {
    this.#left = batches;
  }
  get isOver(): boolean {
    return this.#left <= 0;
  }
  batchRemoved(): void {
    this.#left -= 1;
  }
}

/**
 * For the job process, which does one thing at a time: removes so many batches, and gets in line again behind whatever waits there
 * when that was not all.
 */
export async function unsafeTakeRetentionTurn({ batches = BATCHES_PER_TURN, batch = BATCH } = {}): Promise<void> {
  const turn = new Turn(batches);
  try {
    await unsafeApplyRetention({ dryRun: false, batch, turn });
  } finally {
    if (turn.isOver) await inTransaction(() => enqueue('retention.apply', {}, { jobKey: 'retention.apply' }));
  }
}

/**
 * For all tenants. One table's failure keeps no other from being tried.
 * @returns one line for each table, in a fixed order
 * @throws AggregateError that names the tables that failed, after all were tried
 */
export async function unsafeApplyRetention({
  dryRun,
  batch = BATCH,
  now = clock.now(),
  turn = new Turn(Number.POSITIVE_INFINITY),
}: RetentionOptions): Promise<Retained[]> {
  const lines: Retained[] = [];
  const failures = new Map<string, unknown>();
  const attempt = async (what: string, work: () => Promise<Retained[]>): Promise<void> => {
    try {
      lines.push(...(await work()));
    } catch (error) {
      failures.set(what, error);
    }
  };
  await attempt('what has expired', () => (dryRun ? countExpired() : removeExpired(batch)));
  for (const history of HISTORIES) await attempt(history.table, async () => [await retain(history, { dryRun, batch, now, turn })]);
  log.info(
    dryRun ? 'retention: dry run' : 'retention: old rows removed',
    Object.fromEntries(lines.map(({ table, rows }) => [table, rows])),
  );
  if (failures.size > 0) throw new AggregateError(failures.values(), `Retention failed for ${[...failures.keys()].join(', ')}`);
  return lines;
}

const keptDays = ({ kind }: History): number => (kind === 'audit' ? config.RETENTION_AUDIT_DAYS : config.RETENTION_USAGE_DAYS);

async function retain(history: History, { dryRun, batch, now, turn }: Required<RetentionOptions>): Promise<Retained> {
  const before = new Date(now.getTime() - keptDays(history) * DAY_MS);
  let rows = 0;
  await eachTenant(async (id) => {
    if (dryRun) rows += await countOf(countHistory(history), [id, before]);
    else rows += await removeHistory(history, before, { batch, turn });
  });
  return { table: history.table, rows, before };
}

/** Of the tenant in scope. */
async function removeHistory(
  { table }: History,
  before: Date,
  { batch, turn }: Pick<Required<RetentionOptions>, 'batch' | 'turn'>,
): Promise<number> {
  let [total, told] = [0, 0];
  while (!turn.isOver) {
    const [answer] = await query<{ removed: number }>(REMOVE_HISTORY, [table, before, batch]);
    const removed = answer?.removed ?? 0;
    total += removed;
    if (total - told >= PROGRESS_ROWS) {
      told = total;
      log.info('retention goes on', { table, rows: total });
    }
    if (removed < batch) break;
    turn.batchRemoved();
  }
  return total;
}

async function eachTenant(work: (id: string) => Promise<void>): Promise<void> {
  for (const { id } of await unsafeListTenants()) {
    const tenant = await unsafeFindTenant(id);
    if (tenant) await inScope(tenant, () => work(id));
  }
}

const countOf = async (sql: { text: string }, values: unknown[]): Promise<number> =>
  (await query<{ rows: number }>(sql, values))[0]?.rows ?? 0;

const expiredLine = (table: string, rows: number): Retained => ({ table, rows, before: null });

async function countExpired(): Promise<Retained[]> {
  const lines: Retained[] = [];
  for (const [table, sql] of Object.entries(COUNT_EXPIRED)) {
    const [counted] = await unsafeQuery<{ rows: number }>(sql);
    lines.push(expiredLine(table, counted?.rows ?? 0));
  }
  let [keys, notifications] = [0, 0];
  await eachTenant(async (id) => {
    keys += await countOf(COUNT_EXPIRED_KEYS, [id]);
    notifications += await countOldNotifications();
  });
  return [...lines, expiredLine('idempotency_keys', keys), expiredLine('notification_log', notifications)];
}

async function removeExpired(batch: number): Promise<Retained[]> {
  const { sessions, resets, idempotencyKeys, notifications } = await unsafePruneExpired(batch);
  return [
    expiredLine('sessions', sessions),
    expiredLine('password_resets', resets),
    expiredLine('idempotency_keys', idempotencyKeys),
    expiredLine('notification_log', notifications),
  ];
}
