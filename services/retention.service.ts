/** Removes rows that have ended by themselves, in batches, so that no statement holds many rows or runs long. */
import { query, unsafeQuery } from '../lib/db';
import { log } from '../lib/log';
import { PRUNE_IDEMPOTENCY_KEYS, PRUNE_RESETS, PRUNE_SESSIONS } from '../models/sessions.queries';
import { pruneNotifications } from './reminders.service';
import { inScope } from './sessions.service';
import { unsafeFindTenant, unsafeListTenants } from './tenants.service';

const BATCH = 1_000;

export interface Pruned {
  sessions: number;
  resets: number;
  idempotencyKeys: number;
  notifications: number;
}

/** Ended sessions with their refresh tokens, expired password resets, expired idempotency keys and old notification logs of all tenants. */
export async function unsafePruneExpired(batch = BATCH): Promise<Pruned> {
  const sessions = await inBatches(batch, () => unsafeQuery({ ...PRUNE_SESSIONS, values: [batch] }));
  const resets = await inBatches(batch, () => unsafeQuery({ ...PRUNE_RESETS, values: [batch] }));
  let [idempotencyKeys, notifications] = [0, 0];
  for (const { id } of await unsafeListTenants()) {
    const tenant = await unsafeFindTenant(id);
    if (!tenant) continue;
    idempotencyKeys += await inScope(tenant, () => inBatches(batch, () => query(PRUNE_IDEMPOTENCY_KEYS, [batch, tenant.id])));
    notifications += await inScope(tenant, () => inBatches(batch, () => pruneNotifications(batch)));
  }
  const pruned = { sessions, resets, idempotencyKeys, notifications };
  log.info('expired rows removed', pruned);
  return pruned;
}

async function inBatches(batch: number, deleteSome: () => Promise<object[]>): Promise<number> {
  let total = 0;
  for (;;) {
    const { length } = await deleteSome();
    total += length;
    if (length < batch) return total;
  }
}
