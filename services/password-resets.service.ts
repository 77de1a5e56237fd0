/**
 * Forgotten passwords, of staff and customers. A request only leaves a job; the job makes the token and mails it, so the token
 * rests nowhere but in the mail, and its SHA-256 in the database. It works once, for an hour, and ends every session.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { config } from '../config';
import { context, tenant } from '../lib/context';
import { inTransaction, query, unsafeQuery } from '../lib/db';
import { BadRequest, RateLimited } from '../lib/errors';
import { log } from '../lib/log';
import { sendMail } from '../lib/mail';
import { hashPassword, passwordWeakness } from '../lib/passwords';
import { enqueue } from '../lib/queue';
import { take, tryTake } from '../lib/rate-limit';
import { equalInConstantTime, hashOpaqueToken, newOpaqueToken } from '../lib/tokens';
import {
  ADD_RESET,
  CUSTOMER_BY_EMAIL,
  CUSTOMER_BY_ID,
  DROP_RESETS,
  type MembershipRow,
  OPEN_CUSTOMER_RESETS,
  OPEN_STAFF_RESETS,
  type OpenResetRow,
  SET_CUSTOMER_PASSWORD,
  SET_STAFF_PASSWORD,
  STAFF_BY_EMAIL,
  STAFF_BY_ID,
  USE_RESET,
} from '../models/accounts.queries';
import { recordAudit } from './audit.service';
import { type ActorKind, inScope, unsafeRevokeActorSessions } from './sessions.service';
import { type TenantRecord, unsafeDefaultTenant, unsafeFindTenant } from './tenants.service';

export const RESET_SECONDS = 60 * 60;
/** Every request is answered no sooner than this: writing a job for a known address takes longer than finding none. */
const ANSWER_AFTER_MS = 60;
const MS_PER_S = 1000;

interface Requested {
  email: string;
  /** Id or slug, as it came. */
  tenantKey: string | undefined;
}

const fold = (email: string): string => email.trim().toLowerCase();

/** Sends a link to every account that has this address. Silent about all else: unknown address, unknown tenant, too many requests. */
export async function requestPasswordReset(requested: Requested): Promise<void> {
  await Promise.all([delay(ANSWER_AFTER_MS), leaveJobs(requested)]);
}

async function leaveJobs({ email, tenantKey }: Requested): Promise<void> {
  const address = fold(email);
  if (address === '' || !(await tryTake('reset', context().ip ?? '', address))) return;
  const shop = await (tenantKey?.trim() ? unsafeFindTenant(tenantKey) : unsafeDefaultTenant());
  const [staff] = await unsafeQuery<{ id: string; memberships: MembershipRow[] | null }>({ ...STAFF_BY_EMAIL, values: [address] });
  const home = staff && (await unsafeFindTenant(staff.memberships?.find(({ isOpen }) => isOpen)?.tenantId ?? ''));
  if (staff && home) await inScope(home, () => inviteToReset('staff', staff.id));
  if (!shop?.isOpen) return;
  const [customer] = await inScope(shop, () => query<{ id: number }>(CUSTOMER_BY_EMAIL, [shop.id, address]));
  if (customer) await inScope(shop, () => inviteToReset('customer', String(customer.id)));
}

/** Ends the links sent before and leaves the job that sends a new one, for an account of the context's tenant. */
export function inviteToReset(kind: ActorKind, userId: string): Promise<void> {
  return inTransaction(async () => {
    await unsafeQuery({ ...DROP_RESETS, values: [kind, userId] });
    await enqueue('mail.password-reset', { kind, userId }, { jobKey: `password-reset:${kind}:${userId}` });
  });
}

/** The job: makes a token for an account of the context's tenant and mails the link. An account that has gone gets none. */
export async function mailPasswordReset(kind: ActorKind, userId: string): Promise<void> {
  const base = publicUrl();
  const shop = tenant();
  const account = await mailbox(kind, userId);
  if (!account?.email) {
    log.info('no mailbox for a password reset', { kind });
    return;
  }
  const token = newOpaqueToken();
  await inTransaction(async () => {
    await unsafeQuery({ ...DROP_RESETS, values: [kind, userId] });
    await unsafeQuery({ ...ADD_RESET, values: [kind, userId, hashOpaqueToken(token), shop.id, RESET_SECONDS] });
  });
  // Behind '#': a browser sends that part to nobody, so the token reaches no log and no Referer.
  const link = `${base}/reset-password#${new URLSearchParams({ email: account.email, token, tenant: shop.slug })}`;
  await sendMail({
    to: account.email,
    subject: `Set your password for ${shop.name}`,
    text: [
      `Hello ${account.name},`,
      '',
      `somebody, probably you, asked for a new password at ${shop.name}. This link sets it, once, within one hour:`,
      '',
      link,
      '',
      'If it was not you, there is nothing to do: the password stays as it is.',
      '',
    ].join('\n'),
  });
}

/** @throws Error in production without PUBLIC_URL: a link made from the request's Host header could lead anywhere */
function publicUrl(): string {
  if (config.PUBLIC_URL) return config.PUBLIC_URL.replace(/\/+$/, '');
  if (config.isProduction) throw new Error('PUBLIC_URL is not set: no link can be mailed');
  return `http://localhost:${config.PORT}`;
}

async function mailbox(kind: ActorKind, userId: string): Promise<{ name: string; email: string | null } | undefined> {
  const [row] =
    kind === 'staff'
      ? await unsafeQuery<{ name: string; email: string | null; is_active: boolean }>({ ...STAFF_BY_ID, values: [userId] })
      : await query<{ name: string; email: string | null }>(CUSTOMER_BY_ID, [tenant().id, userId]);
  return row && 'is_active' in row && !row.is_active ? undefined : row;
}

const invalid = (message = 'Invalid token or request') => new BadRequest(message, { code: 'invalid_request' });

/**
 * Sets the password with a mailed token: marks the token used, ends every session and lifts a lock in one transaction.
 * @throws BadRequest `invalid_request`: the broken password rule, "Invalid tenant", or one text for everything else; RateLimited
 */
export async function resetPassword({
  email,
  token,
  newPassword,
  tenantKey,
}: Requested & { token: string; newPassword: string }): Promise<void> {
  const weakness = passwordWeakness(newPassword);
  if (weakness) throw invalid(weakness);
  const address = fold(email);
  const { allowed, resetMs } = await take('reset', context().ip ?? '', address, 'use');
  if (!allowed) throw new RateLimited(Math.max(1, Math.ceil(resetMs / MS_PER_S)));
  const named = Boolean(tenantKey?.trim());
  const shop = await (named ? unsafeFindTenant(tenantKey as string) : unsafeDefaultTenant());
  if (named && !shop?.isOpen) throw invalid('Invalid tenant');
  const found = await findReset(address, hashOpaqueToken(token), shop);
  if (!found) throw invalid();
  const { kind, userId, tokenHash, home } = found;
  const passwordHash = await hashPassword(newPassword);
  const done = await inScope(home, () =>
    inTransaction(async () => {
      const [used] = await unsafeQuery({ ...USE_RESET, values: [kind, userId, tokenHash] });
      if (!used) return false;
      if (kind === 'staff') await unsafeQuery({ ...SET_STAFF_PASSWORD, values: [userId, passwordHash] });
      else await query(SET_CUSTOMER_PASSWORD, [home.id, userId, passwordHash]);
      await unsafeRevokeActorSessions(kind, userId);
      const role = kind === 'customer' ? ('Customer' as const) : null;
      await recordAudit({ action: 'PASSWORD_RESET', entity: kind, entityId: userId, by: { id: userId, role } });
      return true;
    }),
  );
  if (!done) throw invalid();
}

interface FoundReset {
  kind: ActorKind;
  userId: string;
  tokenHash: string;
  home: TenantRecord;
}

async function findReset(email: string, tokenHash: string, shop: TenantRecord | null): Promise<FoundReset | null> {
  const staff = await unsafeQuery<OpenResetRow>({ ...OPEN_STAFF_RESETS, values: [email] });
  const customers = shop ? await inScope(shop, () => query<OpenResetRow>(OPEN_CUSTOMER_RESETS, [shop.id, email])) : [];
  const candidates = [
    ...staff.map((row) => ({ kind: 'staff' as const, row })),
    ...customers.map((row) => ({ kind: 'customer' as const, row })),
  ];
  // Every one is compared, so that time does not tell which of them was right.
  const matching = candidates.filter(({ row }) => equalInConstantTime(row.token_hash, tokenHash));
  const [match] = matching;
  const home = match && (await unsafeFindTenant(match.row.tenant_id));
  return match && home ? { kind: match.kind, userId: match.row.user_id, tokenHash, home } : null;
}
