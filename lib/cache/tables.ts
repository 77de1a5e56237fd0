/**
 * The tables that cached replies are made of, in one place. A cached endpoint names those it reads (`cache.reads`); every
 * statement that writes one of them makes the replies built from it void for its tenant, when its transaction has committed.
 * Nobody announces a write by hand: `lib/db.ts` finds it in the statement itself, so none can be forgotten. Contract tests hold
 * the endpoints' lists against the plans of their statements, and {@link CASCADES} against the foreign keys.
 */
import { LRUCache } from 'lru-cache';

export const CACHED_TABLES = [
  'appointment_services',
  'appointments',
  'customers',
  'invoices',
  'message_templates',
  'package_items',
  'payments',
  'service_operations',
  'technicians',
  'template_usage_events',
  'tenant_settings',
  'vehicles',
] as const;

export type CachedTable = (typeof CACHED_TABLES)[number];

/** What a DELETE takes along by ON DELETE CASCADE, as far as it is cached. */
export const CASCADES: Readonly<Partial<Record<string, readonly CachedTable[]>>> = {
  appointments: ['appointment_services', 'template_usage_events'],
  service_operations: ['package_items'],
  tenants: ['tenant_settings'],
};

const KNOWN: ReadonlySet<string> = new Set(CACHED_TABLES);
/** The verbs that write, wherever they stand: a WITH may hold several. `FOR UPDATE` and `DO UPDATE` name no table of ours behind them. */
const WRITE = /\b(insert\s+into|merge\s+into|update|delete\s+from|truncate(?:\s+table)?)\s+(?:only\s+)?(?:"?public"?\s*\.\s*)?"?(\w+)/gi;
const NOTHING: readonly CachedTable[] = Object.freeze([]);

/** Our statements are constants or few forms of one, so each text is taken apart once. */
const known = new LRUCache<string, readonly CachedTable[]>({ max: 2_000 });

/** The cached tables that a statement may change; empty for a read. A table too many costs a reply computed once more, one too few a wrong reply. */
export function writtenTables(text: string): readonly CachedTable[] {
  const remembered = known.get(text);
  if (remembered) return remembered;
  const found = new Set<CachedTable>();
  for (const [, verb = '', name = ''] of text.matchAll(WRITE)) {
    const table = name.toLowerCase();
    if (KNOWN.has(table)) found.add(table as CachedTable);
    if (/^(?:delete|truncate)/i.test(verb)) for (const dependent of CASCADES[table] ?? []) found.add(dependent);
  }
  const tables = found.size === 0 ? NOTHING : [...found].sort();
  known.set(text, tables);
  return tables;
}

/** What stands for "the rows of this table that belong to this tenant". */
export type Tag = `${string}:${CachedTable}`;

export const tagOf = (tenantId: string, table: CachedTable): Tag => `${tenantId.toLowerCase()}:${table}`;
