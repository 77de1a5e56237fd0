/**
 * What customers text us. A text that is nothing but a keyword decides whether they get texts, for everybody with that number;
 * all other text joins the thread of their open appointment. "I'll CANCEL my other one" is no keyword.
 */
import { config } from '../config';
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { inTransaction, query, unsafeQuery } from '../lib/db';
import { BadRequest, Forbidden } from '../lib/errors';
import { log } from '../lib/log';
import { toE164 } from '../lib/phone';
import { isSignedByProvider } from '../lib/sms';
import { Customer } from '../models/customers.model';
import { Message } from '../models/messages.model';
import { ADD_INBOUND, CUSTOMERS_BY_NUMBER, OPEN_THREAD, TENANTS_BY_NUMBER } from '../models/messages.queries';
import type { ProviderFields } from '../schemas/messages.schema';
import { saveCustomer } from './customers.service';
import { applyStatusReport } from './message-delivery.service';
import { inScope } from './sessions.service';
import { type TenantRecord, type TenantRow, toTenant, unsafeFindTenant } from './tenants.service';

const OPT_OUT = new Set(['STOP', 'STOPALL', 'UNSUBSCRIBE', 'QUIT', 'END', 'CANCEL', 'REMOVE']);
const OPT_IN = new Set(['START', 'UNSTOP', 'YES']);
const BODY_MAX = 5_000;
const PROVIDER_ID_MAX = 100;

export type Decision = 'opt_out' | 'opt_in';

/** What a text decides; null when it is more than a keyword. Case, surrounding blanks and punctuation do not count. */
export function decisionOf(text: string): Decision | null {
  const word = text.replace(/^[\p{P}\p{S}\s]+|[\p{P}\p{S}\s]+$/gu, '').toUpperCase();
  return OPT_OUT.has(word) ? 'opt_out' : OPT_IN.has(word) ? 'opt_in' : null;
}

export interface ProviderCall {
  /** Scheme and host as the caller named them, and path with query. */
  base: string;
  target: string;
  signature: string | undefined;
  fields: ProviderFields;
}

/** @throws Forbidden unless the provider signed the call */
function assertSigned({ base, target, signature, fields }: ProviderCall): void {
  const address = `${config.PUBLIC_URL?.replace(/\/+$/, '') ?? base}${target}`;
  if (!isSignedByProvider(address, fields, signature)) throw new Forbidden('Invalid signature', { code: 'invalid_signature' });
}

/**
 * Takes in a text. One that was taken in before, also a replay, changes nothing.
 * @throws Forbidden without the provider's signature; BadRequest when it names no sender, destination or id
 */
export async function unsafeReceiveText(call: ProviderCall): Promise<void> {
  assertSigned(call);
  const { MessageSid: providerId, From: from, To: to, Body: body = '' } = call.fields;
  if (!providerId || providerId.length > PROVIDER_ID_MAX || !toE164(from) || !toE164(to))
    throw new BadRequest('MessageSid, From and To are required');
  const sender = toE164(from) as string;
  const shops = await unsafeShopsOf(toE164(to) as string);
  if (shops.length === 0) {
    log.warn('a text came to a number that no shop has');
    return;
  }
  const decision = decisionOf(body);
  if (decision) for (const shop of shops) await inScope(shop, () => decide({ providerId, sender, decision }));
  else await joinThread(shops, { providerId, sender, body });
}

async function unsafeShopsOf(number: string): Promise<TenantRecord[]> {
  const rows = await unsafeQuery<TenantRow>({ ...TENANTS_BY_NUMBER, values: [number, number === config.SMS_FROM] });
  return rows.map(toTenant);
}

interface Text {
  providerId: string;
  sender: string;
}

function decide({ providerId, sender, decision }: Text & { decision: Decision }): Promise<void> {
  return inTransaction(async () => {
    if (!(await isNew(providerId, decision))) return;
    for (const customer of await lockedSenders(sender)) {
      customer.decideSmsConsent(decision === 'opt_in', { at: clock.now(), ip: null, optOut: 'STOP' });
      await saveCustomer(customer, 'SMS_CONSENT');
    }
  });
}

/** The customers who have the number, locked in the order of their ids. */
async function lockedSenders(number: string): Promise<Customer[]> {
  const found = await query<{ id: number }>(CUSTOMERS_BY_NUMBER, [tenant().id, number]);
  if (found.length === 0) return [];
  return Customer.list<Customer>({ where: { id: found.map(({ id }) => id), deletedAt: null }, order: [['id', 'ASC']], lock: true });
}

interface Thread {
  appointmentId: number;
  customerId: number;
  writtenAt: Date | null;
}

/** Of several shops behind one number, the text belongs to the one that wrote to the sender last. */
async function joinThread(shops: readonly TenantRecord[], { providerId, sender, body }: Text & { body: string }): Promise<void> {
  const found: { shop: TenantRecord; thread: Thread }[] = [];
  for (const shop of shops) {
    const [thread] = await inScope(shop, () => query<Thread>(OPEN_THREAD, [shop.id, sender]));
    if (thread) found.push({ shop, thread });
  }
  const [latest] = found.sort((one, other) => (other.thread.writtenAt?.getTime() ?? 0) - (one.thread.writtenAt?.getTime() ?? 0));
  if (!latest || body.trim() === '') {
    log.info('a text without an open appointment was not kept');
    return;
  }
  const { shop, thread } = latest;
  await inScope(shop, () =>
    inTransaction(async () => {
      if (!(await isNew(providerId, 'text'))) return;
      const now = clock.now();
      await Message.make<Message>({
        appointmentId: thread.appointmentId,
        customerId: thread.customerId,
        channel: 'sms',
        direction: 'in',
        status: 'delivered',
        body: body.slice(0, BODY_MAX),
        providerId,
        sentAt: now,
        deliveredAt: now,
        createdAt: now,
      });
    }),
  );
}

/** Rivals wait for each other here: the second one finds the first one's row. */
async function isNew(providerId: string, outcome: Decision | 'text'): Promise<boolean> {
  return (await query(ADD_INBOUND, [tenant().id, providerId, outcome])).length > 0;
}

/**
 * Takes a delivery report in; the address it was sent to names tenant and message, and is signed with the rest.
 * @throws Forbidden without the provider's signature; BadRequest without id or status; a report about nothing we know is only logged
 */
export async function unsafeReceiveReport(
  call: ProviderCall,
  { tenantKey, messageId }: { tenantKey: string; messageId: string },
): Promise<void> {
  assertSigned(call);
  const { MessageSid: providerId, MessageStatus: status, ErrorCode: errorCode } = call.fields;
  if (!providerId || !status) throw new BadRequest('MessageSid and MessageStatus are required');
  const shop = await unsafeFindTenant(tenantKey);
  const applied = shop
    ? await inScope(shop, () => applyStatusReport(messageId, { providerId, status, errorCode: errorCode ?? null }))
    : false;
  if (!applied) log.info('a delivery report about an unknown message', { messageId });
}
