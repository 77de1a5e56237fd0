/** Templates as lists show them, and the rows that count their use. */
import type { Sql } from '../lib/db';
import type { Channel } from '../schemas/messages.schema';

export interface TemplateRow {
  id: string;
  slug: string;
  label: string;
  channel: Channel;
  category: string | null;
  body: string;
  variables: string[];
  isActive: boolean;
  createdAt: Date;
  updatedAt: Date;
}

const COLUMNS = `id, slug, label, channel, category, body, variables, is_active AS "isActive", created_at AS "createdAt", updated_at AS "updatedAt"`;
const LIST_MAX = 500;

/** Values: tenant, inactive too, channel, category, text to look for (lower case); null leaves a filter out. */
export const TEMPLATES: Sql = {
  name: 'message_templates_list',
  text: `SELECT ${COLUMNS} FROM message_templates
    WHERE tenant_id = $1 AND (is_active OR $2::boolean) AND ($3::text IS NULL OR channel = $3) AND ($4::text IS NULL OR category = $4)
      AND ($5::text IS NULL OR strpos(lower(label || E'\\n' || body || E'\\n' || slug), $5) > 0)
    ORDER BY category NULLS LAST, label, slug LIMIT ${LIST_MAX}`,
};

/** Active templates by slug, in the order of the slugs. Values: tenant, slugs, channel or null. */
export const TEMPLATES_BY_SLUG: Sql = {
  name: 'message_templates_by_slug',
  text: `SELECT ${COLUMNS} FROM message_templates
    WHERE tenant_id = $1 AND slug = ANY ($2::text[]) AND is_active AND ($3::text IS NULL OR channel = $3)
    ORDER BY array_position($2::text[], slug::text)`,
};

/** Values: tenant, id or slug as text. A slug that looks like another template's id means the id. */
export const TEMPLATE: Sql = {
  name: 'message_templates_one',
  text: `SELECT ${COLUMNS} FROM message_templates WHERE tenant_id = $1 AND (id::text = lower($2) OR slug = $2)
    ORDER BY id::text = lower($2) DESC LIMIT 1`,
};

/** Values: tenant, template. A row when something refers to the template. */
export const TEMPLATE_IN_USE: Sql = {
  name: 'message_templates_in_use',
  text: `SELECT 1 WHERE EXISTS (SELECT FROM template_usage_events WHERE tenant_id = $1 AND template_id = $2::uuid)
    OR EXISTS (SELECT FROM messages WHERE tenant_id = $1 AND template_id = $2::uuid)`,
};

/** Values: tenant, slugs, labels, channels, categories, bodies, variables as a JSON array for each. Slugs that are there stay as they are. */
export const SEED_TEMPLATES: Sql = {
  text: `INSERT INTO message_templates (tenant_id, slug, label, channel, category, body, variables)
    SELECT $1::uuid, t.slug, t.label, t.channel, t.category, t.body, t.variables
    FROM jsonb_to_recordset($2::jsonb) AS t (slug text, label text, channel text, category text, body text, variables text[])
    ON CONFLICT ON CONSTRAINT message_templates_tenant_id_slug_key DO NOTHING`,
};

export interface UsageRow {
  id: string;
  templateId: string;
  channel: Channel;
  appointmentId: number | null;
  userId: string;
  sentAt: Date;
  deliveryMs: number | null;
  wasAutomated: boolean;
  hash: string;
}

const USAGE = `id, template_id AS "templateId", channel, appointment_id AS "appointmentId", user_id AS "userId", sent_at AS "sentAt",
  delivery_ms AS "deliveryMs", was_automated AS "wasAutomated", hash`;

/** Values: tenant, template, channel, appointment, user, at, milliseconds, automated, hash. No row when the hash is there. */
export const ADD_USAGE: Sql = {
  name: 'template_usage_add',
  text: `INSERT INTO template_usage_events (tenant_id, template_id, channel, appointment_id, user_id, sent_at, delivery_ms, was_automated, hash)
    VALUES ($1, $2::uuid, $3, $4::bigint, $5, $6::timestamptz, $7::integer, $8, $9)
    ON CONFLICT ON CONSTRAINT template_usage_events_tenant_id_hash_key DO NOTHING RETURNING ${USAGE}`,
};

/** Values: tenant, hash. */
export const USAGE_BY_HASH: Sql = {
  name: 'template_usage_by_hash',
  text: `SELECT ${USAGE} FROM template_usage_events WHERE tenant_id = $1 AND hash = $2`,
};

/** Values: tenant, since, bound. One row: how many there are, counted up to the bound. */
export const COUNT_USAGE: Sql = {
  name: 'template_usage_count',
  text: `SELECT count(*)::int AS count FROM (
      SELECT 1 FROM template_usage_events WHERE tenant_id = $1 AND sent_at >= $2::timestamptz LIMIT $3::int) counted`,
};
