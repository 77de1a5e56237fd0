import { randomUUID } from 'node:crypto';
import { closeDatabase, openDatabase } from '../../lib/db';
import { unsafePruneExpired } from '../../services/retention.service';
import { admin } from '../support/database';
import { createStaff, createTenant, type Tenant } from '../support/factories';

let shop: Tenant;
beforeAll(async () => {
  await openDatabase({ poolMin: 1, poolMax: 2 });
  shop = await createTenant();
});
afterAll(closeDatabase);

async function session(expires: string, revoked: string | null = null): Promise<string> {
  const sid = randomUUID();
  const { id } = await createStaff({ tenant: shop });
  await admin(
    `INSERT INTO sessions (sid, actor_type, actor_id, tenant_id, expires_at, revoked_at) VALUES ($1, 'staff', $2, $3, now() + $4::interval, now() + $5::interval)`,
    [sid, id, shop.id, expires, revoked],
  );
  await admin('INSERT INTO refresh_tokens (token_hash, sid, expires_at) VALUES ($1, $2, now() + $3::interval)', [
    randomUUID(),
    sid,
    expires,
  ]);
  return sid;
}
const idempotencyKey = (tenant: Tenant, key: string, expires: string) =>
  admin(
    `INSERT INTO idempotency_keys (tenant_id, actor, method, route, key, body_hash, status, response, expires_at)
      VALUES ($1, 'a', 'POST', 'r', $2, 'h', 200, '{}', now() + $3::interval)`,
    [tenant.id, key, expires],
  );
const resetRow = (user: string, expires: string) =>
  admin(
    `INSERT INTO password_resets (actor_type, user_id, token_hash, tenant_id, expires_at) VALUES ('staff', $1, $1, $2, now() + $3::interval)`,
    [user, shop.id, expires],
  );

it('sessions.prune › ended rows of all tenants go, in batches; live ones stay', async () => {
  const other = await createTenant();
  const live = await session('1 day');
  const justRevoked = await session('1 day', '-1 hour');
  const ended = [await session('-1 minute'), await session('-2 days'), await session('1 day', '-2 days')];
  await resetRow(`old-${randomUUID()}`, '-1 minute');
  const openReset = `open-${randomUUID()}`;
  await resetRow(openReset, '30 minutes');
  for (const tenant of [shop, other]) {
    for (let count = 0; count < 5; count += 1) await idempotencyKey(tenant, `old-${count}`, '-1 minute');
    await idempotencyKey(tenant, 'live', '1 hour');
  }

  const pruned = await unsafePruneExpired(2);

  expect(pruned.sessions).toBeGreaterThanOrEqual(ended.length);
  expect(pruned.idempotencyKeys).toBeGreaterThanOrEqual(10);
  const left = await admin<{ sid: string }>('SELECT sid FROM sessions WHERE tenant_id = $1', [shop.id]);
  expect(left.map(({ sid }) => sid).sort()).toEqual([live, justRevoked].sort());
  expect(await admin('SELECT 1 FROM refresh_tokens WHERE sid = ANY($1::uuid[])', [ended])).toEqual([]);
  expect(await admin<{ user_id: string }>('SELECT user_id FROM password_resets WHERE tenant_id = $1', [shop.id])).toEqual([
    { user_id: openReset },
  ]);
  for (const tenant of [shop, other])
    expect(await admin('SELECT key FROM idempotency_keys WHERE tenant_id = $1', [tenant.id])).toEqual([{ key: 'live' }]);
  expect(await unsafePruneExpired(2)).toEqual({ sessions: 0, resets: 0, idempotencyKeys: 0, notifications: 0 });
});
