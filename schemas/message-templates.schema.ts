/** Shapes of message templates and of the count of their use. */
import { z } from 'zod';
import { QueryBoolean } from './common.schema';
import { queryText } from './fields.schema';
import { CHANNELS, ChannelWord } from './messages.schema';

const Slug = z
  .string('required')
  .trim()
  .min(1, 'required')
  .max(100, 'too_long')
  .regex(/^[a-z0-9_-]+$/, 'only_lower_case_letters_digits_hyphens_underscores');
const Label = z.string('required').trim().min(1, 'required').max(200, 'too_long');
const Category = z.string('invalid').trim().max(100, 'too_long').nullable();
const Body = z
  .string('required')
  .max(5_000, 'too_long')
  .refine((text) => text.trim() !== '', 'required');

export const ListMessageTemplates = z.object({
  includeInactive: QueryBoolean.optional(),
  channel: z.preprocess((value) => (value === '' ? undefined : value), ChannelWord.optional()),
  category: queryText(100),
  q: queryText(),
  appointment_status: queryText(30),
});
export type ListMessageTemplates = z.output<typeof ListMessageTemplates>;

export const CreateMessageTemplate = z.object({
  slug: Slug,
  label: Label,
  channel: ChannelWord,
  category: Category.optional(),
  body: Body,
});
export type CreateMessageTemplate = z.output<typeof CreateMessageTemplate>;

export const UpdateMessageTemplate = z.object({
  label: Label.optional(),
  channel: ChannelWord.optional(),
  category: Category.optional(),
  body: Body.optional(),
  is_active: z.boolean('must_be_boolean').optional(),
});
export type UpdateMessageTemplate = z.output<typeof UpdateMessageTemplate>;

export const ByIdOrSlug = z.object({ idOrSlug: z.string() });
/** Hidden unless `soft` says no. */
export const DeleteMessageTemplate = z.object({
  soft: z
    .string()
    .transform((value) => !['0', 'false', 'no'].includes(value.trim().toLowerCase()))
    .optional(),
});

const template = {
  id: z.uuid(),
  slug: z.string(),
  label: z.string(),
  channel: z.enum(CHANNELS),
  category: z.string().nullable(),
  body: z.string(),
  variables: z.array(z.string()),
  is_active: z.boolean(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
};
export const MessageTemplateReply = z.object(template).meta({ id: 'MessageTemplate' });
export type MessageTemplateReply = z.output<typeof MessageTemplateReply>;
export const SuggestedTemplate = z.object({ ...template, relevance: z.number(), reason: z.string() }).meta({ id: 'SuggestedTemplate' });
export type SuggestedTemplate = z.output<typeof SuggestedTemplate>;
export const MessageTemplateList = z
  .object({ message_templates: z.array(MessageTemplateReply), suggested: z.array(SuggestedTemplate).optional() })
  .meta({ id: 'MessageTemplateList' });
export const MessageTemplateDeleted = z.object({ deleted: z.literal(true), soft: z.boolean() }).meta({ id: 'MessageTemplateDeleted' });

/** Blank and null count as absent. */
const word = z.preprocess(
  (value) => (value === null || value === '' ? undefined : value),
  z.string('invalid').trim().max(200, 'too_long').optional(),
);

export const ReportTemplateUsage = z.object({
  template_id: word,
  template_slug: word,
  channel: z.preprocess((value) => (value === null || value === '' ? undefined : value), ChannelWord.optional()),
  appointment_id: z
    .union(
      [
        z.int().positive(),
        z
          .string()
          .regex(/^[1-9]\d{0,15}$/)
          .transform(Number),
      ],
      'invalid',
    )
    .nullish(),
  delivery_ms: z.number('invalid').min(0, 'must_not_be_negative').max(2_147_483_647, 'too_big').transform(Math.round).nullish(),
  was_automated: z.boolean('must_be_boolean').nullish(),
  idempotency_key: word,
});
export type ReportTemplateUsage = z.output<typeof ReportTemplateUsage>;

export const TemplateUsageEvent = z
  .object({
    id: z.uuid(),
    template_id: z.uuid(),
    template_slug: z.string(),
    channel: z.enum(CHANNELS),
    appointment_id: z.string().nullable(),
    user_id: z.string(),
    sent_at: z.iso.datetime(),
    delivery_ms: z.int().nullable(),
    was_automated: z.boolean(),
    hash: z.string(),
    idempotent: z.boolean(),
  })
  .meta({ id: 'TemplateUsageEvent' });
export type TemplateUsageEvent = z.output<typeof TemplateUsageEvent>;
export const TemplateUsageReply = z.object({ template_usage_event: TemplateUsageEvent }).meta({ id: 'TemplateUsageReply' });
