/**
 * Carrying messages to the provider, and its reports back. A message is handed over outside any transaction, so a process that
 * dies in between hands it over again: at least once, each time under the same key, which is the message's id.
 */

import { config } from '../config';
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { log } from '../lib/log';
import { sendMail } from '../lib/mail';
import { toE164 } from '../lib/phone';
import { ProviderRefusal } from '../lib/provider-error';
import { sendSms } from '../lib/sms';
import { GAVE_UP, Message } from '../models/messages.model';
import { ENVELOPE, type Envelope, MARK_NOTIFICATION } from '../models/messages.queries';
import { UUID } from '../schemas/uuid';

interface Parcel {
  id: string;
  body: string;
  to: string;
  envelope: Envelope;
}

/**
 * The job: sends a message that still waits. A message that may not or cannot leave any more becomes `failed` with the reason.
 * @throws Error when the provider cannot be reached or asks for patience; the job is tried again
 */
export async function deliverMessage(messageId: string): Promise<void> {
  const parcel = await inTransaction(() => prepare(messageId));
  if (!parcel) return;
  try {
    const providerId = parcel.envelope.channel === 'sms' ? await handOverText(parcel) : await handOverMail(parcel);
    await inTransaction(() => recordSent(messageId, providerId));
  } catch (error) {
    if (!(error instanceof ProviderRefusal)) throw error;
    log.warn('a message was refused by the provider', { messageId, code: error.code });
    await inTransaction(() => recordFailure(messageId, error.code));
  }
}

/** The job's last attempt has failed. */
export const giveUpMessage = (messageId: string): Promise<void> => inTransaction(() => recordFailure(messageId, GAVE_UP));

/** What is to be sent, noted as handed over; undefined when there is nothing to do. */
async function prepare(messageId: string): Promise<Parcel | undefined> {
  const message = await lockWaiting(messageId);
  if (!message) return undefined;
  const [envelope] = await query<Envelope>(ENVELOPE, [tenant().id, messageId]);
  if (!envelope) throw new Error('A message without an appointment');
  const to = envelope.channel === 'sms' ? toE164(envelope.phone) : envelope.email;
  const obstacle = envelope.isOutdated
    ? 'outdated'
    : envelope.channel === 'sms' && envelope.smsOptOut
      ? 'sms_opted_out'
      : to
        ? null
        : 'missing_recipient';
  if (obstacle !== null || !to) {
    await store(message, () => message.fail(obstacle ?? 'missing_recipient'));
    return undefined;
  }
  if (message.handedAt === null) await message.update({ handedAt: clock.now() });
  return { id: messageId, body: message.body, to, envelope };
}

async function handOverText({ id, body, to, envelope }: Parcel): Promise<string | null> {
  const { providerId } = await sendSms({ to, from: envelope.shopNumber, body, dedupeKey: id, statusCallback: callbackFor(id) });
  return providerId;
}

async function handOverMail({ id, body, to, envelope }: Parcel): Promise<null> {
  await sendMail({ to, subject: `A message from ${envelope.shopName}`, text: `${body}\n`, dedupeKey: id });
  return null;
}

/** Names tenant and message, so that a report finds its row also when it comes before the answer to our call. */
function callbackFor(messageId: string): string | null {
  if (!config.PUBLIC_URL) return null;
  const query = new URLSearchParams({ tenant: tenant().id, message: messageId });
  return `${config.PUBLIC_URL.replace(/\/+$/, '')}/api/webhooks/sms/status?${query}`;
}

/** A text with an id waits for the provider's report; mail, and a text in a file, is as delivered as will ever be known. */
async function recordSent(messageId: string, providerId: string | null): Promise<void> {
  const message = await find(messageId);
  if (!message) return;
  await store(message, () => {
    if (providerId !== null && message.providerId === null) message.set({ providerId });
    if (providerId === null && message.status === 'sending') message.deliver(clock.now());
  });
}

async function recordFailure(messageId: string, code: string): Promise<void> {
  const message = await find(messageId);
  if (message?.isWaiting) await store(message, () => message.fail(code));
}

export interface StatusReport {
  providerId: string;
  status: string;
  errorCode: string | null;
}

const FINAL: Readonly<Record<string, 'delivered' | 'failed'>> = {
  delivered: 'delivered',
  read: 'delivered',
  undelivered: 'failed',
  failed: 'failed',
  canceled: 'failed',
};

/**
 * Applies a report of the provider to a message of the tenant. Reports may come twice, in any order, and before our own call
 * has returned. @returns false when the tenant has no such message
 */
export function applyStatusReport(messageId: string, { providerId, status, errorCode }: StatusReport): Promise<boolean> {
  return inTransaction(async () => {
    if (!UUID.test(messageId)) return false;
    const message = await find(messageId);
    if (message?.direction !== 'out' || (message.providerId !== null && message.providerId !== providerId)) return false;
    const outcome = FINAL[status.toLowerCase()];
    await store(message, () => {
      if (message.providerId === null) message.set({ providerId });
      if (!outcome || !message.isOpenToReports) return;
      if (outcome === 'delivered') message.deliver(clock.now());
      else message.fail(errorCode || status.toLowerCase());
    });
    return true;
  });
}

async function find(messageId: string): Promise<Message | null> {
  const [message = null] = await Message.list<Message>({ where: { id: messageId }, lock: true });
  return message;
}

async function lockWaiting(messageId: string): Promise<Message | null> {
  const message = await find(messageId);
  return message?.isWaiting ? message : null;
}

/** Saves the change, and its meaning for the automatic notification that the message may be. */
async function store(message: Message, change: () => void): Promise<void> {
  change();
  await message.save();
  const status = message.status === 'failed' ? 'failed' : 'sent';
  await query(MARK_NOTIFICATION, [tenant().id, message.id, status, message.errorCode, clock.now()]);
}
