/**
 * The thread of an appointment. A message is stored with the job that sends it, in one transaction: it leaves only if it is
 * stored, and is never lost. What happens then is `message-delivery.service.ts`.
 */

import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest, Conflict, NotFound, RateLimited } from '../lib/errors';
import { toE164 } from '../lib/phone';
import { enqueue } from '../lib/queue';
import type { TemplateRow } from '../models/message-templates.queries';
import { TEMPLATE } from '../models/message-templates.queries';
import { Message } from '../models/messages.model';
import { LOCK_SENDING, RECIPIENT, type Recipient, SENDING_LIMITS, type SendingLimits, THREAD } from '../models/messages.queries';
import type { Channel, MessageState, MessageStatus, SendMessage } from '../schemas/messages.schema';
import { UUID } from '../schemas/uuid';
import { APPOINTMENT_MISSING } from './appointment-status.service';
import { recordAudit } from './audit.service';

const MISSING = 'Message not found';
const HOUR_MS = 3_600_000;
const MS_PER_S = 1000;

/** Outgoing messages, whoever wrote them and whatever became of them. */
const CUSTOMER_LIMIT = { count: 20, windowMs: 24 * HOUR_MS };
const SHOP_LIMIT = { count: 200, windowMs: HOUR_MS };

/** JSON of `{messages}`. @throws NotFound */
export async function listMessages(appointmentId: number): Promise<string> {
  const [row] = await query<{ json: string }>(THREAD, [tenant().id, appointmentId]);
  if (!row) throw new NotFound(APPOINTMENT_MISSING);
  return row.json;
}

/**
 * Stores a message to the appointment's customer and leaves the job that sends it.
 * @throws NotFound; BadRequest `sms_opted_out`, `missing_recipient`; RateLimited beyond the customer's or the shop's number
 */
export function sendMessage(appointmentId: number, { channel, body, template_id: templateKey }: SendMessage): Promise<MessageState> {
  return inTransaction(async () => {
    const [recipient] = await query<Recipient>(RECIPIENT, [tenant().id, appointmentId]);
    if (!recipient) throw new NotFound(APPOINTMENT_MISSING);
    assertReachable(channel, recipient);
    await query(LOCK_SENDING, [tenant().id]);
    await assertWithinLimits(recipient.customerId);
    const template = templateKey ? await findTemplate(templateKey) : undefined;
    const message = await addOutgoing({ appointmentId, customerId: recipient.customerId, channel, body, templateId: template?.id ?? null });
    await recordAudit({
      action: 'MESSAGE_SEND',
      entity: 'message',
      entityId: message.id,
      after: { appointment_id: String(appointmentId), channel, template: template?.slug ?? null },
    });
    return { id: message.id, status: message.status };
  });
}

export interface Outgoing {
  appointmentId: number;
  customerId: number | null;
  channel: Channel;
  body: string;
  templateId: string | null;
}

/** Stores a message and leaves its job, in the open transaction. */
export async function addOutgoing(outgoing: Outgoing): Promise<Message> {
  const now = clock.now();
  const createdBy = context().actor.id;
  const message = await Message.make<Message>({ ...outgoing, direction: 'out', status: 'sending', sentAt: now, createdAt: now, createdBy });
  await enqueue('message.send', { messageId: message.id }, { jobKey: `message.send:${message.id}` });
  return message;
}

/** @throws BadRequest when the customer cannot, or does not want to, be reached on this channel */
export function assertReachable(channel: Channel, { customerId, phone, email, smsOptOut }: Recipient): void {
  if (channel === 'sms' && smsOptOut) throw new BadRequest('Customer has opted out of text messages', { code: 'sms_opted_out' });
  const address = channel === 'sms' ? toE164(phone) : email;
  if (customerId === null || !address)
    throw new BadRequest(channel === 'sms' ? 'Customer has no valid phone number' : 'Customer has no email address', {
      code: 'missing_recipient',
    });
}

async function assertWithinLimits(customerId: number | null): Promise<void> {
  const now = clock.now().getTime();
  const since = ({ windowMs }: typeof SHOP_LIMIT) => new Date(now - windowMs);
  const [found] = await query<SendingLimits>(SENDING_LIMITS, [
    tenant().id,
    customerId,
    since(CUSTOMER_LIMIT),
    CUSTOMER_LIMIT.count,
    since(SHOP_LIMIT),
    SHOP_LIMIT.count,
  ]);
  const waits = [
    found?.customerAt ? found.customerAt.getTime() + CUSTOMER_LIMIT.windowMs - now : 0,
    found?.shopAt ? found.shopAt.getTime() + SHOP_LIMIT.windowMs - now : 0,
  ];
  const wait = Math.max(...waits);
  if (wait > 0) throw new RateLimited(Math.ceil(wait / MS_PER_S));
}

async function findTemplate(key: string): Promise<TemplateRow | undefined> {
  const [template] = await query<TemplateRow>(TEMPLATE, [tenant().id, key]);
  return template;
}

/**
 * Staff may give up on a message; only the provider says that one arrived.
 * @throws NotFound also for a message of another appointment; Conflict `invalid_state` for any other change
 */
export function markMessage(appointmentId: number, messageId: string, status: MessageStatus): Promise<MessageState> {
  return inTransaction(async () => {
    const message = await lockMessage(appointmentId, messageId);
    if (status === message.status) return { id: message.id, status };
    if (status !== 'failed') throw new Conflict('Only the provider reports delivery', { code: 'invalid_state' });
    if (message.status !== 'sending') throw new Conflict(`The message is ${message.status} already`, { code: 'invalid_state' });
    message.fail('marked_by_staff');
    await message.save();
    await recordAudit({
      action: 'MESSAGE_UPDATE',
      entity: 'message',
      entityId: message.id,
      before: { status: 'sending' },
      after: { status },
    });
    return { id: message.id, status };
  });
}

/** What may have left is only hidden; what has not is gone, and its job finds nothing to do. @throws NotFound */
export function deleteMessage(appointmentId: number, messageId: string): Promise<void> {
  return inTransaction(async () => {
    const message = await lockMessage(appointmentId, messageId);
    const isUnsent = message.direction === 'out' && message.handedAt === null && message.isWaiting;
    if (isUnsent) await message.destroy();
    else await message.update({ deletedAt: clock.now() });
    await recordAudit({
      action: 'MESSAGE_DELETE',
      entity: 'message',
      entityId: message.id,
      before: { channel: message.channel, direction: message.direction, status: message.status, unsent: isUnsent },
    });
  });
}

async function lockMessage(appointmentId: number, messageId: string): Promise<Message> {
  if (!UUID.test(messageId)) throw new NotFound(MISSING);
  const message = await Message.get<Message>(messageId, { lock: true, missing: MISSING });
  if (message.appointmentId !== appointmentId || message.deletedAt) throw new NotFound(MISSING);
  return message;
}
