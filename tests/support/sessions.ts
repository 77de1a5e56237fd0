/**
 * Sessions without the log-in page: the row and the token that a log-in would make, where a test is about something else
 * and needs many callers. What log-in itself does is tested with the real one (`login`).
 */
import { randomUUID } from 'node:crypto';
import type { Role } from '../../lib/context';
import { signAccessToken } from '../../lib/tokens';
import { admin } from './database';
import type { Customer, Staff } from './factories';
import type { Agent, TestApp } from './server';

/** A fresh session of this account: the headers by which a client names it. */
export async function openSession(account: Staff | Customer): Promise<{ 'X-Tenant-Id': string; Authorization: string }> {
  const isStaff = 'role' in account;
  const sid = randomUUID();
  const { id, tenant } = account;
  await admin(
    `INSERT INTO sessions (sid, actor_type, actor_id, tenant_id, expires_at) VALUES ($1, $2, $3, $4, now() + interval '1 hour')`,
    [sid, isStaff ? 'staff' : 'customer', String(id), tenant.id],
  );
  const role: Role = isStaff ? account.role : 'Customer';
  const { token } = signAccessToken({ sub: String(id), role, tenantId: tenant.id, sid });
  return { 'X-Tenant-Id': tenant.id, Authorization: `Bearer ${token}` };
}

/** A client with the token of a fresh session of this account. */
export const actAs = async (app: TestApp, account: Staff | Customer): Promise<Agent> => app.agent().set(await openSession(account));
