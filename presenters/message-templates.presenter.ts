/** Templates and counted uses as clients read them. */
import type { TemplateRow, UsageRow } from '../models/message-templates.queries';
import type { MessageTemplateReply, SuggestedTemplate, TemplateUsageEvent } from '../schemas/message-templates.schema';

const RANK_STEP = 0.01;

export const presentTemplate = (row: TemplateRow): MessageTemplateReply => ({
  id: row.id,
  slug: row.slug,
  label: row.label,
  channel: row.channel,
  category: row.category,
  body: row.body,
  variables: row.variables,
  is_active: row.isActive,
  created_at: row.createdAt.toISOString(),
  updated_at: row.updatedAt.toISOString(),
});

/** The first one fits best. */
export const presentSuggestion = (row: TemplateRow, rank: number, status: string): SuggestedTemplate => ({
  ...presentTemplate(row),
  relevance: 1 - RANK_STEP * rank,
  reason: `status_match:${status}`,
});

export const presentUsage = ({ slug, isRepeated, ...row }: UsageRow & { slug: string; isRepeated: boolean }): TemplateUsageEvent => ({
  id: row.id,
  template_id: row.templateId,
  template_slug: slug,
  channel: row.channel,
  appointment_id: row.appointmentId === null ? null : String(row.appointmentId),
  user_id: row.userId,
  sent_at: row.sentAt.toISOString(),
  delivery_ms: row.deliveryMs,
  was_automated: row.wasAutomated,
  hash: row.hash,
  idempotent: isRepeated,
});
