/** Counting which templates are used. Clients report each use once or several times under one key; it counts once. */
import { createHash, randomUUID } from 'node:crypto';
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest, NotFound, RateLimited } from '../lib/errors';
import { log } from '../lib/log';
import { ADD_USAGE, COUNT_USAGE, type TemplateRow, USAGE_BY_HASH, type UsageRow } from '../models/message-templates.queries';
import type { ReportTemplateUsage } from '../schemas/message-templates.schema';
import { recordAudit } from './audit.service';
import { findTemplate } from './message-templates.service';

const DAY_MS = 86_400_000;
const DAILY_CAP = 200_000;
const DAILY_WARNING = 100_000;
const CAP_RETRY_SECONDS = 3_600;

export interface CountedUse extends UsageRow {
  slug: string;
  /** It had been counted before. */
  isRepeated: boolean;
}

/** @throws BadRequest `missing_template`, `slug_mismatch`; NotFound; RateLimited beyond a day's number */
export function countTemplateUse(report: ReportTemplateUsage): Promise<CountedUse> {
  return inTransaction(async () => {
    const template = await templateOf(report);
    const { idempotency_key: key, appointment_id: appointmentId, delivery_ms: deliveryMs, was_automated: wasAutomated } = report;
    const channel = report.channel ?? template.channel;
    const hash = createHash('sha256')
      .update(`${template.id}|${key || randomUUID()}|${channel}`)
      .digest('hex');
    const known = await usageOf(hash);
    if (known) return { ...known, slug: template.slug, isRepeated: true };
    if (appointmentId) await assertAppointment(appointmentId);
    await assertBelowCap();
    const values = [
      tenant().id,
      template.id,
      channel,
      appointmentId ?? null,
      context().actor.id,
      clock.now(),
      deliveryMs ?? null,
      wasAutomated ?? false,
      hash,
    ];
    const [added] = await query<UsageRow>(ADD_USAGE, values);
    if (added) {
      await recordAudit({
        action: 'CREATE',
        entity: 'template_usage_event',
        entityId: added.id,
        after: { template: template.slug, channel, appointment_id: added.appointmentId === null ? null : String(added.appointmentId) },
      });
      return { ...added, slug: template.slug, isRepeated: false };
    }
    const rival = await usageOf(hash);
    if (!rival) throw new Error('A template use is neither new nor known');
    return { ...rival, slug: template.slug, isRepeated: true };
  });
}

async function templateOf({ template_id: id, template_slug: slug }: ReportTemplateUsage): Promise<TemplateRow> {
  const key = id || slug;
  if (!key) throw new BadRequest('template_id or template_slug is required', { code: 'missing_template' });
  const template = await findTemplate(key);
  if (!template) throw new NotFound('Template not found', { code: 'template_not_found' });
  if (slug && slug !== template.slug) throw new BadRequest('template_id and template_slug disagree', { code: 'slug_mismatch' });
  return template;
}

async function usageOf(hash: string): Promise<UsageRow | undefined> {
  const [row] = await query<UsageRow>(USAGE_BY_HASH, [tenant().id, hash]);
  return row;
}

async function assertAppointment(id: number): Promise<void> {
  const found = await query(
    { name: 'template_usage_appointment', text: 'SELECT 1 FROM appointments WHERE tenant_id = $1 AND id = $2::bigint' },
    [tenant().id, id],
  );
  if (found.length === 0) throw new NotFound('Appointment not found');
}

async function assertBelowCap(): Promise<void> {
  const since = new Date(clock.now().getTime() - DAY_MS);
  const [row] = await query<{ count: number }>(COUNT_USAGE, [tenant().id, since, DAILY_CAP]);
  const count = row?.count ?? 0;
  if (count >= DAILY_CAP) throw new RateLimited(CAP_RETRY_SECONDS);
  if (count === DAILY_WARNING) log.warn('half of the template uses that count in a day are used up', { count });
}
