/** Shapes of message threads, and of what the SMS provider sends. */
import { z } from 'zod';
import { NumericId } from './common.schema';

export const CHANNELS = ['sms', 'email'] as const;
export type Channel = (typeof CHANNELS)[number];
export const MESSAGE_STATUSES = ['sending', 'delivered', 'failed'] as const;
export type MessageStatus = (typeof MESSAGE_STATUSES)[number];

const BODY_MAX = 1_600;

const lowerCase = (value: unknown): unknown => (typeof value === 'string' ? value.trim().toLowerCase() : value);
/** In any case. */
export const ChannelWord = z.preprocess(
  lowerCase,
  z.enum(CHANNELS, { error: ({ input }) => (input === undefined ? 'required' : 'must_be_sms_or_email') }),
);

export const SendMessage = z.object({
  channel: ChannelWord,
  body: z
    .string('required')
    .max(BODY_MAX, 'too_long')
    .refine((text) => text.trim() !== '', 'required'),
  /** Slug or id of the template that the text was made from; one that is unknown is not remembered. */
  template_id: z.string().trim().max(100).nullish().catch(null),
  variables_used: z.array(z.string()).nullish().catch(null),
});
export type SendMessage = z.output<typeof SendMessage>;

export const MarkMessage = z.object({ status: z.enum(MESSAGE_STATUSES, 'must_be_sending_delivered_or_failed') });
export const ByIdAndMessage = z.object({ id: NumericId, mid: z.string() });

export const Message = z
  .object({
    id: z.uuid(),
    appointment_id: z.string().regex(/^\d+$/),
    channel: z.enum(CHANNELS),
    direction: z.enum(['out', 'in']),
    body: z.string(),
    status: z.enum(MESSAGE_STATUSES),
    sent_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Message' });
export const MessageThread = z.object({ messages: z.array(Message) }).meta({ id: 'MessageThread' });
export const MessageState = z.object({ id: z.uuid(), status: z.enum(MESSAGE_STATUSES) }).meta({ id: 'MessageState' });
export type MessageState = z.output<typeof MessageState>;

export const WEBHOOK_BODY_BYTES = 16 * 1024;

/** Fields as the provider names them; all of them are signed, so none is dropped. */
export const ProviderFields = z.record(z.string(), z.string('must_be_string')).meta({ id: 'ProviderFields' });
export type ProviderFields = z.output<typeof ProviderFields>;

/** The query that our own callback address carries. */
export const StatusCallbackQuery = z.object({ tenant: z.string().optional(), message: z.string().optional() });
