/** Message templates and the count of their use. A template is named by id or slug. */
import type { z } from 'zod';
import { type AppError, BadRequest, ValidationFailed } from '../lib/errors';
import { presentSuggestion, presentTemplate, presentUsage } from '../presenters/message-templates.presenter';
import {
  ByIdOrSlug,
  CreateMessageTemplate,
  DeleteMessageTemplate,
  ListMessageTemplates,
  MessageTemplateDeleted,
  MessageTemplateList,
  MessageTemplateReply,
  ReportTemplateUsage,
  TemplateUsageReply,
  UpdateMessageTemplate,
} from '../schemas/message-templates.schema';
import { createTemplate, deleteTemplate, getTemplate, listTemplates, updateTemplate } from '../services/message-templates.service';
import { countTemplateUse } from '../services/template-usage.service';
import { type Endpoint, endpoint, Reply, STAFF_READ, STAFF_WRITE } from './endpoint';

const tag = 'Message templates';
const OWNER = ['Owner'] as const;
const ownerOnly = { message: 'Insufficient permissions. Required role: Owner' };
const staffOnly = { message: 'Insufficient permissions. Required role: Advisor' };

const detailsOf = ({ issues }: z.ZodError, part: string): Record<string, string> =>
  Object.fromEntries(issues.map(({ path, message }) => [path.join('.') || part, message]).reverse());
const isAbout = ({ issues }: z.ZodError, field: string): boolean => issues.some(({ path }) => path[0] === field);
const badChannel = () =>
  new BadRequest("Channel must be 'sms' or 'email'", { code: 'invalid_channel', details: { channel: 'must_be_sms_or_email' } });

const refuseTemplate = (error: z.ZodError, part: string): AppError => {
  const details = detailsOf(error, part);
  const others = Object.keys(details).filter((field) => field !== 'channel');
  if (isAbout(error, 'channel') && others.length === 0 && !error.issues.some(isAbsent)) return badChannel();
  return new BadRequest('Invalid template', { code: 'invalid_input', details });
};
/** A field that is missing is invalid input; one with another word in it is an invalid channel. */
const isAbsent = ({ path, message }: z.core.$ZodIssue): boolean => path[0] === 'channel' && message === 'required';

const refuseUsage = (error: z.ZodError, part: string): AppError => {
  const details = detailsOf(error, part);
  if (isAbout(error, 'channel')) return badChannel();
  if (isAbout(error, 'delivery_ms')) return new BadRequest('delivery_ms must not be negative', { code: 'invalid_delivery_ms', details });
  return new ValidationFailed(details);
};

export const messageTemplatesEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/admin/message-templates',
    id: 'listMessageTemplates',
    summary: 'List message templates; those that fit a status on request',
    tag,
    allow: STAFF_READ,
    forbidden: staffOnly,
    query: ListMessageTemplates,
    invalid: refuseTemplate,
    reply: [200, MessageTemplateList],
    cache: { reads: ['message_templates'], freshSeconds: 60, sharedByRole: true },
    queries: 2,
    handle: async ({ query }) => {
      const { templates, suggested, status } = await listTemplates(query);
      return {
        message_templates: templates.map(presentTemplate),
        ...(suggested ? { suggested: suggested.map((row, rank) => presentSuggestion(row, rank, String(status))) } : {}),
      };
    },
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/message-templates',
    id: 'createMessageTemplate',
    summary: 'Add a message template',
    tag,
    allow: OWNER,
    forbidden: ownerOnly,
    body: CreateMessageTemplate,
    invalid: refuseTemplate,
    reply: [201, MessageTemplateReply],
    errors: [409],
    handle: async ({ body }) => {
      const template = presentTemplate(await createTemplate(body));
      return new Reply(template, { headers: { Location: `/api/admin/message-templates/${template.id}` } });
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/message-templates/:idOrSlug',
    id: 'getMessageTemplate',
    summary: 'A message template',
    tag,
    allow: STAFF_READ,
    forbidden: staffOnly,
    params: ByIdOrSlug,
    reply: [200, MessageTemplateReply],
    errors: [404],
    queries: 1,
    handle: async ({ params }) => presentTemplate(await getTemplate(params.idOrSlug)),
  }),
  endpoint({
    method: 'patch',
    path: '/api/admin/message-templates/:idOrSlug',
    id: 'updateMessageTemplate',
    summary: 'Change a message template',
    tag,
    allow: OWNER,
    forbidden: ownerOnly,
    params: ByIdOrSlug,
    body: UpdateMessageTemplate,
    invalid: refuseTemplate,
    reply: [200, MessageTemplateReply],
    errors: [404],
    handle: async ({ params, body }) => presentTemplate(await updateTemplate(params.idOrSlug, body)),
  }),
  endpoint({
    method: 'delete',
    path: '/api/admin/message-templates/:idOrSlug',
    id: 'deleteMessageTemplate',
    summary: 'Retire a message template, or delete one that was never used',
    tag,
    allow: OWNER,
    forbidden: ownerOnly,
    params: ByIdOrSlug,
    query: DeleteMessageTemplate,
    reply: [200, MessageTemplateDeleted],
    errors: [404, 409],
    handle: async ({ params, query: { soft = true } }) => {
      await deleteTemplate(params.idOrSlug, { soft });
      return { deleted: true, soft };
    },
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/template-usage',
    id: 'reportTemplateUsage',
    importance: 'background',
    summary: 'Count the use of a message template',
    tag,
    allow: STAFF_WRITE,
    forbidden: staffOnly,
    body: ReportTemplateUsage,
    invalid: refuseUsage,
    reply: [201, TemplateUsageReply],
    errors: [404],
    handle: async ({ body }) => {
      const use = await countTemplateUse(body);
      return new Reply({ template_usage_event: presentUsage(use) }, { status: use.isRepeated ? 200 : 201 });
    },
  }),
];
