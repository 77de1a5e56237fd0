/** The message thread of an appointment: everybody on the staff reads it, owner and advisors write. */
import type { z } from 'zod';
import { type AppError, NotFound, ValidationFailed } from '../lib/errors';
import { ById } from '../schemas/common.schema';
import { ByIdAndMessage, MarkMessage, MessageState, MessageThread, SendMessage } from '../schemas/messages.schema';
import { deleteMessage, listMessages, markMessage, sendMessage } from '../services/messages.service';
import { type Endpoint, endpoint, JsonText, Reply, STAFF_ALL, STAFF_WRITE } from './endpoint';

const tag = 'Messages';
const mayNot = (verb: string) => ({ code: 'rbac_forbidden', message: `Only Owner or Advisor can ${verb} messages` });

const idOf = (id: number | null): number => {
  if (id === null) throw new NotFound('Appointment not found');
  return id;
};

/** Clients show the sentence, so it names what is wrong. */
function refuseMessage({ issues }: z.ZodError): AppError {
  const details: Record<string, string> = {};
  for (const { path, message } of issues) details[path.join('.') || 'body'] ??= message;
  const sentence = details['channel']
    ? "Channel must be 'sms' or 'email'"
    : details['body'] && details['body'] !== 'too_long'
      ? 'Message body is required'
      : undefined;
  return new ValidationFailed(details, sentence);
}

export const messagesEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/appointments/:id/messages',
    id: 'listMessages',
    summary: 'Messages of an appointment, oldest first',
    tag,
    allow: STAFF_ALL,
    forbidden: { message: 'Insufficient permissions. Required role: Advisor' },
    params: ById,
    reply: [200, MessageThread],
    errors: [404],
    mirror: 'all',
    queries: 1,
    handle: async ({ params }) => new JsonText(await listMessages(idOf(params.id))),
  }),
  endpoint({
    method: 'post',
    path: '/api/appointments/:id/messages',
    id: 'sendMessage',
    summary: 'Send a message to the customer of an appointment',
    tag,
    allow: STAFF_WRITE,
    forbidden: mayNot('create'),
    idempotent: true,
    params: ById,
    body: SendMessage,
    invalid: (error, part) => (part === 'params' ? new NotFound('Appointment not found') : refuseMessage(error)),
    reply: [201, MessageState],
    errors: [404, 409, 422],
    mirror: 'all',
    queries: 9,
    handle: async ({ params, body }) => {
      const message = await sendMessage(idOf(params.id), body);
      return new Reply(message, { headers: { Location: `/api/appointments/${params.id}/messages/${message.id}` } });
    },
  }),
  endpoint({
    method: 'patch',
    path: '/api/appointments/:id/messages/:mid',
    id: 'markMessage',
    summary: 'Mark a message that is being sent as failed',
    tag,
    allow: STAFF_WRITE,
    forbidden: mayNot('modify'),
    params: ByIdAndMessage,
    body: MarkMessage,
    reply: [200, MessageState],
    errors: [404, 409],
    handle: ({ params, body }) => markMessage(idOf(params.id), params.mid, body.status),
  }),
  endpoint({
    method: 'delete',
    path: '/api/appointments/:id/messages/:mid',
    id: 'deleteMessage',
    summary: 'Take a message out of the thread',
    tag,
    allow: STAFF_WRITE,
    forbidden: mayNot('modify'),
    params: ByIdAndMessage,
    reply: [204],
    errors: [404],
    handle: async ({ params }) => {
      await deleteMessage(idOf(params.id), params.mid);
    },
  }),
];
