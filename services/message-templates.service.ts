/** The shop's message templates. Clients name one by id or slug. */
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { inTransaction, query, unsafeQuery } from '../lib/db';
import { BadRequest, Conflict, NotFound } from '../lib/errors';
import { templateVariables } from '../lib/templates';
import { FIRST_TEMPLATES } from '../models/first-templates';
import { MessageTemplate } from '../models/message-templates.model';
import {
  SEED_TEMPLATES,
  TEMPLATE,
  TEMPLATE_IN_USE,
  TEMPLATES,
  TEMPLATES_BY_SLUG,
  type TemplateRow,
} from '../models/message-templates.queries';
import { pendingChanges, side } from '../models/row-changes';
import type { AppointmentStatus } from '../schemas/appointments.schema';
import { parseStatus } from '../schemas/appointments.schema';
import type { CreateMessageTemplate, ListMessageTemplates, UpdateMessageTemplate } from '../schemas/message-templates.schema';
import { recordAudit } from './audit.service';

const MISSING = 'Template not found';

/** What fits a status, best first. */
const SUGGESTED: Readonly<Partial<Record<AppointmentStatus, readonly string[]>>> = {
  SCHEDULED: ['appt_reminder_basic_sms', 'appt_reminder_personalized_sms'],
  READY: ['vehicle_ready_sms'],
  COMPLETED: ['thanks_followup_email'],
};

export interface TemplateChoice {
  templates: TemplateRow[];
  /** Best first; undefined when no status was asked for. */
  suggested: TemplateRow[] | undefined;
  status: AppointmentStatus | null;
}

/** By category, then label. A status that does not exist suggests nothing. */
export async function listTemplates(filter: ListMessageTemplates): Promise<TemplateChoice> {
  const { includeInactive = false, channel = null, category = null, q, appointment_status: word } = filter;
  const templates = await query<TemplateRow>(TEMPLATES, [tenant().id, includeInactive, channel, category, q?.toLowerCase() ?? null]);
  if (word === undefined) return { templates, suggested: undefined, status: null };
  const status = parseStatus(word);
  const slugs = (status && SUGGESTED[status]) ?? [];
  const suggested = slugs.length > 0 ? await query<TemplateRow>(TEMPLATES_BY_SLUG, [tenant().id, slugs, channel]) : [];
  return { templates, suggested, status };
}

/** @throws NotFound */
export async function getTemplate(idOrSlug: string): Promise<TemplateRow> {
  const template = await findTemplate(idOrSlug);
  if (!template) throw new NotFound(MISSING);
  return template;
}

export async function findTemplate(idOrSlug: string): Promise<TemplateRow | undefined> {
  const [template] = await query<TemplateRow>(TEMPLATE, [tenant().id, idOrSlug]);
  return template;
}

/** A slug that is taken is refused by its constraint (409 `slug_exists`). */
export function createTemplate({ slug, label, channel, category, body }: CreateMessageTemplate): Promise<TemplateRow> {
  return inTransaction(async () => {
    const now = clock.now();
    const template = await MessageTemplate.make<MessageTemplate>({
      slug,
      label,
      channel,
      category: category || null,
      body,
      variables: templateVariables(body),
      createdBy: context().actor.id,
      createdAt: now,
      updatedAt: now,
    });
    await recordAudit({
      action: 'CREATE',
      entity: 'message_template',
      entityId: template.id,
      after: { slug, label, channel, category: template.category, body },
    });
    return template;
  });
}

/** @throws BadRequest `no_fields`; NotFound */
export async function updateTemplate(idOrSlug: string, update: UpdateMessageTemplate): Promise<TemplateRow> {
  if (Object.values(update).every((value) => value === undefined)) throw new BadRequest('No fields to update', { code: 'no_fields' });
  const { label, channel, category, body, is_active: isActive } = update;
  return inTransaction(async () => {
    const template = await lockTemplate(idOrSlug);
    if (label !== undefined) template.set({ label });
    if (channel !== undefined) template.set({ channel });
    if (category !== undefined) template.set({ category: category || null });
    if (body !== undefined) template.write(body);
    if (isActive !== undefined) template.set({ isActive });
    await saveTemplate(template, 'UPDATE');
    return template;
  });
}

/** @throws NotFound; Conflict `template_in_use` when it is to go for good and messages or their count refer to it */
export function deleteTemplate(idOrSlug: string, { soft }: { soft: boolean }): Promise<void> {
  return inTransaction(async () => {
    const template = await lockTemplate(idOrSlug);
    if (soft) {
      template.set({ isActive: false });
      await saveTemplate(template, 'SOFT_DELETE');
      return;
    }
    const used = await query(TEMPLATE_IN_USE, [tenant().id, template.id]);
    if (used.length > 0) throw new Conflict('Template is in use', { code: 'template_in_use' });
    const { slug, label, channel, category, body } = template;
    await template.destroy();
    await recordAudit({
      action: 'DELETE',
      entity: 'message_template',
      entityId: template.id,
      before: { slug, label, channel, category, body },
    });
  });
}

async function lockTemplate(idOrSlug: string): Promise<MessageTemplate> {
  const { id } = await getTemplate(idOrSlug);
  return MessageTemplate.get<MessageTemplate>(id, { lock: true, missing: MISSING });
}

async function saveTemplate(template: MessageTemplate, action: 'UPDATE' | 'SOFT_DELETE'): Promise<void> {
  const changes = pendingChanges(template);
  if (Object.keys(changes).length === 0) return;
  template.set({ updatedAt: clock.now() });
  await template.save();
  await recordAudit({
    action,
    entity: 'message_template',
    entityId: template.id,
    before: side(changes, 'from'),
    after: side(changes, 'to'),
  });
}

/** Gives a new tenant its first templates, in the open transaction that has it in scope; those it has already stay as they are. */
export async function unsafeAddFirstTemplates(tenantId: string): Promise<void> {
  await unsafeQuery({ ...SEED_TEMPLATES, values: [tenantId, JSON.stringify(FIRST_TEMPLATES)] });
}
