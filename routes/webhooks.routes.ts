/** What the SMS provider calls. It proves itself by a signature over address and body; nothing else is needed, or believed. */
import { ProviderFields, StatusCallbackQuery, WEBHOOK_BODY_BYTES } from '../schemas/messages.schema';
import { type ProviderCall, unsafeReceiveReport, unsafeReceiveText } from '../services/opt-out.service';
import { type Endpoint, endpoint, type RequestFacts } from './endpoint';

const callOf = (request: RequestFacts, fields: ProviderFields): ProviderCall => ({
  base: request.base,
  target: request.target,
  signature: request.header('x-twilio-signature'),
  fields,
});

const common = {
  method: 'post',
  tag: 'Webhooks',
  allow: 'public',
  tenant: 'optional',
  csrf: 'exempt',
  signed: true,
  formBody: true,
  bodyLimit: WEBHOOK_BODY_BYTES,
  body: ProviderFields,
  reply: [204],
  errors: [403, 413, 415],
} as const;

export const webhooksEndpoints: readonly Endpoint[] = [
  endpoint({
    ...common,
    path: '/api/webhooks/sms',
    id: 'receiveText',
    summary: 'A text from a customer, sent by the SMS provider',
    handle: async ({ body, request }) => {
      await unsafeReceiveText(callOf(request, body));
    },
  }),
  endpoint({
    ...common,
    path: '/api/webhooks/sms/status',
    id: 'receiveDeliveryReport',
    summary: 'What became of a text, sent by the SMS provider',
    query: StatusCallbackQuery,
    handle: async ({ query, body, request }) => {
      await unsafeReceiveReport(callOf(request, body), { tenantKey: query.tenant ?? '', messageId: query.message ?? '' });
    },
  }),
];
