/** What is kept for a time and then removed, and how many rows there are of it. */
import { ENDED_SESSION, EXPIRED } from './sessions.queries';

/** A history that the service may only add to: removed by a function of the owner's. */
export interface History {
  readonly table: string;
  /** When a row was written. */
  readonly column: string;
  /** Which setting says how long it is kept. */
  readonly kind: 'audit' | 'usage';
}

export const HISTORIES: readonly History[] = [
  { table: 'audit_logs', column: 'created_at', kind: 'audit' },
  { table: 'customer_audits', column: 'created_at', kind: 'audit' },
  { table: 'vehicle_audits', column: 'created_at', kind: 'audit' },
  { table: 'vehicle_audit_log', column: 'performed_at', kind: 'audit' },
  { table: 'template_usage_events', column: 'sent_at', kind: 'usage' },
  { table: 'inbound_messages', column: 'received_at', kind: 'usage' },
];

/** `$1` table, `$2` until, `$3` rows at most; of the tenant in scope. */
export const REMOVE_HISTORY = { name: 'remove_old_history', text: 'SELECT remove_old_history($1, $2, $3) AS removed' };

/** `$1` tenant, `$2` until. */
export const countHistory = ({ table, column }: History) => ({
  text: `SELECT count(*)::int AS rows FROM ${table} WHERE tenant_id = $1 AND ${column} < $2`,
});

/** Rows that have ended by themselves, of all tenants. */
export const COUNT_EXPIRED = {
  sessions: { text: `SELECT count(*)::int AS rows FROM sessions WHERE ${ENDED_SESSION}` },
  password_resets: { text: `SELECT count(*)::int AS rows FROM password_resets WHERE ${EXPIRED}` },
} as const;

/** `$1` tenant. */
export const COUNT_EXPIRED_KEYS = { text: `SELECT count(*)::int AS rows FROM idempotency_keys WHERE tenant_id = $1 AND ${EXPIRED}` };
