/** Log-ins of customers: registration by the customers themselves. */
import { DateTime } from 'luxon';
import { clock } from '../lib/clock';
import { inTransaction, query } from '../lib/db';
import { BadRequest, Conflict } from '../lib/errors';
import { hashPassword, passwordWeakness } from '../lib/passwords';
import { CUSTOMER_BY_EMAIL, REGISTER_CUSTOMER } from '../models/accounts.queries';
import { recordAudit } from './audit.service';
import type { SignedIn } from './auth.service';
import { inviteToReset } from './password-resets.service';
import { inScope, openSession } from './sessions.service';
import { unsafeDefaultTenant, unsafeFindTenant } from './tenants.service';

export interface Registration {
  /** Valid, in lower case. */
  email: string;
  password: string;
  name: string | undefined;
  phone: string | undefined;
  /** X-Tenant-Id as it came. */
  named: string | undefined;
}

const taken = () => new Conflict('Email already registered', { code: 'already_exists', details: { email: 'already_exists' } });

/**
 * Makes a customer with a log-in, and logs in. A customer whom the staff entered before gets the log-in only after proof of the
 * mailbox: a link is mailed, and the answer is the same as for an address that is taken.
 * @throws BadRequest `invalid_request` for a weak password or an unknown tenant, Conflict `already_exists`
 */
export async function registerCustomer({ email, password, name, phone, named }: Registration): Promise<SignedIn> {
  const weakness = passwordWeakness(password);
  if (weakness) throw new BadRequest(weakness, { code: 'invalid_request', details: { password: 'weak' } });
  const shop = await (named?.trim() ? unsafeFindTenant(named) : unsafeDefaultTenant());
  if (!shop?.isOpen) throw new BadRequest('Invalid tenant', { code: 'invalid_request' });
  // Hashed before looking, so that a taken address takes as long as a free one.
  const passwordHash = await hashPassword(password);
  const displayName = name || email.slice(0, email.indexOf('@'));
  return inScope(shop, async () => {
    const [existing] = await query<{ id: number; has_login: boolean }>(CUSTOMER_BY_EMAIL, [shop.id, email]);
    if (existing) {
      if (!existing.has_login) await inviteToReset('customer', String(existing.id));
      throw taken();
    }
    return inTransaction(async () => {
      const since = DateTime.fromJSDate(clock.now(), { zone: shop.timeZone }).toISODate();
      const [row] = await query<{ id: number }>(REGISTER_CUSTOMER, [shop.id, displayName, email, phone || null, passwordHash, since]);
      const id = String((row as { id: number }).id);
      const by = { id, role: 'Customer' } as const;
      await recordAudit({ action: 'CUSTOMER_CREATE', entity: 'customer', entityId: id, after: { registered: true }, by });
      const credentials = await openSession({ kind: 'customer', actorId: id, role: 'Customer', tenantId: shop.id });
      await recordAudit({ action: 'LOGIN_SUCCESS', entity: 'customer', entityId: id, by });
      return { credentials, user: { kind: 'customer', id, username: null, email, name: displayName, role: 'Customer', tenantId: shop.id } };
    });
  });
}
