/**
 * Removes what has been kept for long enough: histories after RETENTION_AUDIT_DAYS and RETENTION_USAGE_DAYS, and with them what
 * `retention.service.ts` removes every hour. In batches, each a transaction of its own, found by an index, so that nobody waits for it
 * and a stop at any moment loses nothing; two runs at once share the work. A dry run counts and removes nothing.
 */
import { config } from '../config';
import { clock } from '../lib/clock';
import { query, unsafeQuery } from '../lib/db';
import { log } from '../lib/log';
import { COUNT_EXPIRED, COUNT_EXPIRED_KEYS, countHistory, HISTORIES, type History, REMOVE_HISTORY } from '../models/retention.queries';
import { countOldNotifications } from './reminders.service';
import { unsafePruneExpired } from './retention.service';
import { inScope } from './sessions.service';
import { unsafeFindTenant, unsafeListTenants } from './tenants.service';

const BATCH = 1_000;
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
}

/** For all tenants. @returns one line for each table, in a fixed order */
export async function unsafeApplyRetention({ dryRun, batch = BATCH, now = clock.now() }: RetentionOptions): Promise<Retained[]> {
  const expired = dryRun ? await countExpired() : await removeExpired(batch);
  const lines: Retained[] = [...expired.map((line) => ({ ...line, before: null }))];
  for (const history of HISTORIES) lines.push(await retain(history, { dryRun, batch, now }));
  log.info(
    dryRun ? 'retention: dry run' : 'retention: old rows removed',
    Object.fromEntries(lines.map(({ table, rows }) => [table, rows])),
  );
  return lines;
}

const keptDays = ({ kind }: History): number => (kind === 'audit' ? config.RETENTION_AUDIT_DAYS : config.RETENTION_USAGE_DAYS);

async function retain(history: History, { dryRun, batch, now }: Required<RetentionOptions>): Promise<Retained> {
  const before = new Date(now.getTime() - keptDays(history) * DAY_MS);
  let rows = 0;
  await eachTenant(async (id) => {
    if (dryRun) rows += await countOf(countHistory(history), [id, before]);
    else rows += await removeHistory(history, before, batch);
  });
  return { table: history.table, rows, before };
}

/** Of the tenant in scope. */
async function removeHistory({ table }: History, before: Date, batch: number): Promise<number> {
  let [total, told] = [0, 0];
  for (;;) {
    const [answer] = await query<{ removed: number }>(REMOVE_HISTORY, [table, before, batch]);
    const removed = answer?.removed ?? 0;
    total += removed;
    if (total - told >= PROGRESS_ROWS) {
      told = total;
      log.info('retention goes on', { table, rows: total });
    }
    if (removed < batch) return total;
  }
}

async function eachTenant(work: (id: string) => Promise<void>): Promise<void> {
  for (const { id } of await unsafeListTenants()) {
    const tenant = await unsafeFindTenant(id);
    if (tenant) await inScope(tenant, () => work(id));
  }
}

const countOf = async (sql: { text: string }, values: unknown[]): Promise<number> =>
  (await query<{ rows: number }>(sql, values))[0]?.rows ?? 0;

type Line = Omit<Retained, 'before'>;

async function countExpired(): Promise<Line[]> {
  const lines: Line[] = [];
  for (const [table, sql] of Object.entries(COUNT_EXPIRED)) {
    const [counted] = await unsafeQuery<{ rows: number }>(sql);
    lines.push({ table, rows: counted?.rows ?? 0 });
  }
  let [keys, notifications] = [0, 0];
  await eachTenant(async (id) => {
    keys += await countOf(COUNT_EXPIRED_KEYS, [id]);
    notifications += await countOldNotifications();
  });
  return [...lines, { table: 'idempotency_keys', rows: keys }, { table: 'notification_log', rows: notifications }];
}

async function removeExpired(batch: number): Promise<Line[]> {
  const { sessions, resets, idempotencyKeys, notifications } = await unsafePruneExpired(batch);
  return [
    { table: 'sessions', rows: sessions },
    { table: 'password_resets', rows: resets },
    { table: 'idempotency_keys', rows: idempotencyKeys },
    { table: 'notification_log', rows: notifications },
  ];
}
